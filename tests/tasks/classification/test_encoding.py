"""Rows of tokens: the original's features, windows, padding."""

import json

import numpy as np
import pytest
import tensorflow as tf

from modeling.errors import UserError
from modeling.records import parse_spec
from modeling.tasks.classification import (
    ExampleEncoder,
    InputExample,
    Labels,
    PaddingInputExample,
    RowOptions,
    convert_examples_to_features,
    encode_as_records,
    encode_examples,
    record_features,
    stream,
)
from modeling.tokenization import truncate_pair
from tests.tasks.classification.conftest import GOLDEN_SPLITS

LABELS = Labels("classification", ("x", "y"))


class WordIds:
    """A tokenizer whose texts are ids: "5 6" -> [5, 6]."""

    cls_id, sep_id, vocab_size = 1, 2, 70_000

    def encode_batch(self, texts):
        return [[int(word) for word in text.split()] for text in texts]


def encode(*texts, labels=LABELS, max_seq_length=8, doc_stride=None):
    encoder = ExampleEncoder(
        WordIds(), labels, RowOptions(max_seq_length, doc_stride)
    )
    return encode_examples(encoder, [InputExample("", *t) for t in texts])


def rows_of(encoded, example):
    rows, owners = encoded.rows_of(np.array([example]))
    assert not owners.any()
    batch = encoded.pad(rows)
    return [
        (ids[: mask.sum()].tolist(), segments[: mask.sum()].tolist())
        for ids, mask, segments in zip(*batch.values(), strict=True)
    ]


@pytest.mark.golden
@pytest.mark.parametrize(("task", "split"), GOLDEN_SPLITS)
def test_features_are_the_originals(
    golden_features, settings, tokenizers, task, split
):
    expected = golden_features[task, split]
    examples = [
        InputExample(v["guid"], v["text_a"], v["text_b"], v["label"])
        for v in expected
    ] + [PaddingInputExample()]
    features = convert_examples_to_features(
        examples,
        settings["labels"][task],
        settings["max_seq_length"],
        tokenizers[settings["do_lower_case"][task]],
    )
    expected = expected + golden_features["padding", None]
    for ours, theirs in zip(features, expected, strict=True):
        for name in ("input_ids", "input_mask", "segment_ids"):
            assert getattr(ours, name).tolist() == theirs[name]
        assert ours.label_id == theirs["label_id"]
        assert ours.is_real_example == theirs["is_real_example"]


@pytest.mark.golden
def test_records_are_the_originals(
    classifier_dir, golden_features, tokenizers, tmp_path
):
    examples = [
        InputExample(v["guid"], v["text_a"], v["text_b"], v["label"])
        for v in golden_features["mrpc", "dev"]
    ]
    features = convert_examples_to_features(
        examples, ["0", "1"], 64, tokenizers[True]
    )
    ours = tmp_path / "eval.tf_record"
    ours.write_bytes(encode_as_records(features))
    parsed = [
        [
            tf.io.parse_single_example(record, parse_spec(record_features(64)))
            for record in tf.data.TFRecordDataset(str(path))
        ]
        for path in (ours, classifier_dir / "mrpc_dev.tfrecord")
    ]
    assert len(parsed[0]) == len(parsed[1]) == 8
    for one, other in zip(*parsed, strict=True):
        for name in one:
            np.testing.assert_array_equal(one[name], other[name])


@pytest.mark.golden
def test_pairs_are_cut_as_by_the_original(classifier_dir):
    path = classifier_dir / "truncate_pair.json"
    for a, b, room, *kept in json.loads(path.read_text())["cases"]:
        cut = truncate_pair(list(range(a)), list(range(b)), room)
        assert cut == (list(range(kept[0])), list(range(kept[1])))


def test_empty_texts_are_as_in_the_original():
    encoded = encode(("",), ("3", ""), ("", "4"))
    assert rows_of(encoded, 0) == [([1, 2], [0, 0])]
    assert rows_of(encoded, 1) == [([1, 3, 2], [0, 0, 0])]
    assert rows_of(encoded, 2) == [([1, 2, 4, 2], [0, 0, 1, 1])]


def test_large_vocabularies_keep_their_ids():
    assert rows_of(encode(("69999",)), 0) == [([1, 69999, 2], [0, 0, 0])]


def test_windows_of_a_long_text():
    text = " ".join(map(str, range(10, 22)))
    encoded = encode(("7",), (text,), ("8", "9"), doc_stride=4)
    assert encoded.rows_per_example().tolist() == [1, 3, 1]
    assert [ids for ids, _ in rows_of(encoded, 1)] == [
        [1, 10, 11, 12, 13, 14, 15, 2],
        [1, 14, 15, 16, 17, 18, 19, 2],
        [1, 18, 19, 20, 21, 2],
    ]
    assert encoded.example_lengths().tolist() == [3, 8, 5]
    rows, owners = encoded.rows_of(np.array([2, 1]))
    assert rows.tolist() == [4, 1, 2, 3]
    assert owners.tolist() == [0, 1, 1, 1]
    assert rows_of(encoded, 2) == [([1, 8, 2, 9, 2], [0, 0, 0, 1, 1])]


