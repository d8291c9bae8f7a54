"""TaggingTask: a tag for every word, alone or as a chain."""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Callable, Mapping
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from modeling.config import BertConfig
from modeling.network import BertTagger, FeatureTagger
from modeling.network.losses import cross_entropy
from modeling.network.tag_chains import Allowed, Layout, Scores, viterbi
from modeling.tasks.feature_based import ChosenLayers, check_lstm
from modeling.tasks.flops import (
    Shapes,
    count_rows,
    dense_part,
    encoder_parts,
    lstm_part,
    training_flops,
)
from modeling.tasks.tagging.tag_set import TagSet

Features = Mapping[str, tf.Tensor]
Sums = dict[str, tf.Tensor]
# Scores of sentences [B, T, K] and a mask [B, T] -> ids of tags [B, T].
Decoder = Callable[[np.ndarray, np.ndarray], np.ndarray]

SOFTMAX, CRF, BILSTM_CRF = HEADS = ("softmax", "crf", "bilstm_crf")
_INPUTS = (
    "input_ids",
    "input_mask",
    "segment_ids",
    "hidden",
    "word_positions",
    "word_mask",
)


@dataclasses.dataclass(frozen=True)
class TaggingHead:
    """What stands on the words' vectors.

    Attributes:
      crf: whether tags are learned as chains, not each word's by itself.
      lstm_layers: of a BiLSTM below; 0: none.
      lstm_size: of its outputs; 0: the encoder's.

    Raises:
      UserError: a value out of range.
    """

    crf: bool = False
    lstm_layers: int = 0
    lstm_size: int = 0

    def __post_init__(self) -> None:
        check_lstm(self.lstm_layers, self.lstm_size)

    @classmethod
    def of(cls, kind: str, lstm_layers: int, lstm_size: int) -> TaggingHead:
        """A head by its name.

        Args:
          kind: one of `HEADS`.
          lstm_layers: see above; "bilstm_crf" has one at least.
          lstm_size: see above.
        """
        layers = lstm_layers or int(kind == BILSTM_CRF)
        return cls(kind != SOFTMAX, layers, lstm_size)


