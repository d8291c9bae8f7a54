"""Examples of SWAG's CSV, of RACE's JSON and of one's own JSONL.

A JSONL file has an object a line:

    {"id": "7", "context": "...", "question": "...", "choices": ["...", "..."],
     "answer": 1}

`question`, `id` and, where nothing is learned, `answer` may be missing. An
answer is the number of a choice, from 0, or a letter, "A" being the first; -1,
null and "" stand for none, as test sets have them.
"""

from __future__ import annotations

import dataclasses
import os
import re
from collections.abc import Iterator, Mapping
from typing import Any

from modeling.errors import UserError
from modeling.tasks.json_values import (
    JsonObject,
    describe_value,
    load_json,
)
from modeling.tasks.multiple_choice.examples import ChoiceExample
from modeling.tasks.tables import Row, guess_format, place, read_rows
from modeling.text_files import STDIN, display_name

_HINT = (
    "Expected RACE's article, questions, options and answers, or context, "
    "question, choices and answer."
)
_ENDING = re.compile(r"ending\d+")
_ANSWERS = ("answer", "label")
# What test sets have where their answers are kept back.
_NO_ANSWER = -1


@dataclasses.dataclass(frozen=True)
class ChoiceFile:
    """The examples of a file, read anew whenever they are iterated over.

    Attributes:
      path: a .csv file as SWAG's; a .jsonl file, or "-" for standard input,
        with an object a line; a .json or .txt file with one value, or a
        directory of such files, at any depth, as RACE's.
      needs_answers: whether examples without an answer are an error.
      num_choices: how many every example must have; None: two or more.

    Raises:
      UserError: on iteration, for whatever is wrong with the file, with the
        place.
    """

    path: str
    needs_answers: bool = True
    num_choices: int | None = None

    def __iter__(self) -> Iterator[ChoiceExample]:
        count = 0
        for example in self._read():
            self._check(example)
            count += 1
            if example.answer == _NO_ANSWER:
                example = dataclasses.replace(example, answer=None)
            yield example
        if not count:
            raise UserError(
                f"{display_name(self.path)} has no examples. Is it the right "
                "file?"
            )

    def _read(self) -> Iterator[ChoiceExample]:
        if os.path.isdir(self.path):
            for directory, below, names in os.walk(self.path):
                below.sort()
                for name in sorted(names):
                    if name.endswith((".txt", ".json")):
                        yield from _read_json(os.path.join(directory, name))
            return
        ending = self.path.lower().removesuffix(".gz").rpartition(".")[2]
        if ending == "csv":
            yield from _read_swag(self.path, self.needs_answers)
        elif ending in ("jsonl", "ndjson") or self.path == STDIN:
            for row in read_rows(self.path, "jsonl"):
                if row.cells:
                    where = place(self.path, row.line)
                    yield from _parse(JsonObject(where, row.cells, _HINT))
        elif ending in ("json", "txt"):
            yield from _read_json(self.path)
        else:
            raise UserError(
                f"{self.path}: expected a file that ends in .csv (SWAG), .json "
                "or .txt (RACE) or .jsonl. Received: "
                f"{guess_format(self.path)!r} by its name"
            )

    def _check(self, example: ChoiceExample) -> None:
        count, wanted = len(example.choices), self.num_choices
        if count < 2 or wanted not in (None, count):
            raise UserError(
                f"{example.place}: expected {wanted or 'two or more'} choices. "
                f"Received {count}: {list(example.choices)!r:.120}"
            )
        if example.answer in (None, _NO_ANSWER):
            if self.needs_answers:
                received = "nothing" if example.answer is None else "-1"
                raise UserError(
                    f"{example.place}: no answer to learn from or compare "
                    f"with. Received: {received}. Give the number of the right "
                    "choice, from 0, or leave the example out; only what is "
                    "predicted needs no answer."
                )
        elif not 0 <= example.answer < count:
            letters = ""
            if count <= 26:
                letters = f" or A to {chr(ord('A') + count - 1)}"
            raise UserError(
                f"{example.place}: the answer must be one of the {count} "
                f"choices, 0 to {count - 1}{letters}. Received: number "
                f"{example.answer}"
            )


