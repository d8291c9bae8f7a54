"""The encoder as a function from padded rows to the vectors that are asked for.

What is not needed is not computed, and only the result leaves the device.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from modeling.features.options import FeatureOptions
from modeling.features.rows import Row
from modeling.features.vectors import choose_vectors
from modeling.network import BertModel

# Lengths that rows are padded to where shapes must be known in advance. Each
# is compiled once.
_STATIC_LENGTHS = (16, 32, 64, 128, 256, 512)


class ModelFunction:
    """Computes features of batches of rows.

    Args:
      model: the encoder, made under `strategy` if that is given.
      options: layers, combination and pooling.
      strategy: where given, batches go to its replicas, one each.
      static_shapes: compile with XLA for a few fixed shapes, as a TPU needs,
        instead of taking every shape as it comes.
    """

    def __init__(
        self,
        model: BertModel,
        options: FeatureOptions,
        strategy: tf.distribute.Strategy | None = None,
        static_shapes: bool = False,
    ) -> None:
        self._model = model
        self._options = options
        self._strategy = strategy
        self._static_shapes = static_shapes
        self._batch_tokens = options.batch_tokens
        matrix = tf.TensorSpec([None, None], tf.int32)
        if strategy is None:
            self._function = tf.function(
                self._replica_features,
                autograph=False,
                jit_compile=static_shapes or None,
                # Under XLA each shape is a trace of its own.
                input_signature=None if static_shapes else [matrix] * 3,
            )
        else:
            self._function = tf.function(
                lambda *batch: strategy.run(self._replica_features, batch),
                autograph=False,
                reduce_retracing=not static_shapes,
            )

    @property
    def num_replicas(self) -> int:
        """Batches that are computed at once."""
        return self._strategy.num_replicas_in_sync if self._strategy else 1

    def start(self, rows: Sequence[Row]) -> tuple[Sequence[Any], int]:
        """Puts batches to work, one a replica; returns handles for `finish`.

        Args:
          rows: at most as many as `batch_rows` says for the longest of them
            and every replica.

        Returns:
          The tensors of each replica, which may still be in computation, and
          the number of positions computed, padding included.
        """
        length = self._padded_length(max(len(row.ids) for row in rows))
        per_replica = -(-len(rows) // self.num_replicas)
        if self._static_shapes:
            per_replica = self.batch_rows(length)
        batches = [
            _pad(rows[start : start + per_replica], length, per_replica)
            for start in range(0, per_replica * self.num_replicas, per_replica)
        ]
        positions = sum(batch[0].size for batch in batches)
        if self._strategy is None:
            return [self._function(*map(tf.constant, batches[0]))], positions
        values = self._strategy.experimental_distribute_values_from_function(
            lambda context: tuple(
                map(
                    tf.constant,
                    batches[context.replica_id_in_sync_group],
                )
            )
        )
        results = self._function(*values)
        return self._strategy.experimental_local_results(results), positions

    def finish(
        self, results: Sequence[Any], rows: Sequence[Row]
    ) -> list[np.ndarray]:
        """Waits for what `start` began and takes the padding away.

        Returns:
          For every row float32 [tokens, vectors, size], or [vectors, size]
          with pooling.
        """
        arrays = [array for result in results for array in result.numpy()]
        if self._options.pooling != "none":
            return arrays[: len(rows)]
        # A copy, so that no row holds on to the padding of its batch.
        return [
            array[: len(row.ids)].copy()
            for row, array in zip(rows, arrays, strict=False)
        ]

    def batch_rows(self, length: int) -> int:
        """How many rows of so many tokens fit in one replica's batch."""
        return max(1, self._batch_tokens // self._padded_length(length))

    def _padded_length(self, length: int) -> int:
        if not self._static_shapes:
            return length
        lengths = (*_STATIC_LENGTHS, self._options.max_seq_length)
        allowed = [n for n in lengths if n <= self._options.max_seq_length]
        return min(n for n in allowed if n >= length)

    def _replica_features(
        self,
        input_ids: tf.Tensor,
        input_mask: tf.Tensor,
        segment_ids: tf.Tensor,
    ) -> tf.Tensor:
        outputs = self._model(
            {
                "input_ids": input_ids,
                "input_mask": input_mask,
                "segment_ids": segment_ids,
            }
        )
        return choose_vectors(outputs, input_mask, self._options)


def _pad(
    rows: Sequence[Row], length: int, count: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """ids, mask and segments, int32 [count, length]; missing rows are empty."""
    input_ids = np.zeros((count, length), np.int32)
    input_mask = np.zeros((count, length), np.int32)
    segment_ids = np.zeros((count, length), np.int32)
    for i, row in enumerate(rows):
        size = len(row.ids)
        input_ids[i, :size] = row.ids
        input_mask[i, :size] = 1
        segment_ids[i, row.first_length : size] = 1
    return input_ids, input_mask, segment_ids
