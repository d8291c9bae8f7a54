"""TrainingOptions: how a task is trained, whatever it is."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import tensorflow as tf

from modeling.devices import num_hosts
from modeling.training.loop import LoopOptions
from modeling.training.optimizers import OptimizerOptions
from modeling.training.schedules import Schedule
from modeling.training.step import StepOptions


@dataclasses.dataclass(frozen=True)
class TrainingOptions:
    """How a task is trained, whatever it is.

    Attributes:
      schedule, optimizer, step, loop: see there.
      batch_size: rows of a global batch.
      keep_checkpoints: how many to keep; 0: all.
      max_seconds: time allowed; None: no limit.
      allow_changed_settings: whether a training may go on with others.
    """

    schedule: Schedule
    optimizer: OptimizerOptions
    step: StepOptions
    loop: LoopOptions
    batch_size: int
    keep_checkpoints: int = 5
    max_seconds: float | None = None
    allow_changed_settings: bool = False

    def settings(self, strategy: tf.distribute.Strategy) -> dict[str, Any]:
        """What of this shapes the weights, as JSON values."""
        return {
            **_prefixed("schedule", dataclasses.asdict(self.schedule)),
            **_prefixed("optimizer", dataclasses.asdict(self.optimizer)),
            "train_batch_size": self.batch_size,
            "seed": self.step.seed,
            "loss_scale": self.step.loss_scale,
            # Dropout masks and the hosts' data follow from these.
            "gradient_accumulation_steps": (
                self.step.gradient_accumulation_steps
            ),
            "replicas": strategy.num_replicas_in_sync,
            "hosts": num_hosts(strategy),
        }


def _prefixed(prefix: str, values: Mapping[str, Any]) -> dict[str, Any]:
    return {f"{prefix}.{name}": value for name, value in values.items()}
