"""The encoder under a classifier, fine-tuned or frozen.

Shapes: B = texts, W = windows of a text, F = tokens of a row, L = layers,
D = hidden size; of rows that several texts share, B = rows, K = texts of a row.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import keras
from keras import ops

from modeling.config import BertConfig
from modeling.network.dropout import Seed
from modeling.network.headed import FeatureModel, HeadedModel
from modeling.network.pooling import (
    POOLING,
    pool_blocks,
    pool_tokens,
    pool_windows,
)

Tensor = Any

_TOKEN_INPUTS = ("input_ids", "input_mask", "segment_ids")
# Of rows that several texts share.
_PACKED_INPUTS = ("position_ids", "block_ids", "cls_positions")


@keras.saving.register_keras_serializable("bert")
class BertClassifier(HeadedModel):
    """BERT with a linear layer over one vector a text (original:
    `run_classifier.create_model`).

    Inputs: those of `BertModel`, [batch, length]; or [batch, windows, length]
    for texts that are read through several rows, of which those without tokens
    do not count. Output: logits [batch, num_labels] in the precision of the
    variables; with `cls_positions`, [batch * instances, num_labels].

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
        seed = self._seed(training, dropout_seed)
        vectors = self.read_rows(_as_rows(inputs), training, seed)
        return self.judge(vectors, _mask(inputs), seed)

    def read_rows(
        self,
        rows: Mapping[str, Tensor],
        training: bool = False,
        seed: Seed | None = None,
    ) -> Tensor:
        """A vector for each row: [B, D], or [B * K, D]"""
        outputs = self.bert(rows, training=training, dropout_seed=seed)
        if self.pooling != "cls":
            return self._pool(rows, outputs["sequence_output"])
        return ops.reshape(
            outputs["pooled_output"], (-1, self.config.hidden_size)
        )

    def judge(
        self, vectors: Tensor, mask: Tensor, seed: Seed | None = None
    ) -> Tensor:
        """Logits of the vectors of rows.

        Args:
          vectors: see `read_rows`; those of a text's windows together.
          mask: of the rows' tokens: [B, F], or [B, W, F] of windows.
          seed: of dropout; None: there is none.
        """
        if len(mask.shape) == 3:
            vectors = pool_windows(vectors, mask, self.pooling)
        return self._head(vectors, seed)

    def _pool(self, rows: Mapping[str, Tensor], tokens: Tensor) -> Tensor:
        """[B, D], or [B * K, D]"""
        if "cls_positions" not in rows:
            return pool_tokens(tokens, _mask(rows), self.pooling)
        count = rows["cls_positions"].shape[1]
        return pool_blocks(tokens, rows["block_ids"], count, self.pooling)


@keras.saving.register_keras_serializable("bert")
class FeatureClassifier(FeatureModel):
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
        self.pooling = pooling
        self._make_network(
            num_labels,
            layers,
            combine,
            lstm_layers,
            lstm_size,
            use_one_hot_embeddings,
        )
        self.built = True

    def encode(self, inputs: Mapping[str, Tensor]) -> Tensor:
        """What the frozen encoder tells of each text.

        Returns:
          The layers' pooled vectors [B, L, D]; for a BiLSTM those of every
          token, [B, F, L, D] or [B, W, F, L, D].
        """
        rows = _as_rows(inputs)
        # [B * W, F, L, D]
        hidden = self._encode_tokens(rows)
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
        hidden = inputs.get("hidden")
        if hidden is None:
            hidden = self.encode(inputs)
        if self.lstm is None:
            x = self.mix(ops.cast(hidden, self.variable_dtype))
        else:
            mask = _mask(inputs)
            x = self._read_tokens(hidden, mask)
            if len(mask.shape) == 3:
                x = pool_windows(x, mask, self.pooling)
        return self._head(x, self._seed(training, dropout_seed))

    def read_rows(self, rows: Mapping[str, Tensor]) -> Tensor:
        """A vector for each row: [B, L * D], or what a BiLSTM makes of it."""
        hidden = self.encode(rows)
        if self.lstm is not None:
            return self._read_tokens(hidden, _mask(rows))
        return ops.reshape(hidden, (-1, hidden.shape[-2] * hidden.shape[-1]))

    def judge(self, vectors: Tensor, mask: Tensor) -> Tensor:
        """Logits of the vectors of rows; see `BertClassifier.judge`."""
        if len(mask.shape) == 3:
            vectors = pool_windows(vectors, mask, self.pooling)
        if self.lstm is None:
            shape = (-1, len(self.layer_choice), self.config.hidden_size)
            vectors = ops.reshape(vectors, shape)
            vectors = self.mix(ops.cast(vectors, self.variable_dtype))
        return self._head(vectors, None)

    def _read_tokens(self, hidden: Tensor, mask: Tensor) -> Tensor:
        """What the BiLSTM makes of every row: [B, size], or [B * W, size]

        Args:
          hidden: [B, F, L, D] or [B, W, F, L, D].
          mask: of the tokens: [B, F] or [B, W, F].
        """
        x = self.mix(ops.cast(hidden, self.variable_dtype))
        # [B, W, F] -> [B * W, F]
        rows = ops.reshape(mask, (-1, _length(mask)))
        x = ops.reshape(x, (-1, _length(mask), x.shape[-1]))
        return pool_tokens(self.lstm(x, rows), rows, self.pooling)


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
    packed = {name: inputs[name] for name in _PACKED_INPUTS if name in inputs}
    return {**rows, **packed}


def _mask(inputs: Mapping[str, Tensor]) -> Tensor:
    mask = inputs.get("input_mask")
    return ops.ones_like(inputs["input_ids"]) if mask is None else mask


def _length(values: Tensor) -> Any:
    return ops.shape(values)[-1]
