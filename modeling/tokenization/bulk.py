"""Megabytes of lines to ids: the fast tokenizer, many words at a time.

A word of up to 16 bytes is two numbers of 64 bits, so that numpy finds all
words of a block in tables of numbers at once: whole words that were met before,
and pieces of the vocabulary for ASCII words that were not. Only other words
reach Python code one by one.
"""

from __future__ import annotations

import itertools
import string
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np

from modeling.tokenization.fast import FastTokenizer
from modeling.tokenization.packed_words import (
    KEY_BYTES,
    ROW_IDS,
    PieceSplitter,
    pack_words,
    slots_of,
)
from modeling.tokenization.unicode_tables import CJK_RANGES

# Arrays take 40 times as much. Few blocks of lines are longer.
_LONGEST_PART = 1 << 21
# Of 40 bytes each: 20 MB. Half as many take 30% longer with 300,000 words.
_REMEMBERED_WORDS = 1 << 19
# Of up to a kilobyte each: at most 64 MB, and 10 MB for ordinary text.
_REMEMBERED_HARD_WORDS = 1 << 16
_LONGEST_HARD_WORD = 64

_MARKS = [mark.encode() for mark in string.punctuation]
# The tokenizer drops control characters; the line feed ends lines.
_DROPPED = bytes({*range(32), 127} - set(b"\t\n"))
# First and one past last of every range.
_CJK_BOUNDS = [
    bound for first, last in CJK_RANGES for bound in (first, last + 1)
]
_FIRST_CJK_BYTE = chr(_CJK_BOUNDS[0]).encode()[0]
# What "Σ" becomes depends on what stands around it, punctuation included.
_SIGMA = "Σ".encode()
# The high bits of all bytes.
_NOT_ASCII = np.uint64(0x8080808080808080)


class BulkTokenizer:
    """The ids of `FastTokenizer.encode`, for blocks of lines.

    Args:
      tokenizer: one that keeps no special tokens.

    Raises:
      UserError: a vocabulary without [UNK].
    """

    def __init__(self, tokenizer: FastTokenizer) -> None:
        if tokenizer.special_tokens:
            raise ValueError(
                "Special tokens cannot be kept in bulk. Received: "
                f"{tokenizer.special_tokens}"
            )
        self._tokenizer = tokenizer
        self._pieces = PieceSplitter(tokenizer)
        self._memory = _WordMemory()
        self._hard_words = _HardWords(tokenizer)
        cleaned = bytearray(range(256))
        cleaned[ord("\t")] = ord(" ")
        # Changes ASCII letters only, here as in the text.
        self._cleaned = bytes(
            cleaned.lower() if tokenizer.do_lower_case else cleaned
        )

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self._tokenizer,)

    def encode_lines(self, data: bytes) -> tuple[np.ndarray, np.ndarray]:
        r"""Ids of lines.

        Args:
          data: lines that "\n" ends, in valid UTF-8.

        Returns:
          The ids of all lines, uint32 [tokens], and how many of them each line
          has, int64 [lines].
        """
        if self._tokenizer.do_lower_case and _SIGMA in data:
            return self._encode_one_by_one(data)
        parts = _cut_in_parts(data)
        ids, lengths = zip(*map(self._encode_part, parts), strict=True)
        return np.concatenate(ids), _join_lines(parts, lengths)

    def _encode_part(self, data: bytes) -> tuple[np.ndarray, np.ndarray]:
        words = _split(data.translate(self._cleaned, _DROPPED))
        slots = self._memory.slots_of(words)
        rows, missing = self._memory.recall(words, slots)
        others = self._encode_missing(words, missing, rows)
        is_short = words.lengths <= KEY_BYTES
        learned = missing[is_short[missing] & (rows.counts[missing] <= ROW_IDS)]
        self._memory.learn(words, slots, rows, learned)
        return _assemble(words, rows, others)

    def _encode_missing(
        self, words: _Words, missing: np.ndarray, rows: _Rows
    ) -> list[list[int]]:
        """Fills the rows of words; returns the ids of those that do not fit."""
        low, high = words.low[missing], words.high[missing]
        is_simple = (low | high) & _NOT_ASCII == 0
        is_simple &= words.lengths[missing] <= KEY_BYTES
        simple = missing[is_simple]
        ids, counts = self._pieces.split(low[is_simple], high[is_simple])
        rows.ids[simple], rows.counts[simple] = ids, counts
        left = [missing[~is_simple], simple[counts > ROW_IDS]]
        return self._encode_hard(words, np.sort(np.concatenate(left)), rows)

    def _encode_hard(
        self, words: _Words, hard: np.ndarray, rows: _Rows
    ) -> list[list[int]]:
        """As `_encode_missing`, one word after the other."""
        starts = words.starts[hard]
        spans = zip(
            starts.tolist(),
            (starts + words.lengths[hard]).tolist(),
            strict=True,
        )
        text, ids_of = words.text, self._hard_words
        found = [ids_of[text[start:end]] for start, end in spans]
        counts = np.array(list(map(len, found)), np.int64)
        rows.counts[hard] = counts
        fits = counts <= ROW_IDS
        fitting = np.zeros((np.count_nonzero(fits), ROW_IDS), np.uint32)
        fitting[_columns(counts[fits])] = _join(itertools.compress(found, fits))
        rows.ids[hard[fits]] = fitting
        return list(itertools.compress(found, ~fits))

    def _encode_one_by_one(self, data: bytes) -> tuple[np.ndarray, np.ndarray]:
        text = data.decode().replace("\r", "").removesuffix("\n")
        ids = self._tokenizer.encode_batch(text.split("\n"))
        return _join(ids), np.array(list(map(len, ids)), np.int64)


