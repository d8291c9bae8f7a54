"""Rows of several lengths as one array, and answers cut to their rows again.

What a batch says is as wide as its longest row calls for. What a client is told
of a text must not depend on the texts of strangers beside it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from modeling.serving.signatures import Outputs, Row, Signature

# Where a tagger finds no word or entity.
_NOWHERE = -1
_PLACES = ("_starts", "_ends")


def stack(arrays: Sequence[np.ndarray], name: str) -> np.ndarray:
    """Arrays of one rank as one, filled up where others are longer.

    Args:
      arrays: at least one.
      name: of the input or output, which exported models fill up so.
    """
    shapes = np.array([array.shape for array in arrays])
    if (shapes == shapes[0]).all():
        return np.stack(arrays)
    # [rows, ...]
    dtype = arrays[0].dtype
    nothing: Any = b"" if dtype.kind == "O" else 0
    if name.endswith(_PLACES):
        nothing = _NOWHERE
    result = np.full((len(arrays), *shapes.max(axis=0)), nothing, dtype)
    for row, array in zip(result, arrays, strict=True):
        row[tuple(map(slice, array.shape))] = array
    return result


def cut(
    signature: Signature, rows: Sequence[Row], columns: Outputs
) -> dict[str, Sequence[Any]]:
    """Answers without what stands there because of longer rows.

    Args:
      signature: that was asked.
      rows: what it was asked.
      columns: what it said of all rows, by output.
    """
    return {
        name: _cut(column, _sizes(name, signature, rows, columns))
        if signature.outputs[name].is_ragged
        else column
        for name, column in columns.items()
    }


def _cut(column: np.ndarray, sizes: Sequence[int] | None) -> Sequence[Any]:
    if sizes is None:
        return column
    return [row[:size] for row, size in zip(column, sizes, strict=True)]


def _sizes(
    name: str, signature: Signature, rows: Sequence[Row], columns: Outputs
) -> Sequence[int] | None:
    """How many values of an output are each row's own; None: nothing tells."""
    if "lengths" in columns:
        return columns["lengths"]
    # Words and entities of a tagger.
    parts = "entity" if name.startswith("entity_") else "word"
    if f"{parts}_starts" in columns:
        starts = columns[f"{parts}_starts"]
        return np.count_nonzero(starts != _NOWHERE, axis=1)
    ragged = [n for n, tensor in signature.inputs.items() if tensor.is_ragged]
    if ragged:
        # As many as tokens or choices, but of words where these are given.
        teller = "word_mask" if "word_mask" in ragged else ragged[0]
        index = list(signature.inputs).index(teller)
        return [len(row[index]) for row in rows]
    if "choice" in columns:
        # Of records: choices that are not there have no probability.
        exists = columns[name] > 0
        return np.max(exists * np.arange(1, exists.shape[1] + 1), axis=1)
    return None
