"""The original's files of predictions, written as the answers come."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from typing import IO, Any, NamedTuple

from modeling.output_files import remove_file, telling, whole_file
from modeling.tasks.squad.answers import Answered


class Predictions(NamedTuple):
    """What metrics need to know of all answers, by question.

    Attributes:
      texts: the answers.
      best_texts: the best answers that are one, whatever the threshold.
      null_odds: how far no answer lies above them; empty where every question
        has an answer.
    """

    texts: dict[str, str]
    best_texts: dict[str, str]
    null_odds: dict[str, float]

    @classmethod
    def of(cls, answered: Iterable[Answered]) -> Predictions:
        """Those of questions; their n-best lists are let go."""
        predictions = cls({}, {}, {})
        for question in answered:
            predictions.add(question)
        return predictions

    def add(self, question: Answered) -> None:
        """Takes one more."""
        self.texts[question.id] = question.text
        self.best_texts[question.id] = question.best_text
        if question.null_odds is not None:
            self.null_odds[question.id] = question.null_odds


def write_predictions(
    answered: Iterable[Answered], output_dir: str
) -> Predictions:
    """Writes predictions.json, nbest_predictions.json and null_odds.json.

    The last is written where questions may have no answer; where all have one,
    that of an earlier prediction is removed once the others are written. The
    files get their names when they are whole.

    Raises:
      UserError: a directory that cannot be written.
    """
    predictions = Predictions({}, {}, {})
    with _writing(os.path.join(output_dir, "nbest_predictions.json")) as file:
        n_best = _ObjectFile(file)
        for question in answered:
            entries = [entry._asdict() for entry in question.n_best]
            n_best.add(question.id, entries)
            predictions.add(question)
        n_best.end()
    _write(os.path.join(output_dir, "predictions.json"), predictions.texts)
    null_odds = os.path.join(output_dir, "null_odds.json")
    if predictions.null_odds:
        _write(null_odds, predictions.null_odds)
    else:
        with telling(null_odds):
            remove_file(null_odds)
    return predictions


class _ObjectFile:
    """A JSON object written key by key, as json.dumps with indent=4 does."""

    def __init__(self, file: IO[str]) -> None:
        self._file = file
        self._before = "{\n"

    def add(self, key: str, value: Any) -> None:
        text = json.dumps(value, indent=4).replace("\n", "\n    ")
        self._file.write(f"{self._before}    {json.dumps(key)}: {text}")
        self._before = ",\n"

    def end(self) -> None:
        self._file.write("{}\n" if self._before == "{\n" else "\n}\n")


def _write(path: str, values: Mapping[str, Any]) -> None:
    with _writing(path) as file:
        file.write(json.dumps(values, indent=4) + "\n")


@contextlib.contextmanager
def _writing(path: str) -> Iterator[IO[str]]:
    with telling(path), whole_file(path) as file:
        yield file
