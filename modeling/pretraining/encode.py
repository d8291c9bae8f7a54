"""Blocks of text -> arrays of token ids, in any process."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np

from modeling.pretraining.text import TextBlock
from modeling.pretraining.words import WordEncoder, WordOptions
from modeling.tokenization import FastTokenizer, Tokenizer
from modeling.tokenization.bulk import BulkTokenizer


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
        self._tokenizer, self._options = tokenizer, words
        self._words, self._bulk = None, None
        if not words.in_tokens:
            self._words = WordEncoder(tokenizer, words)
        elif isinstance(tokenizer, FastTokenizer):
            self._bulk = BulkTokenizer(tokenizer)

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self._tokenizer, self._options)

    def __call__(self, block: TextBlock) -> EncodedBlock:
        """Raises `UserError` for bytes that are not UTF-8."""
        joins = None
        if self._bulk is not None:
            block.decode()
            ids, lengths = self._bulk.encode_lines(block.data)
        elif self._words is not None:
            encoded = [self._words.encode(line) for line in block.lines()]
            ids, lengths = _concatenate([line.ids for line in encoded])
            joins = np.array(_flatten(line.joins for line in encoded), np.uint8)
        else:
            ids, lengths = _concatenate(
                self._tokenizer.encode_batch(block.lines())
            )
        is_sentence = lengths > 0
        ends = np.cumsum(is_sentence)[_blank_lines(block, ~is_sentence)]
        if block.is_last:
            ends = np.append(ends, is_sentence.sum())
        return EncodedBlock(
            ids.astype(id_type(self._tokenizer)),
            joins,
            lengths[is_sentence],
            ends,
        )


def id_type(tokenizer: Tokenizer) -> str:
    """The smallest type that holds the ids on disk."""
    return "<u2" if tokenizer.vocab_size <= 1 << 16 else "<u4"


def _blank_lines(block: TextBlock, candidates: np.ndarray) -> list[int]:
    """Which of the candidates, bool [lines], are blank.

    Others have no tokens either, such as those of control characters.
    """
    lines = block.data.split(b"\n")
    return [
        i
        for i in np.flatnonzero(candidates).tolist()
        if not lines[i].decode().strip()
    ]


def _concatenate(lines: list[list[int]]) -> tuple[np.ndarray, np.ndarray]:
    return (
        np.array(_flatten(lines), np.uint32),
        np.array(list(map(len, lines)), np.int64),
    )


def _flatten(lists: Iterable[list[int]]) -> list[int]:
    return list(itertools.chain.from_iterable(lists))
