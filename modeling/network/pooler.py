"""The pooler: the vector of a sequence, for tasks on whole sequences."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from modeling.config import BertConfig
from modeling.network.layers import dense
from modeling.network.places import gather_positions

Tensor = Any


class Pooler(keras.layers.Layer):
    """Dense tanh layer over the first token, or over those at positions."""

    def __init__(self, config: BertConfig, **kwargs: Any) -> None:
        super().__init__(name="pooler", **kwargs)
        self.config = config
        self.dense = dense(
            config, config.hidden_size, "dense", self.dtype_policy
        )

    def build(self, input_shape: Any = None) -> None:
        self.dense.build((None, self.config.hidden_size))
        self.built = True

    def call(
        self, sequence_output: Tensor, positions: Tensor | None = None
    ) -> Tensor:
        """[B, F, D] -> [B, D]; with positions [B, K] -> [B, K, D]."""
        if positions is None:
            return ops.tanh(self.dense(sequence_output[:, 0, :]))
        pooled = ops.tanh(
            self.dense(gather_positions(sequence_output, positions))
        )
        shape = (-1, ops.shape(positions)[1], self.config.hidden_size)
        return ops.reshape(pooled, shape)
