"""Dropout whose mask is a function of (seed, place in the network) alone.

`keras.layers.Dropout` keeps a hidden state that no checkpoint holds and that is
equal on every replica. Here the training loop gives each step and replica its
own seed, so that a resumed run repeats exactly and replicas differ.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

Tensor = Any
Seed = Any  # two integers, a tensor or a sequence

# Places in one network that can have a mask of their own.
_MAX_SITES = 4096
# Shares of zeroes are multiples of one through this.
_LEVELS = 1 << 16


class Dropout(keras.layers.Layer):
    """Zeroes a share of its input and scales the rest to keep the mean.

    Args:
      rate: share of zeroes, at least 0 and below 1.
      site: number of this place in the network, different for each.
    """

    def __init__(self, rate: float, site: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if not 0 <= site < _MAX_SITES:
            raise ValueError(f"site must be below {_MAX_SITES}. Got: {site}")
        self.rate = rate
        self.site = site
        self.built = True

    def call(self, x: Tensor, seed: Seed | None = None) -> Tensor:
        """Drops out `x` where a seed is given, else returns it unchanged."""
        seed = self.mask_seed(seed)
        if seed is None:
            return x
        return drop(x, _random_levels(ops.shape(x), seed), self.rate)

    def mask_seed(self, seed: Seed | None) -> Tensor | None:
        """The seed of this place's mask, uint32 [2]; None: no dropout."""
        if seed is None or not self.rate:
            return None
        # Steps may count up by one: the second number is spread so that no
        # (step, site) meets another's.
        seed = ops.cast(ops.convert_to_tensor(seed), "uint32")
        return ops.stack([seed[0], seed[1] * _MAX_SITES + self.site])


def drop(x: Tensor, levels: Tensor, rate: float) -> Tensor:
    """Zeroes `x` where random integers are low, and scales the rest.

    It is its own gradient.

    Args:
      x: any shape.
      levels: integers of that shape, below `_LEVELS`.
      rate: share of zeroes.
    """
    threshold = round(rate * _LEVELS)
    scaled = x * (_LEVELS / (_LEVELS - threshold))
    return ops.where(levels >= threshold, scaled, 0.0)


def _random_levels(shape: Sequence[Any], seed: Tensor) -> Tensor:
    """Random integers below `_LEVELS`, in a shape.

    On CPUs, drawing them two by two is faster than the floats that
    `keras.random.dropout` draws. Those have the precision of its input, too:
    bfloat16s between 0 and 1 are below 0.1 in 0.1016 of cases.
    """
    count = math.prod(shape)
    pairs = keras.random.randint(
        ((count + 1) // 2, 1), -(2**31), 2**31 - 1, "int32", _FixedSeed(seed)
    )
    # [pairs, 1] -> [pairs, 2]
    levels = ops.view(pairs, "uint16")
    return ops.reshape(ops.reshape(levels, (-1,))[:count], shape)


class _FixedSeed(keras.random.SeedGenerator):
    """Hands a tensor to `keras.random`, which takes no seed tensors itself."""

    def __init__(self, value: Tensor) -> None:
        # The parent would make a state variable; this one has no state.
        self.value = value

    def next(self, ordered: bool = True) -> Tensor:
        return self.value
