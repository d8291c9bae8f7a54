"""A row for each choice; batches; predictions."""

import json

import numpy as np
import pytest

from modeling.errors import UserError
from modeling.tasks.array_input import ArrayInput
from modeling.tasks.classification.batches import ClassificationExamples
from modeling.tasks.length_batches import BatchOptions
from modeling.tasks.multiple_choice import (
    ChoiceEncoder,
    ChoiceExample,
    ChoiceWriter,
    decide,
    encode_cached,
)
from modeling.tasks.token_rows import encode_examples
from modeling.tokenization import FastTokenizer

TOKENS = "[PAD] [UNK] [CLS] [SEP] a b c d e f g ?".split()


@pytest.fixture(scope="module")
def tokenizer():
    return FastTokenizer({token: i for i, token in enumerate(TOKENS)})


def rows(encoded, example):
    numbers, _ = encoded.rows_of(np.array([example]))
    padded = encoded.pad(numbers)
    return [
        (
            " ".join(TOKENS[i] for i in ids[: mask.sum()]),
            segments[: mask.sum()].tolist(),
        )
        for ids, mask, segments in zip(*padded.values(), strict=True)
    ]


def test_rows_of_choices(tokenizer):
    examples = [
        ChoiceExample("a b", "c", ("d", "e f", "g"), 1),
        ChoiceExample("a", "", ("b", "c")),
    ]
    encoded = ChoiceEncoder(tokenizer, 16)(examples)
    assert rows(encoded, 0) == [
        ("[CLS] a b [SEP] c d [SEP]", [0] * 4 + [1] * 3),
        ("[CLS] a b [SEP] c e f [SEP]", [0] * 4 + [1] * 4),
        ("[CLS] a b [SEP] c g [SEP]", [0] * 4 + [1] * 3),
    ]
    assert rows(encoded, 1)[1] == ("[CLS] a [SEP] c [SEP]", [0] * 3 + [1] * 2)
    assert encoded.rows_per_example().tolist() == [3, 2]
    assert encoded.targets.tolist() == [1, 0]


def test_blank_is_filled(tokenizer):
    example = ChoiceExample("a", "b __ c ?", ("d", "e"), 0, has_blank=True)
    encoded = ChoiceEncoder(tokenizer, 16)([example])
    assert rows(encoded, 0)[1][0] == "[CLS] a [SEP] b e c ? [SEP]"


@pytest.mark.parametrize(
    ("length", "expected"),
    [
        (12, "[CLS] a a a a [SEP] b c d e f [SEP]"),
        (11, "[CLS] a a a [SEP] b c d e f [SEP]"),
        (8, "[CLS] [SEP] b c d e f [SEP]"),
        (7, "[CLS] [SEP] b c d e [SEP]"),
        (6, "[CLS] [SEP] c d e [SEP]"),
        (5, "[CLS] [SEP] d e [SEP]"),
    ],
)
def test_context_is_cut_and_then_the_question_but_no_choice(
    tokenizer, length, expected
):
    example = ChoiceExample(
        "a a a a", "b c _ f", ("d e", "g g"), 0, has_blank=True
    )
    encoded = ChoiceEncoder(tokenizer, length)([example])
    assert rows(encoded, 0)[0][0] == expected
    assert encoded.row_lengths().max() <= length


def test_choice_without_room(tokenizer):
    example = ChoiceExample("a", "b", ("c", "d e f"), place="x.jsonl, line 3")
    with pytest.raises(UserError) as error:
        ChoiceEncoder(tokenizer, 5)([example])
    assert str(error.value).startswith(
        "x.jsonl, line 3: choice 2 has 3 tokens, and a row with "
        "max_seq_length=5 has room for 2."
    )
    with pytest.raises(UserError, match="at least 4.* Received: 3"):
        ChoiceEncoder(tokenizer, 3)


def many():
    return [
        ChoiceExample("a " * (n % 9), "b", ("c", "d") + ("e",) * (n % 3), n % 2)
        for n in range(40)
    ]


def test_batches_hold_whole_examples(tokenizer):
    encoded = encode_examples(ChoiceEncoder(tokenizer, 16), many())
    examples = ClassificationExamples(encoded, windows=True)
    seen = []
    for indices, arrays in ArrayInput(examples, BatchOptions(8)).prediction(3):
        size, choices, _ = arrays["input_ids"].shape
        assert size % 3 == 0 and size >= len(indices)
        present = arrays["input_mask"].max(axis=-1)
        counts = encoded.rows_per_example()[indices]
        np.testing.assert_array_equal(
            present[: len(indices)], np.arange(choices) < counts[:, None]
        )
        assert not present[len(indices) :].any()
        seen += list(zip(indices, arrays["targets"], strict=False))
    assert sorted(seen) == [(n, n % 2) for n in range(40)]


def test_cache_knows_what_shaped_it(tokenizer, tmp_path, monkeypatch):
    calls = []
    original = ChoiceEncoder.__call__

    def counted(self, examples):
        calls.append(len(examples))
        return original(self, examples)

    monkeypatch.setattr(ChoiceEncoder, "__call__", counted)

    def run(length=16, examples=None):
        before = len(calls)
        encoder = ChoiceEncoder(tokenizer, length)
        encoded = encode_cached(encoder, examples or many(), str(tmp_path))
        return encoded, len(calls) - before

    encoded, count = run()
    assert count == 1
    for ours, theirs in zip(
        encoded, ChoiceEncoder(tokenizer, 16)(many()), strict=True
    ):
        np.testing.assert_array_equal(ours, theirs)
    assert run()[1] == 0
    assert run(15)[1] == 1 and run(examples=many()[1:])[1] == 1
    blank = [
        ChoiceExample(e.context, e.question, e.choices, e.answer, None, True)
        for e in many()
    ]
    assert run(examples=blank)[1] == 1
    named = [
        ChoiceExample(e.context, e.question, e.choices, e.answer, "x")
        for e in many()
    ]
    assert run(examples=named)[1] == 0


def test_predictions(tmp_path):
    examples = [
        ChoiceExample("a", "", ("x", "y"), 0, "q\t1"),
        ChoiceExample("a", "", ("x", "y", "z")),
    ]
    # The second value of the first row belongs to no choice of its example.
    shares = np.float32([[0.25, 0.75, 0.9], [0.5, 0.125, 0.375]])
    assert decide(examples, shares).tolist() == [1, 0]
    with ChoiceWriter(str(tmp_path)) as writer:
        for one, row in zip(examples, shares, strict=True):
            writer.write([one], [row])
    assert (tmp_path / "predictions.tsv").read_text() == (
        "id\tprediction\tprobabilities\nq 1\t1\t0.25 0.75\n"
        "1\t0\t0.5 0.125 0.375\n"
    )
    lines = (tmp_path / "predictions.jsonl").read_text().splitlines()
    assert [json.loads(line) for line in lines] == [
        {
            "id": "q\t1",
            "prediction": 1,
            "choice": "y",
            "probabilities": [0.25, 0.75],
        },
        {
            "id": "1",
            "prediction": 0,
            "choice": "x",
            "probabilities": [0.5, 0.125, 0.375],
        },
    ]
