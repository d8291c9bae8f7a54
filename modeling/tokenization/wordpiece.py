"""WordPiece as google-research/bert does it, token for token.

This is the reference: short and exact. `FastTokenizer` gives the same tokens
many times faster and is what the jobs use.
"""

import os
import re
from collections.abc import Collection, Iterable, Mapping, Sequence

from modeling.errors import UserError
from modeling.tokenization import unicode_tables, vocabulary

# U+FFFD is what an earlier decoding left where it failed.
DROPPED = unicode_tables.CONTROL | {"\ufffd"}
_CLEANING = {
    **dict.fromkeys(map(ord, unicode_tables.WHITESPACE), " "),
    **dict.fromkeys(map(ord, DROPPED)),
}
_CJK = re.compile(f"[{unicode_tables.CJK_CLASS}]")


class FullTokenizer:
    """Text to WordPiece tokens, as `tokenization.FullTokenizer`.

    Args:
      vocab_file: the model's `vocab.txt`.
      do_lower_case: whether the model is uncased.
      strip_accents: whether "é" becomes "e"; `None`, as in the original,
        follows `do_lower_case`.
      special_tokens: tokens such as "[MASK]" that are kept whole where they
        stand in the text. The original keeps none.

    Raises:
      UserError: an unreadable vocabulary, or one without a special token.

    Example:
      >>> tokenizer = FullTokenizer("vocab.txt")
      >>> tokenizer.tokenize("Unaffable!")
      ['una', '##ffa', '##ble', '!']
    """

    def __init__(
        self,
        vocab_file: str | os.PathLike[str],
        do_lower_case: bool = True,
        strip_accents: bool | None = None,
        special_tokens: Collection[str] = (),
    ) -> None:
        self.vocab = vocabulary.load_vocab(vocab_file)
        self.inv_vocab = vocabulary.invert_vocab(self.vocab)
        self.basic_tokenizer = BasicTokenizer(do_lower_case, strip_accents)
        self.wordpiece_tokenizer = WordpieceTokenizer(self.vocab)
        self._special = special_token_pattern(special_tokens, self.vocab)

    def tokenize(self, text: str | bytes) -> list[str]:
        """Tokens of a text."""
        tokens = []
        text = convert_to_unicode(text)
        for part, is_special in split_special_tokens(text, self._special):
            if is_special:
                tokens.append(part)
                continue
            for word in self.basic_tokenizer.tokenize(part):
                tokens += self.wordpiece_tokenizer.split_word(word)
        return tokens

    def convert_tokens_to_ids(self, tokens: Iterable[str]) -> list[int]:
        """Ids of tokens; raises `UserError` for one that has none."""
        return vocabulary.convert_tokens_to_ids(self.vocab, tokens)

    def convert_ids_to_tokens(self, ids: Iterable[int]) -> list[str]:
        """Tokens of ids; raises `UserError` for one that has none."""
        return vocabulary.convert_ids_to_tokens(self.inv_vocab, ids)


class BasicTokenizer:
    """Text to words and single punctuation marks.

    In this order: control characters go, CJK characters stand alone, the rest
    is split at white space; each word is lower-cased, loses its accents, and
    is split at punctuation.

    Source: `tokenization.BasicTokenizer`, which ties accents to case.
    """

    def __init__(
        self, do_lower_case: bool = True, strip_accents: bool | None = None
    ) -> None:
        self.do_lower_case = do_lower_case
        self.strip_accents = (
            do_lower_case if strip_accents is None else strip_accents
        )

    def tokenize(self, text: str | bytes) -> list[str]:
        """Words of a text."""
        text = convert_to_unicode(text).translate(_CLEANING)
        text = _CJK.sub(r" \g<0> ", text)
        words = []
        for word in text.split():
            if self.do_lower_case:
                word = unicode_tables.lower(word)
            if self.strip_accents:
                word = unicode_tables.strip_accents(word)
            words += [word[a:b] for a, b in punctuation_spans(word)]
        return words


