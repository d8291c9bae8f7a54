"""Questions on a text: exact match and F1, beside transformers' recipe.

The same weights, questions, seeds and hyper-parameters on both sides:

  pip install ".[peers]"
  python -m benchmarks.question_answering --model_dir=DIR --data=xquad.en.json

Every fourth article is held out, the others are trained on. DIR is as in
`benchmarks.finetuning`, and so are the peer's loop and optimizer. The peer's
windows and answers follow transformers' `run_qa`: a window without the answer
points at [CLS]; an answer is the best of the 20 highest starts and ends, of all
windows of its question, as the characters that its tokens stand for. Both are
judged by SQuAD's own measure.
"""

from __future__ import annotations

import collections
import json
import os
import statistics
import tempfile
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from absl import app, flags

from benchmarks import our_training as ours
from benchmarks import transformers_training as peer
from modeling.finetuning import Recipe, Trial
from modeling.finetuning.squad import SquadJob, SquadOptions
from modeling.tasks.squad import (
    AnswerOptions,
    Paragraph,
    WindowOptions,
    read_paragraphs,
    right_answers,
    squad_metrics,
)

_MODEL_DIR = flags.DEFINE_string("model_dir", None, "Hugging Face directory.")
_DATA = flags.DEFINE_string("data", None, "Questions, in SQuAD 1.1's form.")
_RUN = flags.DEFINE_list("jobs", ["ours", "transformers"], "Which to run.")
_SEEDS = flags.DEFINE_list("seeds", ["0"], "A run of each job for every one.")
_NUM_EPOCHS = flags.DEFINE_float("num_epochs", 5.0, "Of each run.")
_BATCH_SIZE = flags.DEFINE_integer("batch_size", 12, "Windows of a batch.")
_LEARNING_RATE = flags.DEFINE_float("learning_rate", 1e-4, "The peak.")
flags.mark_flags_as_required(["model_dir", "data"])

_HELD_OUT = 4
_WINDOWS = WindowOptions(max_seq_length=384, doc_stride=128)
_N_BEST, _MAX_ANSWER_LENGTH = 20, 30


class _Result(NamedTuple):
    seconds: float
    exact: float
    f1: float


def main(argv: list[str]) -> None:
    del argv
    results: dict[str, list[_Result]] = {name: [] for name in _RUN.value}
    with tempfile.TemporaryDirectory() as directory:
        train, dev = _split(directory)
        for trial in _trials():
            for name, found in results.items():
                found.append(_JOBS[name](train, dev, trial))
                print(f"{name}, seed {trial.seed}: {found[-1]}", flush=True)
    print(f"{'':14}{'seconds':>9}{'EM':>8}{'F1':>8}  (means; deviation of F1)")
    for name, found in results.items():
        means = [
            statistics.fmean(values) for values in zip(*found, strict=True)
        ]
        f1 = [r.f1 for r in found]
        deviation = statistics.stdev(f1) if len(f1) > 1 else 0.0
        print(
            f"{name:14}{means[0]:9.1f}{means[1]:8.2f}{means[2]:8.2f}  "
            f"{deviation:.2f}"
        )


def _trials() -> list[Trial]:
    return [
        Trial(
            _LEARNING_RATE.value,
            _BATCH_SIZE.value,
            _NUM_EPOCHS.value,
            int(seed),
        )
        for seed in _SEEDS.value
    ]


def _split(directory: str) -> tuple[str, str]:
    """Files of the articles to train on and of those held out."""
    with open(_DATA.value, encoding="utf-8") as file:
        articles = json.load(file)["data"]
    paths = []
    for name, is_held_out in ("train", False), ("dev", True):
        paths.append(os.path.join(directory, f"{name}.json"))
        chosen = [
            article
            for number, article in enumerate(articles)
            if (number % _HELD_OUT == 0) == is_held_out
        ]
        with open(paths[-1], "w", encoding="utf-8") as file:
            json.dump({"data": chosen}, file)
    return paths[0], paths[1]


def _run_ours(train: str, dev: str, trial: Trial) -> _Result:
    with tempfile.TemporaryDirectory() as directory:
        recipe = Recipe(
            max_seq_length=_WINDOWS.max_seq_length,
            warmup_proportion=peer.WARMUP,
        )
        surroundings = ours.surroundings(_MODEL_DIR.value, directory, recipe)
        options = SquadOptions(
            train_file=train,
            predict_file=dev,
            windows=_WINDOWS,
            answers=AnswerOptions(_N_BEST, _MAX_ANSWER_LENGTH),
        )
        job = SquadJob(surroundings, options)
        trained = job.fine_tuning(ours.training_options).run_all([trial])
        found = job.evaluate(trained.session)
        seconds = trained.session.phases.seconds["training"]
    return _Result(seconds, found["exact"], found["f1"])


