"""SentencePiece of raw strings in a TensorFlow graph, as ALBERT does it.

Shapes: N = texts, M = characters, P = pieces, T = tokens.
"""

from __future__ import annotations

import re
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from modeling.errors import UserError
from modeling.export.graph_characters import (
    CharacterMap,
    Characters,
    with_final_sigmas,
)
from modeling.export.graph_tokenizer import GraphTokens
from modeling.tokenization import SentencePieceTokenizer
from modeling.tokenization.sentencepiece_tokenizer import normalize_text

# What `str.split` splits at, all of it below this.
_NUM_BELOW = 0x3001
_IS_SPACE = np.array([chr(code).isspace() for code in range(_NUM_BELOW)])
_SPACE, _QUOTE = map(ord, ' "')
_HALF_QUOTES = tuple(map(ord, "`'"))
# Code points from which on UTF-8 takes a byte more.
_LONGER = (0x80, 0x800, 0x10000)
# More characters than a token has.
_MANY = 2**24


class _Text(NamedTuple):
    """What the model reads, and where it comes from.

    Attributes:
      codes: its characters, of all texts: int32 [M]
      starts: the first character of each one's source: int32 [M]
      ends: one past the last: int32 [M]
      splits: where each text's begin, and the end of the last: int32 [N + 1]
      source_splits: the same of the sources: int32 [N + 1]
    """

    codes: tf.Tensor
    starts: tf.Tensor
    ends: tf.Tensor
    splits: tf.Tensor
    source_splits: tf.Tensor


class GraphSentencePiece(tf.Module):
    """The ids and offsets of a `SentencePieceTokenizer`, in a graph.

    Args:
      tokenizer: without special tokens that are kept in the text.

    Raises:
      UserError: tensorflow-text is not installed.
    """

    def __init__(self, tokenizer: SentencePieceTokenizer) -> None:
        super().__init__(name="sentencepiece")
        try:
            import tensorflow_text
        except ImportError as error:
            raise UserError(
                "Tokenization in a graph needs tensorflow-text. Install it: "
                "pip install 'tensorflow-text>=2.21.1'"
            ) from error
        self.cls_id, self.sep_id = tokenizer.cls_id, tokenizer.sep_id
        self.pad_id = tokenizer.pad_id
        self._as_they_are = CharacterMap(False, None)
        self._compatible = self._small = None
        if tokenizer.strip_accents:
            self._compatible = CharacterMap(False, _decompose)
        if tokenizer.do_lower_case:
            self._small = CharacterMap(True, None)
        self._model = tensorflow_text.SentencepieceTokenizer(
            tokenizer.serialized_model, out_type=tf.int32
        )
        self._make_parts(tokenizer)

    def _make_parts(self, tokenizer: SentencePieceTokenizer) -> None:
        """What every piece becomes: itself, or of numbers its parts."""
        lengths, parts, begins, ends = [], [], [], []
        for index in range(tokenizer.vocab_size):
            split = tokenizer.number_splits.get(index, (index,))
            lengths.append(len(split))
            parts += split
            sizes = [
                len(tokenizer.inv_vocab[part].removeprefix("▁"))
                for part in split
            ]
            # The one part of most ends where the piece does.
            stops = np.cumsum(sizes) if len(split) > 1 else [_MANY]
            begins += [0, *stops[:-1]]
            ends += list(stops)
        self._lengths = tf.constant(lengths, tf.int32)
        self._firsts = tf.constant(np.cumsum(lengths) - lengths, tf.int32)
        self._parts = tf.constant(parts, tf.int32)
        self._begins = tf.constant(begins, tf.int32)
        self._ends = tf.constant(ends, tf.int32)

    def __call__(self, texts: tf.Tensor) -> GraphTokens:
        """Tokens of strings [N]; bytes that are not UTF-8 are passed over."""
        text = self._normalized(texts)
        pieces, starts, ends = self._model.tokenize_with_offsets(
            _encode(text.codes, text.splits)
        )
        rows = tf.cast(pieces.value_rowids(), tf.int32)
        starts, ends = _characters(text, rows, starts.values, ends.values)

        lengths = tf.gather(self._lengths, pieces.values)
        sources = tf.repeat(tf.range(tf.size(lengths)), lengths)
        stops = tf.cumsum(lengths)
        nth = tf.range(tf.size(sources)) - tf.gather(stops - lengths, sources)
        parts = tf.gather(self._firsts, tf.gather(pieces.values, sources)) + nth
        splits = tf.gather(tf.concat([[0], stops], 0), pieces.row_splits)
        starts, ends = tf.gather(starts, sources), tf.gather(ends, sources)
        starts, ends = _source_spans(
            text,
            tf.gather(rows, sources),
            tf.minimum(starts + tf.gather(self._begins, parts), ends),
            tf.minimum(starts + tf.gather(self._ends, parts), ends),
        )
        return GraphTokens(tf.gather(self._parts, parts), splits, starts, ends)

    def _normalized(self, texts: tf.Tensor) -> _Text:
        """As `normalize_text`."""
        characters, splits = self._as_they_are.decode(texts)
        characters, text_ends = _without_spaces(characters, splits)
        if self._compatible is not None:
            characters = self._compatible.read(characters)
            characters = self._compatible.change(characters)
        if self._small is not None:
            characters = self._small.read(characters)
            codes = with_final_sigmas(characters)
            characters = self._small.change(characters._replace(codes=codes))
        sources = characters.sources
        # A source goes on up to the next that has left something.
        following = tf.concat([sources[1:], [tf.int32.max]], 0)
        ends = tf.where(
            tf.equal(sources, following),
            sources + 1,
            tf.minimum(following, tf.gather(text_ends, characters.chunks)),
        )
        return _Text(
            characters.codes,
            sources,
            ends[: tf.size(sources)],
            tf.searchsorted(sources, splits),
            splits,
        )


