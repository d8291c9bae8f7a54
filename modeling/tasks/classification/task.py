"""Classification of texts and pairs, multi-label and regression."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import keras
import tensorflow as tf

from modeling.config import BertConfig
from modeling.network import BertClassifier, FeatureClassifier
from modeling.network.losses import cross_entropy
from modeling.tasks.classification.labels import Labels
from modeling.tasks.feature_based import FeatureBased

Features = Mapping[str, tf.Tensor]
Sums = dict[str, tf.Tensor]

_INPUTS = ("input_ids", "input_mask", "segment_ids", "hidden")


@dataclasses.dataclass(frozen=True)
class ClassificationTask:
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

    # As the original in fine-tuning.
    norm_of_looked_up_rows = True

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

    def weights(self, features: Features) -> Sums:
        """Examples and tokens."""
        mask = tf.cast(features["input_mask"], tf.float32)
        return {
            "sequences": tf.reduce_sum(features["example_weights"]),
            "tokens": tf.reduce_sum(mask),
        }

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
        targets, weights = features["targets"], features["example_weights"]
        losses = self._losses(logits, targets)
        if self.class_weights:
            losses *= tf.gather(tf.constant(self.class_weights), targets)
        sums = {"loss": tf.reduce_sum(losses * weights)}
        if self.labels.kind == "classification":
            best = tf.argmax(logits, axis=-1, output_type=targets.dtype)
            right = tf.cast(best == targets, tf.float32)
            sums["correct"] = tf.reduce_sum(right * weights)
        return sums

    def loss(self, sums: Sums, weights: Sums) -> tf.Tensor:
        """The mean over examples."""
        return tf.math.divide_no_nan(sums["loss"], weights["sequences"])

    def metrics(
        self, sums: Mapping[str, float], weights: Mapping[str, float]
    ) -> dict[str, float]:
        """Accuracy, of single labels."""
        if "correct" not in sums:
            return {}
        return {"accuracy": sums["correct"] / max(weights["sequences"], 1.0)}

    def outputs(self, model: keras.Model, features: Features) -> Sums:
        """What is predicted.

        Returns:
          outputs: probabilities of the labels, in regression the number:
            float32 [examples, labels]
          losses: as if `targets` were right, without class weights: float32
            [examples]
        """
        logits = model(_inputs(features))
        kind = self.labels.kind
        outputs = tf.cast(logits, tf.float32)
        if kind == "classification":
            outputs = tf.nn.softmax(outputs)
        elif kind == "multi_label":
            outputs = tf.sigmoid(outputs)
        losses = self._losses(logits, features["targets"])
        return {"outputs": outputs, "losses": losses}

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
