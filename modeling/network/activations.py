"""The activations that a config can name."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from keras import ops

from modeling.network.gradients import with_gradient

Tensor = Any


def activation(name: str) -> Callable[[Tensor], Tensor]:
    """The function that `BertConfig.hidden_act` names."""
    return _ACTIVATIONS[name]


def value_and_slope(
    name: str,
) -> Callable[[Tensor], tuple[Tensor, Tensor]] | None:
    """Where we know it, the function that gives an activation and its slope,
    from float32 numbers.
    """
    return _SLOPES.get(name)


def _with_slope(
    function: Callable[[Tensor], tuple[Tensor, Tensor]],
) -> Callable[[Tensor], Tensor]:
    """A function of numbers, from one that gives its value and its slope.

    Its gradient keeps the slope alone, where that of one operation after the
    other keeps the result of each. Half precision holds no squares of large
    numbers: all is computed in float32.
    """

    @with_gradient
    def compute(x: Tensor) -> tuple[Tensor, Callable]:
        value, slope = function(x)
        return value, lambda upstream: upstream * slope

    def call(x: Tensor) -> Tensor:
        return ops.cast(compute(ops.cast(x, "float32")), x.dtype)

    return call


def _gelu_tanh(x: Tensor) -> tuple[Tensor, Tensor]:
    # (1 + tanh(y)) / 2 = sigmoid(2 y), here with
    # 2 y = linear * x + cubic * x^3 (Hendrycks and Gimpel 2016).
    linear = 2 * math.sqrt(2 / math.pi)
    cubic = 0.044715 * linear
    factor = linear + cubic * (x * x)
    share = ops.sigmoid(factor * x)
    value = x * share
    # d(2 y)/dx = linear + 3 cubic x^2
    slope = share + (value - value * share) * (3 * factor - 2 * linear)
    return value, slope


def _gelu_erf(x: Tensor) -> tuple[Tensor, Tensor]:
    share = 0.5 + 0.5 * ops.erf(x * math.sqrt(0.5))
    density = ops.exp(-0.5 * (x * x)) * math.sqrt(0.5 / math.pi)
    return x * share, share + x * density


_SLOPES = {"gelu": _gelu_tanh, "gelu_erf": _gelu_erf}
_ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    **{name: _with_slope(function) for name, function in _SLOPES.items()},
    "relu": ops.relu,
    "tanh": ops.tanh,
    "linear": lambda x: x,
}