def _cut_in_parts(data: bytes) -> list[bytes]:
    """Cuts after spaces and line feeds, as a line may be of any length."""
    parts = []
    start = 0
    while len(data) - start > _LONGEST_PART:
        window = start, start + _LONGEST_PART
        end = 1 + max(data.rfind(b" ", *window), data.rfind(b"\n", *window))
        if not end:
            break
        parts.append(data[start:end])
        start = end
    return [*parts, data[start:]]


def _join_lines(
    parts: list[bytes], lengths: Sequence[np.ndarray]
) -> np.ndarray:
    """Tokens of every line, from those of the lines of parts: int64 [lines]"""
    is_start = [np.ones(len(part_lengths), bool) for part_lengths in lengths]
    for before, part_starts in zip(parts[:-1], is_start[1:], strict=True):
        part_starts[0] = before.endswith(b"\n")
    starts = np.flatnonzero(np.concatenate(is_start))
    return np.add.reduceat(np.concatenate(lengths), starts)


class _Words(NamedTuple):
    """The words of a text.

    Attributes:
      text: of all words.
      starts: of each word: int64 [W]
      lengths: of each: int64 [W]
      low: their first eight bytes: uint64 [W]
      high: the next eight; zero bytes fill both: uint64 [W]
      line_ends: words before the end of each line: int64 [lines]
    """

    text: bytes
    starts: np.ndarray
    lengths: np.ndarray
    low: np.ndarray
    high: np.ndarray
    line_ends: np.ndarray


def _split(text: bytes) -> _Words:
    """Cuts at spaces and line feeds, and around ASCII marks and CJK."""
    for mark in _MARKS:
        if mark in text:
            text = text.replace(mark, b" " + mark + b" ")
    if not text.endswith(b"\n"):
        text += b"\n"
    characters = np.frombuffer(text, np.uint8)
    # The text with a separator before it.
    separates = np.ones(len(text) + 1, bool)
    np.less_equal(characters, ord(" "), out=separates[1:])
    before, here = separates[:-1], separates[1:]
    is_cut = _cjk_bounds(characters)
    starts = np.flatnonzero((before | is_cut) & ~here)
    lengths = np.flatnonzero((here | is_cut) & ~before) - starts
    low, high = pack_words(text, starts, lengths)
    lines = np.flatnonzero(characters == ord("\n"))
    return _Words(
        text, starts, lengths, low, high, np.searchsorted(starts, lines)
    )


