"""What a run tells: progress, TensorBoard's numbers and a record."""

from __future__ import annotations

import collections
import contextlib
import os
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from absl import logging
from tqdm import tqdm

from modeling.progress import Phases, Progress
from modeling.training.run_record import RunRecord
from modeling.training.scalars import Scalars

# Seconds of training beside which a measurement of half a second is short.
_WORTH_MEASURING = 5.0


class RunLog:
    """Tells what a run does, on one host of several.

    - On a terminal a progress line; elsewhere a log line for each report.
    - DIRECTORY and DIRECTORY/eval hold the numbers of training and evaluation
      for TensorBoard, as the original's Estimator wrote them.
    - DIRECTORY/run.jsonl holds all of it, see `RunRecord`.

    Rates count the time between two reports without pauses and without the
    first step, which compiles.

    Args:
      directory: of the run.
      total_steps: where training ends.
      is_chief: whether this process tells anything at all.
      ceiling: measures the operations a second of all devices together; asked
        once, after so long that the measurement counts for nothing beside it.
      clock: seconds since any time.
    """

    def __init__(
        self,
        directory: str,
        *,
        total_steps: int,
        is_chief: bool = True,
        ceiling: Callable[[], float] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.directory = directory
        self._total_steps, self._is_chief = total_steps, is_chief
        self._measure_ceiling, self._ceiling = ceiling, 0.0
        self._seconds = 0.0
        self._clock = clock
        self._record = RunRecord(os.path.join(directory, "run.jsonl"))
        self._scalars = Scalars(directory)
        self._eval_scalars = Scalars(os.path.join(directory, "eval"))
        self._progress: Progress | None = None
        self._begin_interval(0)

    def start(self, step: int) -> None:
        """Training begins, or goes on, behind `step`."""
        self._begin_interval(step)
        if self._is_chief:
            self._record.write("started", step, total_steps=self._total_steps)
            self._progress = Progress(
                "Training", "steps", self._total_steps, step
            )

    def compiled(self, step: int, seconds: float) -> None:
        """The first step is done, compilation included, and counts for no rate.

        Args:
          step: the last of those done.
          seconds: that they took.
        """
        self._begin_interval(step)
        if self._is_chief:
            self._record.write("compiled", step, seconds=seconds)
            self._tell(
                f"The first step took {seconds:,.1f} s, compilation included."
            )

    def advance(self, steps: int) -> None:
        """Counts steps done."""
        if self._progress is not None:
            self._progress.advance(steps)

    def train(
        self,
        step: int,
        metrics: Mapping[str, float],
        *,
        steps: int,
        sequences: float,
        tokens: float,
        waited: float,
        flops: int = 0,
    ) -> None:
        """Reports on the steps since the last report.

        Args:
          step: the last of them.
          metrics: their loss and whatever else was measured, by name.
          steps: how many they are.
          sequences, tokens: in them, padding left out.
          waited: seconds for which they waited for input.
          flops: operations of their matrix products; 0: not known.
        """
        timed, start = step - self._first, self._start
        paused = dict(self._paused)
        seconds = self._clock() - start - sum(paused.values())
        self._begin_interval(step)
        if not self._is_chief:
            return
        rates = {}
        if timed > 0 and seconds > 0:
            rates = self._rates(
                timed / seconds,
                sequences / max(steps, 1),
                tokens / max(steps, 1),
                min(waited / seconds, 1.0),
            )
            self._seconds += seconds
            if flops:
                per_second = timed / seconds * flops / max(steps, 1)
                rates |= self._flops_rates(per_second)
        metrics = _floats(metrics)
        self._record.write(
            "train", step, metrics=metrics, paused_seconds=paused, **rates
        )
        self._scalars.write(step, {**metrics, **rates})
        if self._progress is not None:
            self._progress.show(self._line(step, metrics, rates))

    @contextlib.contextmanager
    def pause(self, what: str) -> Iterator[None]:
        """A `with` block whose time counts for no rate."""
        start = self._clock()
        try:
            yield
        finally:
            self._paused[what] += self._clock() - start

    def evaluation(
        self, step: int, metrics: Mapping[str, float], seconds: float
    ) -> None:
        """Reports an evaluation of the weights of `step`."""
        if not self._is_chief:
            return
        metrics = _floats(metrics)
        self._record.write("evaluation", step, metrics=metrics, seconds=seconds)
        self._eval_scalars.write(step, metrics)
        self._tell(
            f"Evaluation of step {step:,}: {_listed(metrics)}, {seconds:,.1f} s"
        )

    def event(self, name: str, step: int, **fields: Any) -> None:
        """Reports anything else, such as a saved checkpoint."""
        if not self._is_chief:
            return
        self._record.write(name, step, **fields)
        text = f"Step {step:,}: {name}"
        self._tell(f"{text}, {_listed(fields)}" if fields else text)

    def end(self, phases: Phases) -> None:
        """The run is over; tells the seconds of its phases."""
        if not self._is_chief:
            return
        self._record.write("ended", self._first, seconds=dict(phases.seconds))
        if self._progress is not None:
            self._progress.close()
        logging.info("Time: %s", phases)

    def _begin_interval(self, step: int) -> None:
        self._first, self._start = step, self._clock()
        self._paused: dict[str, float] = collections.defaultdict(float)

    def _rates(
        self,
        steps_per_second: float,
        sequences: float,
        tokens: float,
        waiting: float,
    ) -> dict[str, float]:
        return {
            "steps_per_second": steps_per_second,
            "sequences_per_second": steps_per_second * sequences,
            "tokens_per_second": steps_per_second * tokens,
            "input_waiting": waiting,
        }

    def _flops_rates(self, per_second: float) -> dict[str, float]:
        rates = {"model_flops_per_second": per_second}
        if self._measure_ceiling and self._seconds >= _WORTH_MEASURING:
            with self.pause("measuring"):
                self._ceiling = self._measure_ceiling()
            self._measure_ceiling = None
        if self._ceiling:
            rates["model_flops_utilization"] = per_second / self._ceiling
        return rates

    def _line(
        self, step: int, metrics: Mapping[str, float], rates: dict[str, float]
    ) -> str:
        parts = [f"Step {step:,}/{self._total_steps:,}", _listed(metrics)]
        if rates:
            left = (self._total_steps - step) / rates["steps_per_second"]
            parts += [
                f"{_number(rates['sequences_per_second'])} sequences/s",
                f"{_number(rates['tokens_per_second'])} tokens/s",
                f"{rates['input_waiting']:.1%} waiting for input",
            ]
            if "model_flops_utilization" in rates:
                share = rates["model_flops_utilization"]
                parts.append(f"{share:.1%} of the device's arithmetic")
            parts.append(f"{tqdm.format_interval(left)} left")
        return ", ".join(parts)

    def _tell(self, text: str) -> None:
        if self._progress is not None:
            self._progress.tell(text)
        else:
            logging.info("%s", text)


def _floats(values: Mapping[str, Any]) -> dict[str, float]:
    # NumPy's own floats are no JSON.
    return {name: float(value) for name, value in values.items()}


def _listed(values: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {_number(v)}" for name, v in values.items())


def _number(value: Any) -> str:
    """A number with the digits that a reader wants; others as they are."""
    if not isinstance(value, float):
        return str(value)
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"
