"""The encoder under the head that chooses among several answers.

Shapes: B = questions, C = choices, F = tokens of a row, D = hidden size.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras
from keras import ops

from modeling.config import BertConfig
from modeling.network.dropout import Seed
from modeling.network.headed import HeadedModel

Tensor = Any

_TOKEN_INPUTS = ("input_ids", "input_mask", "segment_ids")
# Far below every score: its exponential is 0 in all precisions.
_NO_CHOICE = -1e9


@keras.saving.register_keras_serializable("bert")
class BertMultipleChoice(HeadedModel):
    """BERT with a score for every choice (paper, section 4.4): the product of
    one learned vector, `output_weights` [1, D], and the pooler's output.

    A bias would raise all scores alike and change no choice; there is none, and
    that of other checkpoints can be left out.

    Inputs: those of `BertModel`, [batch, choices, length]. Questions may have
    fewer choices than others: rows without tokens are none. Output: logits
    [batch, choices] in the precision of the variables, about minus infinity
    where there is no choice, so that a softmax gives it nothing.

    Args:
      config: sizes and activation.
      use_one_hot_embeddings: see `Embeddings`.
      recompute: see `BertModel`.
      dtype: a Keras dtype policy.

    Example:
      >>> model = BertMultipleChoice(BertConfig(vocab_size=100,
      ...     hidden_size=16, num_hidden_layers=2, num_attention_heads=4,
      ...     intermediate_size=32))
      >>> logits = model({"input_ids": [[[2, 7, 3], [2, 9, 3]]]})
      >>> tuple(logits.shape)
      (1, 2)
    """

    def __init__(
        self,
        config: BertConfig | Mapping[str, Any],
        use_one_hot_embeddings: bool = False,
        recompute: bool = False,
        name: str = "bert_multiple_choice",
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
        self._make_encoder(use_one_hot_embeddings, recompute)
        self._make_head(1, self.config.hidden_size, with_bias=False)
        self.built = True

    def call(
        self,
        inputs: Mapping[str, Tensor],
        training: bool = False,
        dropout_seed: Seed | None = None,
    ) -> Tensor:
        seed = self._seed(training, dropout_seed)
        inputs = {
            name: ops.convert_to_tensor(inputs[name])
            for name in _TOKEN_INPUTS
            if inputs.get(name) is not None
        }
        _, choices, length = ops.shape(inputs["input_ids"])
        rows = {
            name: ops.reshape(values, (-1, length))
            for name, values in inputs.items()
        }
        outputs = self.bert(rows, training=training, dropout_seed=seed)
        scores = self._head(outputs["pooled_output"], seed)
        # [B * C, 1] -> [B, C]
        scores = ops.reshape(scores, (-1, choices))
        if "input_mask" not in inputs:
            return scores
        present = ops.max(inputs["input_mask"], axis=-1) > 0
        return ops.where(present, scores, _NO_CHOICE)
