"""Activation checkpointing: what a block computed is computed again for its
gradients instead of being kept, which trades a third more arithmetic for the
memory of all blocks but one (Chen et al. 2016, "Training Deep Nets with
Sublinear Memory Cost").
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
from keras import ops

from modeling.network.dropout import Seed

Tensor = Any


def recomputed(
    block: Callable[..., Any], hidden: Tensor, seed: Seed | None
) -> Any:
    """Calls `block(hidden, seed)` and keeps no more than its arguments.

    Args:
      block: returns tensors that depend on its arguments and variables; they
        are kept, so it should return no more than is needed.
      hidden: what gradients flow back to.
      seed: two integers, or None.
    """
    if seed is None:
        return keras.remat(lambda x: block(x, None))(hidden)
    # A compiler would merge the two equal computations, and so keep everything,
    # if the second did not depend on the gradient that arrives. That dependence
    # is added to the arguments. Seeds must be among them, or each mask would
    # be kept; as floats, because gradients have no business with integers.
    halves = _split(seed)
    return keras.remat(lambda x, halves: block(x, _join(halves)))(
        hidden, halves
    )


def _split(seed: Seed) -> Tensor:
    """uint32 [2] -> float32 [2, 2], halves that a float holds exactly."""
    seed = ops.cast(ops.convert_to_tensor(seed), "uint32")
    return ops.cast(ops.stack([seed // _HALF, seed % _HALF]), "float32")


def _join(halves: Tensor) -> Tensor:
    high, low = ops.unstack(ops.cast(halves, "uint32"))
    return high * _HALF + low


_HALF = 1 << 16
