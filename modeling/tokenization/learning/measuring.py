"""How well a vocabulary fits a text."""

from __future__ import annotations

import collections
import dataclasses
from collections.abc import Callable, Hashable, Mapping, Sequence


@dataclasses.dataclass(frozen=True)
class Fit:
    """What becomes of the words of a text.

    Attributes:
      words: number of words, repetitions included.
      tokens: number of tokens that they become.
      whole: words that are one token, and not the unknown one.
      unknown: words that are unknown or have an unknown part.
      uses: how often each token is used; those that are not are left out.
    """

    words: int
    tokens: int
    whole: int
    unknown: int
    uses: Mapping[Hashable, int]

    def __str__(self) -> str:
        words = self.words or 1
        return (
            f"{self.tokens / words:.4f} tokens a word, "
            f"{self.whole / words:.2%} of the words are one token, "
            f"{self.unknown / words:.4%} are unknown"
        )


def measure_fit(
    split: Callable[[str], Sequence[Hashable]],
    unknown_token: Hashable,
    counts: Mapping[str, int],
) -> Fit:
    """Splits every word of the counts.

    Args:
      split: from a word to its tokens.
      unknown_token: what stands for what `split` does not know.
      counts: word -> how often it occurs.
    """
    uses: collections.Counter[Hashable] = collections.Counter()
    words = tokens = whole = unknown = 0
    for word, count in counts.items():
        pieces = split(word)
        words += count
        tokens += count * len(pieces)
        for piece in pieces:
            uses[piece] += count
        if unknown_token in pieces:
            unknown += count
        elif len(pieces) == 1:
            whole += count
    return Fit(words, tokens, whole, unknown, uses)
