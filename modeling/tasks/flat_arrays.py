"""Things of unequal length, end to end in one array with their boundaries.

A named tuple of arrays describes them. Those whose names end in `_starts` hold
boundaries: where each thing begins, 0 first, and the end of the last.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

import numpy as np

_STARTS = "_starts"
# Named tuples of arrays.
ArraysT = TypeVar("ArraysT", bound=Any)


def are_starts(name: str) -> bool:
    """Whether an array of this name holds boundaries."""
    return name.endswith(_STARTS)


def join(parts: Sequence[ArraysT]) -> ArraysT:
    """Things end to end; at least one part."""
    kind = type(parts[0])
    joined = {}
    for name in kind._fields:
        arrays = [getattr(part, name) for part in parts]
        if are_starts(name):
            lengths = [np.diff(array) for array in arrays]
            joined[name] = starts_of(np.concatenate(lengths))
        else:
            joined[name] = np.concatenate(arrays)
    return kind(**joined)


def starts_of(lengths: np.ndarray) -> np.ndarray:
    """Boundaries of things of these lengths: int64 [things + 1]"""
    starts = np.zeros(len(lengths) + 1, np.int64)
    np.cumsum(lengths, out=starts[1:])
    return starts


def ranges(starts: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """start, start + 1, ... of each range, one range after the other."""
    ends = np.cumsum(lengths)
    total = int(ends[-1]) if len(ends) else 0
    return np.arange(total) + np.repeat(starts - (ends - lengths), lengths)


def pad(
    values: np.ndarray, starts: np.ndarray, lengths: np.ndarray, length: int
) -> tuple[np.ndarray, np.ndarray]:
    """Ranges of an array as rows that zeros fill up.

    Args:
      values: [any].
      starts: of every row in them: [R]
      lengths: of every row: [R]
      length: of the padded rows.

    Returns:
      The rows, int32 [R, length], and where they hold values, bool [R, length].
    """
    mask = np.arange(length) < lengths[:, None]
    rows = np.zeros(mask.shape, np.int32)
    rows[mask] = values[ranges(starts, lengths)]
    return rows, mask
