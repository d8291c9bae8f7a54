"""Functions that say their own gradient, under every back end."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from keras import ops

Tensor = Any


def with_gradient(
    function: Callable[..., tuple[Any, Callable[[Tensor], Any]]],
) -> Callable[..., Any]:
    """Replaces the gradient that would be derived of a function.

    Args:
      function: tensors -> its output, a tensor or several of which only the
        first has a gradient, and the function from the first's upstream
        gradient to the gradients of all tensors.

    Returns:
      Tensors -> the output.
    """

    @ops.custom_gradient
    def compute(*tensors: Tensor) -> tuple[Any, Callable]:
        output, gradient = function(*tensors)

        def from_upstream(*args: Any, upstream: Any = None) -> Any:
            # TensorFlow gives one upstream after the other, JAX all in the
            # output's structure, PyTorch that of one output by name, after
            # the inputs.
            first = args[0] if upstream is None else upstream
            return gradient(first[0] if isinstance(first, tuple) else first)

        return output, from_upstream

    return compute
