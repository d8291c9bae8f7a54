"""Pre-training: masked words, and the order of two segments."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping
from typing import Any

import keras
import tensorflow as tf

from modeling.config import BertConfig
from modeling.network import BertPretrainer
from modeling.network.losses import cross_entropy
from modeling.tasks.flops import (
    Shapes,
    count_rows,
    dense_part,
    encoder_parts,
    pooler_part,
    training_flops,
)

Features = Mapping[str, tf.Tensor]
Sums = dict[str, tf.Tensor]

_INPUTS = (
    "input_ids",
    "input_mask",
    "segment_ids",
    "masked_lm_positions",
    # Of packed rows only.
    "position_ids",
    "block_ids",
    "cls_positions",
)
# What stands in a predicted token's place, in the order of `_sort`.
_KINDS = ("masked", "random", "kept")


@dataclasses.dataclass(frozen=True)
class PretrainingTask:
    """Masked language model and next sentence prediction.

    Attributes:
      config: of the network.
      next_sentence: whether the second loss counts; without it the sentence
        pairs' head is left as it was.
      mask_id: of [MASK], by which an evaluation splits accuracy; None: it
        does not.
      policy: the network's Keras dtype policy.
      use_one_hot_embeddings: see `BertModel`.
      recompute: see `BertModel`.
      fuse: see `BertModel`.

    Source: `run_pretraining.model_fn_builder`; paper, section 3.1.
    """

    config: BertConfig
    next_sentence: bool = True
    mask_id: int | None = None
    policy: str = "float32"
    use_one_hot_embeddings: bool = False
    recompute: bool = False
    fuse: bool = False

    # The output layer shares the table, so that its gradient is whole.
    norm_of_looked_up_rows = False

    def build_model(self) -> BertPretrainer:
        """The encoder under both heads."""
        return BertPretrainer(
            self.config,
            self.use_one_hot_embeddings,
            recompute=self.recompute,
            fuse=self.fuse,
            dtype=self.policy,
        )

    def weights(self, features: Features) -> Sums:
        """Predictions, sentence pairs, sequences and tokens."""
        sequences = tf.reduce_sum(features["next_sentence_weights"])
        pairs = sequences if self.next_sentence else tf.zeros(())
        weights = {
            "predictions": tf.reduce_sum(features["masked_lm_weights"]),
            "pairs": pairs,
            "sequences": sequences,
            "tokens": _count(features["input_mask"]),
        }
        if self.mask_id is not None:
            for kind, weight in zip(_KINDS, self._sort(features), strict=True):
                weights[f"{kind}_predictions"] = tf.reduce_sum(weight)
        return weights

    def flops(self, shapes: Shapes, is_trained: Callable[[str], bool]) -> int:
        """Of the blocks, the predictions and the sentence pairs."""
        size = self.config.hidden_size
        predictions = math.prod(shapes["masked_lm_positions"])
        parts = [
            *encoder_parts(self.config, *count_rows(shapes)),
            dense_part(
                "cls/predictions/",
                predictions,
                size,
                size,
                self.config.vocab_size,
            ),
        ]
        if self.next_sentence:
            sequences = math.prod(shapes["next_sentence_weights"])
            parts += [
                pooler_part(self.config, sequences),
                dense_part("cls/seq_relationship/", sequences, size, 2),
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
        """Losses and correct answers, weighted."""
        outputs = model(
            {name: features[name] for name in _INPUTS if name in features},
            training=training,
            dropout_seed=dropout_seed,
        )
        word_logits = outputs["masked_lm_logits"]
        words = features["masked_lm_ids"]
        weights = features["masked_lm_weights"]
        correct = _correct(word_logits, words) * weights
        sums = {
            "masked_lm_loss": tf.reduce_sum(
                cross_entropy(word_logits, words) * weights
            ),
            "masked_lm_correct": tf.reduce_sum(correct),
        }
        if self.next_sentence:
            labels = features["next_sentence_labels"]
            # [B, 2] -> [B, 1, 2]; packed rows have [B, K, 2]
            logits = tf.reshape(
                outputs["next_sentence_logits"], (-1, labels.shape[1], 2)
            )
            weights = features["next_sentence_weights"]
            sums["next_sentence_loss"] = tf.reduce_sum(
                cross_entropy(logits, labels) * weights
            )
            sums["next_sentence_correct"] = tf.reduce_sum(
                _correct(logits, labels) * weights
            )
        if self.mask_id is not None and not training:
            for kind, weight in zip(_KINDS, self._sort(features), strict=True):
                sums[f"{kind}_correct"] = tf.reduce_sum(
                    _correct(word_logits, words) * weight
                )
        return sums

    def loss(self, sums: Sums, weights: Sums) -> tf.Tensor:
        """The sum of both losses' means.

        Source: `get_masked_lm_output`, `get_next_sentence_output`.
        """
        loss = sums["masked_lm_loss"] / (weights["predictions"] + 1e-5)
        if self.next_sentence:
            loss += tf.math.divide_no_nan(
                sums["next_sentence_loss"], weights["pairs"]
            )
        return loss

    def metrics(
        self, sums: Mapping[str, float], weights: Mapping[str, float]
    ) -> dict[str, float]:
        """The original's, perplexity, and accuracy by kind of replacement."""
        words = max(weights["predictions"], 1.0)
        masked_lm_loss = sums["masked_lm_loss"] / words
        metrics = {
            "masked_lm_loss": masked_lm_loss,
            "masked_lm_accuracy": sums["masked_lm_correct"] / words,
            "masked_lm_perplexity": _exp(masked_lm_loss),
        }
        if self.next_sentence:
            pairs = max(weights["pairs"], 1.0)
            metrics["next_sentence_loss"] = sums["next_sentence_loss"] / pairs
            metrics["next_sentence_accuracy"] = (
                sums["next_sentence_correct"] / pairs
            )
        for kind in _KINDS:
            if f"{kind}_correct" in sums and weights[f"{kind}_predictions"]:
                metrics[f"masked_lm_accuracy_{kind}"] = (
                    sums[f"{kind}_correct"] / weights[f"{kind}_predictions"]
                )
        return metrics

    def _sort(self, features: Features) -> tuple[tf.Tensor, ...]:
        """The weights of predictions by what the input has in their place."""
        # [B, P]
        seen = tf.gather(
            features["input_ids"], features["masked_lm_positions"], batch_dims=1
        )
        masked = tf.cast(seen == self.mask_id, tf.float32)
        kept = tf.cast(seen == features["masked_lm_ids"], tf.float32)
        weights = features["masked_lm_weights"]
        return (
            weights * masked,
            weights * (1.0 - masked) * (1.0 - kept),
            weights * (1.0 - masked) * kept,
        )


def _correct(logits: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
    """[..., classes] and [...] -> float32 [...], 1 where the best is right."""
    best = tf.argmax(logits, axis=-1, output_type=labels.dtype)
    return tf.cast(best == labels, tf.float32)


def _count(mask: tf.Tensor) -> tf.Tensor:
    return tf.reduce_sum(tf.cast(mask, tf.float32))


def _exp(loss: float) -> float:
    return math.inf if loss >= 700 else math.exp(loss)
