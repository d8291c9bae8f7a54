"""From questions to rows of tokens, one for each choice.

tokens:      [CLS] the man sat down . [SEP] he opened the book [SEP]
segment_ids: 0     0   0   0   0    0 0     1  1      1   1    1
                   context                  question  choice

What is too long is cut from the end of the context, then from the question,
never from the choice.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from modeling.errors import UserError
from modeling.tasks.array_cache import CacheEntry, cached
from modeling.tasks.multiple_choice.examples import ChoiceExample
from modeling.tasks.token_rows import EncodedExamples, stream
from modeling.tokenization import Tokenizer

# Goes up with every change of what the same examples become.
_VERSION = 2
# [CLS], two [SEP] and a token.
_SHORTEST = 4


class ChoiceEncoder:
    """Tokenizes examples and lays them out in rows.

    Args:
      tokenizer: as the model was trained with.
      max_seq_length: the longest row in tokens, [CLS] and [SEP] included.

    Raises:
      UserError: a vocabulary without [CLS] or [SEP], or no room for a choice.
    """

    def __init__(self, tokenizer: Tokenizer, max_seq_length: int = 128) -> None:
        if max_seq_length < _SHORTEST:
            raise UserError(
                f"max_seq_length must be at least {_SHORTEST}: [CLS], two "
                f"[SEP] and a token. Received: {max_seq_length}"
            )
        self.tokenizer, self.max_seq_length = tokenizer, max_seq_length
        self._cls, self._sep = [tokenizer.cls_id], [tokenizer.sep_id]
        self.id_type = "<u2" if tokenizer.vocab_size <= 1 << 16 else "<u4"

    def __call__(self, examples: Sequence[ChoiceExample]) -> EncodedExamples:
        """Rows of every example, and its answer, 0 where it has none.

        Raises:
          UserError: a choice that is longer than a row.
        """
        ids: list[int] = []
        row_starts, first_lengths, example_starts = [0], [], [0]
        for example in examples:
            for first, second in self._rows(example):
                first_lengths.append(len(first) + 2)
                ids += self._cls + first + self._sep + second + self._sep
                row_starts.append(len(ids))
            example_starts.append(len(first_lengths))
        answers = [example.answer or 0 for example in examples]
        return EncodedExamples(
            np.array(ids, self.id_type),
            np.array(row_starts, np.int64),
            np.array(first_lengths, np.int32),
            np.array(example_starts, np.int64),
            np.array(answers, np.int32),
        )

    def _rows(
        self, example: ChoiceExample
    ) -> Iterator[tuple[list[int], list[int]]]:
        """The two segments of every choice's row."""
        context, before, behind, *choices = self.tokenizer.encode_batch(
            [example.context, *example.around_choice(), *example.choices]
        )
        room = self.max_seq_length - 3
        for number, choice in enumerate(choices, 1):
            left = room - len(choice)
            if left < 0:
                raise UserError(
                    f"{example.place}: choice {number} has {len(choice)} "
                    f"tokens, and a row with max_seq_length="
                    f"{self.max_seq_length} has room for {room}. A choice is "
                    "never cut: raise max_seq_length."
                )
            # What is next to the choice says most about it.
            kept = before[max(0, len(before) - left) :]
            left -= len(kept)
            ending = behind[:left]
            left -= len(ending)
            yield context[:left], kept + choice + ending


def encode_cached(
    encoder: ChoiceEncoder,
    examples: Iterable[ChoiceExample],
    cache_dir: str,
    num_workers: int = 1,
) -> EncodedExamples:
    """Encodes examples, or opens what an earlier run has made of the same.

    Args:
      encoder: makes rows of the examples.
      examples: iterated over twice, first for their digest.
      cache_dir: see `CacheEntry`.
      num_workers: processes that tokenize.

    Raises:
      UserError: a choice that is longer than a row, or a directory that cannot
        be written.
    """
    shaping = {
        "version": _VERSION,
        "task": "multiple_choice",
        "tokenizer": encoder.tokenizer.digest(),
        "max_seq_length": encoder.max_seq_length,
    }

    def make() -> Iterator[tuple[int, EncodedExamples]]:
        for chunk, encoded in stream(encoder, examples, num_workers):
            yield len(chunk), encoded

    # The place tells where a file lies, which shapes nothing.
    content = (dataclasses.replace(e, place="", row_id=None) for e in examples)
    return cached(
        EncodedExamples, CacheEntry(cache_dir, shaping, content), make
    )
