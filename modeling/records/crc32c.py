"""The checksum of TFRecord files, over many records at a time."""

import functools

import numpy as np

# Castagnoli's polynomial with its bits reversed (RFC 3720, appendix B.4).
_POLYNOMIAL = 0x82F63B78
_MASK_DELTA = 0xA282EAD8


def masked_crc32c(
    data: np.ndarray, starts: np.ndarray, lengths: np.ndarray
) -> np.ndarray:
    """CRC-32C of slices, rotated and shifted as TFRecord files store it.

    Args:
      data: uint8 [any]
      starts: int64 [B], where each slice begins.
      lengths: int64 [B], of at least 4 bytes each.

    Returns:
      uint32 [B]

    Source: the "masked" checksum of TensorFlow's `lib/hash/crc32c.h`.
    """
    crc = _crc32c(data, starts, lengths)
    return (crc >> 15 | crc << 17) + np.uint32(_MASK_DELTA)


def _crc32c(
    data: np.ndarray, starts: np.ndarray, lengths: np.ndarray
) -> np.ndarray:
    # The register runs through all slices at once, so they must end together:
    # zeros go before the shorter ones, which a register of zero passes over
    # unchanged. The standard start, a register of ones, is the same as
    # inverting the first four bytes of the slice.
    width = -4 * (-int(lengths.max()) // 4)
    data = np.concatenate([np.zeros(width, np.uint8), data])
    windows = np.lib.stride_tricks.sliding_window_view(data, width)
    rows = windows[starts + lengths]  # [B, width]
    columns = np.arange(width)
    before = (width - lengths)[:, None]
    rows[columns < before] = 0
    rows[np.arange(len(rows))[:, None], before + columns[:4]] ^= 0xFF

    low, high = _tables()
    register = np.zeros(len(rows), np.uint32)
    for word in np.ascontiguousarray(rows.view("<u4").T):
        register ^= word
        register = low[register & 0xFFFF] ^ high[register >> 16]
    return ~register


@functools.cache
def _tables() -> tuple[np.ndarray, np.ndarray]:
    """What the halves of a word do to the register, four bytes later.

    Slicing (Kounavis and Berry, 2005) by two halves instead of four bytes: half
    the look-ups, and the tables still fit the second cache.
    """
    byte = np.arange(1 << 8, dtype=np.uint32)
    for _ in range(8):
        byte = byte >> 1 ^ (byte & 1) * np.uint32(_POLYNOMIAL)
    half = np.arange(1 << 16, dtype=np.uint32)
    for _ in range(2):
        half = byte[half & 0xFF] ^ half >> 8
    high = half
    for _ in range(2):
        half = byte[half & 0xFF] ^ half >> 8
    return half, high
