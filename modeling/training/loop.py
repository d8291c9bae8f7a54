"""The training loop: every job that learns runs this one."""

from __future__ import annotations

import collections
import dataclasses
import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from modeling.devices import num_hosts
from modeling.errors import UserError
from modeling.training.inputs import all_positions
from modeling.training.run_log import RunLog
from modeling.training.state import TrainingState
from modeling.training.step import StepResult, TrainStep
from modeling.training.stop import StopRequest


@dataclasses.dataclass(frozen=True)
class LoopOptions:
    """How far to train, and what to do on the way.

    Attributes:
      num_train_steps: where training ends, counted from the first step ever.
      save_checkpoints_steps: steps between checkpoints; the end is one, too.
      log_steps: steps between log lines.
      eval_every: steps between evaluations; 0: none.
      export_every: steps between exports of the weights; 0: none.
      steps_per_call: steps that the device takes without the host.
      profile_steps: first and last step to profile, from 1; None: none.
    """

    num_train_steps: int
    save_checkpoints_steps: int = 1000
    log_steps: int = 100
    eval_every: int = 0
    export_every: int = 0
    steps_per_call: int = 1
    profile_steps: tuple[int, int] | None = None


class Hooks(NamedTuple):
    """What else happens on the way, given the step.

    Attributes:
      evaluate: evaluates and reports; tells whether to end early.
      export: writes the weights for other scripts.
    """

    evaluate: Callable[[int], bool]
    export: Callable[[int], None]


