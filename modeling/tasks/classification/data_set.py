"""What a row of the table of data sets says."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Mapping, Sequence

from modeling.errors import UserError
from modeling.tasks.classification.labels import Kind, LabelParser
from modeling.tasks.tables import Column, Format
from modeling.text_files import STDIN

# Told the directory of the data, says which rows of a file count.
Selection = Callable[[str], Callable[[Sequence[str]], bool]]


@dataclasses.dataclass(frozen=True)
class Columns:
    """Where the parts of an example stand.

    Attributes:
      text_a: the first text.
      text_b: the second text of a pair.
      label: the label; several columns of 0 and 1 for multi-label sets.
      row_id: what predictions are filed under.
      guid: ends the example's `guid`; the number of the row where there is
        none.
    """

    text_a: Column
    text_b: Column | None = None
    label: Column | tuple[str, ...] | None = None
    row_id: Column | None = None
    guid: Column | None = None


@dataclasses.dataclass(frozen=True)
class SplitFile:
    """A file that a part of a data set may be in.

    Attributes:
      name: below the directory of the data; "-" for standard input.
      columns: named ones are found by the header.
      header: whether the first line is one. None leaves it to the line: where
        columns are named, it is a header if it has the names of the texts, and
        lines of nothing but the texts need none; where they are numbered, it
        is one if it calls the label's column "label".
      guid: begins the examples' `guid`, as in the original.
      submission: the file that GLUE wants the predictions in.
      skip_ragged: whether lines with too few or too many columns are passed
        over, as the official files of QQP need it.
      select: which rows count; None for all.
      optional: those of "label" and "row_id" that the file may lack.
      file_format: what the file is; None leaves it to the name.
    """

    name: str
    columns: Columns
    header: bool | None = True
    guid: str = "test"
    submission: str | None = None
    skip_ragged: bool = False
    select: Selection | None = None
    optional: tuple[str, ...] = ()
    file_format: Format | None = None


@dataclasses.dataclass(frozen=True)
class DataSet:
    """A data set of sentences or pairs.

    Attributes:
      name: what people call it.
      files: for every split ("train", "dev", "test", ...) the files that it may
        be in, of which the first that is there counts.
      metrics: the names of its metrics; their mean is its score.
      kind: one class, several, or a number.
      labels: the classes, in the order of their ids; None where the training
        file tells them.
      aliases: other names that files have for labels.
      label_separator: between the labels of a multi-label set.
    """

    name: str
    files: Mapping[str, Sequence[SplitFile]]
    metrics: tuple[str, ...] = ("accuracy",)
    kind: Kind = "classification"
    labels: tuple[str, ...] | None = None
    aliases: Mapping[str, str] = dataclasses.field(default_factory=dict)
    label_separator: str = ","

    def find_file(self, data_dir: str, split: str) -> tuple[str, SplitFile]:
        """The path of a split, and how it is read.

        Raises:
          UserError: the data set has no such split, or none of its files is
            there.
        """
        if split not in self.files:
            raise UserError(
                f"{self.name} has no {split} set. It has: "
                f"{', '.join(self.files)}."
            )
        for file in self.files[split]:
            path = os.path.join(data_dir, file.name)
            if file.name == STDIN:
                return STDIN, file
            if _exists(path):
                return path, file
        names = " or ".join(file.name for file in self.files[split])
        other = ""
        if split.startswith("test"):
            other = ", or name another file to predict (--predict_file)"
        raise UserError(
            f"The {split} set of {self.name} is not in {data_dir or '.'}: "
            f"expected {names}. Give the directory that holds it{other}."
        )

    def label_parser(self, labels: tuple[str, ...] | None) -> LabelParser:
        """Reads labels, of which those given are known, else the set's own."""
        known = self.labels if labels is None else labels
        if self.kind == "regression":
            known = None
        return LabelParser(self.kind, known, self.aliases, self.label_separator)


def _exists(path: str) -> bool:
    if "://" in path:
        import tensorflow as tf

        return tf.io.gfile.exists(path)
    return os.path.isfile(path)
