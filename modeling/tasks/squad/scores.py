"""What is kept of a model's scores: the best starts and ends of every window.

The rest can give no answer, and for all of SQuAD it would fill the memory.
"""

from __future__ import annotations

import numpy as np


def best_positions(scores: np.ndarray, count: int) -> np.ndarray:
    """Places of the highest scores in every row, highest first; ties in order.

    Args:
      scores: [B, length]
      count: at most as many, fewer where rows are shorter.

    Returns:
      int64 [B, min(count, length)]

    Source: `run_squad._get_best_indexes`.
    """
    return np.argsort(-scores, axis=1, kind="stable")[:, :count]


class WindowScores:
    """The best scores of all windows.

    Args:
      num_windows: how many there are.
      n_best_size: starts, and ends, kept of each.

    Attributes:
      starts: places of the best start scores, -1 for none: int32 [W, n_best]
      start_logits: the scores there: float32 [W, n_best]
      ends: places of the best end scores: int32 [W, n_best]
      end_logits: the scores there: float32 [W, n_best]
      null_logits: start and end score of [CLS], which mean that there is no
        answer: float32 [W, 2]
    """

    def __init__(self, num_windows: int, n_best_size: int) -> None:
        shape = (num_windows, n_best_size)
        self.starts = np.full(shape, -1, np.int32)
        self.ends = np.full(shape, -1, np.int32)
        self.start_logits = np.zeros(shape, np.float32)
        self.end_logits = np.zeros(shape, np.float32)
        self.null_logits = np.full((num_windows, 2), np.nan, np.float32)

    def put(
        self,
        windows: np.ndarray,
        start_logits: np.ndarray,
        end_logits: np.ndarray,
    ) -> None:
        """Takes the scores of a batch.

        The original looks for the best scores among padding as well. A row that
        was not padded to max_seq_length has no scores there; they count as the
        lowest.

        Args:
          windows: which, [B].
          start_logits: float32 [B, length]
          end_logits: float32 [B, length]
        """
        for logits, places, kept in (
            (start_logits, self.starts, self.start_logits),
            (end_logits, self.ends, self.end_logits),
        ):
            best = best_positions(logits, places.shape[1])
            width = best.shape[1]
            places[windows, :width] = best
            kept[windows, :width] = np.take_along_axis(logits, best, axis=1)
        self.null_logits[windows, 0] = start_logits[:, 0]
        self.null_logits[windows, 1] = end_logits[:, 0]

    @property
    def missing(self) -> np.ndarray:
        """Windows that were never put, or not as numbers: int64 [any]"""
        return np.flatnonzero(np.isnan(self.null_logits).any(axis=1))

    def part(self, windows: slice) -> WindowScores:
        """Those of some windows, as views."""
        part = WindowScores(0, 0)
        for name, values in vars(self).items():
            setattr(part, name, values[windows])
        return part
