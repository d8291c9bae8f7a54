"""ChoiceJob: a model that chooses answers, from its examples to its files."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from modeling.errors import UserError
from modeling.finetuning.job import Job, JobOptions
from modeling.finetuning.predicting import predict_examples
from modeling.finetuning.setup import Surroundings
from modeling.finetuning.trainer import FineTuning, MakeOptions
from modeling.output_files import telling
from modeling.tasks.multiple_choice import (
    ChoiceEncoder,
    ChoiceExample,
    ChoiceFile,
    ChoiceWriter,
    accuracies,
    encode_cached,
)
from modeling.tasks.multiple_choice.task import ChoiceTask
from modeling.tasks.row_batches import RowExamples
from modeling.tasks.split_files import SplitFiles
from modeling.tasks.token_rows import stream
from modeling.text_files import is_read_once
from modeling.training import TrainingSession

_HEAD = ("output_weights",)
# Examples that are sorted by length together in prediction.
_CHUNK = 1024


@dataclasses.dataclass(frozen=True, kw_only=True)
class ChoiceOptions(JobOptions):
    """How a model is built, trained and asked.

    Attributes:
      num_choices: how many every example must have; None: two or more.
    """

    num_choices: int | None = None


class ChoiceJob(Job):
    """Trains, evaluates and asks a model that chooses answers.

    Args:
      files: of the examples.
      surroundings: what the job begins with and where it works.
      options: see there.
    """

    _options: ChoiceOptions

    def __init__(
        self,
        files: SplitFiles,
        surroundings: Surroundings,
        options: ChoiceOptions,
    ) -> None:
        super().__init__(surroundings, options)
        self._files = files
        start = surroundings.start
        self._encoder = ChoiceEncoder(
            start.tokenizer, self._recipe.max_seq_length
        )
        self._opened: dict[str, RowExamples] = {}
        self.setup = surroundings.setup(
            ChoiceTask(start.config, **options.network()), _HEAD
        )

    def fine_tuning(self, training_options: MakeOptions) -> FineTuning:
        """The training of this job, as its loop's options ask for it."""
        examples = self._examples("train")
        has_dev = self._files.find("dev") is not None
        if has_dev:
            # What is wrong with it is told before training.
            self._examples("dev")
        return FineTuning(
            self.setup,
            lambda session: examples,
            training_options,
            self._settings({"training_data": examples.digest()}),
            self.evaluate if has_dev else None,
        )

    def check_data(self, evaluate: bool, predict: bool) -> None:
        """Reads what is predicted; `fine_tuning` reads the rest."""
        if predict and not is_read_once(path := self._files.get("test")):
            for _ in self._to_predict(path):
                pass

    def evaluate(self, session: TrainingSession) -> dict[str, Any]:
        """Numbers of the weights as they are, over the dev set.

        Returns:
          eval_loss and loss: the mean over all examples.
          eval_NAME: see `accuracies`.
          score: the accuracy.
        """
        examples = self._examples("dev")
        batches = self._recipe.prediction_batches(self._options.eval_batch_size)
        with session.phases.phase("evaluation"):
            outputs = predict_examples(session.predictor, examples, batches)
        shares = accuracies(
            examples.encoded.targets,
            examples.rows_per_example(),
            outputs["probabilities"],
        )
        loss = float(np.mean(outputs["losses"]))
        return {
            **{f"eval_{name}": share for name, share in shares.items()},
            "eval_loss": loss,
            "loss": loss,
            "score": shares["accuracy"],
        }

    def write_evaluations(self, session: TrainingSession, step: int) -> None:
        """Evaluates the dev set.

        Raises:
          UserError: there is none.
        """
        self._write_evaluation(step, lambda: self.evaluate(session))

    def predict(self, session: TrainingSession) -> None:
        """Writes predictions as they come, of any number of examples.

        Raises:
          UserError: there is nothing to predict.
        """
        chunks = self._stream(self._files.get("test"))
        directory = self._make_prediction_dir()
        with telling(directory), ChoiceWriter(directory) as writer:
            self._predict_stream(
                session,
                chunks,
                lambda examples, outputs: writer.write(
                    examples, outputs["probabilities"]
                ),
                directory,
            )

    def answer(self, session: TrainingSession, line: str) -> str:
        """The choice that a line's context and question call for.

        Args:
          session: of the model.
          line: context, question, which may be empty, and choices, separated
            by tabs.
        """
        context, *rest = line.split("\t")
        question, *choices = rest or [""]
        if len(choices) < 2:
            raise UserError(
                "A line is a context, a question and two or more choices, "
                f"separated by tabs. Received: {line!r}"
            )
        example = ChoiceExample(
            context, question, tuple(choices), place="The line"
        )
        outputs = predict_examples(
            session.predictor,
            RowExamples(self._encoder([example]), grouped=True),
            self._recipe.prediction_batches(1),
        )
        (row,) = outputs["probabilities"]
        return f"{choices[row.argmax()]}\t{row.max():.4f}"

    def _examples(self, split: str) -> RowExamples:
        """A split, mapped from the cache."""
        if split not in self._opened:
            path = self._files.get(split)
            with self.phases.phase("tokenization"):
                encoded = encode_cached(
                    self._encoder,
                    ChoiceFile(path, num_choices=self._options.num_choices),
                    self._cache_dir,
                    self._options.num_workers,
                )
            self._opened[split] = RowExamples(encoded, grouped=True)
        return self._opened[split]

    def _stream(
        self, path: str
    ) -> Iterator[tuple[Sequence[ChoiceExample], RowExamples]]:
        """Chunks of a file to predict, with what they are in tokens."""
        examples = self._to_predict(path)
        for chunk, encoded in stream(
            self._encoder, examples, self._options.num_workers, _CHUNK
        ):
            yield chunk, RowExamples(encoded, grouped=True)

    def _to_predict(self, path: str) -> ChoiceFile:
        return ChoiceFile(
            path, needs_answers=False, num_choices=self._options.num_choices
        )
