"""Where a job's examples come from: a table row, own data, a processor."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterable, Iterator
from typing import Protocol

from modeling.errors import UserError
from modeling.tasks.classification.data_set import DataSet
from modeling.tasks.classification.examples import DataProcessor, InputExample
from modeling.tasks.classification.labels import Kind, Labels, collect_labels
from modeling.tasks.classification.own_data import OwnData
from modeling.tasks.classification.predictions import submission_name
from modeling.tasks.classification.reading import read_split
from modeling.tasks.classification.to_predict import examples_to_predict
from modeling.text_files import display_name


class ExampleSource(Protocol):
    """The examples of a data set, by split.

    Attributes:
      name: for people.
      kind: of the labels.
      metrics: names of those that count.
    """

    name: str
    kind: Kind
    metrics: tuple[str, ...]

    def splits(self, role: str) -> list[str]:
        """The splits of "train", "dev" or "test" whose files are there."""

    def labels(self) -> Labels:
        """The labels that are learned; may read the training set."""

    def read(self, split: str, labels: Labels | None) -> Iterable[InputExample]:
        """The examples of a split, read anew at each iteration.

        Args:
          split: "train", "dev", "test" or another of `splits`.
          labels: those of the model; None where they are not known yet.
        """

    def read_to_predict(
        self, path: str, labels: Labels
    ) -> Iterable[InputExample]:
        """The examples of another file, read anew at each iteration.

        Args:
          path: of the file, "-" for standard input.
          labels: of the model.
        """

    def submission(self, split: str) -> str | None:
        """GLUE's name for the predictions of a split."""

    def save(self, directory: str) -> None:
        """Keeps with the model what reading more of the same data needs."""


@dataclasses.dataclass(frozen=True)
class TableSource:
    """A data set of the table, or data of one's own.

    Attributes:
      data_set: how its files are read.
      data_dir: where they are.
      own: what the data set stands for; None: a row of the table.
    """

    data_set: DataSet
    data_dir: str
    own: OwnData | None = None

    @classmethod
    def of_own_data(cls, own: OwnData, data_dir: str) -> TableSource:
        """Fills in columns that the user did not name."""
        own = own.with_guesses(data_dir)
        return cls(own.data_set(), data_dir, own)

    @property
    def name(self) -> str:
        return self.data_set.name

    @property
    def kind(self) -> Kind:
        return self.data_set.kind

    @property
    def metrics(self) -> tuple[str, ...]:
        return self.data_set.metrics

    def splits(self, role: str) -> list[str]:
        found = []
        for split in self.data_set.files:
            if split == role or split.startswith(f"{role}_"):
                try:
                    self.data_set.find_file(self.data_dir, split)
                    found.append(split)
                except UserError:
                    continue
        return found

    def labels(self) -> Labels:
        if self.kind == "regression":
            return Labels("regression")
        if self.data_set.labels is not None:
            with _naming("labels of the task file"):
                return Labels(self.kind, self.data_set.labels)
        path, file = self.data_set.find_file(self.data_dir, "train")
        where, label = display_name(path), file.columns.label
        if isinstance(label, int):
            where += f", column {label + 1}"
        elif label:
            where += f", column {label!r}"
        return collect_labels(self.kind, self.read("train", None), where)

    def read(self, split: str, labels: Labels | None) -> Iterable[InputExample]:
        if self.own is not None and not self.own.label and split != "test":
            raise UserError(
                f"Nothing tells which column of the {split} set is the label: "
                "name it (--label, or label in a task file), by the header's "
                "name or by its place from 1."
            )
        names = labels.names if labels is not None else None
        return read_split(self.data_set, self.data_dir, split, names)

    def read_to_predict(
        self, path: str, labels: Labels
    ) -> Iterable[InputExample]:
        return examples_to_predict(path, labels, self.data_set, self.own)

    def submission(self, split: str) -> str | None:
        return submission_name(self.data_set, split)

    def save(self, directory: str) -> None:
        if self.own is not None:
            self.own.save(directory)


@dataclasses.dataclass(frozen=True)
class ProcessorSource:
    """What a user's `DataProcessor` reads.

    Attributes:
      name: for people.
      processor: see there.
      data_dir: handed to it.
    """

    name: str
    processor: DataProcessor
    data_dir: str

    kind: Kind = "classification"
    metrics: tuple[str, ...] = ("accuracy",)

    def splits(self, role: str) -> list[str]:
        return [role]

    def labels(self) -> Labels:
        with _naming(f"{type(self.processor).__name__}.get_labels()"):
            return Labels("classification", tuple(self.processor.get_labels()))

    def read(self, split: str, labels: Labels | None) -> Iterable[InputExample]:
        read = {
            "train": self.processor.get_train_examples,
            "dev": self.processor.get_dev_examples,
            "test": self.processor.get_test_examples,
        }
        return read[split](self.data_dir)

    def read_to_predict(
        self, path: str, labels: Labels
    ) -> Iterable[InputExample]:
        return examples_to_predict(path, labels, None, None)

    def submission(self, split: str) -> str | None:
        return None

    def save(self, directory: str) -> None:
        pass


@contextlib.contextmanager
def _naming(where: str) -> Iterator[None]:
    """Says where labels come from that cannot be learnt."""
    try:
        yield
    except UserError as error:
        raise UserError(f"{where}: {error}") from error
