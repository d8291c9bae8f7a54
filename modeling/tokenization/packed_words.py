"""Words of up to 16 bytes as two numbers, and WordPiece on such numbers.

Bytes fill the numbers from their low ends, and zero bytes the rest, so that a
word's beginning is what a mask leaves of it.
"""

from __future__ import annotations

import numpy as np

from modeling.tokenization.fast import FastTokenizer

KEY_BYTES = 16
# Few words have more ids; they have no row.
ROW_IDS = 4

# Bits of the first so many bytes.
_FIRST_BYTES = np.array([(1 << 8 * n) - 1 for n in range(9)], np.uint64)
_WIDTH = np.uint64(64)
# Odd numbers without a pattern: those of SplitMix64 (Steele, Lea and Flood,
# 2014).
_MULTIPLIERS = (
    np.uint64(0x9E3779B97F4A7C15),
    np.uint64(0xBF58476D1CE4E5B9),
    np.uint64(0x94D049BB133111EB),
)


def pack_words(
    text: bytes, starts: np.ndarray, lengths: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The first 16 bytes of each word, as two numbers."""
    padded = text + bytes(KEY_BYTES)
    # The eight bytes from every place on.
    numbers = np.ndarray(len(text) + 9, "<u8", padded, strides=1)
    return (
        numbers[starts] & _FIRST_BYTES[np.minimum(lengths, 8)],
        numbers[starts + 8] & _FIRST_BYTES[np.clip(lengths - 8, 0, 8)],
    )


def slots_of(low: np.ndarray, high: np.ndarray, slots: int) -> np.ndarray:
    """A slot of each word, of a power of two of slots: int64 [W]"""
    mixed = low * _MULTIPLIERS[0] + high * _MULTIPLIERS[1]
    mixed ^= mixed >> np.uint64(32)
    mixed *= _MULTIPLIERS[2]
    return (mixed >> np.uint64(65 - slots.bit_length())).astype(np.int64)


class PieceSplitter:
    """WordPiece for ASCII words without punctuation, and for single marks."""

    def __init__(self, tokenizer: FastTokenizer) -> None:
        (self._unknown,) = tokenizer.convert_tokens_to_ids(["[UNK]"])
        short = {
            token.encode(): i
            for token, i in tokenizer.vocab.items()
            if token.isascii() and 0 < len(token) <= KEY_BYTES + 2
        }
        self._first = _PieceTable(
            {token: i for token, i in short.items() if len(token) <= KEY_BYTES}
        )
        self._next = _PieceTable(
            {
                token[2:]: i
                for token, i in short.items()
                if token.startswith(b"##") and len(token) > 2
            }
        )

    def split(
        self, low: np.ndarray, high: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Ids of words, the longest pieces from the left.

        Returns:
          Ids, uint32 [W, ROW_IDS], and how many there are, int64 [W]; more
          than ROW_IDS where they do not fit.
        """
        ids = np.zeros((len(low), ROW_IDS), np.uint32)
        counts = np.zeros(len(low), np.int64)
        left = np.flatnonzero(low)
        low, high = low[left], high[left]
        for turn in range(ROW_IDS):
            table = self._next if turn else self._first
            found, lengths = table.longest(low, high)
            known = lengths > 0
            unknown = left[~known]
            ids[unknown, 0], counts[unknown] = self._unknown, 1
            left, lengths = left[known], lengths[known]
            ids[left, turn], counts[left] = found[known], turn + 1
            low, high = _drop_bytes(low[known], high[known], lengths)
            goes_on = low != 0
            left, low, high = left[goes_on], low[goes_on], high[goes_on]
        counts[left] = ROW_IDS + 1
        return ids, counts


class _PieceTable:
    """Pieces -> ids, looked up by the numbers that their bytes make."""

    def __init__(self, pieces: dict[bytes, int]) -> None:
        self._longest = max(map(len, pieces), default=0)
        # So many slots that most pieces have one for themselves.
        slots = 1 << (4 * len(pieces) + 1).bit_length()
        self._keys = np.zeros((slots, 2), np.uint64)
        self._ids = np.zeros(slots, np.uint32)
        packed = b"".join(piece.ljust(KEY_BYTES, b"\0") for piece in pieces)
        keys = np.frombuffer(packed, "<u8").reshape(-1, 2)
        wanted = slots_of(keys[:, 0], keys[:, 1], slots).tolist()
        for slot, key, token_id in zip(
            wanted, keys, pieces.values(), strict=True
        ):
            while self._keys[slot, 0]:
                slot = (slot + 1) % slots
            self._keys[slot], self._ids[slot] = key, token_id

    def longest(
        self, low: np.ndarray, high: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """The longest piece that each word begins with.

        Returns:
          Its id, uint32 [W], and its length, 0 where there is none, int64 [W].
        """
        ids = np.zeros(len(low), np.uint32)
        lengths = np.zeros(len(low), np.int64)
        left = np.arange(len(low))
        for length in range(self._longest, 0, -1):
            low_bits = _FIRST_BYTES[min(length, 8)]
            high_bits = _FIRST_BYTES[max(length - 8, 0)]
            # The byte that would be the piece's last is part of the word.
            last = high[left] if length > 8 else low[left]
            reaches = last >> np.uint64(8 * ((length - 1) % 8)) != 0
            tried = left[reaches]
            found = self._find(low[tried] & low_bits, high[tried] & high_bits)
            hits = found >= 0
            ids[tried[hits]] = self._ids[found[hits]]
            lengths[tried[hits]] = length
            left = left[lengths[left] == 0]
        return ids, lengths

    def _find(self, low: np.ndarray, high: np.ndarray) -> np.ndarray:
        """Slots of pieces, -1 for what is none: int64 [W]"""
        slots = slots_of(low, high, len(self._ids))
        left = np.arange(len(low))
        while left.size:
            keys = self._keys[slots[left]]
            same = (keys[:, 0] == low[left]) & (keys[:, 1] == high[left])
            is_empty = keys[:, 0] == 0
            slots[left[is_empty]] = -1
            left = left[~same & ~is_empty]
            slots[left] = (slots[left] + 1) % len(self._ids)
        return slots


def _drop_bytes(
    low: np.ndarray, high: np.ndarray, count: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Words without their first bytes, at least one of them."""
    bits = 8 * count.astype(np.uint64)
    # numpy shifts by 64 bits or more, and by what wraps around, to zero.
    return (
        low >> bits | high << (_WIDTH - bits) | high >> (bits - _WIDTH),
        high >> bits,
    )
