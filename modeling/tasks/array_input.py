"""ArrayInput: examples in memory, or mapped from a file, as batches."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable, Iterator
from typing import Protocol

import numpy as np
import tensorflow as tf

from modeling.tasks.length_batches import (
    Batch,
    BatchOptions,
    prediction_batches,
    training_batches,
)

Arrays = dict[str, np.ndarray]
_BATCHES_AHEAD = 4


class Share(Protocol):
    """What one host reads; `modeling.training.Share`."""

    host: int
    num_hosts: int
    replicas: int


class Examples(Protocol):
    """Examples that can be laid out in padded arrays."""

    def lengths(self) -> np.ndarray:
        """Tokens of every example's longest row: int [N]."""

    def rows_per_example(self) -> np.ndarray:
        """int [N]."""

    def signature(self) -> dict[str, tf.TensorSpec]:
        """What `arrays` gives; unknown dimensions are None."""

    def arrays(self, indices: np.ndarray, length: int, size: int) -> Arrays:
        """Features of some examples.

        Args:
          indices: of the examples: int [at most `size`].
          length: what rows are padded to.
          size: examples that the batch is filled up to; those that only fill
            weigh nothing.
        """


@dataclasses.dataclass(frozen=True)
class ArrayInput:
    """Batches of examples of similar length, for every host and replica.

    Attributes:
      examples: see there.
      options: sizes of global batches.
      seed: of the order.
      order: epoch -> which examples to take; None: each once.
      micro_batches: a replica's part of a training batch is filled up to a
        multiple of so many examples.
    """

    examples: Examples
    options: BatchOptions
    seed: int = 0
    order: Callable[[int], np.ndarray] | None = None
    micro_batches: int = 1

    def training(self, share: Share, position: np.ndarray) -> tf.data.Dataset:
        """Endless batches for a host's replicas in turn, with positions.

        Args:
          share: of this host.
          position: where to go on: epoch and batch of the epoch, int64 [3].
        """

        def generate() -> Iterator[tuple[Arrays, np.ndarray]]:
            for batch, after in self._from(int(position[0]), int(position[1])):
                for part in self._parts(batch, share):
                    yield part, after

        positions = tf.TensorSpec([3], tf.int64)
        return tf.data.Dataset.from_generator(
            generate, output_signature=(self._signature(share), positions)
        ).prefetch(_BATCHES_AHEAD * share.replicas)

    def prediction(self, replicas: int) -> Iterator[tuple[np.ndarray, Arrays]]:
        """Every example once: (indices [n], features of all replicas).

        Args:
          replicas: of this host, each of which takes an equal part of a batch;
            examples that fill it up stand at the end.
        """
        batches = prediction_batches(
            self.examples.lengths(),
            self.options,
            self.examples.rows_per_example(),
        )
        for batch in batches:
            size = self._size(batch, replicas, 1) * replicas
            features = self.examples.arrays(batch.indices, batch.length, size)
            yield batch.indices, features

    def batches_per_epoch(self) -> int:
        """Batches of the first epoch; with a fixed size, of all."""
        return len(self._batches(0))

    def _from(
        self, first_epoch: int, number: int
    ) -> Iterator[tuple[Batch, np.ndarray]]:
        for epoch in itertools.count(first_epoch):
            batches = self._batches(epoch)
            while number < len(batches):
                batch = batches[number]
                number += 1
                yield batch, np.array([epoch, number, 0])
            number = 0

    def _batches(self, epoch: int) -> list[Batch]:
        return training_batches(
            self.examples.lengths(),
            self.options,
            self.seed,
            epoch,
            self.examples.rows_per_example(),
            self.order(epoch) if self.order else None,
        )

    def _parts(self, batch: Batch, share: Share) -> Iterator[Arrays]:
        """The features of this host's replicas."""
        replicas = share.replicas * share.num_hosts
        size = self._size(batch, replicas, self.micro_batches)
        first = share.host * share.replicas
        for replica in range(first, first + share.replicas):
            indices = batch.indices[replica * size : (replica + 1) * size]
            yield self.examples.arrays(indices, batch.length, size)

    def _size(self, batch: Batch, replicas: int, multiple: int) -> int:
        """Examples of a replica's part of a batch, those that fill included."""
        size = len(batch.indices)
        if self.options.buckets:
            # Few shapes for compilers.
            rows = self.examples.rows_per_example()[batch.indices].max()
            size = max(size, self._most_examples(int(rows) * batch.length))
        return -(-size // (replicas * multiple)) * multiple

    def _most_examples(self, tokens: int) -> int:
        """Examples of so many padded tokens that a batch may have."""
        limits = []
        if self.options.batch_size is not None:
            limits.append(self.options.batch_size)
        if self.options.max_tokens is not None:
            limits.append(self.options.max_tokens // tokens)
        return min(limits)

    def _signature(self, share: Share) -> dict[str, tf.TensorSpec]:
        """With all shapes, as TPUs want them, where batches have only one."""
        rows = self.examples.rows_per_example()
        if len(self.options.buckets or ()) != 1 or rows.min() != rows.max():
            return self.examples.signature()
        (length,) = self.options.buckets
        batch = Batch(np.zeros(1, np.int64), length)
        replicas = share.replicas * share.num_hosts
        size = self._size(batch, replicas, self.micro_batches)
        arrays = self.examples.arrays(batch.indices, length, size)
        return {
            name: tf.TensorSpec(values.shape, values.dtype)
            for name, values in arrays.items()
        }
