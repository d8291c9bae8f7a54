"""What a data set is made of, under the original's names."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

# A class, several of them, or a score.
Label = str | tuple[str, ...] | float


@dataclasses.dataclass(frozen=True)
class InputExample:
    """A sentence or a pair of them, with its label.

    Attributes:
      guid: tells examples of a data set apart, as the original does.
      text_a: the first text.
      text_b: the second one of a pair.
      label: a class; in multi-label sets a tuple of classes, in regression a
        number; None where it is not known.
      row_id: what the file calls the row, for files of predictions; None where
        it calls it nothing.
    """

    guid: str
    text_a: str
    text_b: str | None = None
    label: Label | None = None
    row_id: str | None = None


class PaddingInputExample:
    """Fills a batch where its size is fixed; counts nowhere.

    Source: `run_classifier.PaddingInputExample`.
    """


class DataProcessor:
    """Reads a data set that no table row describes.

    Override it where text or labels have to be computed; for other columns or
    file names a `DataSet` is enough.

    Source: `run_classifier.DataProcessor`.
    """

    def get_train_examples(self, data_dir: str) -> Sequence[InputExample]:
        """The examples to train on."""
        raise NotImplementedError

    def get_dev_examples(self, data_dir: str) -> Sequence[InputExample]:
        """The examples to evaluate."""
        raise NotImplementedError

    def get_test_examples(self, data_dir: str) -> Sequence[InputExample]:
        """The examples to predict; their labels do not count."""
        raise NotImplementedError

    def get_labels(self) -> Sequence[str]:
        """The classes, in the order of their ids."""
        raise NotImplementedError