def _without_spaces(
    characters: Characters, splits: tf.Tensor
) -> tuple[Characters, tf.Tensor]:
    """Single spaces for white space, but at the ends, and single quotes for
    those of two characters; and where each text ends without spaces: int32 [N].
    """
    codes, rows = characters.codes, characters.chunks
    numbers = tf.range(tf.size(codes))
    is_space = tf.gather(_IS_SPACE, tf.minimum(codes, _NUM_BELOW - 1))
    is_space &= codes < _NUM_BELOW
    joined = tf.concat([[False], tf.equal(rows[1:], rows[:-1])], 0)
    joined = joined[: tf.size(codes)]
    after_space = tf.concat([[False], is_space[:-1]], 0)[: tf.size(codes)]
    ends = 1 + tf.math.unsorted_segment_max(
        tf.where(is_space, -1, numbers), rows, tf.size(splits) - 1
    )
    between = joined & ~after_space & (numbers < tf.gather(ends, rows))
    keep = ~is_space | between

    # Of equal quotes in a row every two are one.
    half = tf.reduce_any(tf.equal(codes[:, None], [_HALF_QUOTES]), axis=1)
    same = (
        joined
        & tf.concat([[False], tf.equal(codes[1:], codes[:-1])], 0)[
            : tf.size(codes)
        ]
    )
    begins = ~(half & same)
    run_starts = tf.cast(tf.where(begins)[:, 0], tf.int32)
    runs = tf.cumsum(tf.cast(begins, tf.int32)) - 1
    is_second = tf.equal((numbers - tf.gather(run_starts, runs)) % 2, 1)
    is_first = tf.concat([is_second[1:], [False]], 0)[: tf.size(codes)]
    codes = tf.where(is_space, _SPACE, tf.where(is_first, _QUOTE, codes))
    characters = characters._replace(codes=codes)
    return characters.keep(keep & ~is_second), ends


def _encode(codes: tf.Tensor, splits: tf.Tensor) -> tf.Tensor:
    """Strings [N] of characters."""
    ragged = tf.RaggedTensor.from_row_splits(codes, splits, validate=False)
    return tf.strings.unicode_encode(ragged, "UTF-8")


def _characters(
    text: _Text, rows: tf.Tensor, starts: tf.Tensor, ends: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    """Bytes of each piece's text -> characters of all: int32 [P] each.

    The space before a word is no part of it.
    """
    sizes = 1 + tf.add_n(
        [tf.cast(text.codes >= code, tf.int32) for code in _LONGER]
    )
    places = tf.concat([[0], tf.cumsum(sizes)], 0)
    bases = tf.gather(places, tf.gather(text.splits, rows))
    starts, ends = (
        tf.searchsorted(places, bases + tf.cast(values, tf.int32))
        for values in (starts, ends)
    )
    words = tf.cast(tf.where(tf.not_equal(text.codes, _SPACE))[:, 0], tf.int32)
    words = tf.concat([words, [tf.size(text.codes)]], 0)
    starts = tf.gather(words, tf.searchsorted(words, starts))
    return tf.minimum(starts, ends), ends


def _source_spans(
    text: _Text, rows: tf.Tensor, starts: tf.Tensor, ends: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    """Characters of all texts -> those of each one's source: int32 [T] each."""
    last = tf.gather(text.splits[1:], rows) - 1
    first = tf.gather(text.starts, tf.minimum(starts, last))
    # Of no character, behind the text.
    first = tf.where(starts > last, tf.gather(text.ends, last), first)
    end = tf.gather(text.ends, tf.maximum(ends - 1, 0))
    end = tf.where(starts < ends, end, first)
    bases = tf.gather(text.source_splits, rows)
    return first - bases, end - bases


def _decompose(character: str) -> str:
    if re.fullmatch(r"\s", character):
        return character
    return normalize_text(character, do_lower_case=False, strip_accents=True)
