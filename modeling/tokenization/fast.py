"""The tokenizer of every job: the reference behind a memory of past chunks.

Text comes in chunks that the reference tokenizes one by one, without a look at
their neighbours: a CJK character, or what stands between white space and CJK
characters. Few of them make up most of a text, so their ids are remembered,
and only a chunk not seen before reaches the Python code of the reference.
"""

import functools
import hashlib
import itertools
import os
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, TypeVar

import numpy as np

from modeling.tokenization import (
    alignment,
    interface,
    unicode_tables,
    vocabulary,
    wordpiece,
)

# These bound memory: about 20 MB for ordinary text and as much again once
# offsets were asked for; 200 MB for the worst text that can be made up.
_MAX_CACHED_CHUNKS = 1 << 16
_MAX_CACHED_LENGTH = 32

_SEPARATOR_CLASS = re.escape("".join(unicode_tables.WHITESPACE))
# Line and paragraph separators pass the original's cleaning, but str.split
# knows them. Control characters, which it also knows, are gone by then.
_SEPARATOR_CLASS += "\u2028\u2029"
_CHUNK = re.compile(
    f"[{unicode_tables.CJK_CLASS}]"
    f"|[^{_SEPARATOR_CLASS}{unicode_tables.CJK_CLASS}]+"
)
_ASCII_WORD = re.compile("[A-Za-z0-9]+|[^A-Za-z0-9]")


