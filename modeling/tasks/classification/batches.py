"""Encoded examples as batches for a model."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import numpy as np
import tensorflow as tf

from modeling.tasks.token_rows import EncodedExamples

_TOKENS = ("input_ids", "input_mask", "segment_ids")


@dataclasses.dataclass(frozen=True)
class ClassificationExamples:
    """Examples that `ArrayInput` makes batches of.

    Attributes:
      encoded: their rows and targets.
      windows: whether texts are read through windows: a batch has then
        [examples, windows, length] tokens instead of [examples, length].
    """

    encoded: EncodedExamples
    windows: bool = False

    def __len__(self) -> int:
        return self.encoded.num_examples

    def lengths(self) -> np.ndarray:
        """Tokens of every example's longest row: int [N]."""
        return self.encoded.example_lengths()

    def rows_per_example(self) -> np.ndarray:
        """int [N]."""
        return self.encoded.rows_per_example()

    def signature(self) -> dict[str, tf.TensorSpec]:
        """Shapes and types of `arrays`."""
        targets = self.encoded.targets
        shape = [None] * (3 if self.windows else 2)
        return {
            **{name: tf.TensorSpec(shape, tf.int32) for name in _TOKENS},
            "targets": tf.TensorSpec([None, *targets.shape[1:]], targets.dtype),
            "example_weights": tf.TensorSpec([None], tf.float32),
        }

    def arrays(
        self, indices: np.ndarray, length: int, size: int
    ) -> dict[str, np.ndarray]:
        """Features of some examples, filled up to `size` with empty ones.

        Returns:
          input_ids, input_mask, segment_ids: int32 [size(, windows), length]
          targets: [size(, labels)]
          example_weights: 1, and 0 for those that fill: float32 [size]
        """
        rows, owners = self.encoded.rows_of(indices)
        padded = self.encoded.pad(rows, length)
        features = {
            name: self._place(values, owners, size)
            for name, values in padded.items()
        }
        known = self.encoded.targets[indices]
        targets = np.zeros((size, *known.shape[1:]), known.dtype)
        targets[: len(indices)] = known
        weights = np.zeros(size, np.float32)
        weights[: len(indices)] = 1.0
        return {**features, "targets": targets, "example_weights": weights}

    def content(self) -> Iterator[bytes]:
        """What tells the examples' tokens from others."""
        for array in (
            self.encoded.ids,
            self.encoded.row_starts,
            self.encoded.first_lengths,
            self.encoded.example_starts,
        ):
            yield np.ascontiguousarray(array).tobytes()

    def _place(
        self, rows: np.ndarray, owners: np.ndarray, size: int
    ) -> np.ndarray:
        """[rows, length] -> [size(, windows), length]"""
        if not self.windows:
            placed = np.zeros((size, rows.shape[1]), rows.dtype)
            placed[: len(rows)] = rows
            return placed
        counts = np.bincount(owners, minlength=size)
        # [rows]: which window of its text each one is.
        starts = np.cumsum(counts) - counts
        windows = np.arange(len(rows)) - starts[owners]
        most = max(1, int(counts.max(initial=1)))
        placed = np.zeros((size, most, rows.shape[1]), rows.dtype)
        placed[owners, windows] = rows
        return placed
