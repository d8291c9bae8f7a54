"""SquadJob: a question answerer from its data to its files."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from absl import logging

from modeling.errors import UserError
from modeling.finetuning.job import Job, JobOptions
from modeling.finetuning.setup import Surroundings
from modeling.finetuning.trainer import FineTuning, MakeOptions
from modeling.finetuning.window_scoring import score_windows
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
from modeling.training import TrainingSession

_POOLER = "bert/pooler/"
# Neither is found in every checkpoint, and the second is not used.
_NEW = ("cls/squad", "bert/pooler")
# Of an evaluation, what is of no use among the figures of `eval_results.txt`.
_JSON_ONLY = ("score", "seconds")


@dataclasses.dataclass(frozen=True, kw_only=True)
class SquadOptions(JobOptions):
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
    verbose: bool = False

    def __post_init__(self) -> None:
        with_negative = self.answers.version_2_with_negative
        if with_negative and self.metric in ("cmrc", "drcd"):
            raise UserError(
                f"--metric={self.metric} knows no questions without an answer. "
                "Leave it out, or --version_2_with_negative."
            )


class SquadJob(Job):
    """Trains, evaluates and asks a question answerer.

    The pooler, which takes no part, is never trained.

    Args:
      surroundings: what the job begins with and where it works.
      options: see there.
    """

    _options: SquadOptions

    def __init__(
        self, surroundings: Surroundings, options: SquadOptions
    ) -> None:
        super().__init__(surroundings, options)
        self._tokenizer = surroundings.start.tokenizer
        # Those of the final weights, once they are known.
        self._scores: WindowScores | None = None
        self.setup = surroundings.setup(
            SquadTask(surroundings.start.config, **options.network()),
            _NEW,
            # Without a gradient the pooler would only decay, which the
            # original spares it.
            lambda path: (
                not path.startswith(_POOLER) and surroundings.is_trained(path)
            ),
        )

    @functools.cached_property
    def targets(self) -> dict[str, list[str]]:
        """Right answers of `predict_file`; {} where there are none."""
        if self._options.predict_file is None:
            return {}
        return right_answers(self._paragraphs)

    def fine_tuning(self, training_options: MakeOptions) -> FineTuning:
        """The training of this job, as its loop's options ask for it.

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
            lambda session: examples,
            training_options,
            self._settings(
                {
                    "windows": dataclasses.asdict(self._options.windows),
                    "training_data": features.digest(),
                }
            ),
            self.evaluate if self.targets else None,
            # The original counts questions, of which some have many windows.
            num_examples=len(features.questions),
        )

    def check_data(self, evaluate: bool, predict: bool) -> None:
        """Reads `predict_file`, and makes its windows."""
        if evaluate:
            self._check_targets()
        if evaluate or predict:
            _ = self._paragraphs, self._predict_features

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
        self._check_targets()

        def evaluate() -> dict[str, Any]:
            self._scores = self._score(session, self._options.eval_batch_size)
            return self._judge(self._scores, session)

        self._write_evaluation(step, evaluate)

    def predict(self, session: TrainingSession) -> None:
        """Writes the answers to the questions of `predict_file`.

        Raises:
          UserError: there is no such file, or it is of no use.
        """
        directory = self._make_prediction_dir()
        if self._scores is None:
            self._scores = self._score(
                session, self._options.predict_batch_size
            )
        with session.phases.phase("answers"):
            written = write_predictions(self._answers(self._scores), directory)
        logging.info(
            "Answers to %d questions in %s", len(written.texts), directory
        )

    def answer(self, session: TrainingSession, line: str) -> str:
        """The answer to a line, a question, a tab and a context; "-" where
        there is none.
        """
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
        # In files, no answer that must be one is a word, as in the original.
        text = said.text if said.best_text else ""
        return f"{text or '-'}\t{shares.get(text, 1.0):.4f}"

    def _shown(self, results: Mapping[str, Any]) -> list[str]:
        return [name for name in results if name not in _JSON_ONLY]

    def _check_targets(self) -> None:
        if not self.targets:
            raise UserError(
                "Evaluation needs a --predict_file with answers. Received: "
                f"--predict_file={self._options.predict_file}"
            )

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
