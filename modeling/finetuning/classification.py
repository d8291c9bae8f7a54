"""ClassificationJob: a classifier from its examples to its files."""

from __future__ import annotations

import dataclasses
import os
import tempfile
import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import tensorflow as tf
from absl import logging

from modeling.devices import is_chief
from modeling.finetuning.freezing import frozen_parts
from modeling.finetuning.kept_outputs import keep_encoder_outputs
from modeling.finetuning.predicting import predict_chunks, predict_examples
from modeling.finetuning.recipe import Recipe
from modeling.finetuning.setup import Setup, default_cache
from modeling.finetuning.start import Start
from modeling.finetuning.trainer import FineTuning
from modeling.finetuning.trials import Trial
from modeling.progress import Phases, Progress
from modeling.tasks.array_input import Examples
from modeling.tasks.classification import (
    Labels,
    PredictionWriter,
    RowOptions,
    decide,
    evaluate,
    report,
)
from modeling.tasks.classification.labels import LABEL_MAP
from modeling.tasks.classification.predictions import THRESHOLD
from modeling.tasks.classification.prepared import PreparedData
from modeling.tasks.classification.sources import (
    ExampleSource,
    prediction_source,
)
from modeling.tasks.classification.task import ClassificationTask
from modeling.tasks.feature_based import FeatureBased
from modeling.training import TrainingOptions, TrainingSession, write_evaluation

# What the original writes of its tasks.
_ORIGINAL_RESULTS = ("eval_accuracy", "eval_loss", "global_step", "loss")


@dataclasses.dataclass(frozen=True)
class ClassificationOptions:
    """How a classifier is built, trained and asked.

    Attributes:
      rows: how texts are laid out.
      pooling: one vector of many: "cls", "mean" or "max".
      class_weights: "balanced", or a weight for every class in the order of
        their ids; none where all count alike.
      balanced_sampling: whether each epoch has as many examples of each class.
      feature_based: on a frozen encoder; None: it is fine-tuned.
      policy: the network's Keras dtype policy.
      use_one_hot_embeddings: see `BertModel`.
      recompute: see `BertModel`.
      eval_batch_size, predict_batch_size: rows of full length in a batch.
      predict_file: what to predict, "-" for standard input; None: the test
        sets.
      prediction_dir: of predictions; None: the output directory.
      cache_dir: of tokenized examples; None: below the output directory.
      num_workers: processes that tokenize.
    """

    rows: RowOptions = RowOptions()
    pooling: str = "cls"
    class_weights: tuple[str, ...] = ()
    balanced_sampling: bool = False
    feature_based: FeatureBased | None = None
    policy: str = "float32"
    use_one_hot_embeddings: bool = False
    recompute: bool = False
    eval_batch_size: int = 8
    predict_batch_size: int = 8
    predict_file: str | None = None
    prediction_dir: str | None = None
    cache_dir: str | None = None
    num_workers: int = 1


