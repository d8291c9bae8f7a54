"""The devices that a job computes on."""

from __future__ import annotations

import dataclasses
import functools
import json
import os

import tensorflow as tf
from absl import logging

from modeling.errors import UserError

DISTRIBUTIONS = ("auto", "one_device", "mirrored", "multi_worker", "tpu")


@dataclasses.dataclass(frozen=True)
class Tpu:
    """Which TPU.

    Attributes:
      name: of the Cloud TPU, or its address; None: the one of this machine.
      zone, project: where it is, if that is not plain from this machine.
    """

    name: str | None = None
    zone: str | None = None
    project: str | None = None


def make_strategy(
    distribution: str = "auto", tpu: Tpu | None = None
) -> tf.distribute.Strategy:
    """The strategy that a job runs under.

    Call it before anything else of TensorFlow: several hosts must find each
    other first.

    Args:
      distribution: "one_device"; "mirrored" (all GPUs of this machine, or all
        logical devices of its CPU); "multi_worker" (the hosts that the
        environment variable TF_CONFIG lists); "tpu"; or "auto": the TPU if one
        is given, the hosts if TF_CONFIG is set, all GPUs if there are several,
        else one device.
      tpu: which; None: none is asked for.

    Raises:
      UserError: the devices are not there, or TF_CONFIG cannot be read.
    """
    if distribution == "auto":
        distribution = _detect(tpu)
    if distribution == "tpu":
        return connect_tpu(tpu or Tpu())
    if tpu is not None:
        raise UserError(
            f"--use_tpu contradicts --distribution={distribution}. Leave one "
            "of them out."
        )
    if distribution == "multi_worker":
        return _connect_hosts()
    if distribution == "mirrored":
        return mirrored(tuple(_local_devices()))
    return tf.distribute.get_strategy()


@functools.cache
def mirrored(devices: tuple[str, ...]) -> tf.distribute.MirroredStrategy:
    """The strategy over some devices of this machine.

    One for all who ask: replicas of a second strategy in a process would take
    up messages of the first one's.
    """
    return tf.distribute.MirroredStrategy(list(devices))


def split_cpu(count: int) -> None:
    """Makes TensorFlow take the CPU for several devices, before it starts.

    Raises:
      RuntimeError: TensorFlow has started.
    """
    if count == 1:
        return
    cpu, *_ = tf.config.list_physical_devices("CPU")
    tf.config.set_logical_device_configuration(
        cpu, [tf.config.LogicalDeviceConfiguration()] * count
    )


def num_hosts(strategy: tf.distribute.Strategy) -> int:
    """Machines with an input pipeline of their own."""
    if is_tpu(strategy):
        return strategy.extended.num_hosts
    if isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy):
        spec = strategy.cluster_resolver.cluster_spec()
        return sum(
            spec.num_tasks(job)
            for job in ("chief", "worker")
            if job in spec.jobs
        )
    return 1


def is_chief(strategy: tf.distribute.Strategy) -> bool:
    """Whether this process writes the files."""
    if not isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy):
        return True
    resolver = strategy.cluster_resolver
    if "chief" in resolver.cluster_spec().jobs:
        return resolver.task_type == "chief"
    return resolver.task_id == 0


def is_tpu(strategy: tf.distribute.Strategy) -> bool:
    """Whether the strategy computes on a TPU."""
    return isinstance(strategy, tf.distribute.TPUStrategy)


def has_accelerator(strategy: tf.distribute.Strategy) -> bool:
    """Whether the strategy computes on GPUs or TPUs."""
    return is_tpu(strategy) or bool(tf.config.list_physical_devices("GPU"))


def _detect(tpu: Tpu | None) -> str:
    if tpu is not None:
        return "tpu"
    if os.environ.get("TF_CONFIG"):
        return "multi_worker"
    if len(tf.config.list_logical_devices("GPU")) > 1:
        return "mirrored"
    return "one_device"


def _local_devices() -> list[str]:
    for kind in ("GPU", "CPU"):
        if devices := tf.config.list_logical_devices(kind):
            return [device.name for device in devices]
    raise UserError("TensorFlow finds no device on this machine.")


_TF_CONFIG_EXAMPLE = (
    '{"cluster": {"worker": ["host1:12345", "host2:12345"]}, '
    '"task": {"type": "worker", "index": 0}}'
)


def _connect_hosts() -> tf.distribute.Strategy:
    _check_tf_config(os.environ.get("TF_CONFIG"))
    # It waits for them as long as it takes.
    logging.info("Connecting to the hosts of %s", os.environ["TF_CONFIG"])
    try:
        resolver = tf.distribute.cluster_resolver.TFConfigClusterResolver()
        return tf.distribute.MultiWorkerMirroredStrategy(resolver)
    except (ValueError, TypeError, tf.errors.OpError) as error:
        raise UserError(
            f"Cannot connect to the hosts that TF_CONFIG lists: {error}. "
            f"Is this host's port free? Received: {os.environ['TF_CONFIG']}"
        ) from error


def _check_tf_config(text: str | None) -> None:
    if not text:
        raise UserError(
            "--distribution=multi_worker needs the environment variable "
            "TF_CONFIG, which lists the hosts and says which one this is, as "
            f"in {_TF_CONFIG_EXAMPLE}."
        )
    try:
        config = json.loads(text)
        task, index = config["task"], int(config["task"]["index"])
        host = config["cluster"][task["type"]][index]
        is_right = (
            task["type"] in ("chief", "worker")
            and index >= 0
            and isinstance(host, str)
            and ":" in host
        )
    except (ValueError, KeyError, TypeError, IndexError):
        is_right = False
    if not is_right:
        raise UserError(
            "TF_CONFIG must be JSON with a cluster and this host's task in it, "
            f"a worker or the chief, as in {_TF_CONFIG_EXAMPLE}. Received: "
            f"{text}"
        )


def connect_tpu(tpu: Tpu) -> tf.distribute.TPUStrategy:
    """Connects to a TPU and starts it.

    Raises:
      UserError: there is no such TPU.
    """
    try:
        resolver = tf.distribute.cluster_resolver.TPUClusterResolver(
            tpu.name or "local", zone=tpu.zone, project=tpu.project
        )
        if tpu.name:
            tf.config.experimental_connect_to_cluster(resolver)
        tf.tpu.experimental.initialize_tpu_system(resolver)
    except (ValueError, OSError, RuntimeError, tf.errors.OpError) as error:
        raise UserError(
            f"Cannot use the TPU {tpu.name or 'of this machine'}: {error}. "
            "Check --tpu_name, or leave --use_tpu out to compute here."
        ) from error
    return tf.distribute.TPUStrategy(resolver)
