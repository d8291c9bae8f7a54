"""Data sets of users, described by a few words and otherwise guessed."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Mapping, Sequence
from typing import Any

from modeling.errors import UserError
from modeling.output_files import write_json
from modeling.tasks.classification.data_set import (
    Columns,
    DataSet,
    SplitFile,
)
from modeling.tasks.classification.labels import Kind, describe
from modeling.tasks.classification.metrics import METRICS
from modeling.tasks.tables import (
    Column,
    Format,
    guess_format,
    place,
    read_rows,
)
from modeling.text_files import STDIN, display_name

TASK_FILE = "task.json"

_ENDINGS = ("tsv", "csv", "jsonl", "txt", "tsv.gz", "csv.gz", "jsonl.gz")
# What people call their columns, in lower case; pairs go before single texts.
_PAIR_TITLES = (
    ("text_a", "text_b"),
    ("sentence1", "sentence2"),
    ("text1", "text2"),
    ("premise", "hypothesis"),
    ("question1", "question2"),
    ("query", "passage"),
    ("question", "sentence"),
    ("question", "answer"),
)
_TEXT_TITLES = ("text", "sentence", "text_a", "review", "content", "comment")
LABEL_TITLES = ("label", "labels", "gold_label", "class", "category", "score")
ID_TITLES = ("id", "idx", "index", "guid", "row_id")
TITLES = {*sum(_PAIR_TITLES, _TEXT_TITLES), *LABEL_TITLES, *ID_TITLES}
_METRICS: Mapping[Kind, tuple[str, ...]] = {
    "classification": ("accuracy",),
    "multi_label": ("micro_f1",),
    "regression": ("pearson", "spearman"),
}


@dataclasses.dataclass(frozen=True)
class OwnData:
    """What is to be known of data of one's own; a task file holds the same.

    Attributes:
      kind: one class, several, or a number.
      text_a: the column of the first text: its name, or in files without header
        its place, from 1; None to guess it, as below.
      text_b: of the second text of a pair; "" where texts are single.
      label: of the label; for multi-label data either one column with labels
        between separators, or several of 0 and 1, separated by commas.
      row_id: what predictions are filed under; "" for the row's number.
      labels: the classes in the order of their ids; none to collect them from
        the training file.
      label_separator: between the labels of multi-label data.
      metrics: by name; none for the customary ones.
      train_file: path, absolute or below the data directory; None for train.tsv
        or another ending, as below.
      dev_file: of the examples to evaluate.
      test_file: of those to predict; "-" for standard input.
      file_format: None leaves it to the names of the files.

    Raises:
      UserError: a column with two meanings or the place 0, or an unknown
        metric.
    """

    kind: Kind = "classification"
    text_a: str | None = None
    text_b: str | None = None
    label: str | None = None
    row_id: str | None = None
    labels: tuple[str, ...] = ()
    label_separator: str = ","
    metrics: tuple[str, ...] = ()
    train_file: str | None = None
    dev_file: str | None = None
    test_file: str | None = None
    file_format: Format | None = None

    def __post_init__(self) -> None:
        if self.kind not in _METRICS:
            raise UserError(
                f"kind: expected {describe(tuple(_METRICS))}. "
                f"Received: {self.kind!r}"
            )
        named = [self.text_a, self.text_b, self.label, self.row_id]
        named = [name for name in named if name]
        for name in named:
            if named.count(name) > 1:
                raise UserError(
                    f"The column {name!r} is given two meanings: "
                    f"text_a={self.text_a!r}, text_b={self.text_b!r}, "
                    f"label={self.label!r}, row_id={self.row_id!r}"
                )
            if name.isdigit() and not int(name):
                raise UserError(
                    "Columns are counted from 1. Received: "
                    f"text_a={self.text_a!r}, text_b={self.text_b!r}, "
                    f"label={self.label!r}, row_id={self.row_id!r}"
                )
        for name in self.metrics:
            if name not in METRICS[self.kind]:
                raise UserError(
                    f"metrics: {self.kind} has "
                    f"{', '.join(METRICS[self.kind])}. Received: {name!r}"
                )

    @classmethod
    def load(cls, path: str) -> OwnData:
        """Reads a task file.

        Raises:
          UserError: no such file, not JSON, or fields that do not exist.
        """
        try:
            with open(path, encoding="utf-8") as file:
                values = json.load(file)
        except OSError as error:
            raise UserError(
                f"Cannot read the task file {path}: {error.strerror}"
            ) from error
        except ValueError as error:
            raise UserError(
                f"The task file {path} is not JSON: {error}"
            ) from error
        fields = {f.name: f.default for f in dataclasses.fields(cls)}
        if not isinstance(values, dict) or set(values) - set(fields):
            raise UserError(
                f"The task file {path} must be an object with some of the "
                f"fields {', '.join(fields)}. Received: {values!r:.200}"
            )
        values = {name: _as_text(value) for name, value in values.items()}
        for name, value in values.items():
            expected = tuple if fields[name] == () else str
            if value != fields[name] and not isinstance(value, expected):
                raise UserError(
                    f"The task file {path}: {name} must be a "
                    f"{'text' if expected is str else 'list of texts'}. "
                    f"Received: {value!r:.200}"
                )
        try:
            return cls(**values)
        except UserError as error:
            raise UserError(f"The task file {path}: {error}") from error

    def save(self, directory: str) -> None:
        """Keeps the description with a model, for prediction."""
        write_json(os.path.join(directory, TASK_FILE), dataclasses.asdict(self))

    def with_guesses(self, data_dir: str) -> OwnData:
        """Fills in the columns by the header of the first file that is there.

        Raises:
          UserError: no file, or columns that cannot be guessed.
        """
        others = self.text_b, self.label, self.row_id
        if self.text_a and (None not in others or self.text_a.isdigit()):
            return self
        for split in ("train", "dev", "test"):
            for name in self._names(split):
                path = os.path.join(data_dir, name)
                if name != STDIN and os.path.isfile(path):
                    return self._guess(path)
        if self.text_a:
            return dataclasses.replace(
                self,
                text_b=self.text_b or "",
                label=self.label or "label",
                row_id=self.row_id or "",
            )
        raise UserError(
            f"No file to tell the columns by: {data_dir or '.'} has no "
            "train.tsv, .csv or .jsonl, and none was named. Name the file, or "
            "the column of the text."
        )

    def data_set(self) -> DataSet:
        """The row of the table that the description stands for."""
        label: Column | tuple[str, ...] | None = _column(self.label)
        labels = self.labels or None
        if self.label and self.kind == "multi_label" and "," in self.label:
            label = labels = tuple(n.strip() for n in self.label.split(","))
        columns = Columns(
            _column(self.text_a) or 0,
            _column(self.text_b),
            label,
            _column(self.row_id),
        )
        return DataSet(
            "The data",
            {
                split: [
                    SplitFile(
                        name,
                        columns,
                        header=None,
                        guid=split,
                        optional=("row_id", "label")
                        if split == "test"
                        else ("row_id",),
                        file_format=self.file_format,
                    )
                    for name in self._names(split)
                ]
                for split in ("train", "dev", "test")
            },
            self.metrics or _METRICS[self.kind],
            self.kind,
            labels,
            label_separator=self.label_separator,
        )

    def _names(self, split: str) -> list[str]:
        name = getattr(self, f"{split}_file")
        return [name] if name else [f"{split}.{end}" for end in _ENDINGS]

    def _guess(self, path: str) -> OwnData:
        titles, line = _titles(path, self.file_format or guess_format(path))
        taken = {self.text_a, self.text_b, self.row_id, self.label}
        free = [title for title in titles if title not in taken]
        label = self.label
        if label is None:
            label = _first(free, LABEL_TITLES) or "label"
            free = [title for title in free if title != label]
        row_id = self.row_id
        if row_id is None:
            row_id = _first(free, ID_TITLES) or ""
            free = [title for title in free if title != row_id]
        text_a, text_b = guess_texts(free, self.text_a, self.text_b)
        if not text_a:
            raise UserError(
                f"{place(path, line)}: cannot tell which column is the text. "
                f"Received: {' | '.join(titles)!r:.200}. Put a header with "
                f"names such as {', '.join(_TEXT_TITLES[:3])} first, or name "
                "the columns (text_a, text_b, label)."
            )
        return dataclasses.replace(
            self, text_a=text_a, text_b=text_b, label=label, row_id=row_id
        )


def _as_text(value: Any) -> Any:
    """Places of columns and labels may stand as numbers in JSON."""
    if isinstance(value, list):
        return tuple(map(_as_text, value))
    return str(value) if type(value) is int else value


def _column(text: str | None) -> Column | None:
    if not text:
        return None
    return int(text) - 1 if text.isdigit() else text


def guess_texts(
    free: Sequence[str], text_a: str | None = None, text_b: str | None = None
) -> tuple[str | None, str]:
    """The columns of the texts, of those that are nothing else."""
    if text_a is None and text_b is None:
        for pair in _PAIR_TITLES:
            found = [_first(free, (title,)) for title in pair]
            if all(found):
                return found[0], found[1]
    if text_a is None:
        text_a = _first(free, _TEXT_TITLES)
    if text_a is None and len(free) == 1:
        text_a = free[0]
    # A second text is never guessed beside a first one that was named.
    return text_a, text_b or ""


def _titles(path: str, file_format: Format) -> tuple[list[str], int]:
    for row in read_rows(path, file_format):
        cells: Any = row.cells
        return list(cells), row.line
    raise UserError(f"{display_name(path)} is empty: it tells no columns.")


def _first(titles: Sequence[str], wanted: Sequence[str]) -> str | None:
    """The column with the first of the wanted titles, in any case."""
    for title in wanted:
        for given in titles:
            if given.strip().lower() == title:
                return given
    return None
