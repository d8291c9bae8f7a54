"""The original's way to a data set: a processor with three lists."""

from __future__ import annotations

import dataclasses

from modeling.errors import UserError
from modeling.tasks.classification.data_set import DataSet
from modeling.tasks.classification.examples import DataProcessor, InputExample
from modeling.tasks.classification.reading import read_split


class DataSetProcessor(DataProcessor):
    """A row of the table as a `DataProcessor`.

    Examples without label get the first one, as in the original; XNLI has a
    test set, which the original does not read.

    Args:
      data_set: a row of the table that knows its labels.

    Raises:
      UserError: a data set whose training file tells the labels.

    Example:
      >>> DataSetProcessor(find_data_set("mnli")).get_labels()
      ['contradiction', 'entailment', 'neutral']
    """

    def __init__(self, data_set: DataSet) -> None:
        if data_set.labels is None and data_set.kind != "regression":
            raise UserError(
                f"The labels of {data_set.name} are collected from its "
                "training file, so that it cannot be had as a processor."
            )
        self._data_set = data_set

    def get_train_examples(self, data_dir: str) -> list[InputExample]:
        """The examples to train on."""
        return self._examples(data_dir, "train")

    def get_dev_examples(self, data_dir: str) -> list[InputExample]:
        """The examples to evaluate."""
        return self._examples(data_dir, "dev")

    def get_test_examples(self, data_dir: str) -> list[InputExample]:
        """The examples to predict."""
        return self._examples(data_dir, "test")

    def get_labels(self) -> list[str]:
        """The classes, in the order of their ids; none in regression."""
        return list(self._data_set.labels or ())

    def _examples(self, data_dir: str, split: str) -> list[InputExample]:
        first = next(iter(self.get_labels()), None)
        return [
            dataclasses.replace(example, label=first)
            if example.label is None
            else example
            for example in read_split(self._data_set, data_dir, split)
        ]
