"""The encoder under the head that answers questions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras

from modeling.config import BertConfig
from modeling.network.base import ConfiguredModel
from modeling.network.dropout import Seed
from modeling.network.encoder import BertModel
from modeling.network.heads import ClassificationHead

Tensor = Any


@keras.saving.register_keras_serializable("bert")
class BertQuestionAnswerer(ConfiguredModel):
    """BERT with a score for every token to start or end the answer (original:
    `run_squad.create_model`).

    Inputs: those of `BertModel`. Outputs, a dictionary, in the precision of the
    variables: `start_logits` and `end_logits`, [batch, length], of padding as
    well.

    The head stands on the last block, `cls/squad/output_weights` and
    `cls/squad/output_bias`, without dropout. The pooler is part of the model,
    as in Google's checkpoints, and takes no part in its outputs.

    Args:
      config: sizes and activation.
      use_one_hot_embeddings: see `Embeddings`.
      recompute: see `BertModel`.
      dtype: a Keras dtype policy.

    Example:
      >>> model = BertQuestionAnswerer(BertConfig(vocab_size=100,
      ...     hidden_size=16, num_hidden_layers=2, num_attention_heads=4,
      ...     intermediate_size=32))
      >>> outputs = model({"input_ids": [[2, 7, 3, 9, 3]]})
      >>> tuple(outputs["start_logits"].shape)
      (1, 5)
    """

    def __init__(
        self,
        config: BertConfig | Mapping[str, Any],
        use_one_hot_embeddings: bool = False,
        recompute: bool = False,
        name: str = "bert_question_answerer",
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
        self.cls = _SpanHeads(self.config, dtype=policy.variable_dtype)
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
        logits = self.cls(encoded["sequence_output"])
        return {"start_logits": logits[..., 0], "end_logits": logits[..., 1]}


class _SpanHeads(keras.layers.Layer):
    """The scope `cls` of Google's SQuAD checkpoints."""

    def __init__(self, config: BertConfig, **kwargs: Any) -> None:
        super().__init__(name="cls", **kwargs)
        self.squad = ClassificationHead(
            config, 2, name="squad", dtype=self.dtype_policy
        )

    def build(self, input_shape: Any = None) -> None:
        self.squad.build()
        self.built = True

    def call(self, sequence_output: Tensor) -> Tensor:
        """[B, F, D] -> logits of start and end [B, F, 2]."""
        return self.squad(sequence_output)
