"""The examples of a file, as they stream."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterator, Sequence
from typing import Any

from absl import logging

from modeling.errors import UserError
from modeling.tasks.classification.data_set import DataSet, SplitFile
from modeling.tasks.classification.examples import InputExample, Label
from modeling.tasks.classification.labels import LabelParser
from modeling.tasks.classification.opening import Table, open_table
from modeling.tasks.tables import (
    Column,
    Row,
    guess_format,
    place,
    read_rows,
)
from modeling.text_files import display_name


@dataclasses.dataclass(frozen=True)
class FileExamples:
    """The examples of a file, read anew whenever they are iterated over.

    Attributes:
      path: of the file.
      file: how it is read.
      parser: of its labels.
      data_dir: where the rest of the data set is.

    Raises:
      UserError: on iteration, for whatever is wrong with the file, with the
        line and column.
    """

    path: str
    file: SplitFile
    parser: LabelParser
    data_dir: str = ""

    def __iter__(self) -> Iterator[InputExample]:
        file_format = self.file.file_format or guess_format(self.path)
        return self.examples(read_rows(self.path, file_format))

    def examples(
        self, rows: Iterator[Row], keep_labels: bool = True
    ) -> Iterator[InputExample]:
        """The same of rows that are being read.

        Args:
          rows: all that the file has.
          keep_labels: else the examples have none, whatever the file has.
        """
        table = open_table(self.path, self.file, rows, self.parser.known or ())
        if not keep_labels:
            columns = dataclasses.replace(table.columns, label=None)
            table = table._replace(columns=columns)
        return _Reader(self, table).examples()


def read_split(
    data_set: DataSet,
    data_dir: str,
    split: str,
    labels: tuple[str, ...] | None = None,
) -> FileExamples:
    """The examples of a split of a data set.

    Args:
      data_set: a row of the table.
      data_dir: the directory of its files.
      split: "train", "dev", "test" or another that it has.
      labels: those of the model, for sets whose training file tells them.

    Raises:
      UserError: no such split or file.
    """
    path, file = data_set.find_file(data_dir, split)
    return FileExamples(path, file, data_set.label_parser(labels), data_dir)


class _Reader:
    """One pass over a file."""

    def __init__(self, source: FileExamples, table: Table) -> None:
        self._path, self._file = source.path, source.file
        self._parser, self._table = source.parser, table
        self._is_selected = None
        if source.file.select is not None:
            directory = source.data_dir or os.path.dirname(source.path)
            self._is_selected = source.file.select(directory)
        # The first such row's line, and what is to be told of others.
        self._ragged, self._empty, self._no_label = 0, "", ""
        self._num_empty = self._num_ragged = 0
        # Examples, and those with the first one's label.
        self._count = self._num_as_first = 0
        self._first_label: Label | None = None

    def examples(self) -> Iterator[InputExample]:
        """Yields every example; at the end, warns of what was odd."""
        for row in self._even_rows():
            if self._is_selected is None or self._is_selected(row.cells):
                example = self._example(row)
                if not self._count:
                    self._first_label = example.label
                self._count += 1
                self._num_as_first += example.label == self._first_label
                yield example
        if not self._count:
            raise UserError(
                f"{display_name(self._path)} has no examples"
                + (" of those asked for." if self._is_selected else ".")
                + " Is it the right file?"
            )
        self._warn()

    def _even_rows(self) -> Iterator[Row]:
        """Rows with as many cells as the first, without blank lines at the end.

        A file of one column may have a blank line: an empty text.
        """
        width, blank = self._table.width, 0
        for row in self._table.rows:
            if width is None:
                if row.cells:
                    yield row
            elif len(row.cells) == width:
                if blank:
                    self._on_ragged(Row(blank, []))
                    blank = 0
                yield row
            elif not row.cells and width == 1:
                yield Row(row.line, [""])
            elif not row.cells:
                blank = blank or row.line
            else:
                self._on_ragged(row)

    def _on_ragged(self, row: Row) -> None:
        if self._file.skip_ragged:
            self._num_ragged += 1
            self._ragged = self._ragged or row.line
            return
        received = "\t".join(row.cells)
        raise UserError(
            f"{place(self._path, row.line)}: {len(row.cells)} columns, where "
            f"line {self._table.first_line} has {self._table.width}. Received: "
            f"{received!r:.120}. Every line needs the same columns, and no tab "
            "may stand in a text."
        )

    def _example(self, row: Row) -> InputExample:
        cells, columns = row.cells, self._table.columns
        text_b = None
        if columns.text_b is not None:
            text_b = self._text(row, columns.text_b, optional=True)
        row_id = None
        if columns.row_id is not None:
            row_id = str(self._cell(row, columns.row_id))
        number: Any = row.line - 1
        if columns.guid is not None:
            number = cells[columns.guid]
        return InputExample(
            f"{self._file.guid}-{number}",
            self._text(row, columns.text_a),
            text_b,
            None if columns.label is None else self._label(row, columns.label),
            row_id,
        )

    def _text(
        self, row: Row, column: Column, optional: bool = False
    ) -> str | None:
        text = self._cell(row, column)
        if text is None and optional:
            return None
        if not isinstance(text, str):
            raise UserError(
                f"{place(self._path, row.line, self._title(column))}: expected "
                f"a text. Received: {text!r:.80}"
            )
        if not text or text.isspace():
            self._num_empty += 1
            self._empty = self._empty or place(
                self._path, row.line, self._title(column)
            )
        return text

    def _label(
        self, row: Row, column: Column | tuple[str, ...]
    ) -> Label | None:
        if isinstance(column, tuple):
            return self._flags(row, column)
        value = self._cell(row, column)
        try:
            return self._parser(value)
        except UserError as error:
            where = place(self._path, row.line, self._title(column))
            if "label" in self._file.optional:
                self._no_label = self._no_label or f"{where}: {error}"
                return None
            hint = ""
            is_table = self._table.width is not None
            if is_table and row.line == 1 and self._table.header is None:
                hint = (
                    " This file has no header line: if there is one, drop it."
                )
            raise UserError(f"{where}: {error}{hint}") from error

    def _flags(self, row: Row, columns: Sequence[Column]) -> tuple[str, ...]:
        """The labels whose columns hold 1, where others hold 0."""
        present = []
        for column in columns:
            flag = str(self._cell(row, column)).strip().lower()
            if flag not in ("0", "1", "false", "true", "0.0", "1.0"):
                raise UserError(
                    f"{place(self._path, row.line, self._title(column))}: "
                    f"expected 0 or 1. Received: {flag!r}"
                )
            if flag in ("1", "true", "1.0"):
                present.append(self._title(column))
        return tuple(present)

    def _cell(self, row: Row, column: Column) -> Any:
        try:
            return row.cells[column]
        except KeyError:
            raise UserError(
                f"{place(self._path, row.line)}: no {column!r} in the object. "
                f"It has: {', '.join(map(repr, row.cells))}"
            ) from None

    def _title(self, column: Column) -> Column:
        if isinstance(column, int) and self._table.header is not None:
            return self._table.header[column]
        return column

    def _may_begin_with_header(self) -> bool:
        """Whether a file that is read without one gives a label to learn that
        stands in its first line only.
        """
        learns_labels = (
            self._parser.known is None and self._parser.kind == "classification"
        )
        has_none = self._table.width is not None and self._table.header is None
        return learns_labels and has_none and self._num_as_first == 1

    def _warn(self) -> None:
        if self._may_begin_with_header():
            logging.warning(
                "%s: the label %r stands in this line only. If the line is a "
                "header, drop it, or name the columns by it.",
                place(self._path, self._table.first_line),
                self._first_label,
            )
        if self._no_label:
            logging.warning(
                "%s These examples are predicted without a label.",
                self._no_label,
            )
        if self._num_ragged:
            logging.warning(
                "%s: passed over %d lines with too few or too many columns, "
                "the first of them line %d.",
                display_name(self._path),
                self._num_ragged,
                self._ragged,
            )
        if self._num_empty:
            logging.warning(
                "%s: the text is empty (such places in the file: %d). These "
                "examples are kept.",
                self._empty,
                self._num_empty,
            )
