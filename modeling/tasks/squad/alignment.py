"""From an answer's place in the text to its first and last token.

Everything is found by character offsets. Tokens that overlap the answer and are
the tokens of its text stand for it. Where they are not, the answer begins or
ends within a token or a word's pieces ("Japan" in "Japanese"), and then, as in
the original, all between two spaces stands for it; but a Chinese character
stands alone, where the original would take the whole sentence.

The original searched an answer's tokens in its words instead, from the left, so
that of an answer that stands in them twice it took the first.
"""

from __future__ import annotations

import re
from typing import NamedTuple

import numpy as np

from modeling.tasks.squad.questions import Answer
from modeling.tasks.squad.words import SEPARATORS, Words
from modeling.tokenization import FastTokenizer, Tokenizer
from modeling.tokenization.unicode_tables import CJK_CLASS

_WORD_BORDER = re.compile(f"[{SEPARATORS}{CJK_CLASS}]")


class Characters(NamedTuple):
    """Part of a text: the first character and the one after the last."""

    start: int
    end: int


class Tokens(NamedTuple):
    """Part of a text's tokens: the first and the last."""

    first: int
    last: int


class Context(NamedTuple):
    """A context in words and tokens.

    Attributes:
      text: the context.
      words: its words.
      ids: its tokens.
      offsets: first and past last character of each token: int32 [tokens, 2]
    """

    text: str
    words: Words
    ids: list[int]
    offsets: np.ndarray


def locate_answer(text: str, words: Words, answer: Answer) -> Characters | None:
    """Where an answer stands in its context; None if it does not.

    As for the original, it need not begin exactly where the data says, if it
    stands in the words there, and white space in it may differ.
    """
    parts = answer.text.split()
    if not parts:
        return None
    if answer.start is None:
        begin, end, wanted = 0, len(text), 0
    else:
        last = answer.start + len(answer.text)
        if text[answer.start : last] == answer.text:
            return Characters(answer.start, last)
        if not words.texts:
            return None
        reached = words.at(np.array([answer.start, last - 1]))
        # Before the first word, the first.
        first_word, last_word = np.maximum(reached, 0)
        begin = words.starts[first_word]
        end = words.starts[last_word] + len(words.texts[last_word])
        wanted = answer.start
    pattern = re.compile(r"\s+".join(map(re.escape, parts)))
    found = [match.span() for match in pattern.finditer(text, begin, end)]
    if not found:
        return None
    return Characters(*min(found, key=lambda span: abs(span[0] - wanted)))


def align_answer(
    context: Context, characters: Characters, tokenizer: Tokenizer
) -> Tokens | None:
    """The tokens that stand for an answer; None if it has none.

    Args:
      context: in the tokenizer's tokens.
      characters: the answer in it.
      tokenizer: of the model.
    """
    found = overlapping(context.offsets, characters)
    # SentencePiece's tokens of an answer may differ from those in the text by a
    # space before them, which says nothing.
    if found is None or not isinstance(tokenizer, FastTokenizer):
        return found
    start, end = characters
    ids = tokenizer.encode(context.text[start:end])
    if context.ids[found.first : found.last + 1] == ids:
        return found
    return overlapping(context.offsets, _widen(context.text, characters))


def overlapping(offsets: np.ndarray, characters: Characters) -> Tokens | None:
    """The tokens that share a character with a part of the text."""
    starts, ends = offsets.T
    first = int(np.searchsorted(ends, characters.start, side="right"))
    last = int(np.searchsorted(starts, characters.end, side="left")) - 1
    return Tokens(first, last) if first <= last else None


def _widen(text: str, characters: Characters) -> Characters:
    """The same with the words that it begins and ends in."""
    start, end = characters
    if not _WORD_BORDER.match(text[start]):
        while start and not _WORD_BORDER.match(text[start - 1]):
            start -= 1
    if not _WORD_BORDER.match(text[end - 1]):
        while end < len(text) and not _WORD_BORDER.match(text[end]):
            end += 1
    return Characters(start, end)
