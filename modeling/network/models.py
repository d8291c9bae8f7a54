"""The encoder with its pre-training heads."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras

from modeling.config import BertConfig
from modeling.network.base import ConfiguredModel
from modeling.network.dropout import Seed
from modeling.network.encoder import BertModel
from modeling.network.heads import PretrainingHeads

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
      fuse: see `BertModel`.
      dtype: a Keras dtype policy.
    """

    def __init__(
        self,
        config: BertConfig | Mapping[str, Any],
        use_one_hot_embeddings: bool = False,
        recompute: bool = False,
        fuse: bool = False,
        name: str = "bert_pretrainer",
        dtype: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            config,
            options={
                "use_one_hot_embeddings": use_one_hot_embeddings,
                "recompute": recompute,
                "fuse": fuse,
            },
            name=name,
            dtype=dtype,
            **kwargs,
        )
        policy = self.dtype_policy
        self.bert = BertModel(
            self.config, use_one_hot_embeddings, recompute, fuse, dtype=policy
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