@pytest.mark.parametrize("slide_second", [False, True])
def test_windows_of_a_pair_slide_over_the_longer_text(slide_second):
    texts = ("3 4", " ".join(map(str, range(10, 17))))
    encoded = encode(
        texts if slide_second else texts[::-1], max_seq_length=9, doc_stride=3
    )
    rows = rows_of(encoded, 0)
    if slide_second:
        assert rows == [
            ([1, 3, 4, 2, 10, 11, 12, 13, 2], [0] * 4 + [1] * 5),
            ([1, 3, 4, 2, 13, 14, 15, 16, 2], [0] * 4 + [1] * 5),
        ]
    else:
        assert rows == [
            ([1, 10, 11, 12, 13, 2, 3, 4, 2], [0] * 6 + [1] * 3),
            ([1, 13, 14, 15, 16, 2, 3, 4, 2], [0] * 6 + [1] * 3),
        ]


def test_a_pair_in_the_shortest_row_has_no_windows():
    encoded = encode(("3 4", "5"), max_seq_length=3, doc_stride=1)
    assert rows_of(encoded, 0) == [([1, 2], [0, 0])]


def test_windows_leave_no_gap_whatever_the_lengths():
    rng = np.random.default_rng(0)
    for _ in range(200):
        length_a, length_b = rng.integers(0, 30, 2)
        max_seq_length = int(rng.integers(4, 14))
        stride = int(rng.integers(1, max_seq_length - 1))
        a = list(range(100, 100 + length_a))
        b = list(range(200, 200 + length_b))
        encoded = encode(
            (" ".join(map(str, a)), " ".join(map(str, b))),
            max_seq_length=max_seq_length,
            doc_stride=stride,
        )
        rows = [ids for ids, _ in rows_of(encoded, 0)]
        assert max(map(len, rows)) <= max_seq_length
        seen = {token for ids in rows for token in ids}
        # With room for one token, a pair keeps the longer text only.
        longer = b if length_b > length_a else a
        assert seen >= set(longer)
        assert len(set(map(tuple, rows))) == len(rows)


def test_padding_to_a_length_and_to_the_longest():
    encoded = encode(("5 6 7", "8", "y"), ("9",))
    batch = encoded.pad(np.array([1, 0]))
    assert {k: v.tolist() for k, v in batch.items()} == {
        "input_ids": [[1, 9, 2, 0, 0, 0, 0], [1, 5, 6, 7, 2, 8, 2]],
        "input_mask": [[1, 1, 1, 0, 0, 0, 0], [1] * 7],
        "segment_ids": [[0] * 7, [0, 0, 0, 0, 0, 1, 1]],
    }
    longer = encoded.pad(np.array([1]), length=8)
    assert longer["input_ids"].tolist() == [[1, 9, 2, 0, 0, 0, 0, 0]]
    assert all(array.dtype == np.int32 for array in longer.values())
    assert encoded.targets.tolist() == [1, 0]


def test_targets_of_every_kind():
    scores = encode(("5", None, 2.5), ("6",), labels=Labels("regression"))
    assert scores.targets.tolist() == [2.5, 0]
    many = encode(
        ("5", None, ("c", "a")),
        ("6", None, ()),
        labels=Labels("multi_label", ("a", "b", "c")),
    )
    assert many.targets.tolist() == [[1, 0, 1], [0, 0, 0]]
    assert many.targets.dtype == np.float32
    with pytest.raises(UserError, match="unknown label 'z'. Expected one of"):
        encode(("5", None, "z"))


@pytest.mark.parametrize("num_workers", [1, 2])
def test_streams_in_order_and_in_any_number_of_processes(
    tokenizer, num_workers
):
    texts = [f"the cat {'wanted ' * (n % 9)}{n % 2}" for n in range(50)]
    examples = [InputExample(str(n), text) for n, text in enumerate(texts)]
    encoder = ExampleEncoder(tokenizer, LABELS, RowOptions(8))
    taken = 0

    def counted():
        nonlocal taken
        for example in examples:
            taken += 1
            yield example

    chunks = stream(encoder, counted(), num_workers, chunk_size=5)
    first, encoded = next(chunks)
    assert first == examples[:5] and taken <= 5 * 2 * num_workers
    ids = tokenizer.encode(texts[3])[:6]
    assert rows_of(encoded, 3)[0][0] == [101, *ids, 102]
    rest = [chunk for chunk, _ in chunks]
    assert [e for chunk in rest for e in chunk] == examples[5:]
    whole = encode_examples(encoder, examples, num_workers)
    for one, other in zip(whole, encoder(examples), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ((2,), "max_seq_length must be at least 3.* Received: 2"),
        ((8, 0), "doc_stride must be from 1 to 6.* Received: 0"),
        ((8, 7), "doc_stride must be from 1 to 6.* Received: 7"),
    ],
)
def test_options_that_cannot_work(options, message):
    with pytest.raises(UserError, match=message):
        RowOptions(*options)


def test_no_examples():
    assert encode().num_examples == 0
