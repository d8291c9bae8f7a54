"""Encoded sentences as batches for a model, and its scores as sentences."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import tensorflow as tf

from modeling.tasks.flat_arrays import pad, ranges
from modeling.tasks.tagging.encoding import EncodedSentences

_INTEGERS = (
    "input_ids",
    "input_mask",
    "segment_ids",
    "word_positions",
    "word_mask",
    "word_begins",
    "word_closes",
    "targets",
)
# Sentences that are decoded at once.
_DECODED = 256


class TaggingExamples:
    """Rows of sentences that `ArrayInput` makes batches of.

    Args:
      encoded: the sentences.
    """

    def __init__(self, encoded: EncodedSentences) -> None:
        self.encoded = encoded

    def __len__(self) -> int:
        return self.encoded.num_rows

    def lengths(self) -> np.ndarray:
        """Tokens of every row: int64 [R]"""
        return np.diff(self.encoded.row_starts)

    def rows_per_example(self) -> np.ndarray:
        """Ones: int64 [R]"""
        return np.ones(len(self), np.int64)

    def signature(self) -> dict[str, tf.TensorSpec]:
        """Shapes and types of `arrays`."""
        spec = tf.TensorSpec([None, None], tf.int32)
        weights = tf.TensorSpec([None, None], tf.float32)
        return {**dict.fromkeys(_INTEGERS, spec), "word_weights": weights}

    def arrays(
        self, indices: np.ndarray, length: int, size: int
    ) -> dict[str, np.ndarray]:
        """Features of some rows, filled up to `size` with empty ones.

        A row of F tokens has at most W = F - 2 words.

        Returns:
          input_ids, input_mask, segment_ids: int32 [size, F]
          word_positions: of each word's first token: int32 [size, W]
          word_mask: 1 for words: int32 [size, W]
          word_begins, word_closes: 1 for words that begin or end a sentence:
            int32 [size, W]
          targets: the words' tags: int32 [size, W]
          word_weights: 1 for words that have a tag, and have it in this row;
            they stand together: float32 [size, W]
        """
        encoded = self.encoded
        starts, lengths = _spans(encoded.row_starts, indices)
        ids, mask = pad(encoded.ids, starts, lengths, length)
        starts, counts = _spans(encoded.word_starts, indices)
        positions, is_word = pad(encoded.positions, starts, counts, length - 2)
        # [rows, W]: numbers of the words.
        words = self._first_words[indices][:, None] + np.arange(length - 2)
        words = np.where(is_word, words, 0)
        tags = encoded.tags[words] if encoded.num_words else words
        features = {
            "input_ids": ids,
            "input_mask": mask,
            "segment_ids": np.zeros_like(ids),
            "word_positions": positions,
            "word_mask": is_word,
            "word_begins": is_word & self._begins[words],
            "word_closes": is_word & self._begins[words + 1],
            "targets": np.maximum(tags, 0) * is_word,
            "word_weights": self._owned(indices, length - 2) & (tags >= 0),
        }
        return {
            name: _fill(
                values, size, np.int32 if name in _INTEGERS else np.float32
            )
            for name, values in features.items()
        }

    def content(self) -> Iterator[bytes]:
        """What tells the rows' tokens from others."""
        for array in (self.encoded.ids, self.encoded.row_starts):
            yield np.ascontiguousarray(array).tobytes()

    def scores(self, rows: Sequence[np.ndarray]) -> np.ndarray:
        """A model's scores of every word: float32 [N, K]

        Args:
          rows: scores of every row's words, padded to any length: [W, K] each
        """
        scores = np.zeros(
            (self.encoded.num_words, rows[0].shape[-1]), np.float32
        )
        for row, first, (start, end) in zip(
            rows, self._first_words, self.encoded.owned, strict=True
        ):
            scores[first + start : first + end] = row[start:end]
        return scores

    def decode(
        self,
        scores: np.ndarray,
        decoder: Callable[[np.ndarray, np.ndarray], np.ndarray],
    ) -> list[np.ndarray]:
        """The tags of every sentence, long ones in one piece.

        Args:
          scores: of every word, see `scores`.
          decoder: takes scores [B, T, K] and a mask [B, T], int32, of whole
            sentences; gives ids of tags [B, T].

        Returns:
          int32 [words] for each sentence.
        """
        starts = self.encoded.sentence_starts
        lengths = np.diff(starts)
        order = np.argsort(-lengths, kind="stable")
        found: list[np.ndarray] = [np.zeros(0, np.int32)] * len(lengths)
        for place in range(0, len(order), _DECODED):
            chosen = order[place : place + _DECODED]
            mask = np.arange(lengths[chosen[0]]) < lengths[chosen][:, None]
            padded = np.zeros((*mask.shape, scores.shape[-1]), np.float32)
            padded[mask] = scores[ranges(starts[chosen], lengths[chosen])]
            tags = np.asarray(decoder(padded, mask.astype(np.int32)))
            for sentence, row in zip(chosen, tags, strict=True):
                found[sentence] = row[: lengths[sentence]].astype(np.int32)
        return found

    @functools.cached_property
    def _first_words(self) -> np.ndarray:
        """The number of each row's first word: int64 [R]"""
        owned = self.encoded.owned.astype(np.int64)
        counts = owned[:, 1] - owned[:, 0]
        return np.cumsum(counts) - counts - owned[:, 0]

    @functools.cached_property
    def _begins(self) -> np.ndarray:
        """Whether a word begins a sentence, and the end: bool [N + 1]"""
        flags = np.zeros(self.encoded.num_words + 1, bool)
        flags[self.encoded.sentence_starts] = True
        return flags

    def _owned(self, indices: np.ndarray, length: int) -> np.ndarray:
        """Which words of rows have their tags there: bool [rows, length]"""
        places = np.arange(length)
        first, end = self.encoded.owned[indices].T
        return (places >= first[:, None]) & (places < end[:, None])


def _spans(
    starts: np.ndarray, indices: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Starts and lengths of some of the things."""
    return starts[indices], starts[indices + 1] - starts[indices]


def _fill(values: np.ndarray, size: int, dtype: type) -> np.ndarray:
    filled = np.zeros((size, *values.shape[1:]), dtype)
    filled[: len(values)] = values
    return filled