@dataclasses.dataclass(frozen=True)
class TaggingTask:
    """One of several tags for every word.

    The loss is a mean over tagged words: of the cross entropy, or of a CRF's
    negative log-likelihood, which is a sum over sentences, divided by all of
    their words. So both have the same scale, whatever the length of sentences,
    how many share a row and where long ones are cut. A sentence that is cut
    weighs as its parts, each with the tags of its own words.

    Attributes:
      config: of the network.
      tag_set: what is told apart.
      head: see there.
      chosen_layers: of a frozen encoder; None: it is fine-tuned.
      policy: the network's Keras dtype policy.
      use_one_hot_embeddings: see `BertModel`.
      recompute: see `BertModel`.
    """

    config: BertConfig
    tag_set: TagSet
    head: TaggingHead = TaggingHead()
    chosen_layers: ChosenLayers | None = None
    policy: str = "float32"
    use_one_hot_embeddings: bool = False
    recompute: bool = False

    # As the original in fine-tuning.
    norm_of_looked_up_rows = True

    def build_model(self) -> BertTagger | FeatureTagger:
        """The encoder under the head."""
        shared = {
            "num_tags": len(self.tag_set.names),
            "allowed": self.tag_set.allowed() if self.head.crf else None,
            "lstm_layers": self.head.lstm_layers,
            "lstm_size": self.head.lstm_size,
            "use_one_hot_embeddings": self.use_one_hot_embeddings,
            "dtype": self.policy,
        }
        if self.chosen_layers is None:
            return BertTagger(self.config, recompute=self.recompute, **shared)
        chosen = self.chosen_layers.resolve(self.config.num_hidden_layers)
        return FeatureTagger(
            self.config,
            layers=chosen.layers,
            combine=chosen.combine,
            **shared,
        )

    def weights(self, features: Features) -> Sums:
        """Rows, tokens and tagged words."""
        mask = tf.cast(features["input_mask"], tf.float32)
        return {
            "sequences": tf.reduce_sum(tf.reduce_max(mask, axis=1)),
            "tokens": tf.reduce_sum(mask),
            "words": tf.reduce_sum(features["word_weights"]),
        }

    def flops(
        self, shapes: Shapes, is_trained: Callable[[str], bool]
    ) -> int | None:
        """Of the blocks, the BiLSTM and the scores of tags; not counted of
        feature-based training, whose steps are a small network's alone.
        """
        if self.chosen_layers is not None:
            return None
        size = self.config.hidden_size
        words = math.prod(shapes["word_positions"])
        parts = encoder_parts(self.config, *count_rows(shapes))
        if self.head.lstm_layers:
            lstm_size = self.head.lstm_size or size
            layers = self.head.lstm_layers
            parts.append(lstm_part(words, size, lstm_size, layers))
            size = lstm_size
        tags = len(self.tag_set.names)
        parts.append(dense_part("output_weights", words, size, tags))
        return training_flops(parts, is_trained)

    def sums(
        self,
        model: keras.Model,
        features: Features,
        *,
        training: bool = False,
        dropout_seed: Any = None,
    ) -> Sums:
        """The loss, and without a CRF the words with the right tag."""
        scores = model(
            _inputs(features), training=training, dropout_seed=dropout_seed
        )
        sums = {"loss": tf.reduce_sum(self._losses(model, scores, features))}
        if not self.head.crf:
            targets = features["targets"]
            best = tf.argmax(scores, axis=-1, output_type=targets.dtype)
            right = tf.cast(best == targets, tf.float32)
            sums["correct"] = tf.reduce_sum(right * features["word_weights"])
        return sums

    def loss(self, sums: Sums, weights: Sums) -> tf.Tensor:
        """The mean over tagged words."""
        return tf.math.divide_no_nan(sums["loss"], weights["words"])

    def metrics(
        self, sums: Mapping[str, float], weights: Mapping[str, float]
    ) -> dict[str, float]:
        """Share of words with the right tag, where words are on their own."""
        if "correct" not in sums:
            return {}
        return {"accuracy": sums["correct"] / max(weights["words"], 1.0)}

    def outputs(self, model: keras.Model, features: Features) -> Sums:
        """What `decoder` makes tags of.

        Returns:
          scores: of every word: float32 [B, W, K]
          losses: the sum over each row's tagged words: float32 [B]
        """
        scores = model(_inputs(features))
        return {
            "scores": tf.cast(scores, tf.float32),
            "losses": self._losses(model, scores, features),
        }

    def decoder(self, model: keras.Model) -> Decoder:
        """The best tags of whole sentences, see `chain`."""
        chain = self.chain(model)

        def decode(scores: np.ndarray, mask: np.ndarray) -> np.ndarray:
            return self._viterbi(scores, mask, *chain).numpy()

        return decode

    def chain(self, model: keras.Model) -> Scores:
        """Scores of tags beside one another, with the weights as they are.

        Without a CRF, those of highest scores win that may stand beside one
        another.
        """
        if self.head.crf:
            chain = model.crf.scores
        else:
            chain = Scores.neutral(Allowed(*self.tag_set.allowed()))
        return Scores(*(np.asarray(part, np.float32) for part in chain))

    # What `keep_encoder_outputs` asks.
    keeps_tokens = True

    def encode(self, model: FeatureTagger, features: Features) -> tf.Tensor:
        """What the frozen encoder tells, see `FeatureTagger.encode`."""
        return model.encode(_inputs(features))

    def encoding(self) -> dict[str, Any]:
        """What shapes `encode` beside weights, as JSON values."""
        chosen = self.chosen_layers.resolve(self.config.num_hidden_layers)
        return {"layers": chosen.layers}

    def _losses(
        self, model: keras.Model, scores: tf.Tensor, features: Features
    ) -> tf.Tensor:
        """[B, W, K] -> the sum over each row's tagged words: float32 [B]"""
        targets, weights = features["targets"], features["word_weights"]
        if not self.head.crf:
            losses = cross_entropy(scores, targets) * weights
            return tf.reduce_sum(losses, axis=1)
        layout = Layout(
            weights, features["word_begins"], features["word_closes"]
        )
        return -model.crf.log_likelihood(scores, targets, layout)

    @functools.cached_property
    def _viterbi(self) -> Callable[..., tf.Tensor]:
        """A graph for sentences of all lengths."""
        count = len(self.tag_set.names)
        return tf.function(
            lambda scores, mask, *chain: viterbi(
                scores, Layout(mask), Scores(*chain)
            ),
            input_signature=[
                tf.TensorSpec([None, None, count], tf.float32),
                tf.TensorSpec([None, None], tf.int32),
                tf.TensorSpec([count, count], tf.float32),
                tf.TensorSpec([count], tf.float32),
                tf.TensorSpec([count], tf.float32),
            ],
        )


def _inputs(features: Features) -> dict[str, tf.Tensor]:
    return {name: features[name] for name in _INPUTS if name in features}
