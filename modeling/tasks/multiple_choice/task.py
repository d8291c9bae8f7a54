"""ChoiceTask: which of several answers is right."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from modeling.config import BertConfig
from modeling.network import BertMultipleChoice
from modeling.network.losses import cross_entropy
from modeling.tasks.flops import (
    Shapes,
    count_rows,
    dense_part,
    encoder_parts,
    pooler_part,
    training_flops,
)
from modeling.tasks.mean_over_examples import Features, MeanOverExamples, Sums

_INPUTS = ("input_ids", "input_mask", "segment_ids")


@dataclasses.dataclass(frozen=True)
class ChoiceTask(MeanOverExamples):
    """A choice among the rows of an example, as many as it has.

    Attributes:
      config: of the network.
      policy: the network's Keras dtype policy.
      use_one_hot_embeddings: see `BertModel`.
      recompute: see `BertModel`.

    Source: paper, section 4.4.
    """

    config: BertConfig
    policy: str = "float32"
    use_one_hot_embeddings: bool = False
    recompute: bool = False

    def build_model(self) -> BertMultipleChoice:
        """The encoder under the head."""
        return BertMultipleChoice(
            self.config,
            self.use_one_hot_embeddings,
            self.recompute,
            dtype=self.policy,
        )

    def flops(self, shapes: Shapes, is_trained: Callable[[str], bool]) -> int:
        """Of the blocks, and of a score for every choice."""
        rows, length = count_rows(shapes)
        parts = [
            *encoder_parts(self.config, rows, length),
            pooler_part(self.config, rows),
            dense_part("output_weights", rows, self.config.hidden_size, 1),
        ]
        return training_flops(parts, is_trained)

    def sums(
        self,
        model: keras.Model,
        features: Features,
        *,
        training: bool = False,
        dropout_seed: Any = None,
    ) -> Sums:
        """The loss and the right answers."""
        logits = model(
            _inputs(features), training=training, dropout_seed=dropout_seed
        )
        targets, weights = features["targets"], features["example_weights"]
        losses = cross_entropy(logits, targets)
        best = tf.argmax(logits, axis=-1, output_type=targets.dtype)
        right = tf.cast(best == targets, tf.float32)
        return {
            "loss": tf.reduce_sum(losses * weights),
            "correct": tf.reduce_sum(right * weights),
        }

    def outputs(self, model: keras.Model, features: Features) -> Sums:
        """What is predicted.

        Returns:
          probabilities: of the choices, 0 where there is none: float32
            [examples, choices]
          losses: as if `targets` were right: float32 [examples]
        """
        logits = tf.cast(model(_inputs(features)), tf.float32)
        losses = cross_entropy(logits, features["targets"])
        return {"probabilities": tf.nn.softmax(logits), "losses": losses}


def _inputs(features: Features) -> dict[str, tf.Tensor]:
    return {name: features[name] for name in _INPUTS}
