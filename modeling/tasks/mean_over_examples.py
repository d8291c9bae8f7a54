"""MeanOverExamples: what tasks share whose loss is a mean over examples."""

from __future__ import annotations

from collections.abc import Mapping

import tensorflow as tf

Features = Mapping[str, tf.Tensor]
Sums = dict[str, tf.Tensor]


class MeanOverExamples:
    """The part of a `Task` that only counts.

    Features have `input_mask`, and `example_weights`, 0 for examples that fill
    a batch up. Sums have `loss` and may have `correct`.
    """

    # As the original in fine-tuning.
    norm_of_looked_up_rows = True

    def weights(self, features: Features) -> Sums:
        """Examples and tokens."""
        mask = tf.cast(features["input_mask"], tf.float32)
        return {
            "sequences": tf.reduce_sum(features["example_weights"]),
            "tokens": tf.reduce_sum(mask),
        }

    def loss(self, sums: Sums, weights: Sums) -> tf.Tensor:
        """The mean over examples."""
        return tf.math.divide_no_nan(sums["loss"], weights["sequences"])

    def metrics(
        self, sums: Mapping[str, float], weights: Mapping[str, float]
    ) -> dict[str, float]:
        """Accuracy, of tasks with right answers."""
        if "correct" not in sums:
            return {}
        return {"accuracy": sums["correct"] / max(weights["sequences"], 1.0)}
