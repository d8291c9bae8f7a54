"""From examples to the rows of tokens that the encoder reads.

A pair:
  tokens:      [CLS] is this jack ##son ##ville ? [SEP] no it is not . [SEP]
  segment_ids: 0     0  0    0    0     0       0 0     1  1  1  1   1 1
A single text:
  tokens:      [CLS] the dog is hairy . [SEP]
  segment_ids: 0     0   0   0  0     0 0
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from modeling.errors import UserError
from modeling.tasks.classification.examples import InputExample
from modeling.tasks.classification.labels import Labels
from modeling.tasks.token_rows import EncodedExamples
from modeling.tokenization import Tokenizer, truncate_pair

# [CLS], [SEP] and a token.
_SHORTEST = 3


@dataclasses.dataclass(frozen=True)
class RowOptions:
    """How texts are laid out in rows.

    Attributes:
      max_seq_length: the longest row in tokens, [CLS] and [SEP] included.
      doc_stride: None cuts longer texts, as the original; a number reads them
        through windows that begin so many tokens after one another, or in
        pairs, where they are shorter, no more than a window's length.

    Raises:
      UserError: lengths with which nothing can be read.
    """

    max_seq_length: int = 128
    doc_stride: int | None = None

    def __post_init__(self) -> None:
        if self.max_seq_length < _SHORTEST:
            raise UserError(
                f"max_seq_length must be at least {_SHORTEST}: [CLS], [SEP] "
                f"and a token. Received: {self.max_seq_length}"
            )
        most = self.max_seq_length - 2
        if self.doc_stride is not None and not 0 < self.doc_stride <= most:
            raise UserError(
                f"doc_stride must be from 1 to {most}, the tokens of a window "
                f"with max_seq_length={self.max_seq_length}. Received: "
                f"{self.doc_stride}"
            )


class ExampleEncoder:
    """Tokenizes examples and lays them out in rows.

    Args:
      tokenizer: as the model was trained with.
      labels: of the model.
      options: lengths of rows.

    Raises:
      UserError: a vocabulary without [CLS] or [SEP].
    """

    def __init__(
        self, tokenizer: Tokenizer, labels: Labels, options: RowOptions
    ) -> None:
        self.tokenizer, self.labels, self.options = tokenizer, labels, options
        self._cls, self._sep = [tokenizer.cls_id], [tokenizer.sep_id]
        self.id_type = "<u2" if tokenizer.vocab_size <= 1 << 16 else "<u4"

    def __call__(self, examples: Sequence[InputExample]) -> EncodedExamples:
        """Raises `UserError` for a label that the model does not have."""
        ids: list[int] = []
        row_starts, first_lengths, example_starts = [0], [], [0]
        for first, second in self._encode_texts(examples):
            for a, b in self._rows(first, second):
                first_lengths.append(len(a) + 2)
                ids += self._cls + a + self._sep
                if b:
                    ids += b + self._sep
                row_starts.append(len(ids))
            example_starts.append(len(first_lengths))
        return EncodedExamples(
            np.array(ids, self.id_type),
            np.array(row_starts, np.int64),
            np.array(first_lengths, np.int32),
            np.array(example_starts, np.int64),
            self.labels.encode(examples),
        )

    def _encode_texts(
        self, examples: Sequence[InputExample]
    ) -> Iterator[tuple[list[int], list[int]]]:
        texts = []
        for example in examples:
            texts.append(example.text_a)
            # No second text and an empty one are alike, as in the original.
            texts.append(example.text_b or "")
        encoded = self.tokenizer.encode_batch(texts)
        return zip(encoded[::2], encoded[1::2], strict=True)

    def _rows(
        self, first: list[int], second: list[int]
    ) -> Iterable[tuple[list[int], list[int]]]:
        room = self.options.max_seq_length - (3 if second else 2)
        stride = self.options.doc_stride
        # A pair in the shortest of rows has no room to slide in.
        if not room or stride is None or len(first) + len(second) <= room:
            return [truncate_pair(first, second, room)]
        return _windows(first, second, room, stride)


def _windows(
    first: list[int], second: list[int], room: int, stride: int
) -> Iterator[tuple[list[int], list[int]]]:
    """Slides over the longer text and keeps the other whole, or where that
    would take more than half of the room, its beginning.
    """
    slide_second = len(second) > len(first)
    kept, slid = (first, second) if slide_second else (second, first)
    kept = kept[: room // 2]
    size = room - len(kept)
    for start in range(0, len(slid), min(stride, size)):
        window = slid[start : start + size]
        yield (kept, window) if slide_second else (window, kept)
        if start + size >= len(slid):
            return
