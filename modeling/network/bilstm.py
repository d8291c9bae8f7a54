"""Long short-term memories in both directions, over the encoder's outputs."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

Tensor = Any


class BiLstm(keras.layers.Layer):
    """A stack of bidirectional LSTM layers, which skip padding.

    Args:
      size: of a layer's output, half of it from each direction.
      num_layers: how many; the paper's section 5.3 has two.
    """

    def __init__(self, size: int, num_layers: int = 1, **kwargs: Any) -> None:
        super().__init__(name="bilstm", **kwargs)
        if size < 2 or size % 2 or num_layers < 1:
            raise ValueError(
                "A BiLSTM has an even size, half for each direction, and a "
                f"layer or more. Received: size={size}, "
                f"num_layers={num_layers}"
            )
        self.size = size
        # XLA and masks that have holes both need the plain form.
        self.forward, self.backward = (
            [
                keras.layers.LSTM(
                    size // 2,
                    return_sequences=True,
                    go_backwards=direction == "backward",
                    use_cudnn=False,
                    name=f"{direction}_{index}",
                    dtype=self.dtype_policy,
                )
                for index in range(num_layers)
            ]
            for direction in ("forward", "backward")
        )

    def build(self, input_shape: tuple[Any, ...]) -> None:
        size = input_shape[-1]
        for forward, backward in zip(self.forward, self.backward, strict=True):
            forward.build((None, None, size))
            backward.build((None, None, size))
            size = self.size
        self.built = True

    def call(self, x: Tensor, mask: Tensor) -> Tensor:
        """[B, F, any] and [B, F] -> [B, F, size]; zeros in padding."""
        mask = ops.cast(mask, "bool")
        for forward, backward in zip(self.forward, self.backward, strict=True):
            # The second one's outputs stand in the order of its reading.
            x = ops.concatenate(
                [
                    forward(x, mask=mask),
                    ops.flip(backward(x, mask=mask), axis=1),
                ],
                axis=-1,
            )
            x = x * ops.cast(mask, x.dtype)[:, :, None]
        return x
