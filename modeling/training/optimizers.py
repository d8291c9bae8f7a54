"""AdamW as in the original, and LAMB: slots and update rules.

Gradients arrive already summed over replicas: nothing is reduced here.
"""

from __future__ import annotations

import dataclasses
import functools
import math
import re
from collections.abc import Callable, Sequence
from typing import Any

import keras
import tensorflow as tf

from modeling.errors import UserError

# Neither decayed nor, by LAMB, scaled to the norm of the weights.
_EXCLUDED = re.compile("LayerNorm|layer_norm|bias")


@dataclasses.dataclass(frozen=True)
class OptimizerOptions:
    """How weights follow from gradients.

    Attributes:
      name: "adamw" or "lamb".
      weight_decay_rate: decoupled from the gradient (Loshchilov and Hutter
        2019); LayerNorms and biases are not decayed.
      beta_1, beta_2: of the running means of gradients and of their squares.
      epsilon: added to the root of the latter.
      clip_norm: limit of the gradients' global norm.
      layer_decay: factor on the learning rate for every layer further from the
        output; 1 treats all alike.
      bias_correction: whether the means are corrected for their beginning at
        zero (Kingma and Ba 2015, section 3), which the original leaves out. Its
        first few hundred steps are then up to three times as long, which makes
        training on small sets unsteady (Mosbach et al. 2021).

    Raises:
      UserError: a value out of range.
    """

    name: str = "adamw"
    weight_decay_rate: float = 0.01
    beta_1: float = 0.9
    beta_2: float = 0.999
    epsilon: float = 1e-6
    clip_norm: float = 1.0
    layer_decay: float = 1.0
    bias_correction: bool = False

    def __post_init__(self) -> None:
        if self.name not in UPDATE_RULES:
            raise UserError(
                f"The optimizer must be one of {', '.join(UPDATE_RULES)}. "
                f"Received: {self.name!r}"
            )
        for name, least, below in (
            ("weight_decay_rate", 0.0, float("inf")),
            ("beta_1", 0.0, 1.0),
            ("beta_2", 0.0, 1.0),
            ("epsilon", 0.0, float("inf")),
        ):
            value = getattr(self, name)
            if not least <= value < below:
                raise UserError(
                    f"{name} must be at least {least:g} and below {below:g}. "
                    f"Received: {value}"
                )
        if not 0 < self.clip_norm < float("inf"):
            raise UserError(
                "clip_norm must be above 0 and finite; a large one clips "
                f"nothing. Received: {self.clip_norm}"
            )
        if not 0 < self.layer_decay <= 1:
            raise UserError(
                "layer_decay must lie in 0 to 1, 0 excluded. Received: "
                f"{self.layer_decay}"
            )


class Optimizer:
    """Updates variables; makes its slots in the scope that it is made in.

    Slots are named as the original's, `<variable>/adam_m` and
    `<variable>/adam_v`.

    Args:
      variables: those to train; their paths decide over decay.
      options: see there.
      num_hidden_layers: blocks of the encoder, for `layer_decay`.
      compiled: whether XLA fuses an update into one pass over memory, three
        times as fast on CPUs as one operation after another.
    """

    def __init__(
        self,
        variables: Sequence[keras.Variable],
        options: OptimizerOptions,
        num_hidden_layers: int = 0,
        compiled: bool = True,
    ) -> None:
        self._options = options
        self._slots = [
            _Slots(variable, options, num_hidden_layers)
            for variable in variables
        ]
        self._update = _update_function(
            options.name,
            compiled,
            in_place=not tf.distribute.has_strategy(),
        )

    @property
    def variables(self) -> dict[str, tf.Variable]:
        """The slots, by name."""
        return {
            f"{slots.path}/{name}": slot
            for slots in self._slots
            for name, slot in (("adam_m", slots.m), ("adam_v", slots.v))
        }

    def apply(
        self,
        gradients: Sequence[tf.Tensor],
        learning_rate: tf.Tensor,
        scale: tf.Tensor,
        step: tf.Tensor,
        finite: tf.Tensor | None = None,
    ) -> None:
        """Updates all variables; called in replica context.

        Args:
          gradients: of the global batch, the same on every replica.
          learning_rate: of this step.
          scale: factor on every gradient, by which they are clipped.
          step: its number, from 0.
          finite: whether to update at all; None: always.
        """
        corrections = None
        if self._options.bias_correction:
            corrections = self._corrections(step)
        tf.distribute.get_replica_context().merge_call(
            self._apply_everywhere,
            args=(list(gradients), learning_rate, scale, corrections, finite),
        )

    def _corrections(self, step: tf.Tensor) -> tf.Tensor:
        """Factors on the first mean and on the root of the second: [2]"""
        count = tf.cast(step, tf.float32) + 1.0
        # 1 - beta ** count, which for few steps would be left with few digits.
        m, v = (
            -tf.math.expm1(count * math.log(beta))
            for beta in (self._options.beta_1, self._options.beta_2)
        )
        return tf.stack([1.0 / m, tf.math.rsqrt(v)])

    def _apply_everywhere(
        self,
        strategy: tf.distribute.Strategy,
        gradients: list[Any],
        *scalars: Any,
    ) -> None:
        for slots, gradient in zip(self._slots, gradients, strict=True):
            strategy.extended.update(
                slots.variable.value,
                self._apply_here,
                args=(slots.m, slots.v, gradient, *scalars),
                kwargs={"slots": slots},
                group=False,
            )

    def _apply_here(
        self,
        variable: tf.Variable,
        m: tf.Variable,
        v: tf.Variable,
        gradient: tf.Tensor,
        learning_rate: tf.Tensor,
        scale: tf.Tensor,
        corrections: tf.Tensor | None,
        finite: tf.Tensor | None,
        slots: _Slots,
    ) -> None:
        def update() -> None:
            self._update(
                self._options,
                slots.excluded,
                variable,
                m,
                v,
                gradient,
                scale,
                learning_rate * slots.rate_factor,
                corrections,
            )

        if finite is None:
            update()
        else:
            tf.cond(finite, update, lambda: None)


