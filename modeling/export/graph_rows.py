"""Rows of tokens in a graph, as the encoder reads them.

tokens:      [CLS] is this jack ##son ##ville ? [SEP] no it is not . [SEP] [PAD]
segment_ids: 0     0  0    0    0     0       0 0     1  1  1  1   1 1     0

Shapes: N = texts, R = rows, F = tokens of the longest row.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import tensorflow as tf

from modeling.export.graph_tokenizer import GraphTokenizer, GraphTokens

Rows = dict[str, tf.Tensor]

# Of a text that is read through windows, tokens that are computed at a time,
# padding included. On CPUs more are no faster, and take more memory.
WINDOW_TOKENS = 4096


class Spans(NamedTuple):
    """Parts of tokens that stand end to end.

    Attributes:
      ids: all tokens: int32 [T]
      starts: where each part begins: int32 [R]
      lengths: its tokens: int32 [R]
    """

    ids: tf.Tensor
    starts: tf.Tensor
    lengths: tf.Tensor

    @classmethod
    def of(cls, tokens: GraphTokens) -> Spans:
        """Whole texts."""
        starts = tokens.splits[:-1]
        return cls(tokens.ids, starts, tokens.splits[1:] - starts)

    def at(self, places: tf.Tensor) -> tf.Tensor:
        """Tokens by their place in the part; any where there is none: [R, F]"""
        ids = tf.concat([self.ids, [0]], 0)
        places = tf.clip_by_value(
            places + self.starts[:, None], 0, tf.size(self.ids)
        )
        return tf.gather(ids, places)


def lay_out(
    tokenizer: GraphTokenizer,
    first: Spans,
    second: Spans | None = None,
    ends_empty: bool = False,
) -> Rows:
    """A row for each part, or pair of parts.

    Args:
      tokenizer: gives the ids of [CLS], [SEP] and [PAD].
      first: follow [CLS].
      second: follow the first [SEP]. None: there are none.
      ends_empty: whether a second part without tokens has a [SEP] of its own;
        in the original it has none.

    Returns:
      input_ids, input_mask and segment_ids: int32 [R, F]
    """
    first_end = first.lengths[:, None] + 1
    total = first_end + 1
    if second is not None:
        second_lengths = second.lengths[:, None]
        is_there = ends_empty | (second_lengths > 0)
        total += tf.where(is_there, second_lengths + 1, 0)
    # At least [CLS] and [SEP], so that no row, too, has a shape.
    length = tf.reduce_max(tf.concat([total[:, 0], [2]], 0))
    places = tf.range(length)[None]
    ids = tf.where(places < first_end, first.at(places - 1), tokenizer.sep_id)
    if second is not None:
        in_second = (places > first_end) & (places < total - 1)
        ids = tf.where(in_second, second.at(places - first_end - 1), ids)
    ids = tf.where(tf.equal(places, 0), tokenizer.cls_id, ids)
    mask = places < total
    return {
        "input_ids": tf.where(mask, ids, tokenizer.pad_id),
        "input_mask": tf.cast(mask, tf.int32),
        "segment_ids": tf.cast(mask & (places > first_end), tf.int32),
    }


def cut(
    first: Spans, second: Spans | None, max_seq_length: int
) -> tuple[Spans, Spans | None]:
    """Texts, or pairs, cut to rows of so many tokens.

    Of a pair the longer is cut, the second when both are equal, as
    `tokenization.truncate_pair` does.
    """
    if second is None:
        lengths = tf.minimum(first.lengths, max_seq_length - 2)
        return first._replace(lengths=lengths), None
    length_a, length_b = first.lengths, second.lengths
    room = max_seq_length - tf.where(length_b > 0, 3, 2)
    excess = tf.maximum(length_a + length_b - room, 0)
    # First the longer is cut to the other's length, then both in turn.
    shorter = tf.minimum(length_a, length_b)
    off_a = tf.minimum(excess, length_a - shorter)
    off_b = tf.minimum(excess, length_b - shorter)
    excess -= off_a + off_b
    length_a -= off_a + excess // 2
    length_b -= off_b + (excess + 1) // 2
    return first._replace(lengths=length_a), second._replace(lengths=length_b)


def slide(
    first: Spans, second: Spans | None, max_seq_length: int, stride: int
) -> tuple[Spans, Spans | None, tf.Tensor]:
    """Texts, or pairs, read through windows where they are too long.

    As in `tasks.classification`: windows slide over the longer text and keep
    the other whole, or as much of it as half of the room.

    Returns:
      Both parts of every row, and the number of rows of each text: int32 [N]
    """
    length_a = first.lengths
    length_b = tf.zeros_like(length_a) if second is None else second.lengths
    room = max_seq_length - tf.where(length_b > 0, 3, 2)
    fits = length_a + length_b <= room
    slides_b = length_b > length_a
    longer = tf.maximum(length_a, length_b)
    kept = tf.minimum(tf.minimum(length_a, length_b), room // 2)
    size = room - kept
    step = tf.minimum(stride, size)
    counts = tf.where(fits, 1, 1 + ceil_divide(longer - size, step))
    owners, nth = repeat(counts)

    def part(spans: Spans, slides: tf.Tensor) -> Spans:
        starts = tf.where(slides, tf.gather(step, owners) * nth, 0)
        lengths = tf.where(
            slides,
            tf.minimum(
                tf.gather(size, owners), tf.gather(longer, owners) - starts
            ),
            tf.gather(kept, owners),
        )
        whole = tf.gather(spans.lengths, owners)
        lengths = tf.where(tf.gather(fits, owners), whole, lengths)
        return Spans(
            spans.ids, tf.gather(spans.starts, owners) + starts, lengths
        )

    slides_b = tf.gather(slides_b, owners)
    parts_b = None if second is None else part(second, slides_b)
    return part(first, ~slides_b), parts_b, counts


def group(rows: Rows, counts: tf.Tensor) -> Rows:
    """[R, F] -> [N, rows of a text, F]; rows that fill have no tokens."""
    return {
        name: tf.RaggedTensor.from_row_lengths(
            values, counts, validate=False
        ).to_tensor()
        for name, values in rows.items()
    }


def in_batches(function: Callable[[Rows], Rows], rows: Rows) -> Rows:
    """A function of rows of any number, computed of `WINDOW_TOKENS` at a time,
    so that a long text takes no more memory than others.

    Args:
      function: rows [any, F] -> what it says of each, [any, ...].
      rows: [R, F] or, of words, [R, W].
    """
    count, length = tf.unstack(tf.shape(rows["input_ids"]))
    size = tf.maximum(WINDOW_TOKENS // length, 1)

    def batch(begin: tf.Tensor) -> Rows:
        return function(
            {name: v[begin : begin + size] for name, v in rows.items()}
        )

    # No row, too, has a shape.
    first = batch(tf.constant(0))
    arrays = {
        name: tf.TensorArray(
            values.dtype,
            1,
            dynamic_size=True,
            infer_shape=False,
            element_shape=[None, *values.shape[1:]],
        ).write(0, values)
        for name, values in first.items()
    }

    def write(number: tf.Tensor, arrays: dict[str, tf.TensorArray]) -> tuple:
        said = batch(number * size)
        written = {n: a.write(number, said[n]) for n, a in arrays.items()}
        return number + 1, written

    _, arrays = tf.while_loop(
        lambda number, arrays: number * size < count,
        write,
        (tf.constant(1), arrays),
        # Side by side, batches would take the memory of one.
        parallel_iterations=1,
    )
    joined = {name: array.concat() for name, array in arrays.items()}
    for name, values in joined.items():
        values.set_shape([None, *first[name].shape[1:]])
    return joined


def repeat(counts: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """For texts with so many rows the text of each row, and which of its rows
    it is: int32 [R] each.
    """
    owners = tf.repeat(tf.range(tf.size(counts)), counts)
    before = tf.cumsum(counts, exclusive=True)
    return owners, tf.range(tf.size(owners)) - tf.gather(before, owners)


def ceil_divide(dividend: tf.Tensor, divisor: tf.Tensor) -> tf.Tensor:
    """Rounded up, and 0 for what is negative."""
    return tf.maximum(dividend + divisor - 1, 0) // divisor


def first_largest(
    values: tf.Tensor, keys: tf.Tensor, num_keys: tf.Tensor
) -> tf.Tensor:
    """Where each key has its largest value, the first of equal ones.

    Args:
      values: of any shape.
      keys: below `num_keys`, of the same shape.
      num_keys: how many there are.

    Returns:
      Places among all values; the largest integer for keys without one: int32
      [num_keys]
    """
    largest = tf.math.unsorted_segment_max(values, keys, num_keys)
    places = tf.reshape(tf.range(tf.size(values)), tf.shape(values))
    is_largest = tf.equal(values, tf.gather(largest, keys))
    places = tf.where(is_largest, places, tf.int32.max)
    return tf.math.unsorted_segment_min(places, keys, num_keys)
