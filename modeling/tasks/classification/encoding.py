"""From examples to the rows of tokens that the encoder reads.

A pair:
  tokens:      [CLS] is this jack ##son ##ville ? [SEP] no it is not . [SEP]
  segment_ids: 0     0  0    0    0     0       0 0     1  1  1  1   1 1
A single text:
  tokens:      [CLS] the dog is hairy . [SEP]
  segment_ids: 0     0   0   0  0     0 0

N examples have R rows, R > N where long texts are read through windows; the
rows have T tokens in all.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from modeling.errors import UserError
from modeling.tasks.classification.examples import InputExample
from modeling.tasks.classification.labels import Labels
from modeling.tokenization import Tokenizer, truncate_pair
from modeling.workers import Workers

# Examples that a process gets at once.
_CHUNK = 512
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


class EncodedExamples(NamedTuple):
    """Examples in tokens, unpadded, end to end; perhaps mapped from a file.

    Attributes:
      ids: [T], uint16 or uint32
      row_starts: where each row begins, and the end of the last:
        int64 [R + 1]
      first_lengths: tokens of a row's first segment: int32 [R]
      example_starts: the first row of each example, and the end of the last:
        int64 [N + 1]
      targets: int32 [N], or float32 [N] or [N, L], as `Labels.encode` gives
        them
    """

    ids: np.ndarray
    row_starts: np.ndarray
    first_lengths: np.ndarray
    example_starts: np.ndarray
    targets: np.ndarray

    @property
    def num_examples(self) -> int:
        """How many examples there are."""
        return len(self.example_starts) - 1

    def row_lengths(self) -> np.ndarray:
        """Tokens of every row: int64 [R]"""
        return np.diff(self.row_starts)

    def rows_per_example(self) -> np.ndarray:
        """int64 [N]"""
        return np.diff(self.example_starts)

    def example_lengths(self) -> np.ndarray:
        """Tokens of every example's longest row: int64 [N]"""
        if len(self.row_starts) == len(self.example_starts):
            return self.row_lengths()
        return np.maximum.reduceat(self.row_lengths(), self.example_starts[:-1])

    def rows_of(self, examples: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The rows of some examples.

        Returns:
          rows: the rows of one example after those of another: int64 [rows]
          owners: which of the examples each belongs to, by its place among
            them, non-decreasing: int64 [rows]
        """
        counts = (
            self.example_starts[examples + 1] - self.example_starts[examples]
        )
        owners = np.repeat(np.arange(len(examples)), counts)
        return _ranges(self.example_starts[examples], counts), owners

    def pad(
        self, rows: np.ndarray, length: int | None = None
    ) -> dict[str, np.ndarray]:
        """A batch of rows as the model takes them.

        Args:
          rows: their numbers: int [B]
          length: of the padded rows; None for the longest of them.

        Returns:
          input_ids, input_mask and segment_ids: int32 [B, length]
        """
        starts = self.row_starts[rows]
        lengths = self.row_starts[rows + 1] - starts
        if length is None:
            length = int(lengths.max(initial=0))
        places = np.arange(length)
        mask = places < lengths[:, None]
        input_ids = np.zeros(mask.shape, np.int32)
        input_ids[mask] = self.ids[_ranges(starts, lengths)]
        segments = mask & (places >= self.first_lengths[rows][:, None])
        return {
            "input_ids": input_ids,
            "input_mask": mask.astype(np.int32),
            "segment_ids": segments.astype(np.int32),
        }


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
        if stride is None or len(first) + len(second) <= room:
            return [truncate_pair(first, second, room)]
        return _windows(first, second, room, stride)


def encode_examples(
    encoder: ExampleEncoder,
    examples: Iterable[InputExample],
    num_workers: int = 1,
) -> EncodedExamples:
    """All examples, in memory."""
    chunks = [encoded for _, encoded in stream(encoder, examples, num_workers)]
    return join(chunks) if chunks else encoder([])


def stream(
    encoder: ExampleEncoder,
    examples: Iterable[InputExample],
    num_workers: int = 1,
    chunk_size: int = _CHUNK,
) -> Iterator[tuple[list[InputExample], EncodedExamples]]:
    """Yields chunks of the examples with what has become of them, in order.

    The examples are read only as far as the processes need, so that memory is
    bounded for any number of them.
    """
    rest = iter(examples)
    chunks = iter(lambda: list(itertools.islice(rest, chunk_size)), [])
    with Workers({"encode": encoder}, num_workers) as workers:
        yield from workers.map("encode", chunks)


def join(parts: Sequence[EncodedExamples]) -> EncodedExamples:
    """Examples end to end."""
    return EncodedExamples(
        np.concatenate([part.ids for part in parts]),
        _join_starts([part.row_starts for part in parts]),
        np.concatenate([part.first_lengths for part in parts]),
        _join_starts([part.example_starts for part in parts]),
        np.concatenate([part.targets for part in parts]),
    )


def _join_starts(parts: Sequence[np.ndarray]) -> np.ndarray:
    lengths = np.concatenate([np.diff(part) for part in parts])
    return np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths)])


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


def _ranges(starts: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """start, start + 1, ... of each range, one range after the other."""
    ends = np.cumsum(lengths)
    total = int(ends[-1]) if len(ends) else 0
    return np.arange(total) + np.repeat(starts - (ends - lengths), lengths)
