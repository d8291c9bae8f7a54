"""Texts of spans of tokens."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from modeling.errors import UserError
from modeling.tasks.squad.final_text import FinalText, join_tokens
from modeling.tasks.squad.options import AnswerOptions
from modeling.tasks.squad.words import split_words
from modeling.tokenization import FastTokenizer, Tokenizer


class TextMaker:
    """Makes texts of spans, as the options say.

    Raises:
      UserError: options that do not fit the tokenizer.
    """

    def __init__(self, tokenizer: Tokenizer, options: AnswerOptions) -> None:
        self._inv_vocab = tokenizer.inv_vocab
        self._final_text = None
        if options.answer_text == "original":
            if not isinstance(tokenizer, FastTokenizer):
                raise UserError(
                    "answer_text=original is for WordPiece vocabularies. Give "
                    "answer_text=offsets."
                )
            self._final_text = FinalText(
                tokenizer.do_lower_case, tokenizer.strip_accents
            )

    def of_paragraph(
        self, context: str, ids: np.ndarray, offsets: np.ndarray
    ) -> SpanTexts:
        """The texts of a context with tokens [T] at characters [T, 2]."""
        if self._final_text is None:
            return _CharacterTexts(context, offsets)
        tokens = [self._inv_vocab[token] for token in ids.tolist()]
        words = split_words(context)
        word_of = words.at(offsets[:, 0]).tolist()
        return _WordTexts(tokens, words.texts, word_of, self._final_text)


class SpanTexts(Protocol):
    """Texts of a context's spans."""

    def of(self, first: int, last: int) -> str:
        """The text of the tokens from the first to the last."""


class _CharacterTexts:
    """The characters that the tokens stand for."""

    def __init__(self, context: str, offsets: np.ndarray) -> None:
        self._context, self._offsets = context, offsets.tolist()

    def of(self, first: int, last: int) -> str:
        return self._context[self._offsets[first][0] : self._offsets[last][1]]


class _WordTexts:
    """What the original finds in the words that the tokens are in."""

    def __init__(
        self,
        tokens: list[str],
        words: list[str],
        word_of: list[int],
        final_text: FinalText,
    ) -> None:
        self._tokens, self._words, self._word_of = tokens, words, word_of
        self._final_text = final_text

    def of(self, first: int, last: int) -> str:
        return self._final_text(
            join_tokens(self._tokens[first : last + 1]),
            self._words[self._word_of[first] : self._word_of[last] + 1],
        )
