"""SquadJob: a question answerer from its data to its files."""

from __future__ import annotations

import dataclasses
import functools
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import tensorflow as tf
from absl import logging

from modeling.devices import is_chief
from modeling.errors import UserError
from modeling.finetuning.freezing import frozen_parts
from modeling.finetuning.recipe import Recipe
from modeling.finetuning.setup import Setup, default_cache
from modeling.finetuning.start import Start
from modeling.finetuning.trainer import FineTuning
from modeling.finetuning.trials import Trial
from modeling.finetuning.window_scoring import score_windows
from modeling.progress import Phases
from modeling.tasks.squad import (
    Answered,
    AnswerOptions,
    FeatureSet,
    Paragraph,
    Predictions,
    Question,
    WindowOptions,
    WindowScores,
    answer_questions,
    check_question_ids,
    prepare_features,
    read_paragraphs,
    right_answers,
    write_predictions,
)
from modeling.tasks.squad.batches import SquadExamples
from modeling.tasks.squad.evaluation import evaluate_answers, is_chinese
from modeling.tasks.squad.task import SquadTask
from modeling.tokenization import FastTokenizer
from modeling.training import TrainingOptions, TrainingSession, write_evaluation

_POOLER = "bert/pooler/"
# Neither is found in every checkpoint, and the second is not used.
_NEW = ("cls/squad", "bert/pooler")
# Of an evaluation, what is of no use among the figures of `eval_results.txt`.
_JSON_ONLY = ("score", "seconds")


@dataclasses.dataclass(frozen=True)
class SquadOptions:
    """How a question answerer is built, trained and asked.

    Attributes:
      train_file: questions with their answers; None: there is no training.
      predict_file: questions to answer, and to be judged by where it has
        answers; None: there are none.
      windows: how paragraphs are cut.
      answers: how answers are made of scores.
      answer_text: see `AnswerOptions`; None: as the original, but by offsets
        where the vocabulary is of SentencePiece or the text Chinese, which
        has no spaces between its words.
      metric: one of `METRICS`; None: that of CMRC 2018 for Chinese, else
        SQuAD's.
      policy: the network's Keras dtype policy.
      use_one_hot_embeddings: see `BertModel`.
      recompute: see `BertModel`.
      eval_batch_size, predict_batch_size: rows of full length in a batch.
      prediction_dir: of predictions; None: the output directory.
      cache_dir: of windows; None: below the output directory.
      num_workers: processes that tokenize.
      verbose: whether the log lists all training questions that are left out.

    Raises:
      UserError: options that do not go together.
    """

    train_file: str | None = None
    predict_file: str | None = None
    windows: WindowOptions = WindowOptions()
    answers: AnswerOptions = AnswerOptions()
    answer_text: str | None = None
    metric: str | None = None
    policy: str = "float32"
    use_one_hot_embeddings: bool = False
    recompute: bool = False
    eval_batch_size: int = 8
    predict_batch_size: int = 8
    prediction_dir: str | None = None
    cache_dir: str | None = None
    num_workers: int = 1
    verbose: bool = False

    def __post_init__(self) -> None:
        with_negative = self.answers.version_2_with_negative
        if with_negative and self.metric in ("cmrc", "drcd"):
            raise UserError(
                f"--metric={self.metric} knows no questions without an answer. "
                "Leave it out, or --version_2_with_negative."
            )


