"""Tokenized examples on disk."""

import os

import numpy as np
import pytest

from modeling.errors import UserError
from modeling.tasks.classification import (
    ExampleEncoder,
    InputExample,
    Labels,
    RowOptions,
    encode_cached,
    encode_examples,
)
from modeling.tokenization import FastTokenizer

LABELS = Labels("classification", ("x", "y"))
EXAMPLES = [
    InputExample(
        f"dev-{n}", "the cat wanted " * (n % 5), "so it is", "xy"[n % 2]
    )
    for n in range(700)
]


@pytest.fixture
def encode(tokenizer, tmp_path):
    def run(examples=EXAMPLES, labels=LABELS, options=None, using=tokenizer):
        encoder = ExampleEncoder(using, labels, options or RowOptions(12, 4))
        return encode_cached(encoder, examples, str(tmp_path / "cache"))

    return run


@pytest.fixture
def count_encodings(monkeypatch):
    calls = []
    original = ExampleEncoder.__call__

    def counted(self, examples):
        calls.append(len(examples))
        return original(self, examples)

    monkeypatch.setattr(ExampleEncoder, "__call__", counted)
    return calls


def test_files_hold_what_memory_would(encode, tokenizer):
    expected = encode_examples(
        ExampleEncoder(tokenizer, LABELS, RowOptions(12, 4)), EXAMPLES
    )
    for _ in range(2):
        encoded = encode()
        for ours, theirs in zip(encoded, expected, strict=True):
            assert isinstance(ours, np.memmap) and ours.dtype == theirs.dtype
            np.testing.assert_array_equal(ours, theirs)
    assert encoded.num_examples == 700 < len(encoded.row_starts) - 1


def test_multi_label_targets_keep_their_shape(encode):
    labels = Labels("multi_label", ("x", "y", "z"))
    examples = [InputExample("", "a", label=("z",)), InputExample("", "b")]
    assert encode(examples, labels).targets.tolist() == [[0, 0, 1], [0, 0, 0]]


def test_the_same_is_encoded_once_and_anything_else_anew(
    encode, count_encodings, golden_dir
):
    encode()
    assert sum(count_encodings) == 700
    encode([InputExample("other", *e[:3]) for e in as_tuples()])
    assert sum(count_encodings) == 700, "the guid shapes nothing"
    relabelled = [*EXAMPLES[:-1], InputExample("", "", "so it is", "x")]
    vocab = golden_dir / "vocab.txt"
    changes = [
        {"examples": EXAMPLES[:-1]},
        {"examples": relabelled},
        {"labels": Labels("classification", ("y", "x"))},
        {"options": RowOptions(12)},
        {"options": RowOptions(13, 4)},
        {"using": FastTokenizer.from_vocab_file(vocab, do_lower_case=False)},
        {"using": FastTokenizer.from_vocab_file(vocab, strip_accents=False)},
        {"using": FastTokenizer.from_vocab_file(vocab, True, None, ["[MASK]"])},
    ]
    for change in changes:
        before = sum(count_encodings)
        encode(**change)
        assert sum(count_encodings) > before, change


def as_tuples():
    return [(e.text_a, e.text_b, e.label) for e in EXAMPLES]


def test_vocabulary_counts_but_its_place_does_not(
    encode, count_encodings, golden_dir, tmp_path
):
    lines = (golden_dir / "vocab.txt").read_text().splitlines()
    path = tmp_path / "vocab.txt"
    path.write_text("\n".join(lines))
    encode()
    before = sum(count_encodings)
    encode(using=FastTokenizer.from_vocab_file(path))
    assert sum(count_encodings) == before
    lines[-1] = "unheard"
    path.write_text("\n".join(lines))
    encode(using=FastTokenizer.from_vocab_file(path))
    assert sum(count_encodings) > before


def test_failure_leaves_nothing(encode, tmp_path):
    bad = [*EXAMPLES, InputExample("dev-700", "a", label="z")]
    with pytest.raises(UserError, match="'dev-700': unknown label 'z'"):
        encode(bad)
    assert os.listdir(tmp_path / "cache") == []


def test_two_runs_at_once_end_with_one_directory(encode, monkeypatch, tmp_path):
    """Another run puts the same in place while this one writes."""
    rename = os.rename

    def late(source, target):
        monkeypatch.setattr(os, "rename", rename)
        encode()
        rename(source, target)

    monkeypatch.setattr(os, "rename", late)
    assert encode().num_examples == 700
    (directory,) = os.listdir(tmp_path / "cache")
    assert directory.startswith("examples.")


def test_directory_that_cannot_be_written(encode, tmp_path):
    (tmp_path / "cache").write_text("a file")
    with pytest.raises(UserError, match="Cannot write"):
        encode()
