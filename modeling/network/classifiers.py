"""The encoder under a classifier, fine-tuned or frozen.

Shapes: B = texts, W = windows of a text, F = tokens of a row, L = layers,
D = hidden size.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import keras
from keras import ops

from modeling.config import BertConfig
from modeling.network.base import ConfiguredModel
from modeling.network.bilstm import BiLstm
from modeling.network.dropout import Dropout, Seed
from modeling.network.encoder import BertModel
from modeling.network.layer_mix import LayerMix, stack_layers
from modeling.network.layers import initializer
from modeling.network.pooling import POOLING, pool_tokens, pool_windows

Tensor = Any

# Above every dropout site of an encoder.
_HEAD_SITE = 4095
_TOKEN_INPUTS = ("input_ids", "input_mask", "segment_ids")


class _Classifier(ConfiguredModel):
    """Dropout and a linear layer over one vector a text.

    The variables stand at the root, `output_weights` and `output_bias`, as in
    Google's fine-tuned checkpoints. Dropout is 0.1 whatever the config says, as
    in the original.
    """

    _DROPOUT = 0.1

    def _make_encoder(
        self, use_one_hot_embeddings: bool, recompute: bool
    ) -> None:
        self.bert = BertModel(
            self.config,
            use_one_hot_embeddings,
            recompute,
            dtype=self.dtype_policy,
        )

    def _make_head(self, num_labels: int, size: int) -> None:
        self.dropout = Dropout(
            self._DROPOUT, _HEAD_SITE, dtype=self.dtype_policy
        )
        # `add_weight` would put the model's name before theirs.
        self.output_weights = keras.Variable(
            initializer(self.config),
            shape=(num_labels, size),
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

    def _classify(self, pooled: Tensor, seed: Seed | None) -> Tensor:
        """[B, size] -> logits [B, num_labels]."""
        pooled = self.dropout(pooled, seed=seed)
        pooled = ops.cast(pooled, self.variable_dtype)
        weights = ops.transpose(self.output_weights)
        return ops.matmul(pooled, weights) + self.output_bias


@keras.saving.register_keras_serializable("bert")
class BertClassifier(_Classifier):
    """BERT with a linear layer over one vector a text (original:
    `run_classifier.create_model`).

    Inputs: those of `BertModel`, [batch, length]; or [batch, windows, length]
    for texts that are read through several rows, of which those without tokens
    do not count. Output: logits [batch, num_labels] in the precision of the
    variables.

    Args:
      config: sizes and activation.
      num_labels: number of classes, or 1 for regression.
      use_one_hot_embeddings: see `Embeddings`.
      recompute: see `BertModel`.
      pooling: "cls", the pooler's output as in the original; "mean" or "max"
        over all tokens of the last block. Windows' vectors are then averaged,
        with "max" their maximum is taken.
      dtype: a Keras dtype policy.
    """

    def __init__(
        self,
        config: BertConfig | Mapping[str, Any],
        num_labels: int,
        use_one_hot_embeddings: bool = False,
        recompute: bool = False,
        pooling: str = "cls",
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
                "pooling": pooling,
            },
            name=name,
            dtype=dtype,
            **kwargs,
        )
        _check_pooling(pooling)
        self.pooling = pooling
        self._make_encoder(use_one_hot_embeddings, recompute)
        self._make_head(num_labels, self.config.hidden_size)
        self.built = True

    def call(
        self,
        inputs: Mapping[str, Tensor],
        training: bool = False,
        dropout_seed: Seed | None = None,
    ) -> Tensor:
        if training and dropout_seed is None:
            dropout_seed = self.bert.seed_generator.next()
        rows = _as_rows(inputs)
        outputs = self.bert(rows, training=training, dropout_seed=dropout_seed)
        pooled = outputs["pooled_output"]
        if self.pooling != "cls":
            pooled = pool_tokens(
                outputs["sequence_output"], _mask(rows), self.pooling
            )
        if len(inputs["input_ids"].shape) == 3:
            pooled = pool_windows(pooled, _mask(inputs), self.pooling)
        return self._classify(pooled, dropout_seed if training else None)


@keras.saving.register_keras_serializable("bert")
class FeatureClassifier(_Classifier):
    """A small network over chosen layers of a frozen BERT (paper, section
    5.3).

    Without a BiLSTM, the tokens of each layer are pooled and the layers become
    one vector; with one, the layers of each token become one vector, and what
    the BiLSTM makes of them is pooled.

    Inputs: those of `BertClassifier`; or, in place of `input_ids` and
    `segment_ids`, `hidden`, what `encode` has made of them. Output: logits
    [batch, num_labels].

    Args:
      config: sizes and activation.
      num_labels: number of classes, or 1 for regression.
      layers: of the encoder, see `stack_layers`.
      combine: how they become one vector, see `LayerMix`.
      pooling: "cls", the first token's vector; "mean" or "max" over all.
      lstm_layers: of the BiLSTM; 0: none.
      lstm_size: of its outputs; 0: the encoder's.
      use_one_hot_embeddings: see `Embeddings`.
      dtype: a Keras dtype policy, of the encoder.
    """

    def __init__(
        self,
        config: BertConfig | Mapping[str, Any],
        num_labels: int,
        layers: Sequence[int | str] = (-1, -2, -3, -4),
        combine: str = "concat",
        pooling: str = "cls",
        lstm_layers: int = 0,
        lstm_size: int = 0,
        use_one_hot_embeddings: bool = False,
        name: str = "feature_classifier",
        dtype: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            config,
            options={
                "num_labels": num_labels,
                "layers": tuple(layers),
                "combine": combine,
                "pooling": pooling,
                "lstm_layers": lstm_layers,
                "lstm_size": lstm_size,
                "use_one_hot_embeddings": use_one_hot_embeddings,
            },
            name=name,
            dtype=dtype,
            **kwargs,
        )
        _check_pooling(pooling)
        self.layer_choice, self.pooling = tuple(layers), pooling
        self._make_encoder(use_one_hot_embeddings, recompute=False)
        precision = self.variable_dtype
        self.mix = LayerMix(len(self.layer_choice), combine, dtype=precision)
        self.mix.build()
        size = self.mix.output_size(self.config.hidden_size)
        self.lstm = None
        if lstm_layers:
            self.lstm = BiLstm(
                lstm_size or self.config.hidden_size,
                lstm_layers,
                dtype=precision,
            )
            self.lstm.build((None, None, size))
            size = self.lstm.size
        self._make_head(num_labels, size)
        self.built = True

    def encode(self, inputs: Mapping[str, Tensor]) -> Tensor:
        """What the frozen encoder tells of each text.

        Returns:
          The layers' pooled vectors [B, L, D]; for a BiLSTM those of every
          token, [B, F, L, D] or [B, W, F, L, D].
        """
        rows = _as_rows(inputs)
        # [B * W, F, L, D]
        # Keras would hand the caller's `training` down.
        outputs = self.bert(rows, training=False)
        hidden = stack_layers(outputs, self.layer_choice)
        hidden = ops.cast(hidden, self.variable_dtype)
        batch, length, layers, size = ops.shape(hidden)
        has_windows = len(inputs["input_ids"].shape) == 3
        if self.lstm is not None:
            if has_windows:
                windows = ops.shape(inputs["input_ids"])[1]
                shape = (-1, windows, length, layers, size)
                hidden = ops.reshape(hidden, shape)
            return hidden
        # Pooling knows no layers: they stand side by side meanwhile.
        flat = ops.reshape(hidden, (batch, length, layers * size))
        pooled = pool_tokens(flat, _mask(rows), self.pooling)
        if has_windows:
            pooled = pool_windows(pooled, _mask(inputs), self.pooling)
        return ops.reshape(pooled, (-1, layers, size))

    def call(
        self,
        inputs: Mapping[str, Tensor],
        training: bool = False,
        dropout_seed: Seed | None = None,
    ) -> Tensor:
        if training and dropout_seed is None:
            dropout_seed = self.bert.seed_generator.next()
        hidden = inputs.get("hidden")
        if hidden is None:
            hidden = self.encode(inputs)
        x = self.mix(ops.cast(hidden, self.variable_dtype))
        if self.lstm is not None:
            mask = _mask(inputs)
            # [B, W, F] -> [B * W, F]
            rows = ops.reshape(mask, (-1, _length(mask)))
            x = ops.reshape(x, (-1, _length(mask), x.shape[-1]))
            x = pool_tokens(self.lstm(x, rows), rows, self.pooling)
            if len(mask.shape) == 3:
                x = pool_windows(x, mask, self.pooling)
        return self._classify(x, dropout_seed if training else None)


def _check_pooling(pooling: str) -> None:
    if pooling not in POOLING:
        raise ValueError(
            f"pooling must be one of {', '.join(POOLING)}. Received: "
            f"{pooling!r}"
        )


def _as_rows(inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """[B, W, F] -> [B * W, F] of every input; rows stay as they are."""
    rows = {}
    for name in _TOKEN_INPUTS:
        values = inputs.get(name)
        if values is not None:
            rows[name] = ops.reshape(values, (-1, _length(values)))
    return rows


def _mask(inputs: Mapping[str, Tensor]) -> Tensor:
    mask = inputs.get("input_mask")
    return ops.ones_like(inputs["input_ids"]) if mask is None else mask


def _length(values: Tensor) -> Any:
    return ops.shape(values)[-1]
