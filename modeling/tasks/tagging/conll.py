"""CoNLL files: a word a line with columns, a blank line after a sentence.

-DOCSTART- -X- O O

EU NNP I-NP I-ORG
rejects VBZ I-VP O
"""

from __future__ import annotations

import dataclasses
import itertools
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from modeling.errors import UserError
from modeling.tasks.tables import Row, place, read_rows
from modeling.tasks.tagging.sentences import Sentence, join_words
from modeling.text_files import display_name

_DOCUMENT = "-DOCSTART-"
# Form and UPOS.
_CONLLU_COLUMNS = (1, 3)
_CONLLU_WIDTH = 10
# What the first word is called, a range that it begins, or an empty one before.
_FIRST_ID = re.compile(r"1|1-\d+|0\.\d+")
_NEW_DOCUMENT = re.compile(r"#\s*newdoc(?!\S)")
# What CoNLL-U has in a cell of which nothing is known.
_UNKNOWN = "_"


class _Line(NamedTuple):
    number: int
    columns: list[str]


def read_conll(
    path: str,
    word_column: int | None,
    tag_column: int | None,
    needs_tags: bool,
) -> Iterator[Sentence]:
    """Yields the sentences of a file.

    Columns are separated by tabs if the first line with a word has one, else by
    spaces. Lines that begin with -DOCSTART- begin documents.

    Files are CoNLL-U that are named .conllu or look so: ten columns between
    tabs, the first of which numbers the words. Only in them are lines with "#"
    comments, of which "# newdoc" begins a document; elsewhere "#" is a word.
    Words are those of its syntax, which are the ones with tags: the lines of
    their joint spelling (3-4) and of words left out in speech (8.1) are passed
    over. Where all tags of a sentence are "_", it has none.

    Args:
      path: of the file, "-" for standard input.
      word_column, tag_column: from 0 or, negative, from the end; None: the
        first and the last, in CoNLL-U files those of form and UPOS.
      needs_tags: whether a file of words alone is an error.

    Raises:
      UserError: lines of unequal width, a column that is missing or a cell that
        is empty, with the line.
    """
    rows, is_conllu = _open(path)
    default = _CONLLU_COLUMNS if is_conllu else (0, -1)
    columns = _Columns(
        path,
        default[0] if word_column is None else word_column,
        default[1] if tag_column is None else tag_column,
        needs_tags,
        tag_column is not None,
        _UNKNOWN if is_conllu and tag_column is None else None,
    )
    document: int | None = None
    lines: list[_Line] = []
    for line in _lines(path, rows, is_conllu):
        is_document = line is not None and line.columns[0] == _DOCUMENT
        if line is not None and not is_document:
            lines.append(line)
            continue
        if lines:
            sentence = columns.sentence(lines)
            yield dataclasses.replace(sentence, document=document)
            lines = []
        if is_document:
            document = 0 if document is None else document + 1


def _open(path: str) -> tuple[Iterator[Row], bool]:
    """The lines of a file, and whether it is CoNLL-U."""
    # Cells that tabs separate, or one cell.
    rows = read_rows(path, "tsv")
    if path.lower().removesuffix(".gz").endswith(".conllu"):
        return rows, True
    begun: list[Row] = []
    for row in rows:
        begun.append(row)
        if any(row.cells) and not row.cells[0].startswith(("#", _DOCUMENT)):
            break
    first = begun[-1].cells if begun else []
    is_conllu = len(first) == _CONLLU_WIDTH and bool(
        _FIRST_ID.fullmatch(first[0])
    )
    return itertools.chain(begun, rows), is_conllu


def _lines(
    path: str, rows: Iterable[Row], is_conllu: bool
) -> Iterator[_Line | None]:
    """Yields the lines; None after a sentence, and at the end."""
    has_tabs: bool | None = None
    for row in rows:
        line = "\t".join(row.cells)
        if "\r" in line:
            # Where all lines end so, the file would be one line of one word.
            raise UserError(
                f"{place(path, row.line)}: a carriage return within the line. "
                f"Received: {line!r:.80}. Lines end with a line feed: convert "
                "the file, for instance with tr '\\r' '\\n'."
            )
        if not line.strip(" \t"):
            yield None
            continue
        if line.startswith(_DOCUMENT) or (
            is_conllu and _NEW_DOCUMENT.match(line)
        ):
            yield _Line(row.line, [_DOCUMENT])
            continue
        if is_conllu and (line[0] == "#" or _NO_WORD.match(line)):
            continue
        if has_tabs is None:
            has_tabs = "\t" in line
        # Other white space may well be a word, and a space before a tab.
        cells = (
            line.rstrip(" ").split("\t")
            if has_tabs
            else re.split("[ \t]+", line.strip(" \t"))
        )
        yield _Line(row.line, cells)
    yield None


_NO_WORD = re.compile(r"\d+[-.]\d+\t")


class _Columns:
    """Takes words and tags from lines of columns."""

    def __init__(
        self,
        path: str,
        word_column: int,
        tag_column: int,
        needs_tags: bool,
        names_tags: bool,
        unknown: str | None,
    ) -> None:
        self._path, self._needs_tags = path, needs_tags
        self._word, self._tag = word_column, tag_column
        self._names_tags, self._unknown = names_tags, unknown
        self._first: _Line | None = None

    def sentence(self, lines: Sequence[_Line]) -> Sentence:
        """A sentence whose lines are all right."""
        if self._first is None:
            self._first = lines[0]
            self._resolve(lines[0])
        for line in lines:
            self._check(line)
        words = tuple(line.columns[self._word] for line in lines)
        tags = None
        if self._tag is not None:
            tags = tuple(line.columns[self._tag] for line in lines)
            tags = None if {*tags} == {self._unknown} else tags
        return Sentence(
            words,
            tags,
            *join_words(words),
            source=display_name(self._path),
            lines=tuple(line.number for line in lines),
        )

    def _resolve(self, line: _Line) -> None:
        """Columns by place, from the first line."""
        self._word = self._find(line, self._word, "word")
        # A last column is no tag if it is the word.
        is_missing = len(line.columns) == 1 and not self._names_tags
        if is_missing and not self._needs_tags:
            self._tag = None
            return
        if is_missing:
            raise UserError(
                f"{place(self._path, line.number)}: no column of tags, only "
                f"{line.columns[0]!r}. Every line needs a word and its tag, "
                "with a space or tab between them."
            )
        self._tag = self._find(line, self._tag, "tag")

    def _find(self, line: _Line, column: int, what: str) -> int:
        width = len(line.columns)
        if not -width <= column < width:
            raise UserError(
                f"{place(self._path, line.number)}: no column {column} for the "
                f"{what}, the line has {width}. Received: "
                f"{' '.join(line.columns)!r:.80}. Columns are counted from 0, "
                "and from the end with -1, -2 ..."
            )
        return column % width

    def _check(self, line: _Line) -> None:
        width = len(self._first.columns)
        if len(line.columns) != width:
            both = line.columns, self._first.columns
            comments = ""
            if any(columns[0].startswith("#") for columns in both):
                comments = " Drop comments, which only CoNLL-U files have."
            raise UserError(
                f"{place(self._path, line.number)}: {len(line.columns)} "
                f"columns, where line {self._first.number} has {width}. "
                f"Received: {' '.join(line.columns)!r:.80}. Every line needs "
                "the same columns, and sentences a blank line between them."
                f"{comments}"
            )
        for column in (self._word, self._tag):
            if column is not None and not line.columns[column]:
                raise UserError(
                    f"{place(self._path, line.number, column)}: the cell is "
                    f"empty. Received: {' '.join(line.columns)!r:.80}"
                )
