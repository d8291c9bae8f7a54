"""PackedInput: batches of rows that several short examples share.

examples    [CLS] a b [SEP]     [CLS] c [SEP]
row         [CLS] a b [SEP] [CLS] c [SEP] [PAD]
block_ids     1   1 1   1     2   2   2     0     attend within a block
position_ids  0   1 2   3     0   1   2     0
targets       7 3 0 ..                            one for each example
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from modeling.records.packing import RowCapacity, RowLayout, assign_rows
from modeling.tasks.array_input import ArrayInput, Arrays, Examples, Share
from modeling.tasks.flat_arrays import ranges
from modeling.tasks.length_batches import BatchOptions, window_size
from modeling.tasks.token_rows import EncodedExamples

# Shorter texts than this, on average, do not fill a row.
_TOKENS_PER_EXAMPLE = 8


class PackedBatch(NamedTuple):
    """Examples that are computed together.

    Attributes:
      indices: of the examples, row by row: int64 [N]
      rows: which row of the batch each is in, non-decreasing: int64 [N]
      num_rows: of the batch; the last may be empty.
    """

    indices: np.ndarray
    rows: np.ndarray
    num_rows: int


@dataclasses.dataclass(frozen=True)
class PackedInput(ArrayInput):
    """Batches as `ArrayInput` makes them, in rows of the longest length.

    A batch of `batch_size` has the examples that it would have without packing
    in the order that they are shuffled in, in as few rows as they take. A batch
    of `max_tokens` has as many rows as these are, of examples from several
    batches' worth, so that rows are full.

    Its examples have one row each, and `encoded` has their tokens.
    """

    def prediction(self, replicas: int) -> Iterator[tuple[np.ndarray, Arrays]]:
        """Every example once: (indices, features of all replicas).

        The indices are those of the outputs, a row's after those of another,
        with -1 where there is none.
        """
        count = len(self.examples.lengths())
        for batch in self._cut(np.arange(count)):
            size = self._rows(batch, replicas, 1) * replicas
            places, arrays = self._pack(batch.indices, batch.rows, size)
            yield places.reshape(-1), arrays

    def _batches(self, epoch: int) -> list[PackedBatch]:
        # As `training_batches` draws them.
        rng = np.random.default_rng([self.seed, epoch])
        order = np.arange(len(self.examples.lengths()))
        if self.order is not None:
            order = self.order(epoch)
        batches = self._cut(rng.permutation(order))
        return [batches[place] for place in rng.permutation(len(batches))]

    def _cut(self, order: np.ndarray) -> list[PackedBatch]:
        """Cuts examples in the order given into batches, and those in rows."""
        options, lengths = self.options, self.examples.lengths()
        size = options.batch_size or window_size(lengths, options)
        batches = []
        for start in range(0, len(order), size):
            part = order[start : start + size]
            rows = assign_rows(
                lengths[part], np.zeros_like(part), self._capacity
            )
            by_row = np.argsort(rows, kind="stable")
            part, rows = part[by_row], rows[by_row]
            num_rows = self._num_rows(int(rows[-1]) + 1)
            for first in range(0, int(rows[-1]) + 1, num_rows):
                here = _slice(rows, first, num_rows)
                batches.append(
                    PackedBatch(part[here], rows[here] - first, num_rows)
                )
        return batches

    def _num_rows(self, needed: int) -> int:
        """Of a batch, empty ones for compilers included."""
        if self.options.max_tokens is not None:
            return max(1, self.options.max_tokens // self._length)
        return -(-needed // self.options.row_multiple) * (
            self.options.row_multiple
        )

    def _parts(self, batch: PackedBatch, share: Share) -> Iterator[Arrays]:
        """The features of this host's replicas."""
        replicas = share.replicas * share.num_hosts
        size = self._rows(batch, replicas, self.micro_batches)
        first = share.host * share.replicas
        for replica in range(first, first + share.replicas):
            here = _slice(batch.rows, replica * size, size)
            rows = batch.rows[here] - replica * size
            yield self._pack(batch.indices[here], rows, size)[1]

    def _rows(self, batch: PackedBatch, replicas: int, multiple: int) -> int:
        """Of a replica's part of a batch."""
        return -(-batch.num_rows // (replicas * multiple)) * multiple

    def _signature(self, share: Share) -> dict[str, tf.TensorSpec]:
        """With all shapes where batches have only one."""
        size = None
        nothing = np.zeros(0, np.int64)
        if self.options.max_tokens is not None:
            replicas = share.replicas * share.num_hosts
            batch = PackedBatch(nothing, nothing, self._num_rows(0))
            size = self._rows(batch, replicas, self.micro_batches)
        _, arrays = self._pack(nothing, nothing, 1)
        return {
            name: tf.TensorSpec([size, *values.shape[1:]], values.dtype)
            for name, values in arrays.items()
        }

    def _pack(
        self, indices: np.ndarray, rows: np.ndarray, num_rows: int
    ) -> tuple[np.ndarray, Arrays]:
        return pack_rows(
            self.examples.encoded, indices, rows, num_rows, self._capacity
        )

    @property
    def _length(self) -> int:
        return self.options.buckets[-1]

    @property
    def _capacity(self) -> RowCapacity:
        most = max(1, self._length // _TOKENS_PER_EXAMPLE)
        return RowCapacity(self._length, 0, most)


def arrange(
    examples: Examples,
    options: BatchOptions,
    seed: int = 0,
    order: Callable[[int], np.ndarray] | None = None,
) -> ArrayInput:
    """Batches of examples, packed where the options say so."""
    kind = PackedInput if options.packed else ArrayInput
    return kind(examples, options, seed, order)


def pack_rows(
    encoded: EncodedExamples,
    indices: np.ndarray,
    rows: np.ndarray,
    num_rows: int,
    capacity: RowCapacity,
) -> tuple[np.ndarray, Arrays]:
    """Examples of one row each, in rows that they share.

    Args:
      encoded: all examples.
      indices: of those that are packed: int [N]
      rows: which row each goes to, non-decreasing: int [N]
      num_rows: R, all of them.
      capacity: of a row.

    Returns:
      The example of every place of every row, -1 for none: int64 [R, K]; and
        input_ids, input_mask, segment_ids, position_ids, block_ids: int32
          [R, L]
        cls_positions: where each example begins: int32 [R, K]
        targets: [R, K(, labels)]
        example_weights: 1 for each example: float32 [R, K]
    """
    starts = encoded.row_starts[indices]
    lengths = encoded.row_starts[indices + 1] - starts
    layout = RowLayout.of(rows, lengths, np.zeros_like(lengths))
    ranks = ranges(np.zeros_like(starts), lengths)

    def of_tokens(values: np.ndarray | int) -> np.ndarray:
        placed = np.zeros((num_rows, capacity.tokens), np.int32)
        before = np.repeat(layout.tokens_before, lengths)
        placed[np.repeat(rows, lengths), before + ranks] = values
        return placed

    def of_examples(values: np.ndarray, fill: int = 0) -> np.ndarray:
        shape = (num_rows, capacity.instances, *values.shape[1:])
        placed = np.full(shape, fill, values.dtype)
        placed[rows, layout.block] = values
        return placed

    first_lengths = np.repeat(encoded.first_lengths[indices], lengths)
    arrays = {
        "input_ids": of_tokens(encoded.ids[ranges(starts, lengths)]),
        "input_mask": of_tokens(1),
        "segment_ids": of_tokens(ranks >= first_lengths),
        "position_ids": of_tokens(ranks),
        "block_ids": of_tokens(np.repeat(layout.block + 1, lengths)),
        "cls_positions": of_examples(layout.tokens_before.astype(np.int32)),
        "targets": of_examples(encoded.targets[indices]),
        "example_weights": of_examples(np.ones(len(indices), np.float32)),
    }
    return of_examples(indices, fill=-1), arrays


def _slice(rows: np.ndarray, first: int, count: int) -> slice:
    """Where the examples of some rows stand."""
    return slice(*np.searchsorted(rows, [first, first + count]).tolist())
