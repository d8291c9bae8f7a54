"""The encoder with a task on top: pre-training and classification."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras
from keras import ops

from modeling.config import BertConfig
from modeling.network.base import ConfiguredModel
from modeling.network.dropout import Dropout, Seed
from modeling.network.encoder import BertModel
from modeling.network.heads import PretrainingHeads
from modeling.network.layers import initializer

Tensor = Any


@keras.saving.register_keras_serializable("bert")
class BertPretrainer(ConfiguredModel):
    """BERT with its two pre-training heads (original: `run_pretraining`).

    Inputs: those of `BertModel`, and `masked_lm_positions`, integers [batch,
    predictions].

    Outputs, a dictionary, in the precision of the variables:
      masked_lm_logits: [batch, predictions, vocab_size].
      next_sentence_logits: [batch, 2]; 0: true next sentence, 1: random.
        [batch, instances, 2] where `cls_positions` are given.

    Args:
      config: sizes and activation.
      use_one_hot_embeddings: see `Embeddings`.
      recompute: see `BertModel`.
      dtype: a Keras dtype policy.
    """

    def __init__(
        self,
        config: BertConfig | Mapping[str, Any],
        use_one_hot_embeddings: bool = False,
        recompute: bool = False,
        name: str = "bert_pretrainer",
        dtype: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            config,
            options={
                "use_one_hot_embeddings": use_one_hot_embeddings,
                "recompute": recompute,
            },
            name=name,
            dtype=dtype,
            **kwargs,
        )
        policy = self.dtype_policy
        self.bert = BertModel(
            self.config, use_one_hot_embeddings, recompute, dtype=policy
        )
        self.cls = PretrainingHeads(self.config, dtype=policy)
        self.cls.build()
        self.built = True

    def call(
        self,
        inputs: Mapping[str, Tensor],
        training: bool = False,
        dropout_seed: Seed | None = None,
    ) -> dict[str, Tensor]:
        encoded = self.bert(
            inputs, training=training, dropout_seed=dropout_seed
        )
        masked_lm_logits, next_sentence_logits = self.cls(
            encoded["sequence_output"],
            encoded["pooled_output"],
            inputs["masked_lm_positions"],
            self.bert.embedding_table,
        )
        return {
            "masked_lm_logits": masked_lm_logits,
            "next_sentence_logits": next_sentence_logits,
        }


@keras.saving.register_keras_serializable("bert")
class BertClassifier(ConfiguredModel):
    """BERT with a linear layer over the pooled output (original:
    `run_classifier.create_model`).

    The head's variables stand at the root, `output_weights` and `output_bias`,
    as in Google's fine-tuned checkpoints. Its dropout is 0.1 whatever the
    config says, as in the original.

    Inputs: those of `BertModel`. Output: logits [batch, num_labels] in the
    precision of the variables.

    Args:
      config: sizes and activation.
      num_labels: number of classes, or 1 for regression.
      use_one_hot_embeddings: see `Embeddings`.
      recompute: see `BertModel`.
      dtype: a Keras dtype policy.
    """

    _DROPOUT = 0.1

    def __init__(
        self,
        config: BertConfig | Mapping[str, Any],
        num_labels: int,
        use_one_hot_embeddings: bool = False,
        recompute: bool = False,
        name: str = "bert_classifier",
        dtype: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            config,
            options={
                "num_labels": num_labels,
                "use_one_hot_embeddings": use_one_hot_embeddings,
                "recompute": recompute,
            },
            name=name,
            dtype=dtype,
            **kwargs,
        )
        policy = self.dtype_policy
        self.bert = BertModel(
            self.config, use_one_hot_embeddings, recompute, dtype=policy
        )
        self.dropout = Dropout(self._DROPOUT, _HEAD_SITE, dtype=policy)
        # `add_weight` would put the model's name before theirs.
        self.output_weights = keras.Variable(
            initializer(self.config),
            shape=(num_labels, self.config.hidden_size),
            dtype=self.variable_dtype,
            autocast=False,
            name="output_weights",
        )
        self.output_bias = keras.Variable(
            "zeros",
            shape=(num_labels,),
            dtype=self.variable_dtype,
            autocast=False,
            name="output_bias",
        )
        self.built = True

    def call(
        self,
        inputs: Mapping[str, Tensor],
        training: bool = False,
        dropout_seed: Seed | None = None,
    ) -> Tensor:
        if training and dropout_seed is None:
            dropout_seed = self.bert.seed_generator.next()
        pooled = self.bert(
            inputs, training=training, dropout_seed=dropout_seed
        )["pooled_output"]
        pooled = self.dropout(pooled, seed=dropout_seed if training else None)
        pooled = ops.cast(pooled, self.variable_dtype)
        weights = ops.transpose(self.output_weights)
        return ops.matmul(pooled, weights) + self.output_bias


# Above every dropout site of an encoder.
_HEAD_SITE = 4095
