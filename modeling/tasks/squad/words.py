"""The words of a context, in which the original counts positions."""

from __future__ import annotations

import re
from typing import NamedTuple

import numpy as np

# What separates words for the original, which is less than what separates
# tokens: a no-break space is part of a word.
SEPARATORS = " \t\r\n\u202f"
_WORD = re.compile(f"[^{SEPARATORS}]+")


class Words(NamedTuple):
    """Words of a context.

    Attributes:
      texts: the words.
      starts: the first character of each: int64 [words]
    """

    texts: list[str]
    starts: np.ndarray

    def at(self, characters: np.ndarray) -> np.ndarray:
        """The word that each character is in; between words, the one before.

        -1 stands for none, before the first word.
        """
        return np.searchsorted(self.starts, characters, side="right") - 1


def split_words(context: str) -> Words:
    """Splits at white space as the original's `read_squad_examples`."""
    matches = list(_WORD.finditer(context))
    return Words(
        [match[0] for match in matches],
        np.array([match.start() for match in matches], np.int64),
    )
