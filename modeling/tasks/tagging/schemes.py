"""How tags mark chunks of words: names, phrases, words of several characters.

words:  The  European  Union  in  New    York   City
IOB1:   O    I-ORG     I-ORG  O   I-LOC  I-LOC  I-LOC
BIO:    O    B-ORG     I-ORG  O   B-LOC  I-LOC  I-LOC
BIOES:  O    B-ORG     E-ORG  O   B-LOC  I-LOC  E-LOC

In IOB1 a chunk begins with "B" only right behind another one of its type. BILOU
is BIOES with "L" for "E" and "U" for "S", BMES has "M" for "I". Tags of word
segmentation have no type. All of them are read in one way, that of conlleval,
which makes the best of sequences that no scheme allows.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np

OUTSIDE = "O"
# Every token's tag stands for itself, as in part-of-speech tagging.
PLAIN = "plain"
# What a chunk's first, inner, last and only words are called.
_LETTERS: Mapping[str, str] = {
    "BIO": "BIIB",
    "IOB1": "IIII",
    "BIOES": "BIES",
    "BILOU": "BILU",
    "BMES": "BMES",
}
LEARNED = ("BIO", "BIOES")
SCHEMES = (*_LETTERS, PLAIN)

_TAG = re.compile(r"([BIESMLU])(?:[-_](.+))?")
_SMALL_TAG = re.compile(r"[biesmlu][-_].+")
# Letters of other schemes in terms of BIOES.
_SAME = {"M": "I", "L": "E", "U": "S"}


class Chunk(NamedTuple):
    """Words that belong together.

    Attributes:
      type: what they are; "" where tags have no types.
      start: the first word.
      end: one past the last.
    """

    type: str
    start: int
    end: int


def parse(tag: str) -> tuple[str, str] | None:
    """Letter, of BIOES, and type of a chunk's tag; None for any other tag."""
    match = _TAG.fullmatch(tag)
    if match is None:
        return None
    letter, kind = match.groups()
    return _SAME.get(letter, letter), kind or ""


def find_chunks(tags: Iterable[str]) -> Iterator[Chunk]:
    """Yields the chunks of a sentence, as conlleval and seqeval see them.

    A word goes on with the chunk before it if its tag says so, is of its type,
    and that chunk has not ended; any other word with a chunk's tag begins one.
    """
    kind, start, is_open = None, 0, False
    index = -1
    for index, tag in enumerate(tags):
        letter, here = parse(tag) or (OUTSIDE, None)
        if is_open and letter in "IE" and here == kind:
            is_open = letter == "I"
            continue
        if kind is not None:
            yield Chunk(kind, start, index)
        kind, start, is_open = here, index, letter in "BI"
    if kind is not None:
        yield Chunk(kind, start, index + 1)


def write_chunks(
    chunks: Iterable[Chunk], length: int, scheme: str
) -> list[str]:
    """The tags of a sentence of `length` words."""
    first, inner, last, only = _LETTERS[scheme]
    tags = [OUTSIDE] * length
    before = None
    for chunk in chunks:
        size = chunk.end - chunk.start
        letters = [only] if size == 1 else [first, *[inner] * (size - 2), last]
        if scheme == "IOB1" and before == (chunk.type, chunk.start):
            letters[0] = "B"
        before = chunk.type, chunk.end
        ending = f"-{chunk.type}" if chunk.type else ""
        tags[chunk.start : chunk.end] = [letter + ending for letter in letters]
    return tags


def convert(tags: Sequence[str], scheme: str) -> list[str]:
    """The same chunks in another scheme; plain tags as they are."""
    if scheme == PLAIN:
        return list(tags)
    return write_chunks(find_chunks(tags), len(tags), scheme)


class SchemeFinder:
    """Recognises the scheme of sentences that it is shown one by one."""

    def __init__(self) -> None:
        self._tags: set[str] = set()
        # Whether something cannot be, or is not, in BIO and in IOB1.
        self._not_bio = self._not_iob1 = False

    @property
    def tags(self) -> frozenset[str]:
        """All tags that were shown."""
        return frozenset(self._tags)

    @property
    def strays(self) -> list[str]:
        """Tags that mark no chunk where others, with a type, do."""
        parsed = {tag: parse(tag) for tag in self._tags - {OUTSIDE}}
        if not any(chunk and chunk[1] for chunk in parsed.values()):
            return []
        return sorted(tag for tag, chunk in parsed.items() if chunk is None)

    @property
    def in_small_letters(self) -> list[str]:
        """Tags that would mark chunks in capitals, if one begins a chunk."""
        small = sorted(tag for tag in self._tags if _SMALL_TAG.fullmatch(tag))
        begins = any(tag[0] in "bsu" for tag in small)
        return small if begins else []

    def show(self, tags: Sequence[str]) -> None:
        """Looks at a sentence."""
        self._tags.update(tags)
        before = ("", None)
        for tag in tags:
            letter, kind = parse(tag) or ("", None)
            follows = before[1] == kind
            if letter == "I" and not follows:
                self._not_bio = True
            if letter == "B" and not follows:
                self._not_iob1 = True
            before = letter, kind

    def scheme(self) -> str:
        """The name of the scheme; "plain" where tags mark no chunks.

        Where both would do, and where neither does, IOB1 is taken for BIO.
        """
        parsed = [_TAG.fullmatch(tag) for tag in self._tags - {OUTSIDE}]
        if not parsed or None in parsed:
            return PLAIN
        letters = {match[1] for match in parsed}
        types = {match[2] for match in parsed}
        # "B" or "S" alone may be a tag like any other.
        if types == {None} and not ("B" in letters and len(letters) > 1):
            return PLAIN
        if letters & set("LU"):
            return "BILOU"
        if "M" in letters:
            return "BMES"
        if letters & set("ES"):
            return "BIOES"
        return "IOB1" if self._not_bio and not self._not_iob1 else "BIO"


def allowed(
    names: Sequence[str], scheme: str
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """What may follow what in a learned scheme.

    Returns:
      From tag to tag bool [K, K], what a sentence may start with bool [K], and
      end with bool [K]; the arguments of `modeling.network.tag_chains.Allowed`.
    """
    can_follow = _RULES.get(scheme, lambda before, after: True)
    outside = (OUTSIDE, None)
    parsed = [parse(name) or outside for name in names]
    return (
        np.array([[can_follow(a, b) for b in parsed] for a in parsed], bool),
        np.array([can_follow(outside, b) for b in parsed], bool),
        np.array([can_follow(a, outside) for a in parsed], bool),
    )


_Tag = tuple[str, str | None]


def _in_bio(before: _Tag, after: _Tag) -> bool:
    return after[0] != "I" or (before[0] in "BI" and before[1] == after[1])


def _in_bioes(before: _Tag, after: _Tag) -> bool:
    if before[0] in "BI":
        return after[0] in "IE" and before[1] == after[1]
    return after[0] not in "IE"


_RULES: Mapping[str, Callable[[_Tag, _Tag], bool]] = {
    "BIO": _in_bio,
    "BIOES": _in_bioes,
}