class WordpieceTokenizer:
    """Words to the longest pieces that the vocabulary has.

    Source: `tokenization.WordpieceTokenizer`.
    """

    def __init__(
        self,
        vocab: Mapping[str, int],
        unk_token: str = "[UNK]",
        max_input_chars_per_word: int = 200,
    ) -> None:
        self.vocab = vocab
        self.unk_token = unk_token
        self.max_input_chars_per_word = max_input_chars_per_word
        self._continuations = {
            token[2:] for token in vocab if token.startswith("##")
        }
        self._longest = max(map(len, vocab), default=0)

    def tokenize(self, text: str | bytes) -> list[str]:
        """Pieces of words that white space separates."""
        words = whitespace_tokenize(convert_to_unicode(text))
        return [piece for word in words for piece in self.split_word(word)]

    def split_word(self, word: str) -> list[str]:
        """Pieces of one word, each the longest that fits, or the unknown token.

        All of the word is unknown if any of it is, or if it is too long.
        """
        if len(word) > self.max_input_chars_per_word:
            return [self.unk_token]
        pieces = []
        start = 0
        while start < len(word):
            known = self._continuations if start else self.vocab
            end = min(len(word), start + self._longest)
            while start < end and word[start:end] not in known:
                end -= 1
            if start == end:
                return [self.unk_token]
            pieces.append(("##" if start else "") + word[start:end])
            start = end
        return pieces


def punctuation_spans(word: Sequence[str]) -> list[tuple[int, int]]:
    """First and one past last of every part: a mark, or what is between."""
    spans = []
    start = 0
    for index, character in enumerate(word):
        if character in unicode_tables.PUNCTUATION:
            if start < index:
                spans.append((start, index))
            spans.append((index, index + 1))
            start = index + 1
    if start < len(word):
        spans.append((start, len(word)))
    return spans


def special_token_pattern(
    special_tokens: Collection[str], vocab: Mapping[str, int]
) -> re.Pattern[str] | None:
    """A pattern that finds the special tokens, `None` for no tokens.

    Raises:
      UserError: a special token that the vocabulary does not have.
    """
    if isinstance(special_tokens, str):
        raise UserError(
            f"special_tokens must be a list. Received: {special_tokens!r}"
        )
    # A blank line makes a token of "", which would be found everywhere.
    missing = [t for t in special_tokens if not t or t not in vocab]
    if missing:
        raise UserError(
            f"The vocabulary of {len(vocab)} entries lacks the special tokens "
            f"{', '.join(map(repr, missing))}. Add them or do not ask for them."
        )
    if not special_tokens:
        return None
    longest_first = sorted(special_tokens, key=len, reverse=True)
    return re.compile(f"({'|'.join(map(re.escape, longest_first))})")


def split_special_tokens(
    text: str, pattern: re.Pattern[str] | None
) -> Iterable[tuple[str, bool]]:
    """Parts of a text in order, each with whether it is a special token."""
    if pattern is None:
        return [(text, False)]
    parts = pattern.split(text)
    # The pattern is one group, so its matches stand at the odd places.
    return [(part, index % 2 == 1) for index, part in enumerate(parts)]


def convert_to_unicode(text: str | bytes) -> str:
    """Decodes UTF-8, dropping what is not; a string stays as it is.

    Raises:
      ValueError: neither a string nor bytes.

    Source: `tokenization.convert_to_unicode`.
    """
    if isinstance(text, str):
        return text
    if isinstance(text, bytes):
        return text.decode("utf-8", "ignore")
    raise ValueError(f"Text must be str or bytes. Received: {type(text)}")


def printable_text(text: str | bytes) -> str:
    """A text for messages: in Python 3, `convert_to_unicode`.

    Source: `tokenization.printable_text`.
    """
    return convert_to_unicode(text)


def whitespace_tokenize(text: str) -> list[str]:
    """Splits at white space; nothing but white space gives no tokens.

    Source: `tokenization.whitespace_tokenize`.
    """
    return text.split()
