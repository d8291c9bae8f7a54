"""What the tokenizers do to every code point, as arrays for a graph.

Of a text's characters, a graph looks up what they are and what they become
when they are lower-cased and decomposed. The arrays are made by
`modeling.tokenization.unicode_tables`, so that they hold the same Unicode.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from modeling.tokenization import unicode_tables, wordpiece

# Bits of a character's properties.
DROPPED = 1
SEPARATOR = 2
CJK = 4
PUNCTUATION = 8
# Nonspacing marks: accents.
MARK = 16
# For the rule of the final sigma.
CASED = 32
CASE_IGNORABLE = 64
# Above them stand the canonical combining class and the number of characters
# that it becomes.
COMBINING_SHIFT = 8
LENGTH_SHIFT = 16

SIGMA, SMALL_SIGMA, FINAL_SIGMA = map(ord, "Σσς")

_NUM_CODE_POINTS = 0x110000
_PAGE = 256
# Elsewhere all are CJK, private or unassigned: they stay as they are.
_LOOKED_AT = (
    *range(0xD800),
    *range(0xE000, 0x20000),
    *range(0x2F800, 0x2FA20),
    *range(0xE0000, 0xE1000),
)
# `str.split` knows two more than the original's cleaning makes spaces of.
_SEPARATORS = unicode_tables.WHITESPACE | {"\u2028", "\u2029"}


class CharacterTables(NamedTuple):
    """Arrays over code points, in pages of 256 of which equal ones are kept
    once.

    Attributes:
      pages: of every 256 code points where their page begins: int32 [4352]
      properties: bits and numbers, see above: int32 [pages * 256]
      changes: what is added to a code point that becomes one character; for
        others where in `expansions` their characters begin: int32 [pages * 256]
      expansions: the characters of those that become several: int32 [any]
    """

    pages: np.ndarray
    properties: np.ndarray
    changes: np.ndarray
    expansions: np.ndarray


@functools.cache
def character_tables(
    lower: bool, decompose: Callable[[str], str] | None
) -> CharacterTables:
    """The tables for a treatment of text; takes two seconds.

    Args:
      lower: whether characters are lower-cased.
      decompose: what is then done to each; None: nothing. It may leave out
        characters, and keeps ASCII.
    """
    properties = np.zeros(_NUM_CODE_POINTS, np.int32)
    for characters, bit in (
        (wordpiece.DROPPED, DROPPED),
        (_SEPARATORS, SEPARATOR),
        (unicode_tables.PUNCTUATION, PUNCTUATION),
        (unicode_tables.MARKS, MARK),
    ):
        properties[list(map(ord, characters))] |= bit
    for first, last in unicode_tables.CJK_RANGES:
        properties[first : last + 1] |= CJK
    _mark_cases(properties)

    changes = np.zeros(_NUM_CODE_POINTS, np.int32)
    expansions: list[int] = []
    properties |= 1 << LENGTH_SHIFT
    for code, becomes in _changed_characters(lower, decompose):
        if len(becomes) == 1:
            changes[code] = ord(becomes) - code
            continue
        changes[code] = len(expansions)
        expansions += map(ord, becomes)
        properties[code] += (len(becomes) - 1) << LENGTH_SHIFT
    for code in _LOOKED_AT:
        combining_class = unicode_tables.combining_class(chr(code))
        properties[code] |= combining_class << COMBINING_SHIFT

    rows = np.stack([properties, changes], axis=1).reshape(-1, _PAGE * 2)
    distinct, numbers = np.unique(rows, axis=0, return_inverse=True)
    distinct = distinct.reshape(-1, 2)
    return CharacterTables(
        (numbers.reshape(-1) * _PAGE).astype(np.int32),
        distinct[:, 0].copy(),
        distinct[:, 1].copy(),
        # Never empty, so that a graph may always look something up.
        np.array(expansions or [0], np.int32),
    )


def _mark_cases(properties: np.ndarray) -> None:
    """Asks `lower` what a character is to a capital sigma behind it."""
    characters = list(map(chr, _LOOKED_AT))
    codes = np.array(_LOOKED_AT)
    after_letter = _sigmas("A{}Σ ", characters)
    after_space = _sigmas(" {}Σ ", characters)
    properties[codes[after_space]] |= CASED
    properties[codes[after_letter & ~after_space]] |= CASE_IGNORABLE


def _sigmas(pattern: str, characters: list[str]) -> np.ndarray:
    """Where the sigma of the pattern becomes final: bool [characters]"""
    text = "".join(map(pattern.format, characters))
    lowered = unicode_tables.lower_characters(text)
    place = pattern.index("Σ") - 1
    return np.array([c == "ς" for c in lowered[place :: len(pattern) - 1]])


def _changed_characters(
    lower: bool, decompose: Callable[[str], str] | None
) -> list[tuple[int, str]]:
    """Code points that do not stay, each with what it becomes."""
    becomes = list(map(chr, _LOOKED_AT))
    if lower:
        # Apart, so that no sigma is a final one.
        becomes = unicode_tables.lower_characters(" ".join(becomes))[::2]
    if decompose is not None:
        becomes = [c if c.isascii() else decompose(c) for c in becomes]
    return [
        (code, text)
        for code, text in zip(_LOOKED_AT, becomes, strict=True)
        if text != chr(code)
    ]
