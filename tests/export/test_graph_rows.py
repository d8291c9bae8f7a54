"""Rows in the graph are those that training makes."""

import itertools

import numpy as np
import pytest
import tensorflow as tf

from modeling.export import graph_rows
from modeling.export.answer_spans import cut_windows
from modeling.export.graph_rows import (
    Spans,
    cut,
    group,
    in_batches,
    lay_out,
    slide,
)
from modeling.export.graph_tokenizer import GraphTokens
from modeling.tasks.classification import InputExample, Labels, RowOptions
from modeling.tasks.classification.encoding import ExampleEncoder
from modeling.tasks.squad import FeatureSet, Paragraph, Question, WindowOptions
from modeling.tokenization import FastTokenizer

_WORDS = [f"w{i}" for i in range(40)]
_SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
TOKENIZER = FastTokenizer(
    {token: i for i, token in enumerate(_SPECIAL + _WORDS)}
)
# Both lengths from none to more than a row holds.
_LENGTHS = list(itertools.product([0, 1, 2, 3, 5, 8, 13, 21], repeat=2))


def text(length, first=0):
    return " ".join(_WORDS[first : first + length])


def tokens(texts):
    encoded = list(map(TOKENIZER.encode, texts))
    splits = np.cumsum([0, *map(len, encoded)])
    ids = tf.constant(list(itertools.chain(*encoded)), tf.int32)
    return GraphTokens(ids, tf.constant(splits, tf.int32), ids, ids)


def texts_of(lengths):
    return [text(a) for a, _ in lengths], [text(b, 19) for _, b in lengths]


@pytest.mark.parametrize("max_seq_length", [4, 5, 10, 17])
@pytest.mark.parametrize("stride", [None, 1, 3])
@pytest.mark.parametrize("pairs", [True, False])
def test_rows_are_those_of_training(max_seq_length, stride, pairs):
    if stride is not None and stride > max_seq_length - 2:
        pytest.skip("no such windows")
    options = RowOptions(max_seq_length, stride)
    encoder = ExampleEncoder(TOKENIZER, Labels("regression"), options)
    first, second = texts_of(_LENGTHS)
    if not pairs:
        second = [""] * len(first)
    encoded = encoder(
        [InputExample("", *both) for both in zip(first, second, strict=True)]
    )
    parts = Spans.of(tokens(first)), Spans.of(tokens(second))
    if not pairs:
        parts = parts[0], None
    counts = tf.ones(len(first), tf.int32)
    if stride is None:
        parts = cut(*parts, max_seq_length)
    else:
        *parts, counts = slide(*parts, max_seq_length, stride)
    assert counts.numpy().tolist() == encoded.rows_per_example().tolist()
    rows = lay_out(TOKENIZER, *parts)
    expected = encoded.pad(np.arange(len(encoded.first_lengths)))
    for name, values in expected.items():
        np.testing.assert_array_equal(rows[name].numpy(), values)
    grouped = group(rows, counts)["input_mask"]
    assert grouped.shape.rank == 3
    assert tf.reduce_sum(grouped) == expected["input_mask"].sum()


def test_no_rows_have_a_shape():
    rows = lay_out(TOKENIZER, Spans.of(tokens([])))
    assert rows["input_ids"].shape == (0, 2)


@pytest.mark.parametrize(
    ("max_seq_length", "doc_stride"), [(12, 3), (12, 20), (30, 2), (9, 1)]
)
def test_windows_are_those_of_training(max_seq_length, doc_stride):
    options = WindowOptions(max_seq_length, doc_stride, 4)
    # Of a context without tokens training has no window.
    lengths = [pair for pair in _LENGTHS if pair[1]]
    questions, contexts = texts_of(lengths)
    features = FeatureSet.of(
        [
            Paragraph(context, (Question(str(i), question),))
            for i, (question, context) in enumerate(
                zip(questions, contexts, strict=True)
            )
        ],
        TOKENIZER,
        options,
    )
    windows = cut_windows(tokens(questions), tokens(contexts), options)
    rows = lay_out(TOKENIZER, windows.query, windows.part)
    columns = features.columns(
        np.arange(len(features)), int(features.lengths.max())
    )
    for name, values in rows.items():
        np.testing.assert_array_equal(values.numpy(), columns[name])
    np.testing.assert_array_equal(windows.owners, features.windows[:, 0])
    np.testing.assert_array_equal(windows.starts, features.windows[:, 1])


def test_a_context_without_tokens_has_a_window():
    windows = cut_windows(tokens(["w0"]), tokens([""]), WindowOptions(12, 3, 4))
    assert windows.counts.numpy().tolist() == [1]
    assert windows.part.lengths.numpy().tolist() == [0]


@pytest.mark.parametrize(
    ("count", "sizes"),
    [
        (0, []),
        (1, [1]),
        (3, [3, 3, 3]),
        (4, [3, 3, 3, 1]),
        (7, [3, 3, 3, 3, 3, 3, 1]),
    ],
)
def test_batches_of_rows(monkeypatch, count, sizes):
    monkeypatch.setattr(graph_rows, "WINDOW_TOKENS", 15)

    @tf.function(input_signature=[tf.TensorSpec([None, None], tf.int32)])
    def compute(ids):
        def said(rows):
            size = tf.shape(rows["input_ids"])[:1]
            return {
                "doubled": 2 * rows["input_ids"],
                "size": tf.broadcast_to(size, size),
                "word": tf.strings.as_string(rows["words"][:, 0]),
            }

        return in_batches(said, {"input_ids": ids, "words": ids + 1})

    ids = np.arange(count * 5).reshape(count, 5)
    said = compute(tf.constant(ids, tf.int32))
    np.testing.assert_array_equal(said["doubled"], 2 * ids)
    assert said["size"].numpy().tolist() == sizes
    words = [str(row[0] + 1).encode() for row in ids]
    assert said["word"].numpy().tolist() == words


def test_a_row_of_more_tokens_is_a_batch(monkeypatch):
    monkeypatch.setattr(graph_rows, "WINDOW_TOKENS", 3)
    ids = tf.reshape(tf.range(10), [2, 5])
    said = in_batches(lambda rows: rows, {"input_ids": ids})
    np.testing.assert_array_equal(said["input_ids"], ids)
