"""FineTuning: one or several trainings, and the best of their weights."""

from __future__ import annotations

import dataclasses
import functools
import gc
import json
import os
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf
from absl import logging

from modeling.devices import is_chief
from modeling.errors import UserError
from modeling.finetuning.setup import BEST_MODEL, Setup
from modeling.finetuning.trials import Trial, summarize
from modeling.output_files import write_json
from modeling.tasks.array_input import ArrayInput, Examples
from modeling.tasks.packed_input import arrange
from modeling.training import (
    BestScore,
    Outcome,
    RunLog,
    TrainingOptions,
    TrainingSession,
    device_ceiling,
)
from modeling.training.state import TrainingState

TRIALS = "trials.json"
_TRIALS_DIR = "trials"
_RESULT = "trial.json"

# (trial, all steps, those of warm-up) -> how the loop trains.
MakeOptions = Callable[[Trial, int, int], TrainingOptions]
# Evaluates the weights as they are: numbers to report, among them "score", the
# higher the better, and perhaps other JSON values.
Evaluate = Callable[[TrainingSession], dict[str, Any]]


class Trained(NamedTuple):
    """How training ended.

    Attributes:
      session: the model with its final weights.
      outcome: where and why training ended; the step is that of the weights.
      log: of the run; its end is told by the caller.
    """

    session: TrainingSession
    outcome: Outcome
    log: RunLog


