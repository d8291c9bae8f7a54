"""Classification of texts and pairs, multi-label and regression."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from modeling.config import BertConfig
from modeling.network import BertClassifier, FeatureClassifier
from modeling.network.losses import cross_entropy
from modeling.tasks.classification.labels import Labels
from modeling.tasks.feature_based import FeatureBased
from modeling.tasks.flops import (
    Shapes,
    count_rows,
    dense_part,
    encoder_parts,
    pooler_part,
    training_flops,
)
from modeling.tasks.mean_over_examples import Features, MeanOverExamples, Sums

_INPUTS = (
    "input_ids",
    "input_mask",
    "segment_ids",
    "hidden",
    # Of packed rows only.
    "position_ids",
    "block_ids",
    "cls_positions",
)


@dataclasses.dataclass(frozen=True)
class ClassificationTask(MeanOverExamples):
    """One of several classes, any number of them, or a number.

    Attributes:
      config: of the network.
      labels: what is told apart.
      pooling: see `BertClassifier`.
      class_weights: a factor on the loss of every class's examples; none where
        all count alike.
      feature_based: of a frozen encoder; None: it is fine-tuned.
      policy: the network's Keras dtype policy.
      use_one_hot_embeddings: see `BertModel`.
      recompute: see `BertModel`.

    Source: `run_classifier.model_fn_builder`.
    """

    config: BertConfig
    labels: Labels
    pooling: str = "cls"
    class_weights: tuple[float, ...] = ()
    feature_based: FeatureBased | None = None
    policy: str = "float32"
    use_one_hot_embeddings: bool = False
    recompute: bool = False

    def build_model(self) -> BertClassifier | FeatureClassifier:
        """The encoder under the head."""
        outputs = self.labels.num_outputs
        if self.feature_based is not None:
            return FeatureClassifier(
                self.config,
                outputs,
                pooling=self.pooling,
                use_one_hot_embeddings=self.use_one_hot_embeddings,
                dtype=self.policy,
                **dataclasses.asdict(
                    self.feature_based.resolve(self.config.num_hidden_layers)
                ),
            )
        return BertClassifier(
            self.config,
            outputs,
            self.use_one_hot_embeddings,
            self.recompute,
            self.pooling,
            dtype=self.policy,
        )

    def flops(
        self, shapes: Shapes, is_trained: Callable[[str], bool]
    ) -> int | None:
        """Of the blocks and the head; not counted of feature-based training,
        whose steps are a small network's alone.
        """
        if self.feature_based is not None:
            return None
        rows, length = count_rows(shapes)
        parts = encoder_parts(self.config, rows, length)
        if self.pooling == "cls":
            pooled = rows
            if "cls_positions" in shapes:
                pooled = math.prod(shapes["cls_positions"])
            parts.append(pooler_part(self.config, pooled))
        parts.append(
            dense_part(
                "output_weights",
                math.prod(shapes["example_weights"]),
                self.config.hidden_size,
                self.labels.num_outputs,
            )
        )
        return training_flops(parts, is_trained)

    def sums(
        self,
        model: keras.Model,
        features: Features,
        *,
        training: bool = False,
        dropout_seed: Any = None,
    ) -> Sums:
        """The loss, and of single labels the right answers."""
        logits = model(
            _inputs(features), training=training, dropout_seed=dropout_seed
        )
        targets = self._targets(features)
        weights = tf.reshape(features["example_weights"], [-1])
        losses = self._losses(logits, targets)
        if self.class_weights:
            losses *= tf.gather(tf.constant(self.class_weights), targets)
        sums = {"loss": tf.reduce_sum(losses * weights)}
        if self.labels.kind == "classification":
            best = tf.argmax(logits, axis=-1, output_type=targets.dtype)
            right = tf.cast(best == targets, tf.float32)
            sums["correct"] = tf.reduce_sum(right * weights)
        return sums

    def outputs(self, model: keras.Model, features: Features) -> Sums:
        """What is predicted.

        Returns:
          outputs: probabilities of the labels, in regression the number:
            float32 [examples, labels]
          losses: as if `targets` were right, without class weights: float32
            [examples]
        """
        logits = model(_inputs(features))
        losses = self._losses(logits, self._targets(features))
        return {"outputs": self.shares(logits), "losses": losses}

    def probabilities(
        self, model: Callable[..., tf.Tensor], features: Features
    ) -> tf.Tensor:
        """The `outputs` of `outputs`, which need no targets."""
        return self.shares(model(_inputs(features)))

    @property
    def keeps_tokens(self) -> bool:
        """Whether `encode` gives vectors of tokens, for a BiLSTM."""
        return bool(self.feature_based and self.feature_based.lstm_layers)

    def encode(self, model: FeatureClassifier, features: Features) -> tf.Tensor:
        """What the frozen encoder tells, see `FeatureClassifier.encode`."""
        return model.encode(_inputs(features))

    def encoding(self) -> dict[str, Any]:
        """What shapes `encode` beside weights, as JSON values."""
        layers = self.feature_based.resolve(self.config.num_hidden_layers)
        pooling = None if self.keeps_tokens else self.pooling
        return {"layers": layers.layers, "pooling": pooling}

    def _targets(self, features: Features) -> tf.Tensor:
        """[N(, labels)] of examples; of packed rows N is rows * places."""
        shape = [-1]
        if self.labels.kind == "multi_label":
            shape.append(self.labels.num_outputs)
        return tf.reshape(features["targets"], shape)

    def shares(self, logits: tf.Tensor) -> tf.Tensor:
        """Probabilities of labels, or numbers: float32 [examples, labels]"""
        logits = tf.cast(logits, tf.float32)
        if self.labels.kind == "classification":
            return tf.nn.softmax(logits)
        if self.labels.kind == "multi_label":
            return tf.sigmoid(logits)
        return logits

    def _losses(self, logits: tf.Tensor, targets: tf.Tensor) -> tf.Tensor:
        """[B, labels] and [B(, labels)] -> float32 [B]"""
        logits = tf.cast(logits, tf.float32)
        if self.labels.kind == "classification":
            return cross_entropy(logits, targets)
        if self.labels.kind == "regression":
            return tf.square(logits[:, 0] - targets)
        losses = tf.nn.sigmoid_cross_entropy_with_logits(targets, logits)
        return tf.reduce_mean(losses, axis=-1)


def _inputs(features: Features) -> dict[str, tf.Tensor]:
    return {name: features[name] for name in _INPUTS if name in features}
