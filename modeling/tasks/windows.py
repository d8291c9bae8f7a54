"""Windows over the tokens of a paragraph that is too long for one row.

tokens:       the man went to the store and bought a gallon of milk
window 0:     the man went to the
window 1:               to the store and bought
window 2:                           and bought a gallon of

A token in several windows is scored in all, and an answer may begin with it in
the window only that shows most on the side where it shows less.
"""

from __future__ import annotations

import numpy as np


def cut_windows(num_tokens: int, size: int, stride: int) -> np.ndarray:
    """Start and length of every window, none for no tokens: int64 [windows, 2]

    The last is the first that reaches the end (original:
    `convert_examples_to_features`).
    """
    if not num_tokens:
        return np.zeros((0, 2), np.int64)
    step = min(size, stride)
    starts = np.arange(0, max(num_tokens - size, 0) + step, step)
    return np.stack([starts, np.minimum(size, num_tokens - starts)], axis=1)


def max_context_window(windows: np.ndarray) -> np.ndarray:
    """For every token the window that shows it in most context: int64 [tokens]

    Of windows that show it equally well, the first (original:
    `_check_is_max_context`).

    Args:
      windows: start and length of each: [windows, 2]
    """
    if not len(windows):
        return np.zeros(0, np.int64)
    num_tokens = int(windows[-1].sum())
    owner = np.zeros(num_tokens, np.int64)
    best = np.full(num_tokens, -1.0)
    for index, (start, length) in enumerate(windows.tolist()):
        left = np.arange(length)
        score = np.minimum(left, length - 1 - left) + 0.01 * length
        part = slice(start, start + length)
        better = score > best[part]
        best[part][better] = score[better]
        owner[part][better] = index
    return owner
