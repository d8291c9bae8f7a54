"""Runs of element-wise arithmetic as one pass over memory, on CPUs.

Operation after operation, TensorFlow reads and writes an activation dozens of
times between two matrix products. XLA makes one function of such a run; the
products stay TensorFlow's own, which are the faster ones. Each function is
compiled anew for every shape: they are for batches of one shape.

Every function here computes what the layers compute without it, but for the
dropout masks, and says its own gradient, so that no more is kept for the
backward pass than that needs. Masks are not kept at all: a hash of their seed
costs less than the memory. Shapes are those of `modeling.network.layers`.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any

import keras
from keras import ops

from modeling.network.dropout import drop
from modeling.network.gradients import with_gradient

Tensor = Any


def activated(
    x: Tensor, bias: Tensor, function: Callable[[Tensor], tuple[Tensor, Tensor]]
) -> Tensor:
    """An activation of a product and its bias.

    Args:
      x: [B * F, I].
      bias: [I].
      function: float32 numbers -> the activation's value and its slope.

    Returns:
      [B * F, I], in the precision of `x`.
    """
    forward, backward = _activated(function)

    @with_gradient
    def compute(x: Tensor, bias: Tensor) -> tuple[Tensor, Callable]:
        output, slope = forward(x, bias)
        return output, lambda upstream: backward(upstream, slope)

    return compute(x, _value(bias))


def normalized_sum(
    x: Tensor,
    bias: Tensor,
    residual: Tensor,
    norm: keras.layers.LayerNormalization,
    rate: float,
    seed: Tensor | None,
) -> Tensor:
    """Dropout of a product and its bias, plus a residual, through LayerNorm.

    Args:
      x: [B * F, D].
      bias: [D].
      residual: [B * F, D].
      norm: the LayerNorm.
      rate: share of zeroes.
      seed: of the mask, uint32 [2]; None: no dropout.

    Returns:
      [B * F, D], in the precision of `x`.
    """
    forward, backward = _normalized_sum(norm.epsilon, rate)

    @with_gradient
    def compute(
        x: Tensor, bias: Tensor, residual: Tensor, gamma: Tensor, beta: Tensor
    ) -> tuple[Tensor, Callable]:
        output, *kept = forward(x, bias, residual, gamma, beta, seed)

        def gradient(upstream: Tensor) -> tuple[Tensor, ...]:
            return backward(upstream, *kept, gamma, seed)

        return output, gradient

    gamma, beta = _value(norm.gamma), _value(norm.beta)
    return compute(x, _value(bias), residual, gamma, beta)


def dropped_softmax(
    scores: Tensor, bias: Tensor, rate: float, seed: Tensor | None
) -> tuple[Tensor, Tensor]:
    """Attention probabilities, dropped out.

    Args:
      scores: [B, N, F, T].
      bias: [B, 1, 1 or F, T], which gets no gradient.
      rate: share of zeroes.
      seed: of the mask, uint32 [2]; None: no dropout.

    Returns:
      Probabilities after and before dropout, both [B, N, F, T]; the latter
      float32, and without a gradient.
    """
    forward, backward = _dropped_softmax(rate)

    @with_gradient
    def compute(scores: Tensor) -> tuple[Any, Callable]:
        outputs = forward(scores, bias, seed)
        return outputs, lambda upstream: backward(upstream, outputs[1], seed)

    return compute(scores)


def _value(variable: Any) -> Tensor:
    """A tensor: the gradient of a function of variables is theirs alone."""
    return ops.copy(variable)


def _compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function, compiled by XLA; itself where all is compiled anyway."""
    if keras.backend.backend() != "tensorflow":
        return function
    import tensorflow as tf

    return tf.function(function, jit_compile=True, autograph=False)


def _dropped(x: Tensor, rate: float, seed: Tensor | None) -> Tensor:
    """Dropout, the same for the same seed."""
    if seed is None:
        return x
    return drop(x, _hashed_levels(ops.shape(x), seed), rate)


