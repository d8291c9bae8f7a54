"""One vector of several layers' (paper, section 5.3)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import keras
from keras import ops

Tensor = Any

COMBINE = ("concat", "sum", "weighted")


def stack_layers(
    outputs: Mapping[str, Any], layers: Sequence[int | str]
) -> Tensor:
    """Chosen layers of an encoder.

    Args:
      outputs: of `BertModel`.
      layers: indices of its blocks, 0 the first and -1 the last; "embeddings"
        for what is below them.

    Returns:
      [batch, length, layers, hidden_size].
    """
    chosen = [
        outputs["embedding_output"]
        if layer == "embeddings"
        else outputs["all_encoder_layers"][layer]
        for layer in layers
    ]
    return ops.stack(chosen, axis=-2)


class LayerMix(keras.layers.Layer):
    """Makes one vector of a stack of layers.

    Args:
      num_layers: how many there are.
      combine: "concat"; "sum"; or "weighted", by weights that are learned, a
        softmax of one number a layer, times a factor, as ELMo does (Peters et
        al. 2018, section 3.2).
    """

    def __init__(
        self, num_layers: int, combine: str = "concat", **kwargs: Any
    ) -> None:
        super().__init__(name="layer_mix", **kwargs)
        if combine not in COMBINE:
            raise ValueError(
                f"combine must be one of {', '.join(COMBINE)}. Received: "
                f"{combine!r}"
            )
        self.num_layers, self.combine = num_layers, combine

    def build(self, input_shape: Any = None) -> None:
        if self.combine == "weighted":
            self.scores = self.add_weight(
                shape=(self.num_layers,), initializer="zeros", name="scores"
            )
            self.factor = self.add_weight(
                shape=(), initializer="ones", name="factor"
            )
        self.built = True

    def output_size(self, size: int) -> int:
        """Of vectors, given that of a layer's."""
        return size * (self.num_layers if self.combine == "concat" else 1)

    def call(self, stack: Tensor) -> Tensor:
        """[..., layers, D] -> [..., D], or concatenated [..., layers * D]."""
        if self.combine == "concat":
            size = self.num_layers * stack.shape[-1]
            return ops.reshape(stack, (*ops.shape(stack)[:-2], size))
        if self.combine == "sum":
            return ops.sum(stack, axis=-2)
        shares = ops.softmax(self.scores)[:, None]
        return self.factor * ops.sum(stack * shares, axis=-2)
