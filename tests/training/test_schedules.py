"""Learning rates by hand, and what options refuse."""

import math

import numpy as np
import pytest
import tensorflow as tf

from modeling.errors import UserError
from modeling.training.optimizers import (
    UPDATE_RULES,
    OptimizerOptions,
    layers_above,
)
from modeling.training.schedules import SCHEDULES, Schedule


def _rates(schedule, steps):
    return [float(schedule(tf.constant(step, tf.int64))) for step in steps]


# Peak 1, ten steps, two of them warm-up: steps 0, 1, 2, 6, 9, 10, 50.
_STEPS = (0, 1, 2, 6, 9, 10, 50)
_EXPECTED = {
    "linear": (0, 0.5, 0.8, 0.4, 0.1, 0, 0),
    "polynomial": (0, 0.5, 0.64, 0.16, 0.01, 0, 0),
    "cosine": (0, 0.5, 1, 0.5, 0.5 + 0.5 * math.cos(math.pi * 7 / 8), 0, 0),
    "constant": (0, 0.5, 1, 1, 1, 1, 1),
    "wsd": (0, 0.5, 1, 1, 0.25, 0, 0),
}


@pytest.mark.parametrize("kind", SCHEDULES)
def test_schedules(kind):
    schedule = Schedule(1.0, 10, 2, kind, power=2.0, num_decay_steps=4)
    np.testing.assert_allclose(
        _rates(schedule, _STEPS), _EXPECTED[kind], atol=1e-6
    )


def test_decay_ends_where_it_is_told():
    schedule = Schedule(1.0, 10, 0, "linear", end_learning_rate=0.5)
    np.testing.assert_allclose(_rates(schedule, (0, 5, 10)), (1, 0.75, 0.5))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"kind": "step"}, "Received: 'step'"),
        ({"learning_rate": 0.0}, "learning rate must be above 0"),
        ({"learning_rate": math.nan}, "Received: nan"),
        ({"end_learning_rate": 2.0}, "Received: 2.0"),
        ({"num_train_steps": 0}, "num_train_steps=0"),
        ({"num_warmup_steps": -1}, "num_warmup_steps=-1"),
        ({"num_decay_steps": 11}, "Received: 11"),
        ({"power": 0.0}, "power must be above 0"),
        ({"power": math.nan}, "power must be above 0"),
    ],
)
def test_schedules_refuse(changes, message):
    with pytest.raises(UserError, match=message):
        Schedule(**{"learning_rate": 1.0, "num_train_steps": 10, **changes})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"name": "sgd"}, "Received: 'sgd'"),
        ({"beta_1": 1.0}, "beta_1 .* Received: 1.0"),
        ({"weight_decay_rate": -1.0}, "Received: -1.0"),
        ({"clip_norm": 0.0}, "clip_norm must be above 0"),
        # Infinity divided by itself is no number.
        ({"clip_norm": math.inf}, "clip_norm must be above 0"),
        ({"layer_decay": 1.5}, "layer_decay"),
    ],
)
def test_optimizers_refuse(changes, message):
    with pytest.raises(UserError, match=message):
        OptimizerOptions(**changes)


def test_layers_above():
    counts = {
        "bert/embeddings/word_embeddings": 13,
        "bert/encoder/layer_0/attention/self/query/kernel": 12,
        "bert/encoder/layer_11/output/dense/bias": 1,
        "bert/pooler/dense/kernel": 0,
        "cls/predictions/output_bias": 0,
        "output_weights": 0,
    }
    for path, count in counts.items():
        assert layers_above(path, 12) == count, path


def test_lamb_scales_to_the_norm_of_the_weights():
    """Two steps in numpy (You et al. 2020, algorithm 2, without correction)."""
    rng = np.random.default_rng(0)
    weights, m, v = rng.normal(size=(4, 3)), np.zeros((4, 3)), np.zeros((4, 3))
    ours = [tf.constant(x, tf.float32) for x in (weights, m, v)]
    options = OptimizerOptions(name="lamb")
    for _ in range(2):
        gradient = rng.normal(size=(4, 3))
        m = 0.9 * m + 0.1 * gradient
        v = 0.999 * v + 0.001 * gradient**2
        direction = m / (np.sqrt(v) + 1e-6) + 0.01 * weights
        ratio = np.linalg.norm(weights) / np.linalg.norm(direction)
        weights = weights - 0.1 * ratio * direction
        ours = UPDATE_RULES["lamb"](
            options,
            False,
            *ours,
            tf.constant(2.0 * gradient, tf.float32),
            tf.constant(0.5),
            tf.constant(0.1),
        )
    np.testing.assert_allclose(ours[0], weights, atol=1e-6)
    np.testing.assert_allclose(ours[2], v, atol=1e-7)


def test_lamb_leaves_biases_and_zeros_unscaled():
    gradient, rate = tf.constant([1.0]), tf.constant(0.1)
    zero, one = tf.zeros([1]), tf.ones([])
    options = OptimizerOptions(name="lamb")
    adam, lamb = (
        UPDATE_RULES[rule](
            options, True, tf.constant([5.0]), zero, zero, gradient, one, rate
        )
        for rule in ("adamw", "lamb")
    )
    np.testing.assert_array_equal(adam[0], lamb[0])
    # Weights of zero have no norm to scale to.
    new, *_ = UPDATE_RULES["lamb"](
        options, False, zero, zero, zero, gradient, one, rate
    )
    np.testing.assert_allclose(new, -0.1 * 0.1 / (np.sqrt(1e-3) + 1e-6), 1e-5)