class SquadJob:
    """Trains, evaluates and asks a question answerer.

    Args:
      start: config, tokenizer and their files.
      strategy: the devices.
      output_dir: of all files.
      options: see there.
      recipe: how long, and in which batches.
      init_checkpoint: weights to begin with, or None.
      xla: whether XLA compiles the network.
      trainable: told the path of a variable, whether it is trained; None: all
        are, but the pooler, which takes no part.
      kept: see `Setup`.
    """

    def __init__(
        self,
        start: Start,
        strategy: tf.distribute.Strategy,
        output_dir: str,
        options: SquadOptions,
        recipe: Recipe,
        *,
        init_checkpoint: str | None = None,
        xla: bool = False,
        trainable: Callable[[str], bool] | None = None,
        kept: Mapping[str, Any] | None = None,
    ) -> None:
        self.phases = Phases()
        self._options, self._recipe = options, recipe
        self._tokenizer = start.tokenizer
        self._cache_dir = options.cache_dir or default_cache(output_dir)
        # Those of the final weights, once they are known.
        self._scores: WindowScores | None = None
        task = SquadTask(
            start.config,
            options.policy,
            options.use_one_hot_embeddings,
            options.recompute,
        )
        self.setup = Setup(
            task,
            start,
            strategy,
            output_dir,
            init_checkpoint,
            xla,
            _without_pooler(trainable),
            head=_NEW,
            kept=kept or {},
        )

    @functools.cached_property
    def targets(self) -> dict[str, list[str]]:
        """Right answers of `predict_file`; {} where there are none."""
        if self._options.predict_file is None:
            return {}
        return right_answers(self._paragraphs)

    def fine_tuning(
        self, training_options: Callable[[Trial, int, int], TrainingOptions]
    ) -> FineTuning:
        """The training of this job.

        Args:
          training_options: (trial, all steps, those of warm-up) -> how the loop
            trains.

        Raises:
          UserError: there is no file to train on, or it is of no use.
        """
        if self._options.train_file is None:
            raise UserError("Training needs --train_file.")
        features = self._features(self._options.train_file, is_training=True)
        if self._options.verbose:
            for question in features.unaligned:
                logging.info(
                    "Left out: %s, %s: %s",
                    question.place,
                    question.id,
                    question.answers,
                )
        examples = SquadExamples(features)
        return FineTuning(
            self.setup,
            self._recipe,
            lambda session: examples,
            training_options,
            self._settings(features),
            self.evaluate if self.targets else None,
            # The original counts questions, of which some have many windows.
            num_examples=len(features.questions),
        )

    def keep_description(self) -> None:
        """Nothing: flags say all."""

    def evaluate(self, session: TrainingSession) -> dict[str, Any]:
        """Judges the answers of the weights as they are."""
        return self._judge(
            self._score(session, self._options.eval_batch_size), session
        )

    def write_evaluations(self, session: TrainingSession, step: int) -> None:
        """Answers the questions of `predict_file` and judges them.

        Raises:
          UserError: there is no such file, or it has no answers.
        """
        if not self.targets:
            raise UserError(
                "Evaluation needs a --predict_file with answers. Received: "
                f"--predict_file={self._options.predict_file}"
            )
        started = time.perf_counter()
        self._scores = self._score(session, self._options.eval_batch_size)
        results = {
            "global_step": step,
            **self._judge(self._scores, session),
            "seconds": time.perf_counter() - started,
        }
        if is_chief(self.setup.strategy):
            names = [name for name in results if name not in _JSON_ONLY]
            write_evaluation(self.setup.output_dir, results, names)

    def predict(self, session: TrainingSession) -> None:
        """Writes the answers to the questions of `predict_file`.

        Raises:
          UserError: there is no such file, or it is of no use.
        """
        directory = self._options.prediction_dir or self.setup.output_dir
        if not is_chief(self.setup.strategy):
            # All hosts predict together; one writes what counts.
            directory = tempfile.mkdtemp()
        if self._scores is None:
            self._scores = self._score(
                session, self._options.predict_batch_size
            )
        tf.io.gfile.makedirs(directory)
        with session.phases.phase("answers"):
            written = write_predictions(self._answers(self._scores), directory)
        logging.info(
            "Answers to %d questions in %s", len(written.texts), directory
        )

    def answer(self, session: TrainingSession, line: str) -> str:
        """The answer to a line: a question, a tab, a context."""
        text, tab, context = line.partition("\t")
        if not tab:
            raise UserError(
                f"A line is a question, a tab and a context. Received: {line!r}"
            )
        paragraph = Paragraph(context, (Question("typed", text),))
        features = FeatureSet.of(
            [paragraph], self._tokenizer, self._options.windows
        )
        scores = self._score_windows(session, features, 1)
        (said,) = answer_questions(
            [paragraph],
            features,
            scores,
            self._tokenizer,
            self._answer_options([paragraph]),
        )
        shares = {entry.text: entry.probability for entry in said.n_best}
        return f"{said.text or '-'}\t{shares.get(said.text, 1.0):.4f}"

    @functools.cached_property
    def _paragraphs(self) -> list[Paragraph]:
        """Those of `predict_file`."""
        if self._options.predict_file is None:
            raise UserError("Prediction needs --predict_file.")
        with self.phases.phase("reading"):
            paragraphs = list(read_paragraphs(self._options.predict_file))
        check_question_ids(paragraphs)
        return paragraphs

    @functools.cached_property
    def _predict_features(self) -> FeatureSet:
        return self._features(self._options.predict_file, is_training=False)

    def _features(self, path: str, is_training: bool) -> FeatureSet:
        with self.phases.phase("tokenization"):
            return prepare_features(
                path,
                self._tokenizer,
                self._options.windows,
                is_training,
                self._cache_dir,
                self._options.num_workers,
            )

    def _score(self, session: TrainingSession, batch_size: int) -> WindowScores:
        """Scores of all windows of `predict_file`."""
        # What is wrong with the file is told before anything is computed.
        _ = self._paragraphs
        return self._score_windows(session, self._predict_features, batch_size)

    def _score_windows(
        self, session: TrainingSession, features: FeatureSet, batch_size: int
    ) -> WindowScores:
        return score_windows(
            session,
            features,
            self._recipe,
            batch_size,
            self._options.answers.n_best_size,
        )

    def _answers(self, scores: WindowScores) -> Iterator[Answered]:
        """Answers to the questions of `predict_file`."""
        return answer_questions(
            self._paragraphs,
            self._predict_features,
            scores,
            self._tokenizer,
            self._answer_options(self._paragraphs),
        )

    def _answer_options(self, paragraphs: Sequence[Paragraph]) -> AnswerOptions:
        options = self._options
        answer_text = options.answer_text
        if answer_text is None:
            by_offsets = not isinstance(
                self._tokenizer, FastTokenizer
            ) or is_chinese(paragraphs)
            answer_text = "offsets" if by_offsets else "original"
        return dataclasses.replace(options.answers, answer_text=answer_text)

    def _judge(
        self, scores: WindowScores, session: TrainingSession
    ) -> dict[str, Any]:
        with session.phases.phase("answers"):
            predictions = Predictions.of(self._answers(scores))
            return evaluate_answers(self._metric, self.targets, predictions)

    @functools.cached_property
    def _metric(self) -> str:
        options = self._options
        if options.metric is not None:
            return options.metric
        if options.answers.version_2_with_negative:
            return "squad"
        return "cmrc" if is_chinese(self._paragraphs) else "squad"

    def _settings(self, features: FeatureSet) -> dict[str, Any]:
        """What shapes the weights, beside the trial and the recipe."""
        options = self._options
        return {
            "windows": dataclasses.asdict(options.windows),
            "policy": options.policy,
            "use_one_hot_embeddings": options.use_one_hot_embeddings,
            "training_data": features.digest(),
            "init_checkpoint": self.setup.init_checkpoint,
            "frozen": frozen_parts(
                self.setup.trainable,
                self.setup.start.config.num_hidden_layers,
            ),
        }


def _without_pooler(
    trainable: Callable[[str], bool] | None,
) -> Callable[[str], bool]:
    """Without a gradient it would only decay, which the original spares it."""
    wanted = trainable or (lambda path: True)
    return lambda path: wanted(path) and not path.startswith(_POOLER)
