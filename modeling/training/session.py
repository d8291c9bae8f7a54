"""TrainingSession: a task on its devices, from its start to its files."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import os
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf
from absl import logging

from modeling.checkpoints import initialize_model
from modeling.checkpoints.google import write_google_checkpoint
from modeling.devices import is_chief, num_hosts
from modeling.output_files import telling
from modeling.progress import Phases, Progress
from modeling.training.evaluation import Evaluator
from modeling.training.inputs import Share, deal, distribute, position_of_host
from modeling.training.loop import Hooks, Trainer
from modeling.training.memory import peak_memory
from modeling.training.model_files import ModelFiles
from modeling.training.optimizers import Optimizer
from modeling.training.options import TrainingOptions
from modeling.training.prediction import Predictor
from modeling.training.run_log import RunLog
from modeling.training.settings import check_settings, write_settings
from modeling.training.sole_training import sole_training
from modeling.training.state import Restored, TrainingState, read
from modeling.training.step import TrainStep
from modeling.training.stop import StopRequest
from modeling.training.task import Task

MakeDataset = Callable[[Share, np.ndarray], tf.data.Dataset]


class Outcome(NamedTuple):
    """How a training ended.

    Attributes:
      step: steps done, counted from the first ever.
      interrupted: whether the same command would go on.
      signal: that interrupted it; None: none did.
    """

    step: int
    interrupted: bool = False
    signal: int | None = None


class TrainingSession:
    """A task's model on a strategy's devices.

    Where the weights come from, in this order: the newest whole checkpoint in
    the output directory; `init_checkpoint`; the random initializer.

    Args:
      task: what is learned.
      strategy: where.
      output_dir: of all files.
      model_files: of the exported model.
      seed: of the random initializer.
      init_checkpoint: anything that `open_checkpoint` takes, or None.
      xla: whether XLA compiles evaluation.
      trainable: whether to train the variable of a path; None: all.
      expected_new: variables, or whole scopes, that `init_checkpoint` need not
        have.
    """

    def __init__(
        self,
        task: Task,
        strategy: tf.distribute.Strategy,
        output_dir: str,
        model_files: ModelFiles,
        *,
        seed: int = 0,
        init_checkpoint: str | None = None,
        xla: bool = False,
        trainable: Callable[[str], bool] | None = None,
        expected_new: Sequence[str] = (),
    ) -> None:
        self.task, self.strategy, self.output_dir = task, strategy, output_dir
        self.phases = Phases()
        self._model_files = model_files
        self._init_checkpoint = init_checkpoint
        self._xla = xla
        self._trainable = trainable or (lambda path: True)
        self._expected_new = tuple(expected_new)
        with self.phases.phase("model"), strategy.scope():
            keras.utils.set_random_seed(seed)
            self.model = task.build_model()
        self._weights = {v.path: v for v in self.model.weights}

    @functools.cached_property
    def evaluator(self) -> Evaluator:
        """Evaluates the weights as they are."""
        return Evaluator(self.task, self.model, self.strategy, self._xla)

    @functools.cached_property
    def predictor(self) -> Predictor:
        """Predicts with the weights as they are."""
        return Predictor(self.task, self.model, self.strategy, self._xla)

    @property
    def has_checkpoint(self) -> bool:
        """Whether a training in the output directory has saved anything."""
        return bool(TrainingState(self.output_dir, {}).checkpoints())

    def remove_checkpoints(self) -> None:
        """Removes what training would go on from."""
        TrainingState(self.output_dir, {}).remove_all()

    def check_settings(
        self, options: TrainingOptions, settings: Mapping[str, Any]
    ) -> None:
        """Compares with the settings that training began with, if it has.

        Raises:
          UserError: they differ, and `options` do not allow it.
        """
        check_settings(
            self.output_dir,
            self._all_settings(options, settings),
            options.allow_changed_settings,
        )

    def _all_settings(
        self, options: TrainingOptions, settings: Mapping[str, Any]
    ) -> dict[str, Any]:
        config = dataclasses.asdict(self._model_files.config)
        shaping = {f"config.{k}": v for k, v in config.items() if k != "extra"}
        return {**options.settings(self.strategy), **shaping, **settings}

    def initialize(self) -> int:
        """Loads weights alone; returns the step that they are of."""
        with self.strategy.scope():
            step = tf.Variable(0, dtype=tf.int64, trainable=False)
        variables = {**self._weights, "global_step": step}
        restored = TrainingState(self.output_dir, variables).restore()
        if restored is not None:
            logging.info("Weights of %s", restored.prefix)
        elif self._init_checkpoint:
            self._read_init_checkpoint()
        else:
            logging.warning(
                "There is no checkpoint in %s and no --init_checkpoint: the "
                "weights are random.",
                self.output_dir,
            )
        return int(step.numpy())

    def train(
        self,
        make_dataset: MakeDataset,
        options: TrainingOptions,
        settings: Mapping[str, Any],
        evaluate: Callable[[int], bool],
        log: RunLog,
    ) -> Outcome:
        """Trains, from where an earlier run ended, and saves on the way.

        Args:
          make_dataset: (what a host reads, where its data go on) -> endless
            batches for its replicas in turn, with the positions behind them.
          options: see there.
          settings: more that shapes the weights, as JSON values.
          evaluate: evaluates and reports, given the step; tells whether to
            end early.
          log: what the run tells.

        Returns:
          Where and why training ended.

        Raises:
          UserError: an earlier run had other settings, another one is training
            in the directory, the weights do not fit, the loss is not finite,
            or something cannot be written.
        """
        with contextlib.ExitStack() as stack:
            stack.enter_context(telling(self.output_dir))
            if is_chief(self.strategy):
                stack.enter_context(sole_training(self.output_dir))
            return self._train(make_dataset, options, settings, evaluate, log)

    def _train(
        self,
        make_dataset: MakeDataset,
        options: TrainingOptions,
        settings: Mapping[str, Any],
        evaluate: Callable[[int], bool],
        log: RunLog,
    ) -> Outcome:
        settings = self._all_settings(options, settings)
        with self.phases.phase("start"):
            step, optimizer = self._make_step(options)
            state = TrainingState(
                self.output_dir,
                {**self._weights, **optimizer.variables, **step.variables},
                options.keep_checkpoints,
            )
            restored = self._start(state, settings, options, log)
        if restored.step >= options.loop.num_train_steps:
            logging.info(
                "Skipping training: %s is of step %d, and training ends at "
                "step %d. To go on, ask for more steps or epochs.",
                restored.prefix,
                restored.step,
                options.loop.num_train_steps,
            )
            return Outcome(restored.step)

        host_row = position_of_host(self.strategy, restored.positions)
        batches = distribute(
            self.strategy,
            lambda share: make_dataset(share, host_row),
            options.batch_size,
        )
        with (
            self.phases.phase("training"),
            StopRequest(options.max_seconds) as stop,
        ):
            trainer = Trainer(
                step,
                state,
                self.strategy,
                self.task.metrics,
                options.loop,
                log,
                stop,
                Hooks(evaluate, lambda _: self.export()),
                is_chief(self.strategy),
            )
            done = trainer.train(batches, host_row)
        if trainer.interrupted:
            logging.info(
                "Ended at step %d of %d, %s. The same command goes on.",
                done,
                options.loop.num_train_steps,
                "out of time" if stop.signal is None else "interrupted",
            )
        return Outcome(done, trainer.interrupted, stop.signal)

    def load(self, name: str) -> None:
        """Takes the weights that `export` wrote under a name."""
        initialize_model(self.model, os.path.join(self.output_dir, name))

    def evaluate(
        self,
        make_dataset: Callable[[Share], tf.data.Dataset],
        batch_size: int,
        step: int,
        log: RunLog,
    ) -> dict[str, float]:
        """One pass over a set with the weights as they are.

        Args:
          make_dataset: what a host reads -> its part of every batch, once.
          batch_size: rows of a global batch.
          step: of the weights.
          log: what the run tells.

        Returns:
          The task's metrics, `loss` and `global_step`.
        """
        batches = distribute(
            self.strategy,
            lambda share: deal(make_dataset(share), share),
            batch_size,
        )
        started = time.perf_counter()
        with (
            self.phases.phase("evaluation"),
            Progress("evaluation", "sequences") as progress,
        ):
            metrics = self.evaluator.evaluate(batches, progress.advance)
        log.evaluation(step, metrics, time.perf_counter() - started)
        return {"global_step": step, **metrics}

    def dry_run(
        self, make_dataset: MakeDataset, options: TrainingOptions
    ) -> dict[str, float]:
        """Loads the weights and takes a step; writes nothing.

        Returns:
          Loss, gradient norm, seconds of the first and the second step, and
          bytes of memory at the peak.
        """
        self.initialize()
        step, _ = self._make_step(options)
        start = np.zeros(3, np.int64)
        iterator = iter(
            distribute(
                self.strategy,
                lambda share: make_dataset(share, start),
                options.batch_size,
            )
        )
        seconds = []
        for _ in range(2):
            features, _ = next(iterator)
            started = time.perf_counter()
            (result,) = step.results([step(features, stop=False)])
            seconds.append(time.perf_counter() - started)
        return {
            "loss": result.loss,
            "gradient_norm": result.gradient_norm,
            "first_step_seconds": seconds[0],
            "second_step_seconds": seconds[1],
            "peak_memory_bytes": peak_memory(),
        }

    def export(self, name: str = "bert_model.ckpt") -> str | None:
        """Writes the weights without slots, and what lies beside them.

        Args:
          name: of the checkpoint in the output directory.

        Returns:
          The prefix of the checkpoint; None on other hosts than the chief.

        Raises:
          UserError: something cannot be written.
        """
        if not is_chief(self.strategy):
            return None
        prefix = os.path.join(self.output_dir, name)
        with self.phases.phase("export"), telling(self.output_dir):
            write_google_checkpoint(
                prefix, {name: read(v) for name, v in self._weights.items()}
            )
            self._model_files.write(self.output_dir)
        return prefix

    def _make_step(
        self, options: TrainingOptions
    ) -> tuple[TrainStep, Optimizer]:
        variables = [
            variable
            for variable in self.model.trainable_variables
            if self._trainable(variable.path)
        ]
        with self.strategy.scope():
            optimizer = Optimizer(
                variables,
                options.optimizer,
                self._model_files.config.num_hidden_layers,
                options.step.compiled_update,
            )
        step = TrainStep(
            self.task,
            self.model,
            optimizer,
            variables,
            options.schedule,
            self.strategy,
            options.step,
            options.optimizer.clip_norm,
        )
        return step, optimizer

    def _start(
        self,
        state: TrainingState,
        settings: Mapping[str, Any],
        options: TrainingOptions,
        log: RunLog,
    ) -> Restored:
        chief = is_chief(self.strategy)
        if chief:
            state.remove_unfinished()
        has_begun = bool(state.checkpoints())
        if has_begun:
            check_settings(
                self.output_dir, settings, options.allow_changed_settings
            )
        restored = state.restore()
        if restored is not None:
            log.event("resumed", restored.step, checkpoint=restored.prefix)
        elif self._init_checkpoint:
            self._read_init_checkpoint()
        if chief:
            write_settings(self.output_dir, settings)
        if restored is None:
            hosts = num_hosts(self.strategy)
            restored = Restored("", 0, np.zeros((hosts, 3), np.int64))
        return restored

    def _read_init_checkpoint(self) -> None:
        initialize_model(
            self.model,
            self._init_checkpoint,
            expected_new=self._expected_new,
        )
