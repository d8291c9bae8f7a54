"""Which row of a file is the header, and which columns are meant."""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import NamedTuple

from modeling.errors import UserError
from modeling.tasks.classification.data_set import Columns, SplitFile
from modeling.tasks.tables import Column, Row, place
from modeling.text_files import display_name

_LABEL_TITLES = ("label", "labels", "gold_label")


class Table(NamedTuple):
    """A file whose columns are found.

    Attributes:
      columns: by place, or by name in JSONL.
      rows: those after the header.
      width: the cells of a row; None in JSONL.
      first_line: the line that has as many.
      header: the names of the columns, None where there is no header.
    """

    columns: Columns
    rows: Iterator[Row]
    width: int | None
    first_line: int
    header: Sequence[str] | None


def open_table(
    path: str,
    file: SplitFile,
    rows: Iterator[Row],
    labels: Collection[str] = (),
) -> Table:
    """Finds the columns of a file.

    Args:
      path: of the file.
      file: what is known of it.
      rows: all that it has.
      labels: that no header has in the label's column.

    Raises:
      UserError: an empty file, a header where none belongs or none where one
        does, a column that is missing or stands twice.
    """
    first = next(rows, None)
    if first is None:
        raise UserError(
            f"{display_name(path)} is empty: expected "
            + ("a header and " if file.header else "")
            + "an example a line."
        )
    rows = itertools.chain([first], rows)
    if isinstance(first.cells, Mapping):
        columns = _present_names(file, first)
        return Table(columns, rows, None, first.line, None)
    width = max(1, len(first.cells))
    if _has_header(path, file, first, labels):
        next(rows)
        columns = _resolve(path, file, first, first.cells)
        return Table(columns, rows, width, first.line, first.cells)
    columns = _resolve(path, file, first, None)
    return Table(columns, rows, width, first.line, None)


def names_texts(columns: Columns, first: Row) -> bool:
    """Whether a row has the names of the texts' columns."""
    return columns.text_a in first.cells and (
        columns.text_b is None or columns.text_b in first.cells
    )


def has_texts_only(columns: Columns, first: Row) -> bool:
    """Whether a row has as many cells as there are texts."""
    num_texts = 1 if columns.text_b is None else 2
    # An empty text is an empty line, which has no cell.
    return max(1, len(first.cells)) == num_texts


def _has_header(
    path: str, file: SplitFile, first: Row, labels: Collection[str]
) -> bool:
    if file.header is not None:
        if file.header:
            _check_header(path, file, first, labels)
        return file.header
    columns = file.columns
    if isinstance(columns.text_a, str):
        if names_texts(columns, first):
            return True
        # As texts are typed or piped.
        return not (has_texts_only(columns, first) and "label" in file.optional)
    label = columns.label
    return (
        isinstance(label, int)
        and label < len(first.cells)
        and first.cells[label].strip().lower() in _LABEL_TITLES
    )


def _check_header(
    path: str, file: SplitFile, first: Row, labels: Collection[str]
) -> None:
    """Tells a first example from a header: that has no number and no label.

    Where columns are named, the names tell.
    """
    if any(isinstance(column, str) for column in _wanted(file.columns)):
        return
    label = file.columns.label
    for index, cell in enumerate(first.cells):
        is_label = index == label or label == -1 and cell is first.cells[-1]
        if _is_number(cell) or (is_label and cell in labels):
            raise UserError(
                f"{place(path, first.line, index)}: expected a header line, "
                f"but {cell!r} is not the name of a column. Received: "
                f"{' | '.join(first.cells)!r:.120}. Put a header before the "
                "first example, which would be lost otherwise."
            )


def _resolve(
    path: str, file: SplitFile, first: Row, header: Sequence[str] | None
) -> Columns:
    """Columns by place."""
    columns = file.columns
    if header is None and isinstance(columns.text_a, str):
        return Columns(0, None if columns.text_b is None else 1)
    return Columns(
        _find(path, first, header, columns.text_a),
        _find(path, first, header, columns.text_b),
        _find_label(path, file, first, header),
        _find(path, first, header, columns.row_id, "row_id" in file.optional),
        _find(path, first, header, columns.guid),
    )


def _find_label(
    path: str, file: SplitFile, first: Row, header: Sequence[str] | None
) -> Column | tuple[Column, ...] | None:
    label, optional = file.columns.label, "label" in file.optional
    if not isinstance(label, tuple):
        return _find(path, first, header, label, optional)
    found = [_find(path, first, header, name, optional) for name in label]
    return None if None in found else tuple(found)


def _find(
    path: str,
    first: Row,
    header: Sequence[str] | None,
    column: Column | None,
    optional: bool = False,
) -> int | None:
    if column is None:
        return None
    width = len(first.cells)
    if isinstance(column, int):
        if -width <= column < width:
            return column % width
        if optional:
            return None
        raise UserError(
            f"{place(path, first.line, column)}: no such column, the line has "
            f"{width}. Received: {' | '.join(first.cells)!r:.120}. Columns are "
            "separated by tabs in TSV and by commas in CSV files."
        )
    places = [i for i, name in enumerate(header or ()) if name == column]
    if len(places) == 1:
        return places[0]
    if len(places) > 1:
        raise UserError(
            f"{place(path, first.line)}: the column {column!r} stands "
            f"{len(places)} times in the header. Rename all but one."
        )
    if optional:
        return None
    if header is None:
        raise UserError(
            f"{place(path, first.line)}: no header is looked for where a text "
            "is named by its place, so there is no column "
            f"{column!r}. Name all columns by the header, or all by place."
        )
    raise UserError(
        f"{place(path, first.line)}: no column {column!r} in the header. "
        f"Received: {' | '.join(first.cells)!r:.200}. Add the header where it "
        "is missing, or name the column that is meant."
    )


def _present_names(file: SplitFile, first: Row) -> Columns:
    """Columns of JSON objects, without optional ones that the first lacks."""
    columns = file.columns
    label, row_id = columns.label, columns.row_id
    names = label if isinstance(label, tuple) else (label,)
    if "label" in file.optional and any(n not in first.cells for n in names):
        label = None
    if "row_id" in file.optional and row_id not in first.cells:
        row_id = None
    return Columns(columns.text_a, columns.text_b, label, row_id, columns.guid)


def _wanted(columns: Columns) -> list[Column]:
    wanted = [columns.text_a, columns.text_b, columns.row_id]
    if isinstance(columns.label, tuple):
        wanted += columns.label
    else:
        wanted.append(columns.label)
    return [column for column in wanted if column is not None]


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    # "nan" and "inf" are words as well.
    return any(c.isdigit() for c in text)
