"""Sentences in words, with their tags and their places in a text."""

from __future__ import annotations

import dataclasses
import itertools
import re
from collections.abc import Iterable, Iterator, Sequence

from modeling.tokenization import unicode_tables

_SPACE = re.escape("".join(unicode_tables.WHITESPACE) + "\n\u2028\u2029")
_MARK = re.escape("".join(unicode_tables.PUNCTUATION))
_CHARACTER = re.compile(f"[^{_SPACE}]")
# A Chinese character, a punctuation mark, or what is between.
_WORD = re.compile(
    f"[{unicode_tables.CJK_CLASS}{_MARK}]"
    f"|[^{_SPACE}{_MARK}{unicode_tables.CJK_CLASS}]+"
)


@dataclasses.dataclass(frozen=True)
class Sentence:
    """Words that are tagged together.

    Attributes:
      words: at least one.
      tags: of the words, as the file has them; None where it has none.
      text: what the words are part of.
      starts: the first character of each word in it.
      document: number of the document in the file; None where the file does not
        tell documents apart.
      source: the file, for messages.
      lines: the line of every word, or the one line of all of them.
      row_id: what the file calls the sentence; None where it has no name.
    """

    words: tuple[str, ...]
    tags: tuple[str, ...] | None
    text: str
    starts: tuple[int, ...]
    document: int | None = None
    source: str = ""
    lines: tuple[int, ...] = ()
    row_id: str | None = None

    def place(self, word: int) -> str:
        """How messages about a word begin."""
        if len(self.lines) == len(self.words) > 1:
            return f"{self.source}, line {self.lines[word]}"
        line = self.lines[0] if self.lines else 1
        return f"{self.source}, line {line}, word {word + 1}"

    def ends(self) -> list[int]:
        """The character after each word."""
        return [
            start + len(word)
            for start, word in zip(self.starts, self.words, strict=True)
        ]


def join_words(words: Sequence[str]) -> tuple[str, tuple[int, ...]]:
    """A text of words that came without one, and where they begin in it.

    Spaces stand between them, unless all of them are single characters, as in
    Chinese data.
    """
    separator = "" if are_characters(words) else " "
    lengths = [len(word) + len(separator) for word in words[:-1]]
    starts = tuple(itertools.accumulate(lengths, initial=0))
    return separator.join(words), starts


def are_characters(words: Iterable[str]) -> bool:
    """Whether each word is one character, and one of them a Chinese one."""
    words = list(words)
    return max(map(len, words), default=0) == 1 and any(
        re.match(f"[{unicode_tables.CJK_CLASS}]", word) for word in words
    )


def split_text(text: str, into_characters: bool) -> Sentence:
    """A text without words of its own, to be tagged.

    Args:
      text: one sentence or more.
      into_characters: whether every character is a word; else only Chinese
        ones, and punctuation marks.
    """
    pattern = _CHARACTER if into_characters else _WORD
    matches = list(pattern.finditer(text))
    return Sentence(
        tuple(match[0] for match in matches),
        None,
        text,
        tuple(match.start() for match in matches),
    )


def group_documents(
    sentences: Iterable[Sentence],
) -> Iterator[list[Sentence]]:
    """Yields the sentences of each document.

    Where a file does not tell documents apart, each sentence is one.
    """
    document: list[Sentence] = []
    for sentence in sentences:
        is_same = (
            document
            and sentence.document is not None
            and sentence.document == document[-1].document
        )
        if document and not is_same:
            yield document
            document = []
        document.append(sentence)
    if document:
        yield document
