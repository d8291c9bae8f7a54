"""Strategies by name, and what is said where there is none."""

import json

import pytest
import tensorflow as tf

from modeling.devices import (
    Tpu,
    has_accelerator,
    is_chief,
    is_tpu,
    make_strategy,
    num_hosts,
)
from modeling.errors import UserError


@pytest.fixture(autouse=True)
def _no_cluster(monkeypatch):
    monkeypatch.delenv("TF_CONFIG", raising=False)


def test_one_device_is_found_without_asking():
    for distribution in ("auto", "one_device"):
        strategy = make_strategy(distribution)
        assert strategy.num_replicas_in_sync == 1
        assert num_hosts(strategy) == 1 and is_chief(strategy)
        assert not is_tpu(strategy)
    assert has_accelerator(strategy) == bool(
        tf.config.list_physical_devices("GPU")
    )


def test_mirrored_takes_all_local_devices():
    strategy = make_strategy("mirrored")
    # tests/conftest.py has split the CPU in two.
    assert strategy.num_replicas_in_sync == 2
    assert num_hosts(strategy) == 1 and is_chief(strategy)


def _cluster(kind, index):
    hosts = {"worker": ["localhost:1"], kind: ["localhost:1"]}
    task = {"type": kind, "index": index}
    return json.dumps({"cluster": hosts, "task": task})


@pytest.mark.parametrize(
    "cluster",
    [
        "not json",
        json.dumps({"task": {"type": "worker", "index": 0}}),
        json.dumps({"cluster": {"worker": "a"}, "task": {}}),
        # An evaluator would train by itself, into the directory of the others.
        _cluster("evaluator", 0),
        _cluster("worker", -1),
    ],
)
def test_a_wrong_cluster_is_told(cluster, monkeypatch):
    monkeypatch.setenv("TF_CONFIG", cluster)
    with pytest.raises(UserError, match="TF_CONFIG must be JSON"):
        make_strategy("auto")


def test_several_hosts_need_a_cluster():
    with pytest.raises(UserError, match="needs the environment variable"):
        make_strategy("multi_worker")


def test_a_tpu_that_is_not_there_is_told():
    with pytest.raises(UserError, match="Cannot use the TPU"):
        make_strategy("auto", Tpu("no-such-tpu"))


def test_a_tpu_contradicts_other_devices():
    with pytest.raises(UserError, match="--use_tpu contradicts"):
        make_strategy("mirrored", Tpu())
