"""Learning rates as functions of the step."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable

import tensorflow as tf

from modeling.errors import UserError


@dataclasses.dataclass(frozen=True)
class Schedule:
    """A linear warm-up from 0 to the peak, and what follows.

    Attributes:
      learning_rate: the peak.
      num_train_steps: where the decay ends.
      num_warmup_steps: steps below the peak; the first step's rate is then 0.
      kind: "linear" or "polynomial", both counted from step 0, as in the
        original, so that the rate falls a little where the warm-up ends;
        "cosine", from the warm-up's end; "constant"; or "wsd" (warm-up, stable,
        decay), constant until `num_decay_steps` before the end and linear then.
      power: of "polynomial".
      num_decay_steps: of "wsd".
      end_learning_rate: where a decay ends.

    Raises:
      UserError: a value out of range.

    Source: `optimization.create_optimizer`.
    """

    learning_rate: float
    num_train_steps: int
    num_warmup_steps: int = 0
    kind: str = "linear"
    power: float = 1.0
    num_decay_steps: int = 0
    end_learning_rate: float = 0.0

    def __post_init__(self) -> None:
        if self.kind not in SCHEDULES:
            raise UserError(
                f"The schedule must be one of {', '.join(SCHEDULES)}. "
                f"Received: {self.kind!r}"
            )
        if not (self.learning_rate > 0 and math.isfinite(self.learning_rate)):
            raise UserError(
                "The learning rate must be above 0. Received: "
                f"{self.learning_rate}"
            )
        if not 0 <= self.end_learning_rate <= self.learning_rate:
            raise UserError(
                "The last learning rate must lie between 0 and the peak, "
                f"{self.learning_rate}. Received: {self.end_learning_rate}"
            )
        if self.num_train_steps < 1 or self.num_warmup_steps < 0:
            raise UserError(
                "Training needs at least one step, and warm-up none. Received: "
                f"num_train_steps={self.num_train_steps}, "
                f"num_warmup_steps={self.num_warmup_steps}"
            )
        if not 0 <= self.num_decay_steps <= self.num_train_steps:
            raise UserError(
                f"num_decay_steps must lie in 0 to {self.num_train_steps}, all "
                f"steps. Received: {self.num_decay_steps}"
            )
        if not 0 < self.power < math.inf:
            raise UserError(
                f"power must be above 0 and finite. Received: {self.power}"
            )

    def __call__(self, step: tf.Tensor) -> tf.Tensor:
        """The float32 rate of an integer step, the first one being 0."""
        step = tf.cast(step, tf.float32)
        share = SCHEDULES[self.kind](self, step)
        rate = self.end_learning_rate + share * (
            self.learning_rate - self.end_learning_rate
        )
        if not self.num_warmup_steps:
            return rate
        warm = self.learning_rate * (step / self.num_warmup_steps)
        return tf.where(step < self.num_warmup_steps, warm, rate)


def _polynomial(schedule: Schedule, step: tf.Tensor) -> tf.Tensor:
    left = 1.0 - _clipped(step / schedule.num_train_steps)
    return left if schedule.power == 1 else tf.pow(left, schedule.power)


def _linear(schedule: Schedule, step: tf.Tensor) -> tf.Tensor:
    return 1.0 - _clipped(step / schedule.num_train_steps)


def _cosine(schedule: Schedule, step: tf.Tensor) -> tf.Tensor:
    length = max(schedule.num_train_steps - schedule.num_warmup_steps, 1)
    done = _clipped((step - schedule.num_warmup_steps) / length)
    return 0.5 * (1.0 + tf.cos(math.pi * done))


def _constant(schedule: Schedule, step: tf.Tensor) -> tf.Tensor:
    return tf.ones_like(step)


def _stable_then_linear(schedule: Schedule, step: tf.Tensor) -> tf.Tensor:
    length = max(schedule.num_decay_steps, 1)
    return _clipped((schedule.num_train_steps - step) / length)


def _clipped(share: tf.Tensor) -> tf.Tensor:
    return tf.clip_by_value(share, 0.0, 1.0)


SCHEDULES: dict[str, Callable[[Schedule, tf.Tensor], tf.Tensor]] = {
    "linear": _linear,
    "polynomial": _polynomial,
    "cosine": _cosine,
    "constant": _constant,
    "wsd": _stable_then_linear,
}
# Fields that a schedule's rates do not depend on.
UNUSED = {
    "linear": ("power", "num_decay_steps"),
    "polynomial": ("num_decay_steps",),
    "cosine": ("power", "num_decay_steps"),
    "constant": ("power", "num_decay_steps", "num_train_steps"),
    "wsd": ("power",),
}