def _hashed_levels(shape: Sequence[int], seed: Tensor) -> Tensor:
    """Integers below 2^16: a hash of their seed and of their place.

    In one pass with what it masks, two rounds of MurmurHash3's finalizer take a
    tenth of the time of Philox.

    Args:
      shape: of the result.
      seed: uint32 [2].
    """
    place = ops.cast(ops.arange(math.prod(shape)), "uint32")
    mixed = _mix(_mix(place ^ seed[0]) ^ seed[1])
    return ops.reshape(ops.right_shift(mixed, _uint32(16)), shape)


def _mix(x: Tensor) -> Tensor:
    """MurmurHash3's finalizer (A. Appleby, public domain): uint32 -> uint32."""
    x = (x ^ ops.right_shift(x, _uint32(16))) * _uint32(0x85EBCA6B)
    x = (x ^ ops.right_shift(x, _uint32(13))) * _uint32(0xC2B2AE35)
    return x ^ ops.right_shift(x, _uint32(16))


def _uint32(value: int) -> Tensor:
    return ops.convert_to_tensor(value, "uint32")


@functools.cache
def _activated(
    function: Callable[[Tensor], tuple[Tensor, Tensor]],
) -> tuple[Callable, Callable]:
    @_compiled
    def forward(x: Tensor, bias: Tensor) -> tuple[Tensor, Tensor]:
        value, slope = function(ops.cast(x, "float32") + bias)
        return ops.cast(value, x.dtype), slope

    @_compiled
    def backward(upstream: Tensor, slope: Tensor) -> tuple[Tensor, Tensor]:
        of_sum = ops.cast(upstream, "float32") * slope
        return ops.cast(of_sum, upstream.dtype), ops.sum(of_sum, axis=0)

    return forward, backward


@functools.cache
def _normalized_sum(epsilon: float, rate: float) -> tuple[Callable, Callable]:
    @_compiled
    def forward(
        x: Tensor,
        bias: Tensor,
        residual: Tensor,
        gamma: Tensor,
        beta: Tensor,
        seed: Tensor | None,
    ) -> tuple[Tensor, ...]:
        x = ops.cast(ops.cast(x, "float32") + bias, x.dtype)
        total = _dropped(x, rate, seed) + residual
        wide = ops.cast(total, "float32")
        mean = ops.mean(wide, axis=-1, keepdims=True)
        variance = ops.mean(ops.square(wide - mean), axis=-1, keepdims=True)
        scale = ops.rsqrt(variance + epsilon)
        output = (wide - mean) * scale * gamma + beta
        return ops.cast(output, x.dtype), total, mean, scale

    @_compiled
    def backward(
        upstream: Tensor,
        total: Tensor,
        mean: Tensor,
        scale: Tensor,
        gamma: Tensor,
        seed: Tensor | None,
    ) -> tuple[Tensor, ...]:
        wide = ops.cast(upstream, "float32")
        normal = (ops.cast(total, "float32") - mean) * scale
        slope = wide * gamma
        along = ops.mean(slope * normal, axis=-1, keepdims=True)
        slope = slope - ops.mean(slope, axis=-1, keepdims=True)
        of_total = ops.cast((slope - normal * along) * scale, total.dtype)
        of_x = _dropped(of_total, rate, seed)
        of_bias = ops.sum(ops.cast(of_x, "float32"), axis=0)
        of_gamma = ops.sum(wide * normal, axis=0)
        return of_x, of_bias, of_total, of_gamma, ops.sum(wide, axis=0)

    return forward, backward


@functools.cache
def _dropped_softmax(rate: float) -> tuple[Callable, Callable]:
    @_compiled
    def forward(
        scores: Tensor, bias: Tensor, seed: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        wide = ops.cast(scores, "float32") + ops.cast(bias, "float32")
        wide = ops.softmax(wide, axis=-1)
        return _dropped(ops.cast(wide, scores.dtype), rate, seed), wide

    @_compiled
    def backward(
        upstream: Tensor, probs: Tensor, seed: Tensor | None
    ) -> Tensor:
        wide = ops.cast(_dropped(upstream, rate, seed), "float32")
        wide = wide - ops.sum(wide * probs, axis=-1, keepdims=True)
        return ops.cast(wide * probs, upstream.dtype)

    return forward, backward
