"""TrainStep: one update of the weights from one global batch."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from modeling.errors import UserError
from modeling.training.flops import StepFlops
from modeling.training.optimizers import Optimizer
from modeling.training.schedules import Schedule
from modeling.training.task import Features, Sums, Task

_SUM = tf.distribute.ReduceOp.SUM


@dataclasses.dataclass(frozen=True)
class StepOptions:
    """How a step is computed; none but `seed` changes its result.

    Attributes:
      seed: of the dropout masks.
      gradient_accumulation_steps: micro-batches that a replica's rows are
        computed in, one after another.
      xla: whether XLA compiles the forward and backward pass.
      compiled_update: whether XLA compiles the update of each variable, which
        pays on every device; not on a TPU, where all is compiled anyway.
      loss_scale: "none", or "dynamic" for float16, whose gradients would
        vanish: the loss is scaled up as far as they stay finite.
    """

    seed: int = 0
    gradient_accumulation_steps: int = 1
    xla: bool = False
    compiled_update: bool = True
    loss_scale: str = "none"


@dataclasses.dataclass(frozen=True)
class StepResult:
    """What a step tells: numbers of the global batch, before the update.

    `diverged` tells whether the weights after it are of no use.
    """

    loss: float
    learning_rate: float
    gradient_norm: float
    stop: bool
    diverged: bool
    sums: dict[str, float]
    weights: dict[str, float]


class TrainStep:
    """Forward and backward pass, sum over replicas, clipping, update.

    The denominators of the loss are known from the batch alone; they are
    summed over all replicas and micro-batches first. Each replica then derives
    its share of the exact mean over the global batch, and gradients need only
    be added up. They are reduced once, before they are clipped.

    Args:
      task: what is learned.
      model: of the task, made in the strategy's scope.
      optimizer: of the model's variables, made in the strategy's scope.
      variables: those to train.
      schedule: learning rates.
      strategy: where the step runs.
      options: see there.
      clip_norm: limit of the gradients' global norm.
    """

    def __init__(
        self,
        task: Task,
        model: keras.Model,
        optimizer: Optimizer,
        variables: Sequence[keras.Variable],
        schedule: Schedule,
        strategy: tf.distribute.Strategy,
        options: StepOptions,
        clip_norm: float,
    ) -> None:
        self._task, self._model, self._optimizer = task, model, optimizer
        self._variables = list(variables)
        self._schedule, self._strategy = schedule, strategy
        self._options, self._clip_norm = options, clip_norm
        self._names: tuple[list[str], list[str]] | None = None
        self._shapes: dict[str, tf.TensorShape] = {}
        self._flops = StepFlops(task, [v.path for v in variables], strategy)
        # Where batches differ in length, one trace serves all of them.
        self._forward_backward = tf.function(
            self._gradients,
            jit_compile=options.xla or None,
            reduce_retracing=True,
        )
        with strategy.scope():
            self.global_step = _counter("global_step", 0, tf.int64)
            self._scaler = (
                _LossScaler() if options.loss_scale == "dynamic" else None
            )
        self._one = tf.function(self._run, reduce_retracing=True)
        self._many = tf.function(self._run_many)

    @property
    def variables(self) -> dict[str, tf.Variable]:
        """What the step keeps beside weights and slots, by name."""
        scale = self._scaler.variables if self._scaler else {}
        return {"global_step": self.global_step, **scale}

    def trace(self, spec: Any) -> None:
        """Prepares for all batches of a kind, before the first one comes.

        Its own shape would make a graph for itself, in which kernels round
        otherwise: a training that goes on would not repeat exactly.

        Args:
          spec: types of features, as the strategy distributes them.
        """
        self._one.get_concrete_function(spec, tf.TensorSpec([], tf.float32))

    def __call__(self, features: Features, stop: bool) -> tf.Tensor:
        """Takes one step.

        Args:
          features: of the global batch, as the strategy distributes it.
          stop: whether this host wants training to end after this step.

        Returns:
          What `results` reads, not waited for.
        """
        return self._one(features, tf.constant(float(stop)))[None]

    def many(
        self, iterator: tf.data.Iterator, count: int, stop: bool
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Takes several steps without coming back to the host in between.

        Args:
          iterator: of (features, position behind them), as the strategy
            distributes them.
          count: of steps.
          stop: as in `__call__`.

        Returns:
          What `results` reads, and this host's last position.
        """
        return self._many(
            iterator, tf.constant(count), tf.constant(float(stop))
        )

    def flops(self, features: Features | None = None) -> int:
        """Operations of a step, see `StepFlops`.

        Args:
          features: of the global batch, as the strategy distributes it; None:
            of the shapes that the last graph was made for.
        """
        if features is None:
            return self._flops.of_shapes([self._shapes])
        return self._flops.of_batch(features)

    def results(self, vectors: Sequence[tf.Tensor]) -> list[StepResult]:
        """Reads what steps told, waiting for them to end."""
        if self._names is None:
            return []
        return [
            self._result(row)
            for vector in vectors
            for row in np.asarray(vector, np.float64)
        ]

    def _result(self, row: np.ndarray) -> StepResult:
        sum_names, weight_names = self._names
        loss, rate, norm, stop, *values = row.tolist()
        count = len(sum_names)
        return StepResult(
            loss=loss,
            learning_rate=rate,
            gradient_norm=norm,
            stop=stop > 0,
            diverged=not self._is_sound(loss, norm),
            sums=dict(zip(sum_names, values[:count], strict=True)),
            weights=dict(zip(weight_names, values[count:], strict=True)),
        )

    def _is_sound(self, loss: float, norm: float) -> bool:
        # Gradients that overflow are skipped where the loss is scaled.
        return math.isfinite(loss) and (
            self._scaler is not None or math.isfinite(norm)
        )

    def _run(self, features: Features, stop: tf.Tensor) -> tf.Tensor:
        everywhere = self._strategy.run(
            self._replica_step, args=(features, stop)
        )
        vector = self._strategy.experimental_local_results(everywhere)[0]
        if self._scaler is not None:
            self._scaler.update(tf.math.is_finite(vector[2]))
        self.global_step.assign_add(1)
        return vector

    def _run_many(
        self, iterator: tf.data.Iterator, count: tf.Tensor, stop: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        vectors = tf.TensorArray(tf.float32, size=count)
        position = tf.zeros([3], tf.int64)
        for index in tf.range(count):
            features, positions = next(iterator)
            vectors = vectors.write(index, self._run(features, stop))
            position = self._strategy.experimental_local_results(positions)[-1]
        return vectors.stack(), position

    def _replica_step(self, features: Features, stop: tf.Tensor) -> tf.Tensor:
        weights = self._task.weights(features)
        *totals, stop = self._add_up([*weights.values(), stop])
        weights = dict(zip(weights, totals, strict=True))

        gradients, row_norms, sums = self._accumulate(features, weights)
        *totals, row_norms = self._add_up([*sums.values(), row_norms])
        sums = dict(zip(sums, totals, strict=True))
        if self._strategy.num_replicas_in_sync > 1:
            context = tf.distribute.get_replica_context()
            gradients = context.all_reduce(_SUM, gradients)

        scale = self._scaler.scale.read_value() if self._scaler else 1.0
        norm = self._global_norm(gradients, row_norms) / scale
        rate = self._schedule(self.global_step.read_value())
        self._optimizer.apply(
            gradients,
            rate,
            self._clip_norm / tf.maximum(norm, self._clip_norm) / scale,
            self.global_step.read_value(),
            finite=tf.math.is_finite(norm) if self._scaler else None,
        )
        self._names = list(sums), list(weights)
        self._shapes = {name: v.shape for name, v in features.items()}
        loss = self._task.loss(sums, weights)
        return tf.stack(
            [loss, rate, norm, stop, *sums.values(), *weights.values()]
        )

    def _add_up(self, scalars: list[tf.Tensor]) -> list[tf.Tensor]:
        """Sums of scalars over all replicas, in one message."""
        if self._strategy.num_replicas_in_sync == 1:
            return scalars
        context = tf.distribute.get_replica_context()
        return tf.unstack(context.all_reduce(_SUM, tf.stack(scalars)))

    def _accumulate(
        self, features: Features, weights: Sums
    ) -> tuple[list[tf.Tensor], tf.Tensor, Sums]:
        """Gradients, their row norms and the sums over all micro-batches."""
        count = self._options.gradient_accumulation_steps
        context = tf.distribute.get_replica_context()
        first = context.replica_id_in_sync_group * count
        if count == 1:
            return self._forward_backward(
                features, weights, self._dropout_seed(first)
            )
        first_feature = next(iter(features.values()))
        rows = first_feature.shape[0]
        if rows is None:
            # Such input pads every batch to a multiple.
            rows = tf.shape(first_feature)[0]
        elif rows % count:
            raise UserError(
                f"A replica's {rows} rows cannot be split in {count} equal "
                "micro-batches. Choose a train_batch_size that is a multiple "
                "of replicas * gradient_accumulation_steps."
            )

        def micro_batch(index: tf.Tensor) -> Features:
            start = index * (rows // count)
            return {
                name: values[start : start + rows // count]
                for name, values in features.items()
            }

        def body(index: tf.Tensor, total: list[tf.Tensor]) -> tuple:
            part = self._forward_backward(
                micro_batch(index), weights, self._dropout_seed(first + index)
            )
            added = [
                a + b for a, b in zip(total, tf.nest.flatten(part), strict=True)
            ]
            return index + 1, added

        # The first one gives the structure; `while` wants it before it starts.
        start = self._forward_backward(
            micro_batch(tf.constant(0)), weights, self._dropout_seed(first)
        )
        _, total = tf.while_loop(
            lambda index, _: index < count,
            body,
            (tf.constant(1), tf.nest.flatten(start)),
            parallel_iterations=1,
        )
        return tf.nest.pack_sequence_as(start, total)

    def _dropout_seed(self, micro_batch: tf.Tensor) -> tf.Tensor:
        """Two numbers for (seed, step) and for the micro-batch of the step."""
        # Seeds that lie close together must not share the steps' numbers.
        spread = np.uint32(self._options.seed * 0x9E3779B1 & 0xFFFFFFFF)
        step = tf.cast(self.global_step.read_value(), tf.uint32)
        return tf.stack([step + spread, tf.cast(micro_batch, tf.uint32)])

    def _gradients(
        self, features: Features, weights: Sums, dropout_seed: tf.Tensor
    ) -> tuple[list[tf.Tensor], tf.Tensor, Sums]:
        """Gradients of these rows' share of the loss.

        Also the squared norm of the gradients that came as rows of a table,
        before rows of equal index were added, and the task's sums.
        """
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            variables = [variable.value for variable in self._variables]
            tape.watch(variables)
            sums = self._task.sums(
                self._model, features, training=True, dropout_seed=dropout_seed
            )
            loss = self._task.loss(sums, weights)
            if self._scaler is not None:
                loss *= self._scaler.scale.read_value()
        gradients = tape.gradient(
            loss, variables, unconnected_gradients=tf.UnconnectedGradients.ZERO
        )
        row_norms = tf.zeros(())
        for gradient in gradients:
            if self._counts_rows(gradient):
                row_norms += tf.reduce_sum(tf.square(gradient.values))
        dense = [tf.convert_to_tensor(gradient) for gradient in gradients]
        self._by_row = [self._counts_rows(gradient) for gradient in gradients]
        return dense, row_norms, sums

    def _counts_rows(self, gradient: tf.Tensor | tf.IndexedSlices) -> bool:
        return self._task.norm_of_looked_up_rows and isinstance(
            gradient, tf.IndexedSlices
        )

    def _global_norm(
        self, gradients: Sequence[tf.Tensor], row_norms: tf.Tensor
    ) -> tf.Tensor:
        squares = [
            2.0 * tf.nn.l2_loss(gradient)
            for gradient, by_row in zip(gradients, self._by_row, strict=True)
            if not by_row
        ]
        return tf.sqrt(tf.add_n([row_norms, *squares]))


class _LossScaler:
    """A factor on the loss that halves on overflow and doubles when it may."""

    _START, _LARGEST, _PATIENCE = 2.0**15, 2.0**24, 2000

    def __init__(self) -> None:
        self.scale = _counter("loss_scale", self._START, tf.float32)
        self._good_steps = _counter("loss_scale_good_steps", 0, tf.int64)

    @property
    def variables(self) -> dict[str, tf.Variable]:
        return {
            "loss_scale": self.scale,
            "loss_scale_good_steps": self._good_steps,
        }

    def update(self, finite: tf.Tensor) -> None:
        """Takes note of a step; called outside of replicas."""
        good = tf.where(finite, self._good_steps.read_value() + 1, 0)
        grow = good >= self._PATIENCE
        scale = self.scale.read_value()
        scale = tf.where(finite, scale, tf.maximum(scale / 2.0, 1.0))
        scale = tf.where(grow, tf.minimum(scale * 2.0, self._LARGEST), scale)
        self.scale.assign(scale)
        self._good_steps.assign(tf.where(grow, tf.zeros_like(good), good))


def _counter(name: str, value: float, dtype: tf.DType) -> tf.Variable:
    return tf.Variable(
        value,
        dtype=dtype,
        trainable=False,
        name=name,
        aggregation=tf.VariableAggregation.ONLY_FIRST_REPLICA,
    )
