"""A training step over given batches, on any layout."""

from __future__ import annotations

import dataclasses
import types
from collections.abc import Mapping, Sequence

import keras
import numpy as np
import tensorflow as tf

from modeling.devices import make_strategy, mirrored
from modeling.network import BertClassifier
from modeling.network.losses import cross_entropy
from modeling.training.optimizers import Optimizer, OptimizerOptions
from modeling.training.schedules import Schedule
from modeling.training.state import read
from modeling.training.step import StepOptions, StepResult, TrainStep

Batch = Mapping[str, np.ndarray]


@dataclasses.dataclass(frozen=True)
class Layout:
    """How a global batch is computed."""

    replicas: int = 1
    micro_batches: int = 1
    xla: bool = False
    fuse: bool = False
    mirrored: bool = False

    def strategy(self) -> tf.distribute.Strategy:
        if self.replicas == 1 and self.mirrored:
            return mirrored(("/cpu:0",))
        if self.replicas == 1:
            return tf.distribute.get_strategy()
        return make_strategy("mirrored")


class Training:
    """A task's model with an optimizer, ready to take steps."""

    def __init__(
        self,
        task,
        weights: Mapping[str, np.ndarray],
        schedule: Schedule,
        layout: Layout,
        optimizer: OptimizerOptions | None = None,
        strategy: tf.distribute.Strategy | None = None,
        **options,
    ) -> None:
        self.strategy = strategy or layout.strategy()
        optimizer = optimizer or OptimizerOptions()
        if layout.fuse:
            task = dataclasses.replace(task, fuse=True)
        with self.strategy.scope():
            self.model = task.build_model()
            for variable in self.model.weights:
                if variable.path in weights:
                    variable.assign(weights[variable.path])
            variables = self.model.trainable_variables
            self.optimizer = Optimizer(
                variables, optimizer, task.config.num_hidden_layers
            )
        self.step = TrainStep(
            task,
            self.model,
            self.optimizer,
            variables,
            schedule,
            self.strategy,
            StepOptions(
                gradient_accumulation_steps=layout.micro_batches,
                xla=layout.xla,
                **options,
            ),
            optimizer.clip_norm,
        )

    def run(self, batches: Sequence[Batch]) -> list[StepResult]:
        return self.step.results(
            [self.step(self.spread(batch), stop=False) for batch in batches]
        )

    def spread(self, batch: Batch):
        """Deals a global batch out to the replicas."""
        replicas = self.strategy.num_replicas_in_sync

        def part(context):
            number = context.replica_id_in_sync_group
            return {
                name: tf.constant(np.split(values, replicas)[number])
                for name, values in batch.items()
            }

        return self.strategy.experimental_distribute_values_from_function(part)

    @property
    def weights(self) -> dict[str, np.ndarray]:
        return {v.path: read(v) for v in self.model.weights}

    @property
    def slots(self) -> dict[str, np.ndarray]:
        return {name: read(v) for name, v in self.optimizer.variables.items()}


@dataclasses.dataclass(frozen=True)
class Classification:
    """The original's classifier without dropout, as a task."""

    config: object
    num_labels: int

    norm_of_looked_up_rows = True

    def build_model(self):
        return BertClassifier(self.config, self.num_labels)

    def weights(self, features):
        rows = tf.cast(tf.shape(features["label_ids"])[0], tf.float32)
        tokens = tf.reduce_sum(tf.cast(features["input_mask"], tf.float32))
        return {"sequences": rows, "tokens": tokens}

    def sums(self, model, features, *, training=False, dropout_seed=None):
        logits = model({k: features[k] for k in _INPUTS})
        losses = cross_entropy(logits, features["label_ids"])
        return {"loss": tf.reduce_sum(losses)}

    def flops(self, shapes, is_trained):
        return None

    def loss(self, sums, weights):
        return sums["loss"] / weights["sequences"]

    def metrics(self, sums, weights):
        return {}


_INPUTS = ("input_ids", "input_mask", "segment_ids")


def load_batches(path) -> list[Batch]:
    """Batches stored as [step, batch, ...], with a weight for each pair."""
    with np.load(path) as arrays:
        columns = {name: arrays[name] for name in arrays.files}
    if "next_sentence_labels" in columns:
        columns["next_sentence_weights"] = np.ones(
            columns["next_sentence_labels"].shape, np.float32
        )
    steps = len(columns["input_ids"])
    return [
        {name: values[step] for name, values in columns.items()}
        for step in range(steps)
    ]


@dataclasses.dataclass(frozen=True)
class Line:
    """y = w * x, quick to trace; a task for what does not need BERT."""

    config = types.SimpleNamespace(num_hidden_layers=0)
    norm_of_looked_up_rows = False

    def build_model(self):
        return _LineModel()

    def weights(self, features):
        rows = tf.reduce_sum(tf.ones_like(features["x"]))
        return {"sequences": rows, "tokens": rows}

    def sums(self, model, features, *, training=False, dropout_seed=None):
        error = model(features["x"]) - features["y"]
        return {"squares": tf.reduce_sum(error**2)}

    def flops(self, shapes, is_trained):
        return shapes["x"][0]

    def loss(self, sums, weights):
        return sums["squares"] / weights["sequences"]

    def metrics(self, sums, weights):
        return {"error": (sums["squares"] / weights["sequences"]) ** 0.5}


class _LineModel(keras.Model):
    def __init__(self):
        super().__init__(name="line")
        self.w = self.add_weight(shape=(), name="w", initializer="ones")
        self.built = True

    def call(self, x):
        return self.w * x
