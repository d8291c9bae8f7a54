"""Prediction: a task's outputs for batches of arrays."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterable, Iterator
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from modeling.devices import num_hosts
from modeling.training.task import Task

Arrays = dict[str, np.ndarray]
_BATCHES_AHEAD = 4


class Predictor:
    """Computes a task's outputs on all devices of this host.

    Every host computes all batches, so that each has all outputs.

    Args:
      task: with a method `outputs(model, features)` that returns a dictionary
        of tensors [examples, ...].
      model: of the task.
      strategy: where it runs.
      xla: whether XLA compiles the forward pass.
    """

    def __init__(
        self,
        task: Task,
        model: keras.Model,
        strategy: tf.distribute.Strategy,
        xla: bool = False,
    ) -> None:
        self._strategy = strategy
        self.replicas = strategy.num_replicas_in_sync // num_hosts(strategy)
        forward = tf.function(
            lambda features: task.outputs(model, features),
            jit_compile=xla or None,
            reduce_retracing=True,
        )
        self._step = tf.function(
            lambda features: strategy.run(forward, args=(features,)),
            reduce_retracing=True,
        )

    def predict(self, batches: Iterable[tuple[Any, Arrays]]) -> Iterator[Any]:
        """Outputs as they are computed.

        Args:
          batches: (anything, features [examples, ...] of all replicas); the
            next ones are made while one is computed.

        Yields:
          (the same thing, outputs [examples, ...]).
        """
        for key, features in _ahead(batches):
            yield key, self._outputs(features)

    def _outputs(self, features: Arrays) -> Arrays:
        if self._strategy.num_replicas_in_sync == 1:
            tensors = {k: tf.convert_to_tensor(v) for k, v in features.items()}
            return {k: v.numpy() for k, v in self._step(tensors).items()}

        def part(context: tf.distribute.ValueContext) -> dict[str, tf.Tensor]:
            number = context.replica_id_in_sync_group % self.replicas
            return {
                name: tf.constant(np.split(values, self.replicas)[number])
                for name, values in features.items()
            }

        spread = self._strategy.experimental_distribute_values_from_function(
            part
        )
        return {
            name: np.concatenate(
                [
                    local.numpy()
                    for local in self._strategy.experimental_local_results(
                        values
                    )
                ]
            )
            for name, values in self._step(spread).items()
        }


class _End:
    """The last thing in the queue, with what ended the iteration."""

    def __init__(self, error: BaseException | None = None) -> None:
        self.error = error


def _ahead(items: Iterable[Any]) -> Iterator[Any]:
    """Takes items from a thread of its own, a few ahead."""
    waiting: queue.Queue[Any] = queue.Queue(_BATCHES_AHEAD)
    ended = threading.Event()

    def fill() -> None:
        end = _End()
        try:
            for item in items:
                if not _put(waiting, item, ended):
                    return
        except BaseException as error:  # told to whoever takes items
            end = _End(error)
        _put(waiting, end, ended)

    thread = threading.Thread(target=fill, daemon=True)
    thread.start()
    try:
        while not isinstance(item := waiting.get(), _End):
            yield item
        if item.error is not None:
            raise item.error
    finally:
        ended.set()
        thread.join()


def _put(waiting: queue.Queue[Any], item: Any, ended: threading.Event) -> bool:
    while not ended.is_set():
        try:
            waiting.put(item, timeout=0.1)
            return True
        except queue.Full:
            continue
    return False