class FastTokenizer(interface.TokenIds):
    """The tokens of `FullTokenizer`, many times faster.

    Args:
      vocab: token -> id, every id once.
      do_lower_case: whether the model is uncased.
      strip_accents: whether "é" becomes "e"; `None` follows `do_lower_case`.
      special_tokens: tokens such as "[MASK]" that are kept whole where they
        stand in the text.
      vocab_name: what messages call the vocabulary.

    Raises:
      UserError: two tokens with one id, or a special token that is missing.

    Example:
      >>> tokenizer = FastTokenizer.from_vocab_file("vocab.txt")
      >>> tokenizer.encode("Unaffable!")
      [14477, 20961, 3468, 999]
    """

    def __init__(
        self,
        vocab: Mapping[str, int],
        do_lower_case: bool = True,
        strip_accents: bool | None = None,
        special_tokens: Collection[str] = (),
        vocab_name: str = "The vocabulary",
    ) -> None:
        self.vocab = dict(vocab)
        self.inv_vocab = vocabulary.invert_vocab(self.vocab)
        self.vocab_name = vocab_name
        self._basic = wordpiece.BasicTokenizer(do_lower_case, strip_accents)
        self._wordpiece = wordpiece.WordpieceTokenizer(self.vocab)
        self._special = wordpiece.special_token_pattern(
            special_tokens, self.vocab
        )
        self._special_tokens = tuple(special_tokens)
        self._ids_of_word = _Memory(self._word_to_ids).__getitem__
        self._ids_of_chunk = _Memory(self._chunk_to_ids).__getitem__
        self._spans_of_chunk = _Memory(self._chunk_to_spans).__getitem__

    @classmethod
    def from_vocab_file(
        cls,
        path: str | os.PathLike[str],
        do_lower_case: bool = True,
        strip_accents: bool | None = None,
        special_tokens: Collection[str] = (),
    ) -> "FastTokenizer":
        """Reads a `vocab.txt`; raises `UserError` as `load_vocab` does."""
        return cls(
            vocabulary.load_vocab(path),
            do_lower_case,
            strip_accents,
            special_tokens,
            vocab_name=f"The vocabulary {os.fspath(path)}",
        )

    def __reduce__(self) -> tuple[Any, ...]:
        # Without the memories: they are large and soon made anew.
        return type(self), (
            self.vocab,
            self.do_lower_case,
            self.strip_accents,
            self._special_tokens,
            self.vocab_name,
        )

    @property
    def do_lower_case(self) -> bool:
        """Whether words are lower-cased."""
        return self._basic.do_lower_case

    @property
    def strip_accents(self) -> bool:
        """Whether accents are dropped."""
        return self._basic.strip_accents

    @property
    def special_tokens(self) -> tuple[str, ...]:
        """Tokens that are kept whole where they stand in the text."""
        return self._special_tokens

    @functools.cached_property
    def is_continuation(self) -> np.ndarray:
        """Over ids, whether the token goes on with a word: bool [vocab_size]"""
        flags = np.zeros(self.vocab_size, bool)
        flags[[i for t, i in self.vocab.items() if t.startswith("##")]] = True
        flags.setflags(write=False)
        return flags

    def tokenize(self, text: str | bytes) -> list[str]:
        """Tokens of a text."""
        return list(map(self.inv_vocab.__getitem__, self.encode(text)))

    def encode(self, text: str | bytes) -> list[int]:
        """Ids of a text, without [CLS] and [SEP].

        Raises:
          UserError: an unknown word, where the vocabulary has no [UNK].
        """
        if not isinstance(text, str):
            text = wordpiece.convert_to_unicode(text)
        if self._special is None:
            return list(_flatten(map(self._ids_of_chunk, split_chunks(text))))
        ids: list[int] = []
        for part, is_special in wordpiece.split_special_tokens(
            text, self._special
        ):
            if is_special:
                ids.append(self.vocab[part])
            else:
                ids += _flatten(map(self._ids_of_chunk, split_chunks(part)))
        return ids

    def encode_batch(self, texts: Sequence[str]) -> list[list[int]]:
        """Ids of every text."""
        return list(map(self.encode, texts))

    def encode_with_offsets(self, text: str) -> interface.Encoding:
        """Ids of a text and where they stand in it.

        An unknown word has the span of the word; an accent belongs to the
        character before it even where it is stripped.
        """
        ids: list[int] = []
        offsets: list[tuple[int, int]] = []
        start = 0
        for part, is_special in wordpiece.split_special_tokens(
            text, self._special
        ):
            if is_special:
                ids.append(self.vocab[part])
                offsets.append((start, start + len(part)))
            else:
                matches = list(_CHUNK.finditer(part))
                chunks = [match[0] for match in matches]
                bases = [start + match.start() for match in matches]
                ids += _flatten(map(self._ids_of_chunk, chunks))
                spans_of_chunks = map(self._spans_of_chunk, chunks)
                offsets += [
                    (base + a, base + b)
                    for base, spans in zip(bases, spans_of_chunks, strict=True)
                    for a, b in spans
                ]
            start += len(part)
        return interface.Encoding(ids, offsets)

    def join_pieces(self, tokens: Sequence[str]) -> str:
        """The word that the pieces make: "un", "##aff" -> "unaff"."""
        return "".join(token.removeprefix("##") for token in tokens)

    def digest(self) -> str:
        """Tells apart tokenizers that may give a text other ids."""
        shaping = (
            sorted(self.vocab.items()),
            self.do_lower_case,
            self.strip_accents,
            sorted(self._special_tokens),
        )
        return hashlib.sha256(repr(shaping).encode()).hexdigest()

    def _chunk_to_ids(self, chunk: str) -> tuple[int, ...]:
        words = split_words(chunk, self._basic)
        return tuple(_flatten(map(self._ids_of_word, words)))

    def _word_to_ids(self, word: str) -> tuple[int, ...]:
        pieces = self._wordpiece.split_word(word)
        return tuple(self.convert_tokens_to_ids(pieces))

    def _chunk_to_spans(self, chunk: str) -> tuple[tuple[int, int], ...]:
        spans = []
        for word in alignment.align_words(
            chunk, self.do_lower_case, self.strip_accents
        ):
            pieces = self._wordpiece.split_word(word.text)
            if pieces == [self._wordpiece.unk_token]:
                spans.append((word.starts[0], word.ends[-1]))
                continue
            start = 0
            for piece in pieces:
                end = start + len(piece) - (2 if start else 0)
                spans.append((word.starts[start], word.ends[end - 1]))
                start = end
        return tuple(spans)


_Value = TypeVar("_Value")
_flatten = itertools.chain.from_iterable


class _Memory(dict[str, _Value]):
    """A function of strings that remembers short ones, up to a number."""

    def __init__(self, function: Callable[[str], _Value]) -> None:
        super().__init__()
        self._function = function

    def __missing__(self, key: str) -> _Value:
        value = self._function(key)
        if len(key) <= _MAX_CACHED_LENGTH:
            if len(self) >= _MAX_CACHED_CHUNKS:
                self.clear()
            self[key] = value
        return value


def split_chunks(text: str) -> list[str]:
    """The parts of a text that are tokenized without a look at the others."""
    # str.split cuts printable ASCII where the pattern does, at twice the speed.
    if text.isascii() and text.isprintable():
        return text.split()
    return _CHUNK.findall(text)


def split_words(chunk: str, tokenizer: wordpiece.BasicTokenizer) -> list[str]:
    """The words that a tokenizer makes of one of the chunks."""
    if chunk.isascii() and chunk.isprintable():
        # What the basic tokenizer leaves to do here, in one step.
        text = chunk.lower() if tokenizer.do_lower_case else chunk
        return _ASCII_WORD.findall(text)
    return tokenizer.tokenize(chunk)
