"""Words of texts in a graph, and the rows of tokens that show them.

As `tasks.tagging.split_text` finds them, and `tasks.tagging.SentenceEncoder`
lays them out.

Shapes: N = texts, M = characters, V = words of all texts, T = their tokens, R =
rows, F = tokens of a row, W = words of the row, or text, that has most.
"""

from __future__ import annotations

from typing import NamedTuple

import tensorflow as tf

from modeling.export import characters as c
from modeling.export.graph_characters import CharacterMap
from modeling.export.graph_rows import Rows, Spans, first_largest, lay_out
from modeling.export.graph_tokenizer import GraphTokenizer
from modeling.tasks.tagging import TaggingOptions


class Words(NamedTuple):
    """Words of all texts, end to end.

    Attributes:
      codes: characters of all texts: int32 [M]
      starts: the first character of each word among them: int32 [V]
      ends: one past the last: int32 [V]
      bases: the first character of its text: int32 [V]
      splits: where each text's words begin, and the end of the last: int32
        [N + 1]
    """

    codes: tf.Tensor
    starts: tf.Tensor
    ends: tf.Tensor
    bases: tf.Tensor
    splits: tf.Tensor

    def texts(self, starts: tf.Tensor, ends: tf.Tensor) -> tf.Tensor:
        """The texts of some spans of characters: string [spans]"""
        codes = tf.gather(self.codes, tf.ragged.range(starts, ends))
        return tf.strings.unicode_encode(codes, "UTF-8")


class WordSplitter(tf.Module):
    """Splits texts in words.

    Args:
      into_characters: see `split_text`.
    """

    def __init__(self, into_characters: bool) -> None:
        super().__init__(name="words")
        self._into_characters = into_characters
        self._map = CharacterMap(False, None)

    def __call__(self, texts: tf.Tensor) -> Words:
        """Words of strings [N]; bytes that are not UTF-8 are passed over."""
        characters, splits = self._map.decode(texts)
        is_word = ~characters.has(c.SEPARATOR)
        begins = ends = is_word
        if not self._into_characters:
            is_alone = characters.has(c.CJK | c.PUNCTUATION)
            goes_on = is_word & ~is_alone
            # Whether a character and the one before it are of one word.
            joined = goes_on[1:] & goes_on[:-1]
            joined &= tf.equal(characters.chunks[1:], characters.chunks[:-1])
            begins &= ~tf.concat([[False], joined], 0)
            ends &= ~tf.concat([joined, [False]], 0)
        starts = tf.cast(tf.where(begins)[:, 0], tf.int32)
        word_splits = tf.searchsorted(starts, splits)
        counts = word_splits[1:] - word_splits[:-1]
        return Words(
            characters.codes,
            starts,
            tf.cast(tf.where(ends)[:, 0], tf.int32) + 1,
            tf.repeat(splits[:-1], counts),
            word_splits,
        )


class WordRows(NamedTuple):
    """Rows that show words, and where each word is scored.

    Attributes:
      rows: what a tagger reads: int32 [R, F] and [R, W]
      places: of each word among the words [R * W] of all rows, in the one that
        shows it in most context: int32 [V]
    """

    rows: Rows
    places: tf.Tensor


def lay_out_words(
    tokenizer: GraphTokenizer,
    unk_id: int,
    words: Words,
    options: TaggingOptions,
) -> WordRows:
    """Rows of whole words; of long texts several, which overlap.

    Args:
      tokenizer: of the model.
      unk_id: of words of which it makes nothing.
      words: of all texts.
      options: lengths.
    """
    tokens, bounds = _pieces(tokenizer, unk_id, words, options.room)
    firsts, ends = _windows(words.splits, bounds, options)
    spans = Spans(
        tokens,
        tf.gather(bounds, firsts),
        tf.gather(bounds, ends) - tf.gather(bounds, firsts),
    )
    # One word at least, so that no word, too, has a shape.
    width = tf.reduce_max(tf.concat([ends - firsts, [1]], 0))
    numbers = firsts[:, None] + tf.range(width)
    is_word = numbers < ends[:, None]
    numbers = tf.where(is_word, numbers, tf.size(bounds) - 1)
    before = tf.gather(bounds, numbers) - spans.starts[:, None]
    rows = {
        **lay_out(tokenizer, spans),
        "word_positions": tf.where(is_word, before + 1, 0),
        "word_mask": tf.cast(is_word, tf.int32),
    }
    # See `tasks.windows.max_context_window`.
    lengths = spans.lengths[:, None]
    context = tf.cast(tf.minimum(before, lengths - 1 - before), tf.float64)
    context += 0.01 * tf.cast(lengths, tf.float64)
    places = first_largest(context, numbers, tf.size(bounds))
    return WordRows(rows, places[:-1])


def _pieces(
    tokenizer: GraphTokenizer, unk_id: int, words: Words, room: int
) -> tuple[tf.Tensor, tf.Tensor]:
    """Tokens of every word, one at least and `room` at most: int32 [T]; and
    where each word's begin, and the end of the last: int32 [V + 1].
    """
    tokens = tokenizer(words.texts(words.starts, words.ends))
    spans = Spans.of(tokens)
    starts = tf.where(spans.lengths > 0, spans.starts, tf.size(tokens.ids))
    lengths = tf.clip_by_value(spans.lengths, 1, room)
    ids = tf.concat([tokens.ids, [unk_id]], 0)
    chosen = tf.ragged.range(starts, starts + lengths)
    bounds = tf.concat([[0], tf.cumsum(lengths)], 0)
    return tf.gather(ids, chosen.values), bounds


def _windows(
    splits: tf.Tensor, bounds: tf.Tensor, options: TaggingOptions
) -> tuple[tf.Tensor, tf.Tensor]:
    """The first word of every row, and one past its last: int32 [R] each.

    Texts without words have no rows.
    """
    text_ends = splits[1:]
    num_words = tf.size(bounds) - 1

    def last_within(firsts: tf.Tensor, size: int) -> tf.Tensor:
        """The last boundary between words up to so many tokens on."""
        limits = tf.gather(bounds, firsts) + size
        return tf.searchsorted(bounds, limits, side="right") - 1

    def goes_on(firsts: tf.Tensor, begins: tf.Tensor) -> tf.Tensor:
        return tf.reduce_any(firsts < text_ends)

    def mark(firsts: tf.Tensor, begins: tf.Tensor) -> tuple[tf.Tensor, ...]:
        """Marks a window's first word in each text that has one more."""
        is_window = firsts < text_ends
        places = tf.where(is_window, firsts, num_words)
        begins = tf.tensor_scatter_nd_update(
            begins, places[:, None], tf.ones_like(is_window)
        )
        is_last = last_within(firsts, options.room) >= text_ends
        following = last_within(firsts, options.stride)
        following = tf.maximum(following, firsts + 1)
        return tf.where(is_window & ~is_last, following, text_ends), begins

    _, begins = tf.while_loop(
        goes_on, mark, (splits[:-1], tf.zeros_like(bounds, tf.bool))
    )
    firsts = tf.cast(tf.where(begins[:-1])[:, 0], tf.int32)
    text = tf.searchsorted(splits, firsts, side="right")
    ends = last_within(firsts, options.room)
    return firsts, tf.minimum(ends, tf.gather(splits, text))