def _cjk_bounds(characters: np.ndarray) -> np.ndarray:
    """Where a CJK character starts or has ended: bool [bytes]"""
    bounds = np.zeros(len(characters), bool)
    # All of them have three bytes or, from 0xf0 on, four.
    starts = np.flatnonzero(characters >= _FIRST_CJK_BYTE)
    is_long = characters[starts] >= 0xF0
    codes = characters[starts].astype(np.int64) & np.where(is_long, 0x07, 0x0F)
    for place in (1, 2):
        codes = codes << 6 | characters[starts + place] & 0x3F
    codes[is_long] <<= 6
    codes[is_long] |= characters[starts[is_long] + 3] & 0x3F
    is_cjk = np.searchsorted(_CJK_BOUNDS, codes, "right") % 2 == 1
    starts, is_long = starts[is_cjk], is_long[is_cjk]
    bounds[starts] = True
    bounds[starts + 3 + is_long] = True
    return bounds


class _Rows(NamedTuple):
    """Ids of words.

    Attributes:
      ids: uint32 [W, ROW_IDS]
      counts: how many, more than ROW_IDS where they do not fit: int64 [W]
    """

    ids: np.ndarray
    counts: np.ndarray


def _assemble(
    words: _Words, rows: _Rows, others: list[list[int]]
) -> tuple[np.ndarray, np.ndarray]:
    """The ids of lines, from rows and, where they do not fit, from lists."""
    fits = rows.counts <= ROW_IDS
    ids = rows.ids[_columns(np.where(fits, rows.counts, 0))]
    if others:
        is_from_row = np.repeat(fits, rows.counts)
        whole = np.empty(len(is_from_row), np.uint32)
        whole[is_from_row] = ids
        whole[~is_from_row] = _join(others)
        ids = whole
    ends = np.zeros(len(fits) + 1, np.int64)
    np.cumsum(rows.counts, out=ends[1:])
    return ids, np.diff(ends[words.line_ends], prepend=0)


def _columns(counts: np.ndarray) -> np.ndarray:
    """Which ids of rows count: bool [W, ROW_IDS]"""
    return np.arange(ROW_IDS) < counts[:, None]


def _join(lists: Iterable[list[int]]) -> np.ndarray:
    return np.fromiter(itertools.chain.from_iterable(lists), np.uint32)


class _WordMemory:
    """Ids of past words: each has one slot, and the last one there stays."""

    def __init__(self) -> None:
        self._keys = np.zeros((_REMEMBERED_WORDS, 2), np.uint64)
        self._ids = np.zeros((_REMEMBERED_WORDS, ROW_IDS), np.uint32)
        self._counts = np.zeros(_REMEMBERED_WORDS, np.int64)

    def slots_of(self, words: _Words) -> np.ndarray:
        """Where words are, if they are remembered: int64 [W]"""
        return slots_of(words.low, words.high, _REMEMBERED_WORDS)

    def recall(
        self, words: _Words, slots: np.ndarray
    ) -> tuple[_Rows, np.ndarray]:
        """What is known of words, and which are missing."""
        keys = self._keys.take(slots, axis=0)
        missing = np.flatnonzero(
            (keys[:, 0] != words.low)
            | (keys[:, 1] != words.high)
            | (words.lengths > KEY_BYTES)
        )
        rows = _Rows(self._ids.take(slots, axis=0), self._counts.take(slots))
        return rows, missing

    def learn(
        self, words: _Words, slots: np.ndarray, rows: _Rows, which: np.ndarray
    ) -> None:
        """Remembers some of the words."""
        places = slots[which]
        self._keys[places, 0] = words.low[which]
        self._keys[places, 1] = words.high[which]
        self._ids[places] = rows.ids[which]
        self._counts[places] = rows.counts[which]


class _HardWords(dict[bytes, list[int]]):
    """Ids of words that take the tokenizer, as far as they are remembered."""

    def __init__(self, tokenizer: FastTokenizer) -> None:
        super().__init__()
        self._tokenizer = tokenizer

    def __missing__(self, word: bytes) -> list[int]:
        ids = self._tokenizer.encode(word.decode())
        if len(word) <= _LONGEST_HARD_WORD:
            if len(self) >= _REMEMBERED_HARD_WORDS:
                self.clear()
            self[word] = ids
        return ids
