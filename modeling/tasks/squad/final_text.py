"""From an answer's tokens back to the text of the context."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from modeling.tokenization import BasicTokenizer

# Words remembered: some 10 MB.
_MAX_WORDS = 1 << 16


def join_tokens(tokens: Sequence[str]) -> str:
    """Tokens as a text: "un", "##aff", "!" -> "unaff !"."""
    text = " ".join(tokens).replace(" ##", "").replace("##", "")
    return " ".join(text.split())


class FinalText:
    """The original's `get_final_text`, without tokenizing a word twice.

    A predicted text has lost case, accents and spaces; its words in the context
    have them, but may be more than the answer: "steve smith" in "Steve Smith's"
    is "Steve Smith". So the words are tokenized, the prediction is looked for
    among the tokens, and the characters other than spaces are counted on both
    sides. Where the prediction is not found or the counts differ, as for "½" or
    for what is dropped, the words stay whole.

    Args:
      do_lower_case: whether the model is uncased.
      strip_accents: whether its text has no accents; `None` follows
        `do_lower_case`.
    """

    def __init__(
        self, do_lower_case: bool, strip_accents: bool | None = None
    ) -> None:
        self._tokenizer = BasicTokenizer(do_lower_case, strip_accents)
        self._tokenized: dict[str, str] = {}

    def __call__(self, predicted: str, words: Sequence[str]) -> str:
        """The part of some words that a predicted text stands for."""
        text = " ".join(words)
        # Words are tokenized one by one, so their tokens can be remembered.
        tokenized = " ".join(filter(None, map(self._tokenize, words)))
        start = tokenized.find(predicted)
        if start < 0 or not predicted:
            return text
        end = start + len(predicted) - 1
        if tokenized[start] == " " or tokenized[end] == " ":
            return text
        if _num_characters(text) != _num_characters(tokenized):
            return text
        first = start - tokenized.count(" ", 0, start)
        last = end - tokenized.count(" ", 0, end)
        # A word's end in characters other than spaces; every word before a
        # character puts one space before it.
        ends = list(itertools.accumulate(map(len, words)))
        first += sum(word_end <= first for word_end in ends)
        last += sum(word_end <= last for word_end in ends)
        return text[first : last + 1]

    def _tokenize(self, word: str) -> str:
        tokens = self._tokenized.get(word)
        if tokens is None:
            tokens = " ".join(self._tokenizer.tokenize(word))
            if len(self._tokenized) >= _MAX_WORDS:
                self._tokenized.clear()
            self._tokenized[word] = tokens
        return tokens


def _num_characters(text: str) -> int:
    return len(text) - text.count(" ")
