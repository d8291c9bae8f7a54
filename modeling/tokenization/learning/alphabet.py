"""The characters of a vocabulary."""

from __future__ import annotations

import collections
import re
from collections.abc import Iterable, Mapping

from modeling.tokenization import unicode_tables, wordpiece

_CJK = re.compile(f"[{unicode_tables.CJK_CLASS}]")


def choose_alphabet(
    counts: Mapping[str, int],
    coverage: float,
    min_frequency: int = 1,
    limit: int | None = None,
    always: Iterable[str] = (),
) -> list[str]:
    """The characters to know, in order of code points.

    Args:
      counts: word -> how often it occurs.
      coverage: take the most frequent characters until they make up this
        share of all characters.
      min_frequency: take none that occurs less often.
      limit: take no more than so many.
      always: taken whether they occur or not, as far as `limit` allows.
    """
    occurring: collections.Counter[str] = collections.Counter()
    for word, count in counts.items():
        for character in word:
            occurring[character] += count
    by_frequency = sorted(occurring, key=lambda c: (-occurring[c], c))
    left = coverage * occurring.total()
    chosen = []
    for character in by_frequency:
        if left <= 0 or occurring[character] < min_frequency:
            break
        chosen.append(character)
        left -= occurring[character]
    chosen += sorted(set(always) - set(chosen))
    return sorted(chosen[:limit])


def ascii_characters(tokenizer: wordpiece.BasicTokenizer) -> list[str]:
    """The ASCII characters that a tokenizer leaves as they are."""
    ascii_range = map(chr, range(128))
    return [c for c in ascii_range if tokenizer.tokenize(c) == [c]]


def may_continue_word(character: str) -> bool:
    """Whether a character can come after another in a word.

    Punctuation and CJK characters are words of their own.
    """
    return character not in unicode_tables.PUNCTUATION and not _CJK.match(
        character
    )
