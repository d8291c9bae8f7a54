"""Evaluation: one exact pass over a set."""

from __future__ import annotations

import collections
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from absl import logging

from modeling.output_files import write_json, write_results
from modeling.training.any_files import make_directory
from modeling.training.task import Features, Task

_SUM = tf.distribute.ReduceOp.SUM


def write_evaluation(
    directory: str, results: Mapping[str, Any], original: Sequence[str]
) -> None:
    """Writes `eval_results.txt` as the original does, and a JSON of all.

    Args:
      directory: of both files.
      results: of an evaluation.
      original: those that the original writes; others would confuse scripts
        that read its file.

    Raises:
      OSError: a file cannot be written.
    """
    make_directory(directory)
    path = os.path.join(directory, "eval_results")
    shown = {name: results[name] for name in original if name in results}
    write_results(f"{path}.txt", {k: _as_float32(v) for k, v in shown.items()})
    write_json(f"{path}.json", results)
    logging.info("***** Eval results *****")
    for name in sorted(results):
        logging.info("  %s = %s", name, results[name])


def _as_float32(value: Any) -> Any:
    # With as many digits as the original.
    return np.float32(value) if isinstance(value, float) else value


class Evaluator:
    """Sums a task's numbers over batches.

    Args:
      task: what is learned.
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
        self._task, self._model, self._strategy = task, model, strategy
        self._names: tuple[list[str], list[str]] = ([], [])
        self._forward = tf.function(self._sums, jit_compile=xla or None)
        self._step = tf.function(self._run, reduce_retracing=True)

    def evaluate(
        self,
        batches: Iterable[Any],
        each_batch: Callable[[int], None] = lambda sequences: None,
    ) -> dict[str, float]:
        """The task's metrics and the loss over all batches.

        The loss is the mean of the batches' losses, each weighted by its
        sequences, which is the original's mean where all are full.

        Args:
          batches: of features, as the strategy distributes them.
          each_batch: called with the number of sequences of each.
        """
        totals: collections.Counter[str] = collections.Counter()
        weights: collections.Counter[str] = collections.Counter()
        weighted_loss = 0.0
        for features in batches:
            loss, *values = np.asarray(self._step(features), np.float64)
            sum_names, weight_names = self._names
            batch_weights = dict(
                zip(weight_names, values[len(sum_names) :], strict=True)
            )
            totals.update(
                dict(zip(sum_names, values[: len(sum_names)], strict=True))
            )
            weights.update(batch_weights)
            weighted_loss += loss * batch_weights["sequences"]
            each_batch(int(batch_weights["sequences"]))
        metrics = {
            name: float(value)
            for name, value in self._task.metrics(totals, weights).items()
        }
        metrics["loss"] = float(weighted_loss / max(weights["sequences"], 1.0))
        return metrics

    def _run(self, features: Features) -> tf.Tensor:
        everywhere = self._strategy.run(self._replica_step, args=(features,))
        return self._strategy.experimental_local_results(everywhere)[0]

    def _replica_step(self, features: Features) -> tf.Tensor:
        sums, weights = self._forward(features)
        self._names = list(sums), list(weights)
        values = tf.stack([*sums.values(), *weights.values()])
        if self._strategy.num_replicas_in_sync > 1:
            context = tf.distribute.get_replica_context()
            values = context.all_reduce(_SUM, values)
        totals = tf.unstack(values)
        loss = self._task.loss(
            dict(zip(sums, totals[: len(sums)], strict=True)),
            dict(zip(weights, totals[len(sums) :], strict=True)),
        )
        return tf.concat([[loss], values], axis=0)

    def _sums(self, features: Features) -> tuple[dict, dict]:
        return (
            self._task.sums(self._model, features),
            self._task.weights(features),
        )
