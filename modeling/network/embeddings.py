"""BERT's input: the sum of word, segment and position embeddings."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from modeling.config import BertConfig
from modeling.network.dropout import Dropout, Seed
from modeling.network.layers import initializer, layer_norm

Tensor = Any


class Embeddings(keras.layers.Layer):
    """Embeds tokens (original: `embedding_lookup`,
    `embedding_postprocessor`).

    Everything up to the LayerNorm has the precision of the tables: a frequent
    token's gradient is a sum of thousands, which half precision cannot hold.

    Args:
      config: sizes of the three tables.
      site: number of the dropout site.
      use_one_hot_embeddings: look words up by a matrix product, as the
        original offers for TPUs; the numbers are the same.
    """

    def __init__(
        self,
        config: BertConfig,
        site: int,
        use_one_hot_embeddings: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(name="embeddings", **kwargs)
        self.config = config
        self.use_one_hot_embeddings = use_one_hot_embeddings
        policy = self.dtype_policy
        self.norm = layer_norm(config, policy)
        self.dropout = Dropout(config.hidden_dropout_prob, site, dtype=policy)

    def build(self, input_shape: Any = None) -> None:
        config = self.config
        self.word_embeddings = self._table("word_embeddings", config.vocab_size)
        self.token_type_embeddings = self._table(
            "token_type_embeddings", config.type_vocab_size
        )
        self.position_embeddings = None
        if config.position_embedding_type == "learned":
            self.position_embeddings = self._table(
                "position_embeddings", config.max_position_embeddings
            )
        self.norm.build((None, config.hidden_size))
        self.built = True

    def call(
        self,
        input_ids: Tensor,
        segment_ids: Tensor,
        position_ids: Tensor | None = None,
        seed: Seed | None = None,
    ) -> Tensor:
        """Integers [B, F] (positions optional) -> [B, F, D]."""
        if self.use_one_hot_embeddings:
            words = self._one_hot_lookup(self.word_embeddings, input_ids)
        else:
            words = ops.take(self.word_embeddings, input_ids, axis=0)
        # With so few rows a product is faster than a gather, and much faster
        # than the scatter that is a gather's gradient.
        segments = self._one_hot_lookup(self.token_type_embeddings, segment_ids)
        positions = self._positions(ops.shape(input_ids)[1], position_ids)
        embedded = self.norm(words + segments + positions)
        return self.dropout(embedded, seed=seed)

    def _table(self, name: str, rows: int) -> Any:
        return self.add_weight(
            shape=(rows, self.config.hidden_size),
            initializer=initializer(self.config),
            name=name,
            autocast=False,
        )

    def _one_hot_lookup(self, table: Any, ids: Tensor) -> Tensor:
        rows = ops.one_hot(ids, table.shape[0], dtype=self.variable_dtype)
        return ops.matmul(rows, table)

    def _positions(self, length: Any, position_ids: Tensor | None) -> Tensor:
        # [F, D], or [B, F, D] with position_ids
        if self.position_embeddings is None:
            if position_ids is None:
                position_ids = ops.arange(length)
            return sinusoids(
                position_ids, self.config.hidden_size, self.variable_dtype
            )
        rows = self.config.max_position_embeddings
        if position_ids is not None:
            # The gradient of a slice is whole: packed rows are clipped by the
            # same norm as others, which counts looked-up words one by one.
            table = self.position_embeddings[:rows]
            return ops.take(table, position_ids, axis=0)
        if isinstance(length, int) and length > rows:
            raise ValueError(
                f"Inputs are {length} tokens long, the position table has only "
                f"{rows} rows (max_position_embeddings)."
            )
        if isinstance(length, int) or ops.is_tensor(length):
            return self.position_embeddings[:length]
        # A symbol of JAX, for which it does not know how long a slice is.
        return ops.take(self.position_embeddings, ops.arange(length), axis=0)


def sinusoids(position_ids: Tensor, size: int, dtype: str) -> Tensor:
    """Sinusoidal positions (Vaswani et al. 2017, section 3.5).

    Args:
      position_ids: integers [...].
      size: an even width.
      dtype: of the result; the angles are computed in float32.

    Returns:
      [..., size]: the sine at even, the cosine at odd indices, of
      position / 10000 ** (2 * (index // 2) / size).
    """
    even = ops.arange(0, size, 2, dtype="float32")
    rates = ops.power(10000.0, -even / size)
    angles = ops.cast(position_ids, "float32")[..., None] * rates
    pairs = ops.stack([ops.sin(angles), ops.cos(angles)], axis=-1)
    shape = (*ops.shape(position_ids), size)
    return ops.cast(ops.reshape(pairs, shape), dtype)
