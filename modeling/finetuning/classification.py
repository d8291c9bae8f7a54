"""ClassificationJob: a classifier from its examples to its files."""

from __future__ import annotations

import collections
import dataclasses
import functools
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from modeling.devices import is_chief
from modeling.errors import UserError
from modeling.finetuning.frozen_encoder import FrozenEncoderJob
from modeling.finetuning.job import TEST, JobOptions
from modeling.finetuning.predicting import predict_examples
from modeling.finetuning.setup import Surroundings
from modeling.finetuning.trainer import FineTuning, MakeOptions
from modeling.output_files import telling
from modeling.tasks.classification import (
    InputExample,
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
from modeling.tasks.classification.sources import ExampleSource
from modeling.tasks.classification.task import ClassificationTask
from modeling.tasks.feature_based import FeatureBased
from modeling.text_files import is_read_once
from modeling.training import TrainingSession

# What the original writes of its tasks.
_ORIGINAL_RESULTS = ("eval_accuracy", "eval_loss", "global_step", "loss")


@dataclasses.dataclass(frozen=True, kw_only=True)
class ClassificationOptions(JobOptions):
    """How a classifier is built, trained and asked.

    Attributes:
      rows: how texts are laid out.
      pooling: one vector of many: "cls", "mean" or "max".
      class_weights: "balanced", or a weight for every class in the order of
        their ids; none where all count alike.
      balanced_sampling: whether each epoch has as many examples of each class.
      feature_based: on a frozen encoder; None: it is fine-tuned.
      predict_file: what to predict, "-" for standard input; None: the test
        sets.
    """

    rows: RowOptions = RowOptions()
    pooling: str = "cls"
    class_weights: tuple[str, ...] = ()
    balanced_sampling: bool = False
    feature_based: FeatureBased | None = None
    predict_file: str | None = None


class ClassificationJob(FrozenEncoderJob):
    """Trains, evaluates and asks a classifier of a data set.

    Labels are those that training has kept where there is no training.

    Args:
      source: of the examples.
      surroundings: what the job begins with and where it works.
      options: see there.
    """

    _options: ClassificationOptions

    def __init__(
        self,
        source: ExampleSource,
        surroundings: Surroundings,
        options: ClassificationOptions,
    ) -> None:
        is_frozen = options.feature_based is not None
        super().__init__(surroundings, options, is_frozen)
        if self._recipe.pack_sequences:
            _check_packing(options)
        self._source = source
        self.labels = self._find_labels()
        self._data = PreparedData(
            source,
            self.labels,
            surroundings.start.tokenizer,
            options.rows,
            self._cache_dir,
            options.num_workers,
        )
        self.setup = surroundings.setup(
            self._task(),
            _HEAD,
            _is_head if is_frozen else None,
        )

    def fine_tuning(self, training_options: MakeOptions) -> FineTuning:
        """The training of this job, as its loop's options ask for it."""
        options = self._options
        with self.phases.phase("tokenization"):
            self._data.examples("train")
        has_dev = bool(self._source.splits("dev"))
        return FineTuning(
            self.setup,
            self._training_examples,
            training_options,
            self._settings(self._shaping()),
            self.evaluate if has_dev else None,
            self._data.balanced_order if options.balanced_sampling else None,
        )

    def check_data(self, evaluate: bool, predict: bool) -> None:
        """Reads all that is evaluated, and what is predicted.

        Standard input and pipes, which are read only once, are left alone.
        """
        if evaluate or self._recipe.eval_each_epoch:
            with self.phases.phase("tokenization"):
                for split in self._dev_splits():
                    self._data.examples(split)
        if predict:
            with self.phases.phase("reading"):
                for examples, _, _ in self._to_predict():
                    # What a processor has read has no path.
                    if not is_read_once(getattr(examples, "path", "")):
                        collections.deque(examples, maxlen=0)

    def keep_description(self) -> None:
        """Writes the labels as well, and of own data the columns."""
        super().keep_description()
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
        for split in self._dev_splits():
            self._write_evaluation(
                step,
                functools.partial(self.evaluate, session, split),
                split,
            )

    def predict(self, session: TrainingSession) -> None:
        """Writes predictions as they come, of any number of examples.

        Of `predict_file`, or of every test set, where further ones have
        directories of their own.
        """
        for examples, split, submission in self._to_predict():
            self._predict(session, examples, split, submission)

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

    def _dev_splits(self) -> list[str]:
        """Raises `UserError` where there is none."""
        splits = self._source.splits("dev")
        if not splits:
            # Says which file is missing.
            self._source.read("dev", self.labels)
        return splits

    def _to_predict(
        self,
    ) -> Iterator[tuple[Iterable[InputExample], str, str | None]]:
        """Examples, their split, and the name of a file for GLUE."""
        path = self._options.predict_file
        if path is not None:
            yield self._source.read_to_predict(path, self.labels), TEST, None
            return
        for split in self._source.splits(TEST) or [TEST]:
            examples = self._source.read(split, self.labels)
            yield examples, split, self._source.submission(split)

    def _find_labels(self) -> Labels:
        directory = self._surroundings.output_dir
        is_kept = os.path.exists(os.path.join(directory, LABEL_MAP))
        if is_kept and not self._surroundings.do_train:
            return Labels.load(directory)
        with self.phases.phase("labels"):
            return self._source.labels()

    def _task(self) -> ClassificationTask:
        options = self._options
        class_weights: tuple[float, ...] = ()
        if self._surroundings.do_train:
            class_weights = self._data.class_weights(options.class_weights)
        return ClassificationTask(
            self._surroundings.start.config,
            self.labels,
            options.pooling,
            class_weights,
            options.feature_based,
            **options.network(),
        )

    def _shaping(self) -> dict[str, Any]:
        """What of this kind of task shapes the weights."""
        shaping = self._options.own()
        del shaping["predict_file"]
        return {
            **shaping,
            "labels": dataclasses.asdict(self.labels),
            "training_data": self._data.examples("train").digest(),
        }

    def _shown(self, results: Mapping[str, Any]) -> Sequence[str]:
        if self.labels.kind == "classification":
            return _ORIGINAL_RESULTS
        # Of which the original knows nothing.
        return super()._shown(results)

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
        examples: Iterable[InputExample],
        split: str,
        submission: str | None,
    ) -> None:
        directory = self._make_prediction_dir(split)
        with (
            telling(directory),
            PredictionWriter(directory, self.labels, submission) as writer,
        ):
            self._predict_stream(
                session,
                self._data.stream(examples),
                lambda chunk, outputs: writer.write(
                    chunk, np.stack(outputs["outputs"])
                ),
                directory,
            )


def _check_packing(options: ClassificationOptions) -> None:
    if options.feature_based is not None or options.rows.doc_stride is not None:
        raise UserError(
            "--pack_sequences puts whole texts together in rows that are "
            "trained on: it goes neither with --feature_based nor with "
            "--doc_stride."
        )


_HEAD = ("output_weights", "output_bias", "layer_mix", "bilstm")


def _is_head(path: str) -> bool:
    return not path.startswith("bert/")
