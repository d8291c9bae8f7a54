"""Outputs of a model in the order of the examples, for any number of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np

from modeling.tasks.array_input import Arrays, Examples
from modeling.tasks.length_batches import BatchOptions
from modeling.tasks.packed_input import arrange
from modeling.training import Predictor

# What a model gives for each example, by name.
Outputs = dict[str, list[np.ndarray]]


class ChunkedPrediction(NamedTuple):
    """Examples that were taken together.

    Attributes:
      item: what came with them.
      outputs: name -> one array for each example, in their order.
    """

    item: Any
    outputs: Outputs


def predict_chunks(
    predictor: Predictor,
    chunks: Iterable[tuple[Any, Examples]],
    options: BatchOptions,
) -> Iterator[ChunkedPrediction]:
    """Predicts as chunks come, sorted by length within each.

    Memory holds two chunks or so: the next is made while one is computed.

    Args:
      predictor: of the model.
      chunks: (anything, examples).
      options: sizes of batches, which do not change the outputs.
    """
    for (chunk, indices), outputs in predictor.predict(
        _batches(predictor, chunks, options)
    ):
        chunk.take(indices, outputs)
        if chunk.is_whole:
            yield ChunkedPrediction(chunk.item, chunk.outputs)


def predict_examples(
    predictor: Predictor, examples: Examples, options: BatchOptions
) -> Outputs:
    """Outputs of all examples, in memory."""
    (prediction,) = predict_chunks(predictor, [(None, examples)], options)
    return prediction.outputs


class _Chunk:
    """A chunk whose outputs come in, in any order."""

    def __init__(self, item: Any, count: int) -> None:
        self.item, self._count, self._taken = item, count, 0
        self.outputs: Outputs = {}

    @property
    def is_whole(self) -> bool:
        return self._taken == self._count

    def take(self, indices: np.ndarray, outputs: Arrays) -> None:
        # Places that only filled the batch stand at its end, or where it is
        # packed have no index.
        (places,) = np.nonzero(indices >= 0)
        self._taken += len(places)
        for name, values in outputs.items():
            rows = self.outputs.setdefault(name, [np.zeros(0)] * self._count)
            for index, row in zip(indices[places], values[places], strict=True):
                rows[index] = row


def _batches(
    predictor: Predictor,
    chunks: Iterable[tuple[Any, Examples]],
    options: BatchOptions,
) -> Iterator[tuple[tuple[_Chunk, np.ndarray], Arrays]]:
    for item, examples in chunks:
        chunk = _Chunk(item, len(examples.rows_per_example()))
        batches = arrange(examples, options).prediction(predictor.replicas)
        for indices, arrays in batches:
            yield (chunk, indices), arrays
