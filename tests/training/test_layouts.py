"""The same batches give the same weights, wherever they are computed."""

import dataclasses
import functools
import json
import os
import socket
import subprocess
import sys

import keras
import numpy as np
import pytest

from modeling.tasks.pretraining import PretrainingTask
from modeling.training.schedules import Schedule
from tests.conftest import ROOT
from tests.training.harness import Layout, Training

SCHEDULE = Schedule(1e-3, 10, 1)
STEPS = 4
_TOLERANCE = 1e-6


@pytest.fixture(scope="module")
def train(golden_config, golden_batches):
    """Weights of a small model after some steps; each computed once."""

    @functools.cache
    def run(layout, dropout=0.0, seed=0, again=0):
        del again
        config = dataclasses.replace(
            golden_config,
            num_hidden_layers=1,
            hidden_dropout_prob=dropout,
            attention_probs_dropout_prob=dropout,
        )
        keras.utils.set_random_seed(1)
        training = Training(
            PretrainingTask(config), {}, SCHEDULE, layout, seed=seed
        )
        training.run(_uneven(golden_batches))
        return training.weights

    return run


@pytest.mark.parametrize(
    "layout",
    [
        Layout(replicas=2),
        Layout(micro_batches=4),
        Layout(2, 2),
        Layout(mirrored=True),
    ],
    ids=["two_replicas", "accumulated", "both", "mirrored_once"],
)
def test_weights_do_not_depend_on_the_layout(layout, train):
    _check_equal(train(layout), train(Layout()))


def test_two_hosts_give_the_weights_of_one(
    golden_task, golden_dir, golden_weights, golden_batches, tmp_path
):
    """MultiWorkerMirroredStrategy, two processes on this machine."""
    output = tmp_path / "weights.npz"
    hosts = [f"localhost:{port}" for port in _free_ports(2)]
    command = [
        sys.executable,
        "-m",
        "tests.training.one_of_two_hosts",
        str(golden_dir),
        str(output),
    ]
    processes = [
        subprocess.Popen(
            command,
            cwd=ROOT,
            env={
                **os.environ,
                "TF_CONFIG": json.dumps(
                    {
                        "cluster": {"worker": hosts},
                        "task": {"type": "worker", "index": index},
                    }
                ),
            },
            stderr=subprocess.PIPE,
            text=True,
        )
        for index in range(2)
    ]
    try:
        errors = [process.communicate(timeout=300)[1] for process in processes]
    finally:
        for process in processes:
            process.kill()
    assert [p.returncode for p in processes] == [0, 0], "\n".join(errors)

    alone = Training(golden_task, golden_weights, SCHEDULE, Layout())
    alone.run(golden_batches[:STEPS])
    with np.load(output) as weights:
        _check_equal(dict(weights), alone.weights)


def test_dropout_repeats_for_a_seed_and_differs_between_replicas(train):
    layout = Layout(replicas=2)
    once = train(layout, 0.1, seed=1)
    again = train(layout, 0.1, seed=1, again=1)
    for name, values in once.items():
        np.testing.assert_array_equal(values, again[name], name)
    assert _difference(once, train(layout, 0.1, seed=2)) > 1e-4
    # One device drops out otherwise than two.
    assert _difference(once, train(Layout(), 0.1, seed=1)) > 1e-4


def _uneven(batches):
    """Batches of which some rows have no prediction, others many."""
    uneven = []
    for batch in batches[:STEPS]:
        weights = batch["masked_lm_weights"].copy()
        weights[0] = 0
        weights[1, 1:] = 0
        uneven.append({**batch, "masked_lm_weights": weights})
    return uneven


def _check_equal(weights, expected):
    assert set(weights) == set(expected)
    for name, values in expected.items():
        np.testing.assert_allclose(
            weights[name], values, 0, _TOLERANCE, err_msg=name
        )


def _difference(one, other):
    return max(np.abs(one[name] - other[name]).max() for name in one)


def _free_ports(count):
    sockets = [socket.socket() for _ in range(count)]
    for each in sockets:
        each.bind(("localhost", 0))
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports
