"""Bias correction, beside the formula of its paper."""

import numpy as np
import pytest

from modeling.training.optimizers import OptimizerOptions
from modeling.training.schedules import Schedule
from tests.training.harness import Layout, Line, Training


@pytest.mark.parametrize("replicas", [1, 2])
def test_bias_correction(replicas):
    """Kingma and Ba 2015, algorithm 1, with decoupled decay."""
    options = OptimizerOptions(bias_correction=True, clip_norm=1e9)
    training = Training(
        Line(), {}, Schedule(0.1, 100, 0), Layout(replicas=replicas), options
    )
    rng = np.random.default_rng(0)
    w, m, v = 1.0, 0.0, 0.0
    for count in range(1, 6):
        x, y = rng.normal(size=(2, 4)).astype(np.float32)
        (result,) = training.run([{"x": x, "y": y}])
        gradient = np.mean(2 * (w * x - y) * x)
        m = 0.9 * m + 0.1 * gradient
        v = 0.999 * v + 0.001 * gradient**2
        corrected_m, corrected_v = m / (1 - 0.9**count), v / (1 - 0.999**count)
        direction = corrected_m / (np.sqrt(corrected_v) + 1e-6) + 0.01 * w
        w -= result.learning_rate * direction
        (ours,) = training.weights.values()
        np.testing.assert_allclose(ours, w, rtol=2e-6)