class _Slots:
    """What the optimizer keeps of one variable, and how it treats it."""

    def __init__(
        self,
        variable: keras.Variable,
        options: OptimizerOptions,
        num_hidden_layers: int,
    ) -> None:
        self.variable = variable
        self.path = variable.path
        self.excluded = bool(_EXCLUDED.search(self.path))
        self.rate_factor = options.layer_decay ** layers_above(
            self.path, num_hidden_layers
        )
        self.m, self.v = (
            tf.Variable(
                tf.zeros(variable.shape),
                trainable=False,
                name=f"{self.path}/{name}",
            )
            for name in ("adam_m", "adam_v")
        )


_BLOCK = re.compile(r"/layer_(\d+)/")


def layers_above(path: str, num_hidden_layers: int) -> int:
    """How many layers lie between a variable and the heads.

    The heads and the pooler count as one layer, then the blocks from the last
    to the first, then the embeddings.
    """
    if block := _BLOCK.search(path):
        return num_hidden_layers - int(block[1])
    return num_hidden_layers + 1 if "/embeddings/" in path else 0


def _adamw(
    options: OptimizerOptions,
    excluded: bool,
    variable: tf.Tensor,
    m: tf.Tensor,
    v: tf.Tensor,
    gradient: tf.Tensor,
    scale: tf.Tensor,
    learning_rate: tf.Tensor,
    corrections: tf.Tensor | None = None,
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Adam with decoupled decay.

    Source: `optimization.AdamWeightDecayOptimizer`.
    """
    direction, m, v = _direction(
        options, excluded, variable, m, v, gradient * scale, corrections
    )
    return variable - learning_rate * direction, m, v


def _lamb(
    options: OptimizerOptions,
    excluded: bool,
    variable: tf.Tensor,
    m: tf.Tensor,
    v: tf.Tensor,
    gradient: tf.Tensor,
    scale: tf.Tensor,
    learning_rate: tf.Tensor,
    corrections: tf.Tensor | None = None,
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Layer-wise adaptive moments (You et al. 2020), as ALBERT was trained."""
    direction, m, v = _direction(
        options, excluded, variable, m, v, gradient * scale, corrections
    )
    if not excluded:
        weight_norm, norm = tf.norm(variable), tf.norm(direction)
        ratio = tf.math.divide_no_nan(weight_norm, norm)
        learning_rate *= tf.where(weight_norm * norm > 0, ratio, 1.0)
    return variable - learning_rate * direction, m, v


def _direction(
    options: OptimizerOptions,
    excluded: bool,
    variable: tf.Tensor,
    m: tf.Tensor,
    v: tf.Tensor,
    gradient: tf.Tensor,
    corrections: tf.Tensor | None = None,
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    m = options.beta_1 * m + (1.0 - options.beta_1) * gradient
    v = options.beta_2 * v + (1.0 - options.beta_2) * tf.square(gradient)
    if corrections is None:
        direction = m / (tf.sqrt(v) + options.epsilon)
    else:
        root = tf.sqrt(v) * corrections[1]
        direction = m * corrections[0] / (root + options.epsilon)
    if not excluded:
        direction += options.weight_decay_rate * variable
    return direction, m, v


UPDATE_RULES: dict[str, Callable[..., tuple[tf.Tensor, tf.Tensor, tf.Tensor]]]
UPDATE_RULES = {"adamw": _adamw, "lamb": _lamb}


@functools.cache
def _update_function(
    name: str, compiled: bool, in_place: bool
) -> Callable[..., None]:
    """An update rule, traced once for each shape of variable and device.

    Args:
      name: of the rule.
      compiled: whether XLA compiles it.
      in_place: whether it is given variables rather than values, so that new
        values take the place of the old in memory. Not under a strategy, be it
        of one replica: there, calls for other slots were seen to change those
        of the first.
    """
    function = functools.partial(tf.function, jit_compile=compiled or None)
    rule = UPDATE_RULES[name]
    if in_place:
        return function(_assigning(rule))
    return _assigning(function(rule))


def _assigning(rule: Callable[..., Any]) -> Callable[..., None]:
    """A rule that is given the variable and its slots, and sets them."""

    def update(
        options: OptimizerOptions,
        excluded: bool,
        variable: tf.Variable,
        m: tf.Variable,
        v: tf.Variable,
        *numbers: tf.Tensor,
    ) -> None:
        targets = variable, m, v
        values = [target.read_value() for target in targets]
        new = rule(options, excluded, *values, *numbers)
        for target, value in zip(targets, new, strict=True):
            target.assign(value)

    return update