def _run_transformers(train: str, dev: str, trial: Trial) -> _Result:
    from transformers import (
        AutoModelForQuestionAnswering,
        AutoTokenizer,
        DataCollatorWithPadding,
    )

    peer.prepare(trial.seed)
    tokenizer = AutoTokenizer.from_pretrained(_MODEL_DIR.value)
    model = AutoModelForQuestionAnswering.from_pretrained(_MODEL_DIR.value)
    windows = _Windows(tokenizer, list(read_paragraphs(train)))
    collate = DataCollatorWithPadding(tokenizer)
    seconds = peer.train(
        model, windows.with_answers(), collate, trial, windows.num_questions
    )
    paragraphs = list(read_paragraphs(dev))
    predictions = _Windows(tokenizer, paragraphs).answers(model.eval(), collate)
    found = squad_metrics(right_answers(paragraphs), predictions)
    return _Result(seconds, found["exact"], found["f1"])


class _Windows:
    """The peer's windows of all questions."""

    def __init__(self, tokenizer: Any, paragraphs: list[Paragraph]) -> None:
        self._questions = [
            (question, paragraph.context)
            for paragraph in paragraphs
            for question in paragraph.questions
        ]
        encoded = tokenizer(
            [question.text for question, _ in self._questions],
            [context for _, context in self._questions],
            truncation="only_second",
            max_length=_WINDOWS.max_seq_length,
            stride=_WINDOWS.doc_stride,
            return_overflowing_tokens=True,
            return_offsets_mapping=True,
        )
        self._of = encoded.pop("overflow_to_sample_mapping")
        offsets = encoded.pop("offset_mapping")
        # Characters of the context's tokens alone.
        self._spans = [
            [
                span if part == 1 else None
                for span, part in zip(
                    spans, encoded.sequence_ids(number), strict=True
                )
            ]
            for number, spans in enumerate(offsets)
        ]
        self._rows = [
            dict(zip(encoded, values, strict=True))
            for values in zip(*encoded.values(), strict=True)
        ]

    @property
    def num_questions(self) -> int:
        return len(self._questions)

    def with_answers(self) -> list[dict[str, Any]]:
        """Rows with the places of their answers' first and last token."""
        rows = []
        for row, spans, number in zip(
            self._rows, self._spans, self._of, strict=True
        ):
            answer = self._questions[number][0].answers[0]
            end = answer.start + len(answer.text)
            starts = {span[0]: i for i, span in enumerate(spans) if span}
            ends = {span[1]: i for i, span in enumerate(spans) if span}
            first, last = starts.get(answer.start), ends.get(end)
            if first is None or last is None:
                first = last = 0
            rows.append(
                {**row, "start_positions": first, "end_positions": last}
            )
        return rows

    def answers(self, model: Any, collate: Callable) -> dict[str, str]:
        """The best answer to every question."""
        import torch

        best: dict[int, tuple[float, str]] = collections.defaultdict(
            lambda: (-np.inf, "")
        )
        for number, row, spans in zip(
            self._of, self._rows, self._spans, strict=True
        ):
            with torch.no_grad():
                outputs = model(**collate([row]))
            said = _best_span(
                outputs.start_logits[0].numpy(),
                outputs.end_logits[0].numpy(),
                spans,
            )
            if said is not None and said[0] > best[number][0]:
                context = self._questions[number][1]
                best[number] = said[0], context[said[1] : said[2]]
        return {
            question.id: best[number][1]
            for number, (question, _) in enumerate(self._questions)
        }


def _best_span(
    starts: np.ndarray, ends: np.ndarray, spans: list[tuple[int, int] | None]
) -> tuple[float, int, int] | None:
    """The highest score of a span, and its characters."""
    found = [
        (float(starts[first] + ends[last]), spans[first][0], spans[last][1])
        for first in np.argsort(-starts)[:_N_BEST]
        for last in np.argsort(-ends)[:_N_BEST]
        if spans[first]
        and spans[last]
        and first <= last < first + _MAX_ANSWER_LENGTH
    ]
    return max(found, default=None)


_JOBS = {"ours": _run_ours, "transformers": _run_transformers}


if __name__ == "__main__":
    app.run(main)
