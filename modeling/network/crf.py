"""A linear-chain conditional random field, as a layer."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from modeling.network.tag_chains import (
    FORBIDDEN,
    Allowed,
    Layout,
    Scores,
    log_likelihood,
    viterbi,
)

Tensor = Any


class Crf(keras.layers.Layer):
    """Learns scores of tags beside one another.

    Args:
      allowed: what may follow what; the rest is never predicted and takes no
        part in the likelihood.

    Example:
      >>> crf = Crf(Allowed.everything(3))
      >>> crf.build()
      >>> loss = -crf.log_likelihood(emissions, tags, Layout(mask))
      >>> tags = crf.decode(emissions, Layout(mask))
    """

    def __init__(self, allowed: Allowed, **kwargs: Any) -> None:
        super().__init__(**{"name": "crf", **kwargs})
        self.allowed = allowed

    def build(self, input_shape: Any = None) -> None:
        self._weights = [
            self.add_weight(
                shape=part.shape,
                initializer="zeros",
                name=name,
                dtype="float32",
                autocast=False,
            )
            for name, part in self.allowed._asdict().items()
        ]
        self.built = True

    @property
    def scores(self) -> Scores:
        """As they have been learned."""
        return Scores(
            *(
                ops.where(part, ops.convert_to_tensor(weight), FORBIDDEN)
                for part, weight in zip(
                    self.allowed, self._weights, strict=True
                )
            )
        )

    def log_likelihood(
        self, emissions: Tensor, tags: Tensor, layout: Layout
    ) -> Tensor:
        """See `log_likelihood`."""
        return log_likelihood(emissions, tags, layout, self.scores)

    def decode(self, emissions: Tensor, layout: Layout) -> Tensor:
        """See `viterbi`."""
        return viterbi(emissions, layout, self.scores)

    def call(self, emissions: Tensor, layout: Layout) -> Tensor:
        """The same as `decode`."""
        return self.decode(emissions, layout)