class Trainer:
    """Takes steps; logs, saves, evaluates, profiles and ends when due.

    Args:
      step: one update of the weights.
      state: where it is saved; None: nowhere.
      strategy: of the step.
      task_metrics: of a task: sums and weights -> what is reported.
      options: see there.
      log: what the run tells.
      stop: whether to end early.
      hooks: see there.
      is_chief: whether this process writes the files.
    """

    def __init__(
        self,
        step: TrainStep,
        state: TrainingState | None,
        strategy: tf.distribute.Strategy,
        task_metrics: Callable[..., dict[str, float]],
        options: LoopOptions,
        log: RunLog,
        stop: StopRequest,
        hooks: Hooks,
        is_chief: bool = True,
    ) -> None:
        self._step, self._state, self._strategy = step, state, strategy
        self._task_metrics, self._options = task_metrics, options
        self._log, self._stop, self._hooks = log, stop, hooks
        self._is_chief = is_chief
        self._several_hosts = num_hosts(strategy) > 1
        self._pending: list[tf.Tensor] = []
        self._flushed = self._done = int(step.global_step.numpy())
        self._position = np.zeros(3, np.int64)
        self._waited = 0.0
        # Of the steps since the last report.
        self._flops = 0
        self.interrupted = False
        self._profiling = self._is_traced = False

    def train(self, batches: Any, position: np.ndarray) -> int:
        """Trains to the last step, or until it shall stop.

        Args:
          batches: endless, of (features, position behind them), as the strategy
            distributes them.
          position: of this host's data, where `batches` begin: int64 [3].

        Returns:
          Steps done, counted from the first ever; `interrupted` tells whether
          a signal or the time allowed ended it.

        Raises:
          UserError: the loss or its gradients are not finite, or a checkpoint
            cannot be written.
        """
        self._position = position
        iterator = iter(batches)
        first = self._done
        self._log.start(first)
        ended = self._done >= self._options.num_train_steps
        while not ended:
            count = self._steps_until_due()
            started = time.perf_counter()
            self.interrupted = self._advance(iterator, count)
            if self._done - count == first:
                # Its seconds are its own: they are for compilation.
                self._pending[-1].numpy()
                self._log.compiled(self._done, time.perf_counter() - started)
                self._waited = 0.0
            ended = (
                self.interrupted or self._done >= self._options.num_train_steps
            )
            self._log.advance(count)
            ended = self._do_what_is_due(ended)
        self._stop_profile(at_end=True)
        return self._done

    def _advance(self, iterator: Iterator[Any], count: int) -> bool:
        """Takes steps; returns whether any host wants to stop after them."""
        stop = bool(self._stop)
        self._start_profile(count)
        if self._options.steps_per_call == 1:
            if not self._is_traced:
                self._step.trace(iterator.element_spec[0])
                self._is_traced = True
            started = time.perf_counter()
            features, positions = next(iterator)
            self._waited += time.perf_counter() - started
            vector = self._step(features, stop)
            self._flops += self._step.flops(features)
            local = self._strategy.experimental_local_results(positions)[-1]
        else:
            vector, local = self._step.many(iterator, count, stop)
            self._flops += count * self._step.flops()
        self._position = np.asarray(local)
        self._pending.append(vector)
        self._done += count
        self._stop_profile()
        if self._several_hosts:
            return self._step.results([vector])[-1].stop
        return stop

    def _steps_until_due(self) -> int:
        options = self._options
        periods = (
            options.save_checkpoints_steps,
            options.log_steps,
            options.eval_every,
            options.export_every,
        )
        until = [p - self._done % p for p in periods if p]
        until += [options.steps_per_call, options.num_train_steps - self._done]
        return min(until)

    def _do_what_is_due(self, ended: bool) -> bool:
        """Returns whether training ends, for one reason or another."""
        options, step = self._options, self._done
        if _due(step, options.eval_every, at_end=False):
            self._report()
            with self._log.pause("evaluation"):
                ended |= self._hooks.evaluate(step)
        if _due(step, options.log_steps, ended):
            self._report()
        if _due(step, options.save_checkpoints_steps, ended):
            self._report()
            with self._log.pause("saving"):
                self._save()
        if _due(step, options.export_every, at_end=False):
            with self._log.pause("saving"):
                self._hooks.export(step)
        return ended

    def _report(self) -> None:
        results = self._flush()
        if not results:
            return
        sums, weights = _added_up(results)
        last = results[-1]
        self._log.train(
            self._done,
            {
                "loss": float(np.mean([r.loss for r in results])),
                **self._task_metrics(sums, weights),
                "learning_rate": last.learning_rate,
                "gradient_norm": last.gradient_norm,
            },
            steps=len(results),
            sequences=weights["sequences"],
            tokens=weights["tokens"],
            waited=self._waited,
            flops=self._flops,
        )
        self._waited, self._flops = 0.0, 0

    def _flush(self) -> list[StepResult]:
        """What steps since the last flush told.

        Raises:
          UserError: a loss, or gradients, that are not finite.
        """
        results = self._step.results(self._pending)
        self._pending = []
        for number, result in enumerate(results, self._flushed + 1):
            if result.diverged:
                raise UserError(self._diverged(number, result))
        self._flushed += len(results)
        return results

    def _diverged(self, step: int, result: StepResult) -> str:
        saved = self._state.checkpoints() if self._state else []
        last = (
            f"The last checkpoint is {saved[-1]}."
            if saved
            else ("No checkpoint had been saved.")
        )
        return (
            f"The loss of step {step} is {result.loss:g}, the norm of its "
            f"gradients {result.gradient_norm:g} (learning rate "
            f"{result.learning_rate:g}). {last} Try a lower --learning_rate, "
            "more --num_warmup_steps, another --seed, or --precision=float32 "
            "or bfloat16."
        )

    def _save(self) -> None:
        if self._state is None:
            return
        positions = all_positions(self._strategy, self._position)
        if self._is_chief:
            prefix = self._state.save(positions)
            self._log.event("saved", self._done, checkpoint=prefix)

    def _start_profile(self, count: int) -> None:
        steps = self._options.profile_steps
        # Steps count from 1 here: the next ones are done + 1 ... done + count.
        if steps and self._done < steps[0] <= self._done + count:
            tf.profiler.experimental.start(self._log.directory)
            self._profiling = True

    def _stop_profile(self, at_end: bool = False) -> None:
        last = (self._options.profile_steps or (0, 0))[1]
        if self._profiling and (at_end or self._done >= last):
            for vector in self._pending:
                vector.numpy()
            tf.profiler.experimental.stop()
            self._profiling = False


def _due(step: int, every: int, at_end: bool) -> bool:
    return at_end or bool(every and step % every == 0)


def _added_up(
    results: list[StepResult],
) -> tuple[dict[str, float], dict[str, float]]:
    sums: collections.Counter[str] = collections.Counter()
    weights: collections.Counter[str] = collections.Counter()
    for result in results:
        sums.update(result.sums)
        weights.update(result.weights)
    return sums, weights
