"""Blocks of text -> arrays of token ids, in any process."""

from __future__ import annotations

import re
from typing import NamedTuple

import numpy as np

from modeling.pretraining.text import TextBlock
from modeling.pretraining.words import WordEncoder, WordOptions
from modeling.tokenization import (
    FastTokenizer,
    Tokenizer,
    WordpieceTokenizer,
)

# These bound a worker's memory, to about 100 MB.
_MAX_REMEMBERED_WORDS = 1 << 19
_MAX_REMEMBERED_LENGTH = 32

_ASCII_WORD = re.compile("[A-Za-z0-9]+|[^A-Za-z0-9]")


class EncodedBlock(NamedTuple):
    """A block of text in tokens.

    Attributes:
      ids: [tokens]
      joins: uint8 [tokens], or None where the ids tell all.
      lengths: tokens of every sentence: int64 [sentences]
      ends: sentences before each end of a document: int64 [any]
    """

    ids: np.ndarray
    joins: np.ndarray | None
    lengths: np.ndarray
    ends: np.ndarray


class BlockEncoder:
    """Encodes blocks of text.

    Args:
      tokenizer: of the vocabulary.
      words: where words and spans come from.

    Raises:
      UserError: a dictionary that cannot be used.
    """

    def __init__(self, tokenizer: Tokenizer, words: WordOptions) -> None:
        self._id_type = id_type(tokenizer)
        self._words = None if words.in_tokens else WordEncoder(tokenizer, words)
        self._memory = _Memory(tokenizer, self._id_type)

    def __call__(self, block: TextBlock) -> EncodedBlock:
        """Raises `UserError` for bytes that are not UTF-8."""
        ids, joins, lengths, ends = [], [], [], []
        for line in block.lines():
            if not line:
                ends.append(len(lengths))
                continue
            if self._words is None:
                encoded = self._memory.encode(line)
            else:
                line_ids, line_joins = self._words.encode(line)
                encoded = np.array(line_ids, self._id_type).tobytes()
                joins.append(bytes(line_joins))
            if encoded:
                ids.append(encoded)
                lengths.append(len(encoded))
        if block.is_last:
            ends.append(len(lengths))
        item_size = np.dtype(self._id_type).itemsize
        return EncodedBlock(
            np.frombuffer(b"".join(ids), self._id_type),
            np.frombuffer(b"".join(joins), np.uint8) if self._words else None,
            np.array(lengths, np.int64) // item_size,
            np.array(ends, np.int64),
        )


def id_type(tokenizer: Tokenizer) -> str:
    """The smallest type that holds the ids on disk."""
    return "<u2" if tokenizer.vocab_size <= 1 << 16 else "<u4"


class _Memory(dict[str, bytes]):
    """Words -> bytes of their ids: a line costs a look-up a word, no numbers.

    WordPiece sees words one by one, so that a line's ids are those of its
    words, end to end.
    """

    def __init__(self, tokenizer: Tokenizer, id_type: str) -> None:
        super().__init__()
        self._tokenizer, self._id_type = tokenizer, id_type
        self._is_wordpiece = isinstance(tokenizer, FastTokenizer)
        if self._is_wordpiece:
            self._wordpiece = WordpieceTokenizer(tokenizer.vocab)
            self._bytes_of_piece = {
                token: np.array(token_id, id_type).tobytes()
                for token, token_id in tokenizer.vocab.items()
            }

    def __reduce__(self) -> tuple:
        return type(self), (self._tokenizer, self._id_type)

    def encode(self, line: str) -> bytes:
        """The ids of a line."""
        # Of white space and control characters, a printable line has the space
        # only, at which str.split cuts as the tokenizer does.
        if self._is_wordpiece and line.isprintable():
            return b"".join(map(self.__getitem__, line.split()))
        return self._encode(line)

    def __missing__(self, word: str) -> bytes:
        if word.isascii():
            # What the tokenizer does to such a word, without its detours: new
            # words are most of the work on the first hundred megabytes.
            lower = word.lower() if self._tokenizer.do_lower_case else word
            pieces = map(self._wordpiece.split_word, _ASCII_WORD.findall(lower))
            encoded = b"".join(
                [self._bytes_of_piece[p] for part in pieces for p in part]
            )
        else:
            encoded = self._encode(word)
        if len(word) <= _MAX_REMEMBERED_LENGTH:
            if len(self) >= _MAX_REMEMBERED_WORDS:
                self.clear()
            self[word] = encoded
        return encoded

    def _encode(self, text: str) -> bytes:
        return np.array(self._tokenizer.encode(text), self._id_type).tobytes()
