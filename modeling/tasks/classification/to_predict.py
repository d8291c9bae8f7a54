"""A file to predict: in one of its data set's layouts, or of texts alone."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence

from absl import logging

from modeling.errors import UserError
from modeling.tasks.classification.data_set import DataSet, SplitFile
from modeling.tasks.classification.examples import InputExample
from modeling.tasks.classification.labels import LabelParser, Labels
from modeling.tasks.classification.opening import (
    has_texts_only,
    names_texts,
)
from modeling.tasks.classification.own_data import (
    ID_TITLES,
    LABEL_TITLES,
    TITLES,
    OwnData,
    guess_texts,
)
from modeling.tasks.classification.reading import FileExamples
from modeling.tasks.tables import Row, guess_format, place, read_rows
from modeling.text_files import display_name

# Of the layouts that a file may have, those with the rows' ids come first.
_ORDER = ("test", "dev", "train")


@dataclasses.dataclass(frozen=True)
class FileToPredict:
    """The examples of a file, without the labels that it may have.

    It is laid out as one of the data set's own files, or has lines of nothing
    but the texts, or a header that names these text_a and text_b. The first
    line tells.

    Attributes:
      path: of the file, "-" for standard input.
      data_set: what people call it.
      layouts: of its files.
      plain: of texts alone; of two before one, where either may come.
      parser: of the labels, by which a header is told from an example.

    Raises:
      UserError: on iteration, for whatever is wrong with the file.
    """

    path: str
    data_set: str
    layouts: Sequence[SplitFile]
    plain: Sequence[SplitFile]
    parser: LabelParser

    def __iter__(self) -> Iterator[InputExample]:
        rows = read_rows(self.path, guess_format(self.path))
        first = next(rows, None)
        if first is None:
            raise UserError(
                f"{display_name(self.path)} is empty: expected "
                f"{self._expected()}."
            )
        layout = self._layout(first)
        if self._has_labels(layout, first):
            logging.info(
                "%s has labels, of which prediction makes no use: --do_eval "
                "scores the dev set of --data_dir.",
                display_name(self.path),
            )
        is_own = layout not in self.plain
        file = dataclasses.replace(
            layout,
            guid="test",
            optional=("label", "row_id"),
            # The layout that fits may be another than the torn file's own.
            skip_ragged=is_own and any(f.skip_ragged for f in self.layouts),
        )
        source = FileExamples(self.path, file, self.parser)
        return source.examples(
            itertools.chain([first], rows), keep_labels=False
        )

    def _layout(self, first: Row) -> SplitFile:
        named = [f for f in self.layouts if isinstance(f.columns.text_a, str)]
        by_place = [f for f in self.layouts if f not in named]
        for layouts, fits in (
            (named, _has_names),
            (self.plain, _is_plain),
            (by_place, _has_places),
        ):
            for layout in layouts:
                if fits(layout, first):
                    return layout
        raise UserError(
            f"{place(self.path, first.line)}: this is not how {self.data_set} "
            f"is laid out. Received {_shown(first)}. Expected "
            f"{self._expected()}."
        )

    def _has_labels(self, layout: SplitFile, first: Row) -> bool:
        """Whether the layout has, or the header of one that fits as well."""
        columns = layout.columns
        if layout in self.plain:
            has_header = names_texts(columns, first)
            return has_header and columns.label in first.cells
        titles = {*LABEL_TITLES, *(f.columns.label for f in self.layouts)}
        return columns.label is not None or any(
            cell in titles for cell in first.cells
        )

    def _expected(self) -> str:
        texts = " or ".join(
            "a text a line"
            if file.columns.text_b is None
            else "two texts a line with a tab between them"
            for file in self.plain
        )
        names = list(dict.fromkeys(file.name for file in self.layouts))
        if not names:
            return texts
        return (
            f"the columns of {_listed(names)} of {self.data_set}, with the "
            f"header where those have one, or {texts}"
        )


def examples_to_predict(
    path: str, labels: Labels, data_set: DataSet | None, own: OwnData | None
) -> Iterable[InputExample]:
    """The examples of a file, read anew at each iteration.

    Args:
      path: of the file, "-" for standard input.
      labels: of the model.
      data_set: that the model has learned; None where a processor read it.
      own: what the data set stands for; None: a row of the table.
    """
    if own is not None:
        data_set = dataclasses.replace(own, test_file=path).data_set()
        (file,) = data_set.files["test"]
        return FileExamples(path, file, data_set.label_parser(labels.names))
    if data_set is None:
        parser = LabelParser(labels.kind, labels.names)
        plain = (_plain(2), _plain(1))
        return FileToPredict(path, "the data", (), plain, parser)
    roles = [
        [s for s in data_set.files if s.partition("_")[0] == role]
        for role in _ORDER
    ]
    layouts = [
        file
        for split in itertools.chain(*roles)
        for file in data_set.files[split]
    ]
    is_pair = layouts[0].columns.text_b is not None
    plain = _plain(2 if is_pair else 1)
    parser = data_set.label_parser(labels.names)
    return FileToPredict(path, data_set.name, layouts, (plain,), parser)


def _plain(num_texts: int) -> SplitFile:
    own = OwnData(
        text_a="text_a",
        text_b="text_b" if num_texts == 2 else "",
        label="label",
        test_file="-",
    )
    (file,) = own.data_set().files["test"]
    return file


def _has_names(file: SplitFile, first: Row) -> bool:
    row_id = file.columns.row_id
    return names_texts(file.columns, first) and (
        row_id is None or row_id in first.cells
    )


def _is_plain(file: SplitFile, first: Row) -> bool:
    if names_texts(file.columns, first):
        return True
    if isinstance(first.cells, Mapping):
        return False
    # The header of another data set; a single word may well be a text.
    known = [cell.strip().lower() in TITLES for cell in first.cells]
    if len(known) > 1 and all(known):
        return False
    return has_texts_only(file.columns, first)


def _has_places(file: SplitFile, first: Row) -> bool:
    """Whether there are all columns, each is another, and the header, if there
    is one, does not say otherwise.

    Where a column has ids, it must say so: nothing else tells the columns of
    MRPC's test set from those of its dev set.
    """
    columns, width = file.columns, len(first.cells)
    if isinstance(first.cells, Mapping):
        return False
    texts = [c for c in (columns.text_a, columns.text_b) if c is not None]
    others = [c for c in (columns.label, columns.row_id) if c is not None]
    places = [*texts, *others]
    if not all(-width <= column < width for column in places):
        return False
    if len({column % width for column in places}) < len(places):
        return False
    named = [first.cells.index(n) for n in guess_texts(first.cells) if n]
    if named and (file.header is False or named != texts):
        return False
    row_id = columns.row_id
    return row_id is None or first.cells[row_id].strip().lower() in ID_TITLES


def _shown(first: Row) -> str:
    if isinstance(first.cells, Mapping):
        return f"an object with {_listed(list(map(repr, first.cells)))}"
    columns = f"{len(first.cells)} column" + "s" * (len(first.cells) != 1)
    return f"{columns}: {' | '.join(first.cells)!r:.120}"


def _listed(names: Sequence[str]) -> str:
    *most, last = names or ("nothing",)
    return f"{', '.join(most)} or {last}" if most else last
