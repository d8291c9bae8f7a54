"""How many answers are right, of how many choices."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def accuracies(
    answers: np.ndarray,
    counts: np.ndarray,
    probabilities: Sequence[np.ndarray],
) -> dict[str, float]:
    """Shares of right answers.

    Args:
      answers: the right ones: int [N]
      counts: choices of every example: int [N]
      probabilities: of each one's choices, perhaps followed by zeros: N times
        float32 [choices or more]

    Returns:
      accuracy: of all; and where examples differ in their number of choices,
      accuracy_3_choices and the like: of those with so many.
    """
    chosen = np.array([np.argmax(row) for row in probabilities])
    right = chosen == answers
    found = {"accuracy": float(right.mean())}
    numbers = np.unique(counts)
    if len(numbers) > 1:
        for number in numbers:
            share = float(right[counts == number].mean())
            found[f"accuracy_{number}_choices"] = share
    return found
