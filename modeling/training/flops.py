"""How much arithmetic a step has, and how much of it a device can do."""

from __future__ import annotations

import functools
import time
from collections.abc import Mapping, Sequence

import tensorflow as tf

from modeling.devices import has_accelerator, num_hosts
from modeling.training.task import Features, Task

_MEASURED_SECONDS = 0.5
# One measurement, long beside the time that starting a product takes.
_SHORTEST_SECONDS = 0.04
_SMALLEST_UNIT, _LARGEST_UNIT = 64, 512


class StepFlops:
    """Counts a step's operations on all hosts, which have as many each, by the
    shapes of its batch; 0 where they are not counted.

    Args:
      task: what is learned.
      trained: paths of the variables that are trained.
      strategy: where the step runs.
    """

    def __init__(
        self,
        task: Task,
        trained: Sequence[str],
        strategy: tf.distribute.Strategy,
    ) -> None:
        self._task, self._strategy = task, strategy
        # Asked of every part of the network, at each step.
        self._is_trained = functools.cache(
            lambda scope: any(path.startswith(scope) for path in trained)
        )

    def of_batch(self, features: Features) -> int:
        """Of a global batch, as the strategy distributes it."""
        local = self._strategy.experimental_local_results
        parts = zip(*map(local, features.values()), strict=True)
        return self.of_shapes(
            [
                dict(zip(features, (v.shape for v in part), strict=True))
                for part in parts
            ]
        )

    def of_shapes(
        self, replicas: Sequence[Mapping[str, tf.TensorShape]]
    ) -> int:
        """Of the shapes of features on each of this host's replicas, or on one
        where all have the same. Graphs may leave them open: 0.
        """
        total = 0
        for shapes in replicas:
            if not all(shape.is_fully_defined() for shape in shapes.values()):
                return 0
            total += self._task.flops(shapes, self._is_trained) or 0
        return total * self._strategy.num_replicas_in_sync // len(replicas)


def device_ceiling(strategy: tf.distribute.Strategy, dtype: str) -> float:
    """`matrix_product_ceiling` of all devices of a strategy together."""
    ceiling = _known_ceiling(dtype)
    if has_accelerator(strategy):
        return ceiling * strategy.num_replicas_in_sync
    # Replicas on a CPU share its cores.
    return ceiling * num_hosts(strategy)


def matrix_product_ceiling(dtype: str) -> float:
    """Measures the operations a second of large matrix products.

    Takes about half a second, on the device that TensorFlow uses by default;
    where several replicas have a device each, theirs add up. The products have
    the proportions of BERT's widening layer and grow until one takes long.

    Args:
      dtype: of the matrices: "float32", "bfloat16" or "float16".
    """
    best, unit = 0.0, _SMALLEST_UNIT
    end = time.perf_counter() + _MEASURED_SECONDS
    while True:
        try:
            rate, repeats = _measure(unit, dtype)
        except tf.errors.ResourceExhaustedError:
            # Beside a model there is no room for larger ones.
            return best
        best = max(best, rate)
        if time.perf_counter() > end:
            return best
        if repeats > 1 and unit < _LARGEST_UNIT:
            unit *= 2


def _measure(unit: int, dtype: str) -> tuple[float, int]:
    """Operations a second of products of a size, and how many were timed."""
    rows, size, width = 32 * unit, 6 * unit, 24 * unit
    left = _random((rows, size), dtype)
    right = _random((size, width), dtype)
    # The first product of a size prepares kernels and memory.
    _seconds(left, right, 1)
    seconds = _seconds(left, right, 1)
    repeats = max(1, round(_SHORTEST_SECONDS / seconds))
    if repeats > 1:
        seconds = _seconds(left, right, repeats)
    return repeats * 2 * rows * size * width / seconds, repeats


def _random(shape: tuple[int, int], dtype: str) -> tf.Tensor:
    # Of equal numbers, a device that saves energy computes faster.
    values = tf.random.stateless_normal(shape, seed=(1, 2))
    return tf.cast(values, dtype)


def _seconds(left: tf.Tensor, right: tf.Tensor, repeats: int) -> float:
    start = time.perf_counter()
    for _ in range(repeats):
        product = tf.matmul(left, right)
    # Devices run ahead of Python until a number is asked for.
    product[0, 0].numpy()
    return time.perf_counter() - start


# Once for all trainings of a process.
_known_ceiling = functools.cache(matrix_product_ceiling)
