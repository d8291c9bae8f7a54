"""Rows of the model's input, put together from flat arrays.

tokens:      [CLS] what was left ? [SEP] the man went ... [SEP] [PAD]
segment_ids: 0     0    0   0    0 0     1   1   1        1     0
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from modeling.records import Feature
from modeling.tasks.squad import encode
from modeling.tasks.squad.encode import Unaligned
from modeling.tasks.squad.options import WindowOptions
from modeling.tasks.squad.questions import Paragraph
from modeling.tokenization import Tokenizer

# The original's number of the first window.
FIRST_UNIQUE_ID = 1000000000


class SpecialIds(NamedTuple):
    """Ids of [CLS], [SEP] and [PAD]."""

    cls: int
    sep: int
    pad: int

    @classmethod
    def of(cls, tokenizer: Tokenizer) -> SpecialIds:
        """Those of a tokenizer; raises `UserError` where one is missing."""
        return cls(tokenizer.cls_id, tokenizer.sep_id, tokenizer.pad_id)


class FeatureSet:
    """Every window of a set of questions, in the original's order.

    Args:
      arrays: of `encode.Encoded`, in memory or on disk.
      special: ids that stand between.
      unaligned: training questions that have no window.

    Attributes:
      unaligned: the same.
      windows: of every window its question, first token in the paragraph,
        number of tokens there, and where in the row its answer starts and ends,
        0 for none: int32 [W, 5]
      questions: of every question its paragraph, number of tokens, and whether
        it is impossible: int32 [Q, 3]
      query_lengths: tokens of the question in every window: int32 [W]
      lengths: tokens of every window's row: int32 [W]
    """

    def __init__(
        self,
        arrays: Mapping[str, np.ndarray],
        special: SpecialIds,
        unaligned: Sequence[Unaligned] = (),
    ) -> None:
        self._arrays, self._special = arrays, special
        self.unaligned = unaligned
        self.windows, self.questions = arrays["windows"], arrays["questions"]
        self._document_starts = _starts(arrays["document_lengths"])
        self._query_starts = _starts(self.questions[:, encode.QUERY_LENGTH])
        owners = self.windows[:, encode.QUESTION]
        self.query_lengths = self.questions[owners, encode.QUERY_LENGTH]
        self.lengths = self.windows[:, encode.LENGTH] + self.query_lengths + 3

    @classmethod
    def of(
        cls,
        paragraphs: Sequence[Paragraph],
        tokenizer: Tokenizer,
        options: WindowOptions,
        is_training: bool = False,
    ) -> FeatureSet:
        """Features in memory, of few paragraphs; see `prepare_features`."""
        encoder = encode.ParagraphEncoder(tokenizer, options, is_training)
        arrays, unaligned = encoder(paragraphs)
        return cls(arrays, SpecialIds.of(tokenizer), unaligned)

    def __len__(self) -> int:
        return len(self.windows)

    @functools.cached_property
    def first_windows(self) -> np.ndarray:
        """The first window of every question, and the end: int64 [Q + 1]"""
        return np.searchsorted(
            self.windows[:, encode.QUESTION], np.arange(len(self.questions) + 1)
        )

    def tokens_of_paragraph(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        """Ids [T], and first and past last character of each [T, 2]."""
        part = slice(*self._document_starts[index : index + 2])
        return (
            self._arrays["document_ids"][part],
            self._arrays["document_offsets"][part],
        )

    def digest(self) -> str:
        """Tells the windows and their answers from others."""
        digest = hashlib.sha256(repr(self._special).encode())
        for name in sorted(self._arrays):
            digest.update(np.ascontiguousarray(self._arrays[name]).tobytes())
        return digest.hexdigest()[:16]

    def row(self, window: int) -> np.ndarray:
        """The ids of a row, without padding: int32 [length]"""
        question, start, length = self.windows[window, : encode.START_POSITION]
        query = self._query_starts[question]
        query_length = self.query_lengths[window]
        paragraph = self.questions[question, encode.PARAGRAPH]
        start += self._document_starts[paragraph]
        special = self._special
        return np.concatenate(
            [
                np.int32([special.cls]),
                self._arrays["query_ids"][query : query + query_length],
                np.int32([special.sep]),
                self._arrays["document_ids"][start : start + length],
                np.int32([special.sep]),
            ]
        )

    def columns(
        self, windows: Sequence[int] | np.ndarray, length: int
    ) -> dict[str, np.ndarray]:
        """A batch under the original's names, padded.

        Args:
          windows: which, [B].
          length: of the rows, at least that of the longest.

        Returns:
          `input_ids`, `input_mask`, `segment_ids`: int32 [B, length]
          `unique_ids`, `start_positions`, `end_positions`, `is_impossible`:
          int32 [B]
        """
        windows = np.asarray(windows)
        ids = np.full((len(windows), length), self._special.pad, np.int32)
        for row, window in zip(ids, windows.tolist(), strict=True):
            row[: self.lengths[window]] = self.row(window)
        places = np.arange(length, dtype=np.int32)
        mask = places < self.lengths[windows, None]
        second = places > self.query_lengths[windows, None] + 1
        values = self.windows[windows]
        questions = self.questions[values[:, encode.QUESTION]]
        return {
            "unique_ids": np.int32(FIRST_UNIQUE_ID + windows),
            "input_ids": ids,
            "input_mask": np.int32(mask),
            "segment_ids": np.int32(mask & second),
            "start_positions": values[:, encode.START_POSITION],
            "end_positions": values[:, encode.END_POSITION],
            "is_impossible": questions[:, encode.IS_IMPOSSIBLE],
        }


def record_features(
    max_seq_length: int, is_training: bool
) -> tuple[Feature, ...]:
    """The schema of the original's records (its `FeatureWriter`)."""
    features = (
        Feature("unique_ids", 1),
        Feature("input_ids", max_seq_length),
        Feature("input_mask", max_seq_length),
        Feature("segment_ids", max_seq_length),
    )
    if not is_training:
        return features
    return (
        *features,
        Feature("start_positions", 1),
        Feature("end_positions", 1),
        Feature("is_impossible", 1),
    )


def _starts(lengths: np.ndarray) -> np.ndarray:
    return np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)])