def _read_swag(path: str, needs_answers: bool) -> Iterator[ChoiceExample]:
    rows = read_rows(path, "csv", beside_csv="JSONL")
    header = next(rows, Row(1, []))
    columns = {name: index for index, name in enumerate(header.cells)}
    endings = sorted(filter(_ENDING.fullmatch, columns), key=_number)
    wanted = ["sent1", "sent2", *(["label"] if needs_answers else [])]
    missing = [name for name in wanted if name not in columns]
    if missing or not endings:
        raise UserError(
            f"{place(path, header.line)}: no column "
            f"{', '.join(missing or ['ending0'])} in the header. Received: "
            f"{', '.join(header.cells)!r:.200}. SWAG's files have sent1, "
            "sent2, ending0, ending1 ... and label."
        )
    for row in rows:
        if not row.cells:
            continue
        if len(row.cells) != len(header.cells):
            raise UserError(
                f"{place(path, row.line)}: {len(row.cells)} columns, where the "
                f"header has {len(header.cells)}. Received: "
                f"{','.join(row.cells)!r:.120}"
            )
        yield _swag_example(path, row, columns, endings)


def _number(ending: str) -> int:
    return int(ending.removeprefix("ending"))


def _swag_example(
    path: str, row: Row, columns: Mapping[str, int], endings: list[str]
) -> ChoiceExample:
    cells = {name: row.cells[index] for name, index in columns.items()}
    where, answer = place(path, row.line), None
    if cells.get("label"):
        try:
            answer = int(cells["label"])
        except ValueError:
            raise UserError(
                f"{place(path, row.line, 'label')}: expected the number of an "
                f"ending. Received: {cells['label']!r}"
            ) from None
    return ChoiceExample(
        cells["sent1"],
        cells["sent2"],
        tuple(cells[name] for name in endings),
        answer,
        # The first column numbers the rows, and has no name.
        cells.get("") or None,
        place=where,
    )


def _read_json(path: str) -> Iterator[ChoiceExample]:
    values = load_json(
        path, "An object a line goes into a file that ends in .jsonl."
    )
    if isinstance(values, Mapping):
        yield from _parse(JsonObject(path, values, _HINT))
        return
    if not isinstance(values, list):
        raise UserError(
            f"{path} must hold an object or a list of them. Received: "
            f"{describe_value(values)}"
        )
    for number, value in enumerate(values, 1):
        yield from _parse(JsonObject(f"{path}, object {number}", value, _HINT))


def _parse(values: JsonObject) -> Iterator[ChoiceExample]:
    if "article" in values.values:
        yield from _parse_race(values)
    else:
        yield _parse_plain(values)


def _parse_race(values: JsonObject) -> Iterator[ChoiceExample]:
    article, name = values.text("article"), _row_id(values)
    if name is not None:
        values = JsonObject(f"{values.name} ({name})", values.values, _HINT)
    questions, options = values.texts("questions"), values.list("options")
    answers: list[Any] = [None] * len(questions)
    if values.has("answers"):
        answers = values.list("answers")
    if not len(questions) == len(options) == len(answers):
        raise UserError(
            f"{values.name}: {len(questions)} questions, {len(options)} lists "
            f"of options and {len(answers)} answers. Every question needs one "
            "of each."
        )
    for index, question in enumerate(questions):
        part = values.part(
            f"question {index + 1}",
            {"options": options[index], "answer": answers[index]},
        )
        yield ChoiceExample(
            article,
            question,
            tuple(part.texts("options")),
            _answer(part),
            None if name is None else f"{name}-{index}",
            place=part.name,
        )


def _parse_plain(values: JsonObject) -> ChoiceExample:
    question = values.text("question") if values.has("question") else ""
    return ChoiceExample(
        values.text("context"),
        question,
        tuple(values.texts("choices")),
        _answer(values),
        _row_id(values),
        place=values.name,
    )


def _answer(values: JsonObject) -> int | None:
    """The number of the answer, which may be out of range."""
    if not values.has(*_ANSWERS):
        return None
    key = values.present(*_ANSWERS)
    answer = values.get((key,), (int, str), "a number or a letter")
    if isinstance(answer, int):
        return answer
    if not answer:
        return None
    if not re.fullmatch("[A-Za-z]", answer):
        raise UserError(
            f"{values.name}: {key!r} must be the number of a choice from 0, or "
            f"a letter, A being the first. Received: {answer!r}"
        )
    return ord(answer.upper()) - ord("A")


def _row_id(values: JsonObject) -> str | None:
    row_id = values.values.get("id")
    return None if row_id is None else str(row_id)
