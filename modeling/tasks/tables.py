"""Rows of TSV, CSV and JSONL files, as they stream."""

from __future__ import annotations

import codecs
import csv
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Literal, NamedTuple

import orjson

from modeling.errors import UserError
from modeling.text_files import (
    decode_error,
    display_name,
    open_file,
    reading,
)

Format = Literal["tsv", "csv", "jsonl"]
# A name of a column or its place, from 0 or, negative, from the end.
Column = str | int

_FORMAT_OF_ENDING: Mapping[str, Format] = {
    "tsv": "tsv",
    "txt": "tsv",
    "csv": "csv",
    "jsonl": "jsonl",
    "json": "jsonl",
    "ndjson": "jsonl",
}
# The csv module's own limit, 131,072, is less than a long document. A quote
# that is never closed makes one field of the rest of the file.
_LONGEST_FIELD = 1 << 24


class Row(NamedTuple):
    """A row of a file.

    Attributes:
      line: the line that it begins in, counted from 1.
      cells: by place, or by name in JSONL; empty for a blank line.
    """

    line: int
    cells: Sequence[str] | Mapping[str, Any]


def guess_format(path: str) -> Format:
    """The format that a file's name tells; TSV where it tells none."""
    ending = path.lower().removesuffix(".gz").rpartition(".")[2]
    return _FORMAT_OF_ENDING.get(ending, "tsv")


def read_rows(
    path: str, file_format: Format, beside_csv: str = "TSV or JSONL"
) -> Iterator[Row]:
    r"""Yields every row of a file, "-" being standard input.

    A byte order mark and the "\r" of Windows' line ends are no part of the
    content. Quotes are text in TSV, as GLUE's files need it, and quote in CSV.

    Args:
      path: of the file.
      file_format: of its rows.
      beside_csv: formats that the job takes as well, for those whose CSV has
        quotes that are text.

    Raises:
      UserError: a file that cannot be read or is not what its format says,
        with the line.
    """
    with reading(path):
        if file_format == "csv":
            yield from _read_csv(path, beside_csv)
        else:
            yield from _READERS[file_format](path)


def place(path: str, line: int, column: Column | None = None) -> str:
    """How messages begin: the file, the line and the column."""
    text = f"{display_name(path)}, line {line}"
    if column is None:
        return text
    if isinstance(column, str):
        return f"{text}, column {column!r}"
    return f"{text}, {'last column' if column < 0 else f'column {column + 1}'}"


def _lines(path: str) -> Iterator[tuple[int, str]]:
    with open_file(path) as file:
        for number, raw in enumerate(file, 1):
            if number == 1:
                raw = raw.removeprefix(codecs.BOM_UTF8)
            try:
                yield number, raw.decode("utf-8")
            except UnicodeDecodeError as error:
                raise decode_error(error, path, number) from error


def _read_tsv(path: str) -> Iterator[Row]:
    for number, line in _lines(path):
        line = line.removesuffix("\n").removesuffix("\r")
        yield Row(number, line.split("\t") if line else [])


def _read_csv(path: str, beside_csv: str) -> Iterator[Row]:
    csv.field_size_limit(_LONGEST_FIELD)
    reader = csv.reader((line for _, line in _lines(path)), strict=True)
    start = 1
    try:
        for cells in reader:
            yield Row(start, cells)
            start = reader.line_num + 1
    except csv.Error as error:
        raise UserError(
            f"{place(path, start)}: not a CSV row ({error}). A text that holds "
            'quotes, commas or line ends stands between double quotes, with "" '
            "for a quote in it. If quotes are plain text, give the examples as "
            f"{beside_csv}."
        ) from error


def _read_jsonl(path: str) -> Iterator[Row]:
    for number, line in _lines(path):
        if not line.strip():
            yield Row(number, {})
            continue
        try:
            cells = orjson.loads(line)
        except ValueError as error:
            raise UserError(
                f"{place(path, number)}: not JSON ({error}). Received: "
                f"{line.strip()!r:.80}. Put one object a line."
            ) from error
        if not isinstance(cells, dict):
            raise UserError(
                f"{place(path, number)}: expected an object, names and values "
                f"in braces. Received: {line.strip()!r:.80}. Put one a line."
            )
        yield Row(number, cells)


_READERS: Mapping[Format, Callable[[str], Iterator[Row]]] = {
    "tsv": _read_tsv,
    "jsonl": _read_jsonl,
}
