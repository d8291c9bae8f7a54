"""Random numbers as a function of what they are for.

A number is a hash of a key and a counter, so any process can draw any number
of any stream, many at a time, and no order of work changes what is drawn.
"""

import numpy as np

# The increment and the multipliers of SplitMix64 (Steele, Lea and Flood, "Fast
# splittable pseudorandom number generators", 2014).
_GAMMA = 0x9E3779B97F4A7C15
_MULTIPLIERS = (np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB))
_MODULUS = 1 << 64
# Numbers drawn by one call.
_AT_ONCE = 1 << 12


def draw(keys: np.ndarray, counters: np.ndarray | int) -> np.ndarray:
    """The numbers of streams at counters, which broadcast: uint64.

    They are keys of streams of their own, too.
    """
    if isinstance(counters, int):
        steps = np.uint64((counters + 1) * _GAMMA % _MODULUS)
    else:
        steps = (counters.astype(np.uint64) + np.uint64(1)) * np.uint64(_GAMMA)
    values = keys + steps
    values ^= values >> np.uint64(30)
    values *= _MULTIPLIERS[0]
    values ^= values >> np.uint64(27)
    values *= _MULTIPLIERS[1]
    values ^= values >> np.uint64(31)
    return values


def document_streams(
    seed: int, documents: np.ndarray, duplicates: np.ndarray
) -> np.ndarray:
    """The key of the stream of each (document, duplicate): uint64."""
    root = draw(np.array([seed % _MODULUS], np.uint64), 0)
    return draw(draw(root, documents), duplicates)


def below(numbers: np.ndarray, limits: np.ndarray | int) -> np.ndarray:
    """Integers from 0 to limits - 1, which are below 2^32: int64.

    The high part of a product of 32 bits (Lemire, "Fast random integer
    generation in an interval", 2019), without his rejection: it is biased by
    less than limits / 2^32.
    """
    high = numbers >> np.uint64(32)
    return (
        high * np.asarray(limits).astype(np.uint64) >> np.uint64(32)
    ).astype(np.int64)


def happens(numbers: np.ndarray, probability: float) -> np.ndarray:
    """Whether what has this probability happens: bool."""
    return (numbers >> np.uint64(11)) * 2.0**-53 < probability


def heads(numbers: np.ndarray, tosses: np.ndarray) -> np.ndarray:
    """How many of so many tosses of a coin are heads: int64.

    Args:
      numbers: keys of streams: uint64 [B]
      tosses: int64 [B]
    """
    total = np.zeros(len(tosses), np.int64)
    first = 0
    left = np.flatnonzero(tosses > 0)
    while left.size:
        # Many have one number's worth of tosses; few may have thousands.
        counters = first + np.arange(max(1, _AT_ONCE // left.size))
        bits = np.clip(tosses[left, None] - 64 * counters, 0, 64)
        drawn = draw(numbers[left, None], counters)
        # numpy shifts by 64 bits to zero.
        drawn >>= np.uint64(64) - bits.astype(np.uint64)
        total[left] += np.bitwise_count(drawn).sum(axis=1, dtype=np.int64)
        first += len(counters)
        left = left[tosses[left] > 64 * first]
    return total
