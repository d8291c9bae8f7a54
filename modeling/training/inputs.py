"""Batches from every host's pipeline to every replica."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from modeling.devices import num_hosts
from modeling.errors import UserError


@dataclasses.dataclass(frozen=True)
class Share:
    """What one host reads of every global batch.

    Attributes:
      host: number of this host.
      num_hosts: hosts that read.
      rows: rows of a batch on this host.
      replicas: replicas that share them.
    """

    host: int
    num_hosts: int
    rows: int
    replicas: int

    @property
    def rows_per_replica(self) -> int:
        """Rows of a batch on one device."""
        return self.rows // self.replicas


def check_batch_size(
    strategy: tf.distribute.Strategy,
    batch_size: int,
    flag: str,
    micro_batches: int = 1,
) -> None:
    """Checks that a global batch can be dealt out evenly.

    Raises:
      UserError: it cannot, naming the flag.
    """
    replicas = strategy.num_replicas_in_sync
    if batch_size % (replicas * micro_batches):
        raise UserError(
            f"--{flag}={batch_size} is the global batch. It must be a multiple "
            f"of {replicas * micro_batches}: {replicas} replicas times "
            f"{micro_batches} micro-batches (--gradient_accumulation_steps)."
        )


def distribute(
    strategy: tf.distribute.Strategy,
    make_dataset: Callable[[Share], tf.data.Dataset],
    batch_size: int,
) -> Any:
    """A dataset of global batches.

    Args:
      strategy: whose replicas take the batches.
      make_dataset: a host's dataset, of batches for one replica after the
        other.
      batch_size: rows of a global batch.
    """
    per_replica = batch_size // strategy.num_replicas_in_sync

    def make(context: tf.distribute.InputContext) -> tf.data.Dataset:
        replicas = strategy.num_replicas_in_sync // context.num_input_pipelines
        return make_dataset(
            Share(
                context.input_pipeline_id,
                context.num_input_pipelines,
                per_replica * replicas,
                replicas,
            )
        )

    return strategy.distribute_datasets_from_function(make)


def deal(dataset: tf.data.Dataset, share: Share) -> tf.data.Dataset:
    """A host's batches -> a batch for each of its replicas in turn.

    Args:
      dataset: dictionaries of [share.rows, ...].
      share: of this host.
    """
    if share.replicas == 1:
        return dataset

    def split(features: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        return {
            name: tf.reshape(
                values,
                (share.replicas, share.rows_per_replica, *values.shape[1:]),
            )
            for name, values in features.items()
        }

    return dataset.map(split).unbatch()


def all_positions(
    strategy: tf.distribute.Strategy, position: np.ndarray
) -> np.ndarray:
    """Every host's position in its data.

    Args:
      strategy: of the training; all hosts must call this together.
      position: of this host: int64 [3].

    Returns:
      int64 [hosts, 3].
    """
    hosts = num_hosts(strategy)
    if hosts == 1:
        return position[None]
    replicas = strategy.num_replicas_in_sync
    mine = strategy.experimental_distribute_values_from_function(
        lambda _: tf.constant(position, tf.int64)
    )

    @tf.function
    def gather() -> tf.Tensor:
        return strategy.run(_in_a_row_of_its_own, args=(mine, replicas))

    rows = strategy.experimental_local_results(gather())[0].numpy()
    return rows[:: replicas // hosts]


def position_of_host(
    strategy: tf.distribute.Strategy, positions: np.ndarray
) -> np.ndarray:
    """This host's position of those that `all_positions` has given.

    Of another number of hosts, which the check of settings has told, it is the
    first one.
    """
    hosts = num_hosts(strategy)
    if hosts == 1 or len(positions) != hosts:
        return positions[0]
    return positions[strategy.cluster_resolver.task_id or 0]


def _in_a_row_of_its_own(position: tf.Tensor, replicas: int) -> tf.Tensor:
    # Gathering is not to be had in every strategy's replicas; sums are.
    context = tf.distribute.get_replica_context()
    number = context.replica_id_in_sync_group
    row = tf.one_hot(number, replicas, dtype=tf.int64)[:, None] * position
    return context.all_reduce(tf.distribute.ReduceOp.SUM, row)
