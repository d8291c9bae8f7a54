"""What stands on the encoder alike, whatever it tells apart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import keras
from keras import ops

from modeling.network.base import ConfiguredModel
from modeling.network.bilstm import BiLstm
from modeling.network.dropout import Dropout, Seed
from modeling.network.encoder import BertModel
from modeling.network.layer_mix import LayerMix, stack_layers
from modeling.network.layers import initializer

Tensor = Any

# Above every dropout site of an encoder.
_HEAD_SITE = 4095


class HeadedModel(ConfiguredModel):
    """An encoder under dropout and a linear layer.

    The variables stand at the root, `output_weights` and `output_bias`, as in
    Google's fine-tuned checkpoints. Dropout is 0.1 whatever the config says, as
    in the original.
    """

    _DROPOUT = 0.1

    def _make_encoder(
        self, use_one_hot_embeddings: bool, recompute: bool = False
    ) -> None:
        self.bert = BertModel(
            self.config,
            use_one_hot_embeddings,
            recompute,
            dtype=self.dtype_policy,
        )

    def _make_lstm(self, num_layers: int, size: int, input_size: int) -> int:
        """Makes `lstm`, None for no layers; returns the size of its outputs."""
        self.lstm = None
        if not num_layers:
            return input_size
        self.lstm = BiLstm(
            size or self.config.hidden_size,
            num_layers,
            dtype=self.variable_dtype,
        )
        self.lstm.build((None, None, input_size))
        return self.lstm.size

    def _make_head(
        self, num_outputs: int, size: int, with_bias: bool = True
    ) -> None:
        self.dropout = Dropout(
            self._DROPOUT, _HEAD_SITE, dtype=self.dtype_policy
        )
        # `add_weight` would put the model's name before theirs.
        self.output_weights = keras.Variable(
            initializer(self.config),
            shape=(num_outputs, size),
            dtype=self.variable_dtype,
            autocast=False,
            name="output_weights",
        )
        self.output_bias = None
        if with_bias:
            self.output_bias = keras.Variable(
                "zeros",
                shape=(num_outputs,),
                dtype=self.variable_dtype,
                autocast=False,
                name="output_bias",
            )

    def _seed(self, training: bool, dropout_seed: Seed | None) -> Seed | None:
        """What masks are drawn from; None where nothing is dropped."""
        if training and dropout_seed is None:
            return self.bert.seed_generator.next()
        return dropout_seed if training else None

    def _head(self, x: Tensor, seed: Seed | None) -> Tensor:
        """[..., size] -> [..., outputs], in the variables' precision."""
        x = self.dropout(x, seed=seed)
        x = ops.cast(x, self.variable_dtype)
        logits = ops.matmul(x, ops.transpose(self.output_weights))
        return logits if self.output_bias is None else logits + self.output_bias


class FeatureModel(HeadedModel):
    """A small network over chosen layers of a frozen encoder (paper, section
    5.3): a mix of the layers, perhaps a BiLSTM, and the head.
    """

    def _make_network(
        self,
        num_outputs: int,
        layers: Sequence[int | str],
        combine: str,
        lstm_layers: int,
        lstm_size: int,
        use_one_hot_embeddings: bool,
    ) -> None:
        self.layer_choice = tuple(layers)
        self._make_encoder(use_one_hot_embeddings)
        self.mix = LayerMix(
            len(self.layer_choice), combine, dtype=self.variable_dtype
        )
        self.mix.build()
        size = self.mix.output_size(self.config.hidden_size)
        size = self._make_lstm(lstm_layers, lstm_size, size)
        self._make_head(num_outputs, size)

    def _encode_tokens(self, rows: Mapping[str, Tensor]) -> Tensor:
        """Chosen layers of every token: [B, F, L, D]."""
        # Keras would hand the caller's `training` down.
        outputs = self.bert(rows, training=False)
        hidden = stack_layers(outputs, self.layer_choice)
        return ops.cast(hidden, self.variable_dtype)
