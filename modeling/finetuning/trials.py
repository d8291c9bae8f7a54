"""Several trainings in one call: seeds, and the grid of the paper."""

from __future__ import annotations

import dataclasses
import itertools
import math
import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from modeling.errors import UserError


@dataclasses.dataclass(frozen=True)
class Trial:
    """What may differ between trainings.

    Attributes:
      learning_rate: the peak.
      batch_size: examples of a batch.
      num_train_epochs: passes over the training set.
      seed: of new weights, order and dropout.
    """

    learning_rate: float
    batch_size: int
    num_train_epochs: float
    seed: int

    @property
    def name(self) -> str:
        """Of a directory."""
        return f"{self.setting}_seed{self.seed}"

    @property
    def setting(self) -> str:
        """All but the seed."""
        return (
            f"lr{self.learning_rate:g}_bs{self.batch_size}"
            f"_ep{self.num_train_epochs:g}"
        )


@dataclasses.dataclass(frozen=True)
class Grid:
    """Hyper-parameters of which every combination is tried.

    Source: the paper, appendix A.3.

    Raises:
      UserError: a list without values, or a value that cannot be.
    """

    batch_sizes: tuple[float, ...] = (16, 32)
    learning_rates: tuple[float, ...] = (5e-5, 3e-5, 2e-5)
    epochs: tuple[float, ...] = (2.0, 3.0, 4.0)

    def __post_init__(self) -> None:
        for name, values in dataclasses.asdict(self).items():
            bad = [v for v in values if not 0 < v < math.inf]
            if name == "batch_sizes":
                bad += [v for v in values if v % 1]
            if bad or not values:
                whole = "whole " if name == "batch_sizes" else ""
                received = ",".join(f"{v:g}" for v in values)
                raise UserError(
                    f"--grid_{name} takes {whole}numbers above 0, separated by "
                    f"commas. Received: {received or 'none'}"
                )


def plan_trials(
    first: Trial, num_trials: int = 1, grid: Grid | None = None
) -> list[Trial]:
    """The trainings of a call.

    Args:
      first: the only one, where there are no more.
      num_trials: how many of each setting, with the seeds that follow.
      grid: settings instead of that of `first`.
    """
    settings = [first]
    if grid is not None:
        settings = [
            Trial(rate, int(size), epochs, first.seed)
            for size, rate, epochs in itertools.product(
                grid.batch_sizes, grid.learning_rates, grid.epochs
            )
        ]
    return [
        dataclasses.replace(setting, seed=first.seed + number)
        for setting in settings
        for number in range(num_trials)
    ]


def summarize(
    trials: Sequence[Trial], results: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    """What came out, as JSON values.

    Returns:
      `settings`: of each, the mean and the standard deviation of every number,
      the latter of samples (None for a single one), and its trials;
      `best_setting`, with the best mean score; `best_trial` of it.
    """
    settings: dict[str, dict[str, Any]] = {}
    for trial, result in zip(trials, results, strict=True):
        numbers = {k: v for k, v in result.items() if isinstance(v, float)}
        of_setting = settings.setdefault(trial.setting, {"trials": {}})
        of_setting["trials"][trial.name] = numbers
    for of_setting in settings.values():
        runs = list(of_setting["trials"].values())
        columns = {name: [run[name] for run in runs] for name in runs[0]}
        of_setting["mean"] = {
            name: statistics.fmean(values) for name, values in columns.items()
        }
        of_setting["deviation"] = {
            name: statistics.stdev(values) if len(values) > 1 else None
            for name, values in columns.items()
        }
    best = max(settings, key=lambda name: settings[name]["mean"]["score"])
    runs = settings[best]["trials"]
    return {
        "best_setting": best,
        "best_trial": max(runs, key=lambda name: runs[name]["score"]),
        "settings": settings,
    }
