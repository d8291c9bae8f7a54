"""SquadTask: where in a window the answer starts and ends."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from modeling.config import BertConfig
from modeling.network import BertQuestionAnswerer
from modeling.network.losses import cross_entropy
from modeling.tasks.flops import (
    Shapes,
    count_rows,
    dense_part,
    encoder_parts,
    training_flops,
)
from modeling.tasks.mean_over_examples import Features, MeanOverExamples, Sums

_INPUTS = ("input_ids", "input_mask", "segment_ids")


@dataclasses.dataclass(frozen=True)
class SquadTask(MeanOverExamples):
    """Two choices among the tokens of a row: first and last of the answer.

    A row's loss is the mean of both; examples are windows.

    As in the original, all positions take part in the choice: [CLS], which
    stands for no answer, the question, and padding, whose scores so learn to be
    low. How much padding there is depends on what rows are padded to. Where
    that is the longest of a batch, the loss of a row is a little lower than it
    would be at max_seq_length.

    Attributes:
      config: of the network.
      policy: the network's Keras dtype policy.
      use_one_hot_embeddings: see `BertModel`.
      recompute: see `BertModel`.

    Source: `run_squad.model_fn_builder`.
    """

    config: BertConfig
    policy: str = "float32"
    use_one_hot_embeddings: bool = False
    recompute: bool = False

    def build_model(self) -> BertQuestionAnswerer:
        """The encoder under the head."""
        return BertQuestionAnswerer(
            self.config,
            self.use_one_hot_embeddings,
            self.recompute,
            dtype=self.policy,
        )

    def flops(self, shapes: Shapes, is_trained: Callable[[str], bool]) -> int:
        """Of the blocks, and of two scores for every position."""
        rows, length = count_rows(shapes)
        size = self.config.hidden_size
        parts = [
            *encoder_parts(self.config, rows, length),
            dense_part("cls/squad/", rows * length, size, 2),
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
        """The loss, and the windows whose start and end are both right."""
        logits = model(
            _inputs(features), training=training, dropout_seed=dropout_seed
        )
        weights = features["example_weights"]
        losses, right = tf.zeros(()), weights
        for side in ("start", "end"):
            scores = logits[f"{side}_logits"]
            positions = features[f"{side}_positions"]
            losses += cross_entropy(scores, positions) / 2.0
            best = tf.argmax(scores, axis=-1, output_type=positions.dtype)
            right *= tf.cast(best == positions, tf.float32)
        return {
            "loss": tf.reduce_sum(losses * weights),
            "correct": tf.reduce_sum(right),
        }

    def outputs(self, model: keras.Model, features: Features) -> Sums:
        """`start_logits` and `end_logits`, padding's too: float32 [B, F]"""
        logits = model(_inputs(features))
        return {k: tf.cast(v, tf.float32) for k, v in logits.items()}


def _inputs(features: Features) -> dict[str, tf.Tensor]:
    return {name: features[name] for name in _INPUTS}
