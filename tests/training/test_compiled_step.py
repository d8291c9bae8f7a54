"""A whole step as one program of XLA, which is how a TPU takes it."""

import dataclasses

import numpy as np
import tensorflow as tf

from modeling.tasks.pretraining import PretrainingTask
from modeling.training.schedules import Schedule
from tests.training.harness import Layout, Training

SCHEDULE = Schedule(1e-3, 10, 1)


def test_step_compiles_with_its_update(
    golden_config, golden_weights, golden_batches
):
    """Dropout, clipping and update included: no shape depends on the data."""
    config = dataclasses.replace(
        golden_config, hidden_dropout_prob=0.1, attention_probs_dropout_prob=0.1
    )
    plain, compiled = (
        Training(
            PretrainingTask(config, mask_id=103),
            golden_weights,
            SCHEDULE,
            Layout(),
            seed=3,
        )
        for _ in range(2)
    )

    @tf.function(jit_compile=True)
    def step(batch):
        return compiled.step(batch, stop=False)

    for batch in golden_batches[:2]:
        batch = compiled.spread(batch)
        expected = plain.step(batch, stop=False)
        np.testing.assert_allclose(step(batch), expected, 1e-4, 1e-7)
    for name, values in plain.weights.items():
        np.testing.assert_allclose(
            compiled.weights[name], values, 0, 1e-5, err_msg=name
        )
