"""What stands on the encoder in pre-training: masked words, next sentence."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
from keras import ops

from modeling.config import BertConfig
from modeling.network.activations import activation
from modeling.network.gradients import with_gradient
from modeling.network.layers import dense, initializer, layer_norm
from modeling.network.places import gather_positions

Tensor = Any


class Transform(keras.layers.Layer):
    """Dense, activation and LayerNorm before the tied decoder."""

    def __init__(self, config: BertConfig, **kwargs: Any) -> None:
        super().__init__(name="transform", **kwargs)
        self.config = config
        policy = self.dtype_policy
        self.dense = dense(
            config,
            config.hidden_size,
            "dense",
            policy,
            activation(config.hidden_act),
        )
        self.norm = layer_norm(config, policy)

    def build(self, input_shape: Any = None) -> None:
        self.dense.build((None, self.config.hidden_size))
        self.norm.build((None, self.config.hidden_size))
        self.built = True

    def call(self, x: Tensor) -> Tensor:
        return self.norm(self.dense(x))


class MaskedLMHead(keras.layers.Layer):
    """Scores of every word at masked positions (original:
    `get_masked_lm_output`). The decoder's matrix is the embedding table.
    """

    def __init__(self, config: BertConfig, **kwargs: Any) -> None:
        super().__init__(name="predictions", **kwargs)
        self.config = config
        self.transform = Transform(config, dtype=self.dtype_policy)

    def build(self, input_shape: Any = None) -> None:
        self.transform.build()
        self.output_bias = self.add_weight(
            shape=(self.config.vocab_size,),
            initializer="zeros",
            name="output_bias",
            autocast=False,
        )
        self.built = True

    def call(
        self, sequence_output: Tensor, positions: Tensor, embedding_table: Any
    ) -> Tensor:
        """[B, F, D], [B, P], [V, D] -> logits [B, P, V].

        Logits have the precision of the variables.
        """
        transformed = self.transform(
            gather_positions(sequence_output, positions)
        )
        table = ops.cast(embedding_table, self.compute_dtype)
        logits = _scores(transformed, table)
        logits = ops.cast(logits, self.variable_dtype) + self.output_bias
        return ops.reshape(
            logits, (-1, ops.shape(positions)[1], self.config.vocab_size)
        )


@with_gradient
def _scores(x: Tensor, table: Tensor) -> tuple[Tensor, Callable]:
    """[B * P, D], [V, D] -> [B * P, V], the product with each row.

    Derived by itself, the table's gradient would come as [D, V], and be
    transposed: a pass over the largest of all gradients.
    """

    def gradient(upstream: Tensor) -> tuple[Tensor, Tensor]:
        of_table = ops.matmul(ops.transpose(upstream), x)
        return ops.matmul(upstream, table), of_table

    return ops.matmul(x, ops.transpose(table)), gradient


class ClassificationHead(keras.layers.Layer):
    """A linear layer whose matrix is stored [classes, D], as Google's are."""

    def __init__(
        self, config: BertConfig, num_classes: int, name: str, **kwargs: Any
    ) -> None:
        super().__init__(name=name, **kwargs)
        self.config = config
        self.num_classes = num_classes

    def build(self, input_shape: Any = None) -> None:
        self.output_weights = self.add_weight(
            shape=(self.num_classes, self.config.hidden_size),
            initializer=initializer(self.config),
            name="output_weights",
        )
        self.output_bias = self.add_weight(
            shape=(self.num_classes,), initializer="zeros", name="output_bias"
        )
        self.built = True

    def call(self, pooled_output: Tensor) -> Tensor:
        """[..., D] -> logits [..., classes]."""
        weights = ops.transpose(self.output_weights)
        return ops.matmul(pooled_output, weights) + self.output_bias


class PretrainingHeads(keras.layers.Layer):
    """The scope `cls` of Google's checkpoints."""

    def __init__(self, config: BertConfig, **kwargs: Any) -> None:
        super().__init__(name="cls", **kwargs)
        policy = self.dtype_policy
        self.predictions = MaskedLMHead(config, dtype=policy)
        # Original: `get_next_sentence_output`.
        self.seq_relationship = ClassificationHead(
            config, 2, name="seq_relationship", dtype=policy.variable_dtype
        )

    def build(self, input_shape: Any = None) -> None:
        self.predictions.build()
        self.seq_relationship.build()
        self.built = True

    def call(
        self,
        sequence_output: Tensor,
        pooled_output: Tensor,
        positions: Tensor,
        embedding_table: Any,
    ) -> tuple[Tensor, Tensor]:
        """Masked-word logits [B, P, V] and next-sentence logits [B, 2].

        The latter are [B, K, 2] for `pooled_output` [B, K, D].
        """
        return (
            self.predictions(sequence_output, positions, embedding_table),
            self.seq_relationship(pooled_output),
        )
