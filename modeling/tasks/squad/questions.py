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

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from modeling.errors import UserError
from modeling.tasks.json_values import JsonObject, describe_value, load_json

_HINT = "Is this SQuAD, CMRC 2018 or DRCD data?"


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
    values = load_json(path)
    if isinstance(values, Mapping):
        values = JsonObject(path, values, _HINT).list("data")
    elif not isinstance(values, list):
        raise UserError(
            f"{path} must hold an object with the key 'data', or a list of "
            f"paragraphs. Received: {describe_value(values)}"
        )
    for number, article in enumerate(values, 1):
        yield from _paragraphs(
            JsonObject(f"{path}, article {number}", article, _HINT)
        )


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


def _paragraphs(article: JsonObject) -> Iterator[Paragraph]:
    if "paragraphs" not in article.values:
        # The second layout has no articles: this is a paragraph.
        yield _paragraph(article)
        return
    for number, values in enumerate(article.list("paragraphs"), 1):
        yield _paragraph(article.part(f"paragraph {number}", values))


def _paragraph(place: JsonObject) -> Paragraph:
    return Paragraph(
        place.text("context", "context_text"),
        tuple(
            _question(place.part(f"question {number}", values))
            for number, values in enumerate(place.list("qas"), 1)
        ),
        place.name,
    )


def _question(place: JsonObject) -> Question:
    key = place.get(("id", "query_id"), (str, int), "text or a number")
    place = JsonObject(f"{place.name} ({key})", place.values, place.hint)
    is_impossible = None
    if place.has("is_impossible"):
        is_impossible = place.get(("is_impossible",), bool, "true or false")
    answers = []
    if "answers" in place.values:
        answers = [
            _answer(place, f"answer {number}", values)
            for number, values in enumerate(place.list("answers"), 1)
        ]
    return Question(
        str(key),
        place.text("question", "query_text"),
        tuple(answers),
        is_impossible,
    )


def _answer(question: JsonObject, name: str, values: Any) -> Answer:
    if isinstance(values, str):
        return Answer(values, None)
    place = question.part(name, values)
    start = None
    if place.has("answer_start"):
        start = place.get(("answer_start",), int, "a number")
        # CMRC 2018 says -1 where its makers did not find the answer.
        start = None if start < 0 else start
    return Answer(place.text("text"), start)
