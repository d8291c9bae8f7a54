"""Task: what the training loop asks of anything that is to be learned."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

import keras
import tensorflow as tf

Features = Mapping[str, tf.Tensor]
Sums = dict[str, tf.Tensor]


class Task(Protocol):
    """A model, its loss and its metrics, seen from one device.

    A task knows no devices, steps, checkpoints or flags. Whatever it says of a
    batch it says in sums over rows, which add up over micro-batches, replicas
    and hosts; so the loss of a step is the exact mean over the global batch,
    however the batch is split.

    Implementations need not inherit from this class.
    """

    # Whether the norm that gradients are clipped by counts the rows that a
    # look-up table was asked for one by one, as the original does in
    # fine-tuning, or the table's gradient as a whole.
    norm_of_looked_up_rows: bool

    def build_model(self) -> keras.Model:
        """The model, whose variables' paths are their names in checkpoints."""

    def weights(self, features: Features) -> Sums:
        """What a batch weighs, from its features alone: float32 scalars.

        The denominators of `loss`, and the two counts `sequences` and
        `tokens`, without padding.
        """

    def sums(
        self,
        model: keras.Model,
        features: Features,
        *,
        training: bool = False,
        dropout_seed: tf.Tensor | None = None,
    ) -> Sums:
        """Sums over the rows of a batch: float32 scalars.

        Those of `loss`, and what `metrics` needs beside them. Rows that only
        fill a batch up must add nothing.
        """

    def flops(
        self,
        shapes: Mapping[str, Sequence[int]],
        is_trained: Callable[[str], bool],
    ) -> int | None:
        """Floating-point operations of a forward and backward pass.

        Args:
          shapes: of a batch's features.
          is_trained: told how paths of variables begin, whether any of them is
            trained.

        Returns:
          None: they are not counted.
        """

    def loss(self, sums: Sums, weights: Sums) -> tf.Tensor:
        """The scalar to minimise, linear in `sums`.

        Args:
          sums: of some rows of a batch.
          weights: of the whole global batch.
        """

    def metrics(
        self, sums: Mapping[str, float], weights: Mapping[str, float]
    ) -> dict[str, float]:
        """What is reported, of sums and weights over any number of batches."""
