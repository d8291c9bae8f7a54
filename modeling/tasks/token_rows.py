"""Examples as rows of tokens, unpadded in flat arrays.

N examples have R rows, R > N where long texts are read through windows or there
are several choices; the rows have T tokens in all.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple, Protocol, TypeVar

import numpy as np

from modeling.tasks.flat_arrays import join, pad, ranges
from modeling.workers import Workers

ExampleT = TypeVar("ExampleT")

# Examples that a process gets at once.
_CHUNK = 512


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
        return ranges(self.example_starts[examples], counts), owners

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
        input_ids, mask = pad(self.ids, starts, lengths, length)
        is_second = np.arange(length) >= self.first_lengths[rows][:, None]
        segments = mask & is_second
        return {
            "input_ids": input_ids,
            "input_mask": mask.astype(np.int32),
            "segment_ids": segments.astype(np.int32),
        }


class RowEncoder(Protocol):
    """Makes rows of examples of its kind; can be sent to other processes."""

    def __call__(self, examples: Sequence[Any]) -> EncodedExamples:
        """Raises `UserError` for an example that it cannot use."""


def encode_examples(
    encoder: RowEncoder, examples: Iterable[Any], num_workers: int = 1
) -> EncodedExamples:
    """All examples, in memory."""
    chunks = [encoded for _, encoded in stream(encoder, examples, num_workers)]
    return join(chunks) if chunks else encoder([])


def stream(
    encoder: RowEncoder,
    examples: Iterable[ExampleT],
    num_workers: int = 1,
    chunk_size: int = _CHUNK,
) -> Iterator[tuple[list[ExampleT], EncodedExamples]]:
    """Yields chunks of the examples with what has become of them, in order.

    The examples are read only as far as the processes need, so that memory is
    bounded for any number of them.
    """
    rest = iter(examples)
    chunks = iter(lambda: list(itertools.islice(rest, chunk_size)), [])
    with Workers({"encode": encoder}, num_workers) as workers:
        yield from workers.map("encode", chunks)
