"""Question answering data: SQuAD's JSON, and that of CMRC 2018 and DRCD.

Two layouts are read:

    {"data": [{"paragraphs": [{"context": ..., "qas": [
        {"id": ..., "question": ..., "is_impossible": ...,
         "answers": [{"text": ..., "answer_start": ...}]}]}]}]}

    [{"context_text": ..., "qas": [
        {"query_id": ..., "query_text": ..., "answers": [...]}]}]

The first is SQuAD's, DRCD's and one form of CMRC 2018; the second is the form
in which CMRC 2018 was released first, where an answer is nothing but its text.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from modeling.errors import UserError
from modeling.text_files import decode_error, open_file, reading


class Answer(NamedTuple):
    """A right answer.

    Attributes:
      text: as it stands in the context.
      start: its first character there; None where the data does not tell.
    """

    text: str
    start: int | None


class Question(NamedTuple):
    """A question on a paragraph.

    Attributes:
      id: its key in the files of predictions.
      text: the question.
      answers: the right answers, any number: none in a test set.
      is_impossible: whether the context has no answer; None where the data does
        not tell, as in SQuAD 1.1.
    """

    id: str
    text: str
    answers: tuple[Answer, ...] = ()
    is_impossible: bool | None = None


class Paragraph(NamedTuple):
    """A context and the questions on it.

    Attributes:
      context: the text that holds the answers.
      questions: any number.
      place: where it stands, for messages.
    """

    context: str
    questions: tuple[Question, ...]
    place: str = ""


def read_paragraphs(path: str) -> Iterator[Paragraph]:
    """Yields the paragraphs of a file, in its order.

    Raises:
      UserError: a file that cannot be read, is not JSON or is of another
        layout, with the place in it.
    """
    values = _load(path)
    if isinstance(values, Mapping):
        values = _Place(path, values).list("data")
    elif not isinstance(values, list):
        raise UserError(
            f"{path} must hold an object with the key 'data', or a list of "
            f"paragraphs. Received: {_kind(values)}"
        )
    for number, article in enumerate(values, 1):
        yield from _paragraphs(_Place(f"{path}, article {number}", article))


def check_question_ids(paragraphs: Iterable[Paragraph]) -> None:
    """Checks that every question can have a prediction of its own.

    Raises:
      UserError: two questions with the same id.
    """
    places: dict[str, str] = {}
    for paragraph in paragraphs:
        for question in paragraph.questions:
            if question.id in places:
                raise UserError(
                    f"{paragraph.place}: the question id {question.id!r} "
                    f"stands in {places[question.id]} already. Predictions are "
                    "kept by id: give every question one of its own."
                )
            places[question.id] = paragraph.place


def _load(path: str) -> Any:
    with reading(path), open_file(path) as file:
        content = file.read()
    try:
        text = content.decode("utf-8").removeprefix("\ufeff")
        return json.loads(text)
    except UnicodeDecodeError as error:
        raise decode_error(error, path, 1) from error
    except json.JSONDecodeError as error:
        raise UserError(
            f"{path}, line {error.lineno}, column {error.colno}: not JSON: "
            f"{error.msg}. Is the file whole? It is {len(content):,} bytes."
        ) from error


def _paragraphs(article: _Place) -> Iterator[Paragraph]:
    if "paragraphs" not in article.values:
        # The second layout has no articles: this is a paragraph.
        yield _paragraph(article)
        return
    for number, values in enumerate(article.list("paragraphs"), 1):
        yield _paragraph(_Place(f"{article.name}, paragraph {number}", values))


def _paragraph(place: _Place) -> Paragraph:
    return Paragraph(
        place.text("context", "context_text"),
        tuple(
            _question(_Place(f"{place.name}, question {number}", values))
            for number, values in enumerate(place.list("qas"), 1)
        ),
        place.name,
    )


def _question(place: _Place) -> Question:
    key = place.get(("id", "query_id"), (str, int), "text or a number")
    place = _Place(f"{place.name} ({key})", place.values)
    is_impossible = None
    if "is_impossible" in place.values:
        is_impossible = place.get(("is_impossible",), bool, "true or false")
    answers = []
    if "answers" in place.values:
        answers = [
            _answer(f"{place.name}, answer {number}", values)
            for number, values in enumerate(place.list("answers"), 1)
        ]
    return Question(
        str(key),
        place.text("question", "query_text"),
        tuple(answers),
        is_impossible,
    )


def _answer(name: str, values: Any) -> Answer:
    if isinstance(values, str):
        return Answer(values, None)
    place = _Place(name, values)
    start = None
    if "answer_start" in place.values:
        start = place.get(("answer_start",), int, "a number")
        # CMRC 2018 says -1 where its makers did not find the answer.
        start = None if start < 0 else start
    return Answer(place.text("text"), start)


class _Place:
    """An object of the file, and what messages call it."""

    def __init__(self, name: str, values: Any) -> None:
        if not isinstance(values, Mapping):
            raise UserError(
                f"{name} must be an object. Received: {_kind(values)}"
            )
        self.name, self.values = name, values

    def text(self, *keys: str) -> str:
        """The text under the first of the keys that is there."""
        return self.get(keys, str, "text")

    def list(self, key: str) -> list[Any]:
        """The list under a key."""
        return self.get((key,), list, "a list")

    def get(
        self, keys: tuple[str, ...], kind: type | tuple[type, ...], wanted: str
    ) -> Any:
        """The value under the first of the keys that is there."""
        for key in keys:
            if key not in self.values:
                continue
            value = self.values[key]
            # To Python, true is a number.
            if isinstance(value, kind) and (
                kind is bool or not isinstance(value, bool)
            ):
                return value
            raise UserError(
                f"{self.name}: {key!r} must be {wanted}. Received: "
                f"{_kind(value)}"
            )
        raise UserError(
            f"{self.name}: the key {' or '.join(map(repr, keys))} is missing. "
            f"Keys found: {', '.join(map(repr, self.values)) or 'none'}. Is "
            "this SQuAD, CMRC 2018 or DRCD data?"
        )


def _kind(value: Any) -> str:
    names = {dict: "an object", list: "a list", type(None): "null"}
    return names.get(type(value)) or json.dumps(value)[:40]
