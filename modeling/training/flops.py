"""Arithmetic of a training step, and how much of it a device can do."""

from __future__ import annotations

import time

import tensorflow as tf

from modeling.config import BertConfig
from modeling.devices import has_accelerator, num_hosts

_MEASURED_SECONDS = 0.5
# One measurement, long beside the time that starting a product takes.
_SHORTEST_SECONDS = 0.04
_SMALLEST_UNIT, _LARGEST_UNIT = 64, 512


def training_flops(
    config: BertConfig, *, rows: int, length: int, predictions: int
) -> float:
    """Floating-point operations of one forward and backward pass.

    Counted are matrix products, a multiplication and an addition apart, over
    all positions, padding included. The backward pass has two products for one
    of the forward pass (Kaplan et al. 2020, section 2.1; attention as in
    Chowdhery et al. 2022, appendix B). What recomputation repeats is not
    counted: it is the model's arithmetic, not the machine's.

    With D the hidden and I the intermediate size, V the vocabulary, F the
    length, forward:
      a block, a token: 2 (4 D^2 + 2 D I) for its six dense layers, and 4 F D
        for the two products of attention;
      a prediction: 2 (D^2 + D V) for the transform and the decoder;
      a row: 2 (D^2 + 2 D) for the pooler and the next sentence.

    Args:
      config: sizes.
      rows: of a batch.
      length: of a row.
      predictions: masked positions of a row.
    """
    size = config.hidden_size
    dense = 2 * (4 * size**2 + 2 * size * config.intermediate_size)
    attention = 4 * length * size
    blocks = config.num_hidden_layers * length * (dense + attention)
    words = predictions * 2 * (size**2 + size * config.vocab_size)
    next_sentence = 2 * (size**2 + 2 * size)
    return 3.0 * rows * (blocks + words + next_sentence)


def device_ceiling(strategy: tf.distribute.Strategy, dtype: str) -> float:
    """`matrix_product_ceiling` of all devices of a strategy together."""
    ceiling = matrix_product_ceiling(dtype)
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
        rows, size, width = 32 * unit, 6 * unit, 24 * unit
        left = _random((rows, size), dtype)
        right = _random((size, width), dtype)
        # The first product of a size prepares kernels and memory.
        _seconds(left, right, 1)
        seconds = _seconds(left, right, 1)
        repeats = max(1, round(_SHORTEST_SECONDS / seconds))
        if repeats > 1:
            seconds = _seconds(left, right, repeats)
        best = max(best, repeats * 2 * rows * size * width / seconds)
        if time.perf_counter() > end:
            return best
        if repeats > 1 and unit < _LARGEST_UNIT:
            unit *= 2


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