class ClassificationJob:
    """Trains, evaluates and asks a classifier of a data set.

    Args:
      source: of the examples.
      start: config, tokenizer and their files.
      strategy: the devices.
      output_dir: of all files.
      options: see there.
      recipe: how long, and in which batches.
      do_train: whether there is to be training; else labels are those that
        training has kept in `output_dir`, if it has.
      init_checkpoint: weights to begin with, or None.
      xla: whether XLA compiles the network.
      trainable: told the path of a variable, whether it is trained; None: all
        are.
      kept: see `Setup`.
    """

    def __init__(
        self,
        source: ExampleSource,
        start: Start,
        strategy: tf.distribute.Strategy,
        output_dir: str,
        options: ClassificationOptions,
        recipe: Recipe,
        *,
        do_train: bool,
        init_checkpoint: str | None = None,
        xla: bool = False,
        trainable: Callable[[str], bool] | None = None,
        kept: Mapping[str, Any] | None = None,
    ) -> None:
        self.phases = Phases()
        self._source, self._options, self._recipe = source, options, recipe
        self._do_train = do_train
        self.labels = self._find_labels(output_dir)
        self._data = PreparedData(
            source,
            self.labels,
            start.tokenizer,
            options.rows,
            options.cache_dir or default_cache(output_dir),
            options.num_workers,
        )
        self._kept: dict[str, Examples] = {}
        self.setup = Setup(
            self._task(start),
            start,
            strategy,
            output_dir,
            init_checkpoint,
            xla,
            trainable if options.feature_based is None else _is_head,
            head=_HEAD,
            kept=kept or {},
        )

    def fine_tuning(
        self, training_options: Callable[[Trial, int, int], TrainingOptions]
    ) -> FineTuning:
        """The training of this job.

        Args:
          training_options: (trial, all steps, those of warm-up) -> how the loop
            trains.
        """
        options = self._options
        with self.phases.phase("tokenization"):
            self._data.examples("train")
        has_dev = bool(self._source.splits("dev"))
        return FineTuning(
            self.setup,
            self._recipe,
            self._training_examples,
            training_options,
            self._settings(),
            self.evaluate if has_dev else None,
            self._data.balanced_order if options.balanced_sampling else None,
        )

    def keep_description(self) -> None:
        """Writes the labels, and of own data the columns."""
        if is_chief(self.setup.strategy):
            self.labels.save(self.setup.output_dir)
            self._source.save(self.setup.output_dir)

    def evaluate(
        self, session: TrainingSession, split: str = "dev"
    ) -> dict[str, Any]:
        """Numbers of the weights as they are, over a split, and a report.

        Returns:
          eval_loss and loss: the mean over all examples.
          eval_NAME: every metric of the kind of labels.
          score: the mean of the data set's own metrics.
          per_class, confusion_matrix: see `report`.
        """
        examples = self._examples(split, session)
        batches = self._recipe.prediction_batches(self._options.eval_batch_size)
        with session.phases.phase("evaluation"):
            outputs = predict_examples(session.predictor, examples, batches)
        predictions = self._decisions(np.stack(outputs["outputs"]))
        targets = self._data.targets(split)
        own = evaluate(
            self._source.metrics, self.labels.kind, targets, predictions
        )
        loss = float(np.mean(outputs["losses"]))
        found = {"eval_loss": loss, "loss": loss, "score": own["score"]}
        for name, value in report(self.labels, targets, predictions).items():
            key = f"eval_{name}" if isinstance(value, float) else name
            found[key] = value
        return found

    def write_evaluations(self, session: TrainingSession, step: int) -> None:
        """Evaluates every dev set; further ones in directories of their own.

        Raises:
          UserError: there is none.
        """
        splits = self._source.splits("dev")
        if not splits:
            # Says which file is missing.
            self._source.read("dev", self.labels)
        for split in splits:
            started = time.perf_counter()
            results = {
                "global_step": step,
                **self.evaluate(session, split),
                "seconds": time.perf_counter() - started,
            }
            names = _ORIGINAL_RESULTS
            if self.labels.kind != "classification":
                # Of which the original knows nothing.
                names = tuple(
                    name
                    for name, value in results.items()
                    if name.startswith("eval_") or name in names
                )
            if is_chief(self.setup.strategy):
                directory = self.setup.output_dir
                if split != "dev":
                    directory = os.path.join(directory, split)
                write_evaluation(directory, results, names)

    def predict(self, session: TrainingSession) -> None:
        """Writes predictions as they come, of any number of examples.

        Of `predict_file`, or of every test set, where further ones have
        directories of their own.
        """
        path = self._options.predict_file
        if path is not None:
            source = prediction_source(self._source, path, self.labels)
            self._predict(session, source, "test", None)
            return
        for split in self._source.splits("test") or ["test"]:
            submission = self._source.submission(split)
            self._predict(session, self._source, split, submission)

    def answer(self, session: TrainingSession, line: str) -> str:
        """What the model says of a line; a tab separates a pair."""
        text_a, _, text_b = line.partition("\t")
        outputs = predict_examples(
            session.predictor,
            self._data.single(text_a, text_b),
            self._recipe.prediction_batches(1),
        )
        (row,) = outputs["outputs"]
        (said,) = decide(self.labels, row[None])
        if self.labels.kind == "regression":
            return f"{said:.4f}"
        if self.labels.kind == "classification":
            return f"{said}\t{row.max():.4f}"
        shares = dict(zip(self.labels.names, row, strict=True))
        return "\t".join(f"{name}\t{shares[name]:.4f}" for name in said) or "-"

    def _find_labels(self, output_dir: str) -> Labels:
        path = os.path.join(output_dir, LABEL_MAP)
        if not self._do_train and os.path.exists(path):
            return Labels.load(output_dir)
        with self.phases.phase("labels"):
            return self._source.labels()

    def _task(self, start: Start) -> ClassificationTask:
        options = self._options
        return ClassificationTask(
            start.config,
            self.labels,
            options.pooling,
            self._data.class_weights(options.class_weights)
            if self._do_train
            else (),
            options.feature_based,
            options.policy,
            options.use_one_hot_embeddings,
            options.recompute,
        )

    def _training_examples(self, session: TrainingSession) -> Examples:
        if self._options.feature_based is not None:
            # The encoder that is asked is the one to begin with.
            session.initialize()
        return self._examples("train", session)

    def _examples(self, split: str, session: TrainingSession) -> Examples:
        """A split as the model takes it."""
        with self.phases.phase("tokenization"):
            examples = self._data.examples(split)
        if self._options.feature_based is None:
            return examples
        if split not in self._kept:
            # The encoder is the same in all trials.
            self._kept[split] = keep_encoder_outputs(
                session,
                examples,
                self._recipe.prediction_batches(self._options.eval_batch_size),
                self._data.cache_dir,
            )
        return self._kept[split]

    def _settings(self) -> dict[str, Any]:
        """What shapes the weights, beside the trial and the recipe."""
        options = dataclasses.asdict(self._options)
        for name in (
            "eval_batch_size",
            "predict_batch_size",
            "predict_file",
            "prediction_dir",
            "cache_dir",
            "num_workers",
            "recompute",
        ):
            del options[name]
        trainable = self.setup.trainable
        return {
            **options,
            "labels": dataclasses.asdict(self.labels),
            "training_data": self._data.training_digest(),
            "init_checkpoint": self.setup.init_checkpoint,
            "frozen": frozen_parts(
                trainable, self.setup.start.config.num_hidden_layers
            ),
        }

    def _decisions(self, outputs: np.ndarray) -> np.ndarray:
        """[N, L] -> ids [N], 0 and 1 [N, L], or numbers [N]"""
        if self.labels.kind == "regression":
            return outputs[:, 0]
        if self.labels.kind == "classification":
            return outputs.argmax(axis=1)
        return (outputs >= THRESHOLD).astype(np.float32)

    def _predict(
        self,
        session: TrainingSession,
        source: ExampleSource,
        split: str,
        submission: str | None,
    ) -> None:
        directory = self._options.prediction_dir or self.setup.output_dir
        if split != "test":
            directory = os.path.join(directory, split)
        if not is_chief(self.setup.strategy):
            # All hosts predict together; one writes what counts.
            directory = tempfile.mkdtemp()
        tf.io.gfile.makedirs(directory)
        started, count = time.perf_counter(), 0
        batches = self._recipe.prediction_batches(
            self._options.predict_batch_size
        )
        with (
            session.phases.phase("prediction"),
            PredictionWriter(directory, self.labels, submission) as writer,
            Progress("Predicting", "examples") as progress,
        ):
            for chunk in predict_chunks(
                session.predictor, self._data.stream(source, split), batches
            ):
                writer.write(chunk.item, np.stack(chunk.outputs["outputs"]))
                count += len(chunk.item)
                progress.advance(len(chunk.item))
        seconds = time.perf_counter() - started
        logging.info(
            "%d predictions in %s, %.1f a second.",
            count,
            directory,
            count / seconds,
        )


_HEAD = ("output_weights", "output_bias", "layer_mix", "bilstm")


def _is_head(path: str) -> bool:
    return not path.startswith("bert/")
