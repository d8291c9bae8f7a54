"""A checkpoint for another vocabulary: rows carried over, and new ones made."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from modeling.checkpoints.sizes import WORD_EMBEDDINGS
from modeling.errors import UserError

_OUTPUT_BIAS = "cls/predictions/output_bias"
# The variables with a row for every token.
_TABLES = (WORD_EMBEDDINGS, _OUTPUT_BIAS)


@dataclasses.dataclass(frozen=True)
class NewVocabulary:
    """A vocabulary that replaces the one a model was trained with.

    Attributes:
      file: its `vocab.txt`.
      sources: for every new id, the old ids whose rows give the new row: one,
        which is carried over, or several, of which the mean is taken.
    """

    file: Path
    sources: Sequence[Sequence[int]]

    @property
    def size(self) -> int:
        """Number of ids, and of rows that the tables will have."""
        return len(self.sources)

    def check(self, num_rows: int) -> None:
        """Checks that the old ids are those of a table with so many rows.

        Raises:
          UserError: there are others.
        """
        largest = max(itertools.chain.from_iterable(self.sources))
        if largest >= num_rows:
            raise UserError(
                f"The old vocabulary has an id {largest}, the checkpoint's "
                f"table of words only {num_rows} rows. Give the vocabulary "
                "that the model was trained with: --vocab_file=..."
            )

    def shape(self, name: str, shape: tuple[int, ...]) -> tuple[int, ...]:
        """The new shape of a variable, given the old one."""
        return (self.size, *shape[1:]) if name in _TABLES else shape

    def apply(
        self, arrays: Mapping[str, np.ndarray]
    ) -> Mapping[str, np.ndarray]:
        """A view of a model's arrays in which the tables have the new rows."""
        return _Grown(arrays, self.sources)


class _Grown(Mapping[str, np.ndarray]):
    """Holds no array, so that a model is not in memory twice."""

    def __init__(
        self,
        arrays: Mapping[str, np.ndarray],
        sources: Sequence[Sequence[int]],
    ) -> None:
        self._arrays, self._sources = arrays, sources

    def __getitem__(self, name: str) -> np.ndarray:
        array = self._arrays[name]
        return _new_rows(array, self._sources) if name in _TABLES else array

    def __iter__(self) -> Iterator[str]:
        return iter(self._arrays)

    def __len__(self) -> int:
        return len(self._arrays)


def _new_rows(
    table: np.ndarray, sources: Sequence[Sequence[int]]
) -> np.ndarray:
    rows = table[[ids[0] for ids in sources]]
    for row, ids in enumerate(sources):
        if len(ids) > 1:
            rows[row] = table[list(ids)].mean(axis=0, dtype=np.float64)
    return rows
