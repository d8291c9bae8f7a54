"""Examples in rows of tokens as batches for a model."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
from collections.abc import Iterator

import numpy as np
import tensorflow as tf

from modeling.tasks.token_rows import EncodedExamples

_TOKENS = ("input_ids", "input_mask", "segment_ids")


@dataclasses.dataclass(frozen=True)
class RowExamples:
    """Examples that `ArrayInput` makes batches of.

    Attributes:
      encoded: their rows and targets.
      grouped: whether an example has several rows, windows of a text or
        choices: a batch has then [examples, rows, length] tokens instead of
        [examples, length].
    """

    encoded: EncodedExamples
    grouped: bool = False

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
        shape = [None] * (3 if self.grouped else 2)
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
          input_ids, input_mask, segment_ids: int32 [size(, rows), length]
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

    def digest(self) -> str:
        """Tells the examples and their targets from others."""
        digest = hashlib.sha256()
        for content in self.content():
            digest.update(content)
        digest.update(np.ascontiguousarray(self.encoded.targets).tobytes())
        return digest.hexdigest()[:16]

    @functools.cached_property
    def _fewest_rows(self) -> int:
        rows = self.rows_per_example()
        return int(rows.min()) if len(rows) else 1

    def _place(
        self, rows: np.ndarray, owners: np.ndarray, size: int
    ) -> np.ndarray:
        """[rows, length] -> [size(, rows), length]"""
        if not self.grouped:
            placed = np.zeros((size, rows.shape[1]), rows.dtype)
            placed[: len(rows)] = rows
            return placed
        counts = np.bincount(owners, minlength=size)
        # [rows]: which row of its example each one is.
        starts = np.cumsum(counts) - counts
        places = np.arange(len(rows)) - starts[owners]
        # Where all examples have as many rows, batches of none have, too: one
        # shape for compilers.
        most = int(counts.max(initial=self._fewest_rows))
        placed = np.zeros((size, most, rows.shape[1]), rows.dtype)
        placed[owners, places] = rows
        return placed