@dataclasses.dataclass(frozen=True)
class FineTuning:
    """What is trained on, how, and how it is judged.

    Attributes:
      setup: the task on its devices.
      examples: of the training set, perhaps made with the model.
      options: how the loop trains.
      settings: more that shapes the weights, as JSON values.
      evaluate: judges the weights on the dev set; None: nothing does.
      order: (seed, epoch) -> which examples to take; None: each once.
      num_examples: what the steps of an epoch are counted by, where the
        examples are parts of what the original counts; None: the examples.
    """

    setup: Setup
    examples: Callable[[TrainingSession], Examples]
    options: MakeOptions
    settings: Mapping[str, Any]
    evaluate: Evaluate | None = None
    order: Callable[[int, int], np.ndarray] | None = None
    num_examples: int | None = None

    def run_all(
        self,
        trials: Sequence[Trial],
        on_start: Callable[[], None] = lambda: None,
    ) -> Trained:
        """Trains all, each in a directory of its own, and takes the best.

        The final weights, or where they are evaluated on the way the best ones,
        are written as `bert_model.ckpt`. The same call goes on where it ended.

        Of several settings, the one with the best mean score wins, and of its
        trials the best. `trials.json` holds all scores, with mean and standard
        deviation of each setting. A trial that has ended is not run again.

        Args:
          trials: trainings; a single one has its files in the output directory.
          on_start: called once all is checked, before the first training.

        Raises:
          UserError: there are several, and nothing to judge them by, or the
            output directory has another training's checkpoints.
        """
        if len(trials) == 1:
            begun = self._begin(trials[0])
            self._check(begun)
            on_start()
            return self._train(begun)
        self._check_several()
        results = []
        for number, trial in enumerate(trials, 1):
            logging.info("Trial %d of %d: %s", number, len(trials), trial.name)
            directory = os.path.join(
                self.setup.output_dir, _TRIALS_DIR, trial.name
            )
            begun = self._begin(trial, directory)
            self._check(begun)
            if number == 1:
                on_start()
            result = self._read_result(begun)
            if result is None:
                trained = self._train(begun)
                if trained.outcome.interrupted:
                    return trained
                result = self._judge(trained)
                trained.log.end(trained.session.phases)
                del trained
            results.append(result)
            # A model and its graphs are cycles, which take long to go.
            del begun
            gc.collect()
        return self._take_best(trials, results)

    def dry_run(self, trial: Trial) -> dict[str, float]:
        """Loads everything and takes a step; writes no model."""
        begun = self._begin(trial)
        self._check(begun)
        return begun.session.dry_run(begun.data.training, begun.options)

    def _begin(self, trial: Trial, directory: str | None = None) -> _Begun:
        recipe = self.setup.recipe
        session = self.setup.session(directory, trial.seed)
        examples = self.examples(session)
        order = None
        if self.order is not None:
            order = functools.partial(self.order, trial.seed)
        batches = recipe.training_batches(trial.batch_size)
        data = arrange(examples, batches, trial.seed, order)
        per_epoch = data.batches_per_epoch()
        steps = recipe.num_train_steps(
            self.num_examples or len(examples.rows_per_example()),
            trial.batch_size,
            per_epoch,
            trial.num_train_epochs,
        )
        options = self.options(trial, steps, recipe.num_warmup_steps(steps))
        if recipe.eval_each_epoch:
            loop = dataclasses.replace(options.loop, eval_every=per_epoch)
            options = dataclasses.replace(options, loop=loop)
        data = dataclasses.replace(
            data, micro_batches=options.step.gradient_accumulation_steps
        )
        settings = {
            **self.settings,
            **dataclasses.asdict(recipe),
            "num_train_epochs": trial.num_train_epochs,
            "eval_every": options.loop.eval_every,
        }
        return _Begun(session, data, options, settings)

    def _train(self, begun: _Begun) -> Trained:
        session, options = begun.session, begun.options
        is_writer = is_chief(self.setup.strategy)
        log = RunLog(
            session.output_dir,
            total_steps=options.loop.num_train_steps,
            is_chief=is_writer,
            ceiling=functools.partial(
                device_ceiling,
                self.setup.strategy,
                keras.DTypePolicy(self.setup.task.policy).compute_dtype,
            ),
        )
        if options.loop.eval_every:
            outcome = self._train_watched(begun, log)
        else:
            outcome = begun.train(lambda step: False, log)
        if not outcome.interrupted:
            session.export()
            if is_writer and not options.loop.eval_every:
                # Of an earlier training, whose best is not of these weights.
                BestScore(session.output_dir).remove()
        return Trained(session, outcome, log)

    def _check(self, begun: _Begun) -> None:
        """Tells what is wrong before what an earlier call wrote is changed."""
        if begun.options.loop.eval_every and self.evaluate is None:
            raise UserError(
                "Evaluation on the way (--eval_every, --eval_each_epoch) needs "
                "a dev set, and there is none."
            )
        if begun.session.has_checkpoint:
            begun.session.check_settings(begun.options, begun.settings)

    def _check_several(self) -> None:
        """Tells why there can be no more than one training."""
        if self.evaluate is None:
            raise UserError(
                "Several trainings (--num_trials, --grid) need a dev set to "
                "choose by, and there is none."
            )
        if TrainingState(self.setup.output_dir, {}).checkpoints():
            raise UserError(
                f"{self.setup.output_dir} holds checkpoints of a single "
                "training, which would later be taken for the best of several. "
                "Give another --output_dir."
            )

    def _train_watched(self, begun: _Begun, log: RunLog) -> Outcome:
        """Trains with evaluations, and takes the best weights at the end."""
        session = begun.session
        best = BestScore(
            session.output_dir,
            self.setup.recipe.patience,
            resume=session.has_checkpoint,
        )

        def watch(step: int) -> bool:
            results = self._evaluate(session, step, log)
            if best.add(step, results["score"]):
                session.export(BEST_MODEL)
            if is_chief(self.setup.strategy):
                best.write()
            return best.is_hopeless

        if best.is_hopeless:
            logging.info("Skipping training: it has ended early before.")
            outcome = Outcome(best.step)
        else:
            outcome = begun.train(watch, log)
        if outcome.interrupted:
            return outcome
        if not best.knows(outcome.step):
            watch(outcome.step)
        logging.info("The best weights are those of step %d.", best.step)
        session.load(BEST_MODEL)
        return outcome._replace(step=best.step)

    def _evaluate(
        self, session: TrainingSession, step: int, log: RunLog
    ) -> dict[str, float]:
        started = time.perf_counter()
        results = self.evaluate(session)
        numbers = {k: v for k, v in results.items() if isinstance(v, float)}
        log.evaluation(step, numbers, time.perf_counter() - started)
        return numbers

    def _judge(self, trained: Trained) -> dict[str, float]:
        """The scores of a training's final weights, kept for later calls."""
        session, step = trained.session, trained.outcome.step
        numbers = {
            **self._evaluate(session, step, trained.log),
            "steps": float(step),
            "training_seconds": session.phases.seconds["training"],
        }
        if is_chief(self.setup.strategy):
            write_json(_result_path(session), numbers)
            # Of many trials, the optimizers' slots would fill a disk.
            session.remove_checkpoints()
        return numbers

    def _read_result(self, begun: _Begun) -> dict[str, float] | None:
        """What an earlier call has found, None where it did not get so far."""
        path = _result_path(begun.session)
        if not tf.io.gfile.exists(path):
            return None
        begun.session.check_settings(begun.options, begun.settings)
        with tf.io.gfile.GFile(path) as file:
            return json.loads(file.read())

    def _take_best(
        self,
        trials: Sequence[Trial],
        results: Sequence[Mapping[str, float]],
    ) -> Trained:
        summary = summarize(trials, results)
        directory, name = self.setup.output_dir, summary["best_trial"]
        is_writer = is_chief(self.setup.strategy)
        if is_writer:
            write_json(os.path.join(directory, TRIALS), summary)
        _log_summary(summary)
        session = self.setup.session()
        session.load(os.path.join(_TRIALS_DIR, name, "bert_model.ckpt"))
        session.export()
        if is_writer:
            BestScore(directory).remove()
        best = summary["settings"][summary["best_setting"]]["trials"][name]
        step = int(best["steps"])
        log = RunLog(directory, total_steps=step, is_chief=is_writer)
        return Trained(session, Outcome(step), log)


class _Begun(NamedTuple):
    """A training that can start."""

    session: TrainingSession
    data: ArrayInput
    options: TrainingOptions
    settings: dict[str, Any]

    def train(self, evaluate: Callable[[int], bool], log: RunLog) -> Outcome:
        return self.session.train(
            self.data.training, self.options, self.settings, evaluate, log
        )


def _result_path(session: TrainingSession) -> str:
    return os.path.join(session.output_dir, _RESULT)


def _log_summary(summary: Mapping[str, Any]) -> None:
    for name, setting in summary["settings"].items():
        score = setting["mean"]["score"]
        deviation = setting["deviation"]["score"]
        spread = "" if deviation is None else f" +- {deviation:.4f}"
        logging.info("%s: score %.4f%s", name, score, spread)
    logging.info("The best trial is %s.", summary["best_trial"])
