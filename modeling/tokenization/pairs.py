"""Room for two texts in one row."""

from collections.abc import Sequence
from typing import TypeVar

_Tokens = TypeVar("_Tokens", bound=Sequence)


def truncate_pair(
    first: _Tokens, second: _Tokens, room: int
) -> tuple[_Tokens, _Tokens]:
    """Cuts the longer one, the second when equal, token by token, at its end.

    Source: `run_classifier._truncate_seq_pair`.
    """
    excess = len(first) + len(second) - room
    if excess <= 0:
        return first, second
    # First the longer is cut to the other's length, then both in turn.
    length_a, length_b = len(first), len(second)
    if length_a > length_b:
        length_a -= min(excess, length_a - length_b)
    else:
        length_b -= min(excess, length_b - length_a)
    excess = length_a + length_b - room
    length_b -= (excess + 1) // 2
    length_a -= excess // 2
    return first[:length_a], second[:length_b]
