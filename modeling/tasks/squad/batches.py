"""Windows as batches for a model."""

from __future__ import annotations

import dataclasses

import numpy as np
import tensorflow as tf

from modeling.tasks.squad.features import FeatureSet

_ROWS = ("input_ids", "input_mask", "segment_ids")
_POSITIONS = ("start_positions", "end_positions")


@dataclasses.dataclass(frozen=True, eq=False)
class SquadExamples:
    """Windows that `ArrayInput` makes batches of.

    Attributes:
      features: see there.
    """

    features: FeatureSet

    def lengths(self) -> np.ndarray:
        """Tokens of every window's row: int [W]."""
        return self.features.lengths

    def rows_per_example(self) -> np.ndarray:
        """Ones: int [W]."""
        return np.ones(len(self.features), np.int64)

    def signature(self) -> dict[str, tf.TensorSpec]:
        """Shapes and types of `arrays`."""
        return {
            **{name: tf.TensorSpec([None, None], tf.int32) for name in _ROWS},
            **{name: tf.TensorSpec([None], tf.int32) for name in _POSITIONS},
            "example_weights": tf.TensorSpec([None], tf.float32),
        }

    def arrays(
        self, indices: np.ndarray, length: int, size: int
    ) -> dict[str, np.ndarray]:
        """Features of some windows, filled up to `size` with empty ones.

        Returns:
          input_ids, input_mask, segment_ids: int32 [size, length]
          start_positions, end_positions: int32 [size]
          example_weights: 1, and 0 for those that fill: float32 [size]
        """
        columns = self.features.columns(indices, length)
        arrays = {}
        for name in (*_ROWS, *_POSITIONS):
            values = columns[name]
            arrays[name] = np.zeros((size, *values.shape[1:]), np.int32)
            arrays[name][: len(values)] = values
        weights = np.zeros(size, np.float32)
        weights[: len(indices)] = 1.0
        return {**arrays, "example_weights": weights}
