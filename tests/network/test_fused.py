"""Fused arithmetic: the numbers of the plain layers, and their gradients."""

import dataclasses

import keras
import numpy as np
import pytest
from keras import ops

from modeling.network import BertPretrainer
from modeling.network.activations import value_and_slope
from modeling.network.dropout import drop
from modeling.network.fused import (
    _hashed_levels,
    activated,
    dropped_softmax,
    normalized_sum,
)
from tests.network.conftest import spread
from tests.network.test_recompute import (
    assert_equal_gradients,
    step_of,
    tensors,
)

pytestmark = pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="of TensorFlow alone"
)
SEED = np.array([3, 2**32 - 5], np.uint32)


def numbers(*shape, seed=0):
    values = np.random.default_rng(seed).normal(size=shape)
    return ops.convert_to_tensor(values.astype(np.float32))


def gradients_of(function, *inputs):
    """The output, and gradients of a sum that weighs each number otherwise."""
    import tensorflow as tf

    with tf.GradientTape() as tape:
        tape.watch(inputs)
        output = function(*inputs)
        loss = tf.reduce_sum(output * numbers(*output.shape, seed=9))
    return [output, *tape.gradient(loss, inputs)]


def assert_same(actual, expected, tolerance=2e-6):
    for a, e in zip(actual, expected, strict=True):
        scale = np.abs(e).max()
        assert scale > 0
        np.testing.assert_allclose(a / scale, e / scale, 0, tolerance)


@pytest.mark.parametrize("seed", [None, SEED])
def test_normalized_sum_is_the_layers(seed):
    norm = keras.layers.LayerNormalization(epsilon=1e-12)
    norm.build((None, 48))
    norm.gamma.assign(numbers(48, seed=1))
    norm.beta.assign(numbers(48, seed=2))
    parameters = [norm.gamma.value, norm.beta.value]

    def plain(x, bias, residual, *_):
        x = x + bias
        if seed is not None:
            x = drop(x, _hashed_levels(x.shape, seed), 0.3)
        return norm(x + residual)

    def fused(x, bias, residual, *_):
        return normalized_sum(x, bias, residual, norm, 0.3, seed)

    inputs = numbers(10, 48), numbers(48), numbers(10, 48, seed=3)
    assert_same(
        gradients_of(fused, *inputs, *parameters),
        gradients_of(plain, *inputs, *parameters),
    )


@pytest.mark.parametrize("seed", [None, SEED])
def test_dropped_softmax_is_the_layers(seed):
    bias = np.zeros((2, 1, 1, 7), np.float32)
    bias[0, :, :, 5:] = -10000.0

    def plain(scores):
        probs = ops.softmax(scores + bias, axis=-1)
        if seed is None:
            return probs
        return drop(probs, _hashed_levels(probs.shape, seed), 0.3)

    scores = numbers(2, 3, 7, 7)
    assert_same(
        gradients_of(lambda x: dropped_softmax(x, bias, 0.3, seed)[0], scores),
        gradients_of(plain, scores),
    )
    before_dropout = dropped_softmax(scores, bias, 0.3, seed)[1]
    assert_same([before_dropout], [ops.softmax(scores + bias, axis=-1)])


@pytest.mark.parametrize("name", ["gelu", "gelu_erf"])
def test_activations_are_those_of_keras(name):
    def plain(x, bias):
        return keras.activations.gelu(x + bias, approximate=name == "gelu")

    function = value_and_slope(name)
    inputs = 3 * numbers(10, 48), numbers(48)
    assert_same(
        gradients_of(lambda *a: activated(*a, function), *inputs),
        gradients_of(plain, *inputs),
    )


def well_conditioned(model):
    """Random weights under which no softmax is nearly 0 or 1."""
    for variable in spread(model).weights:
        if variable.path.endswith("gamma"):
            variable.assign_add(ops.ones(variable.shape))
        elif variable.path.endswith("kernel"):
            variable.assign(0.5 * variable.value)
    return model


@pytest.mark.parametrize("recompute", [False, True])
@pytest.mark.parametrize(
    "dtype, hidden_act",
    [("float32", "gelu"), ("float32", "relu"), ("mixed_bfloat16", "gelu_erf")],
)
def test_a_model_has_the_gradients_of_the_plain(
    tiny_config, dtype, hidden_act, recompute
):
    config = dataclasses.replace(
        tiny_config,
        hidden_act=hidden_act,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
    )
    plain, fused = (
        well_conditioned(BertPretrainer(config, dtype=dtype, **options))
        for options in ({}, {"fuse": True, "recompute": recompute})
    )
    (loss, expected), (actual_loss, actual) = (
        step_of(model)(*tensors()) for model in (plain, fused)
    )
    exact = dtype == "float32"
    np.testing.assert_allclose(actual_loss, loss, rtol=1e-6 if exact else 1e-2)
    assert_equal_gradients(actual, expected, plain, 1e-5 if exact else 0.03)


def test_a_models_masks_follow_from_the_seed(tiny_config):
    model = spread(BertPretrainer(tiny_config, fuse=True))
    recomputing = spread(BertPretrainer(tiny_config, fuse=True, recompute=True))
    batch, seed = tensors()
    loss, gradients = step_of(model)(batch, seed)
    again, _ = step_of(model)(batch, seed)
    recomputed, other_gradients = step_of(recomputing)(batch, seed)
    assert float(loss) == float(again)
    np.testing.assert_allclose(recomputed, loss, rtol=1e-6)
    assert_equal_gradients(other_gradients, gradients, model)
    assert float(loss) != float(step_of(model)(batch, seed + 1)[0])


def test_levels_are_random():
    """Uniform; and each bit independent of seed, neighbour and row."""
    shape, count = (512, 1024), 512 * 1024
    levels = ops.convert_to_numpy(_hashed_levels(shape, SEED)).astype(np.int64)
    assert levels.min() >= 0 and levels.max() < 1 << 16
    for rate in (0.1, 0.5):
        share = (levels < rate * (1 << 16)).mean()
        deviation = (rate * (1 - rate) / count) ** 0.5
        assert abs(share - rate) < 4 * deviation
    bits = (levels[..., None] >> np.arange(16)) & 1
    others = [
        np.roll(bits, shift, axis) for axis in (0, 1) for shift in (1, 2, 64)
    ]
    for change in ([1, 0], [0, 1], [0, 4096], [2**31, 0], [1, 2**32 - 1]):
        seed = SEED + np.array(change, np.uint32)
        other = ops.convert_to_numpy(_hashed_levels(shape, seed))
        others.append((other.astype(np.int64)[..., None] >> np.arange(16)) & 1)
    for other in others:
        equal = (bits == other).mean(axis=(0, 1))
        # Five standard deviations, of 176 shares.
        assert np.abs(equal - 0.5).max() < 5 * 0.5 / count**0.5
