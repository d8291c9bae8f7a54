"""Rows of activations at given places, and back.

Shapes: B = batch, F = length, P = positions of a sequence, D = any size.
"""

from __future__ import annotations

from typing import Any

from keras import ops

Tensor = Any


def gather_positions(sequence: Tensor, positions: Tensor) -> Tensor:
    """Vectors at the given positions (original: `gather_indexes`).

    Args:
      sequence: [B, F, D].
      positions: integers [B, P].

    Returns:
      [B * P, D].
    """
    batch, length, size = ops.shape(sequence)
    starts = ops.arange(batch, dtype=positions.dtype)[:, None] * length
    flat = ops.reshape(positions + starts, (-1,))
    return ops.take(ops.reshape(sequence, (-1, size)), flat, axis=0)


def token_places(input_mask: Tensor) -> Tensor:
    """Where tokens stand among the rows [B * F, D], padding left out.

    Args:
      input_mask: [B, F], 1 for tokens, 0 for padding.

    Returns:
      int32 [number of tokens].
    """
    (places,) = ops.nonzero(ops.reshape(input_mask, (-1,)))
    return ops.cast(places, "int32")


def rows_at(rows: Tensor, places: Tensor | None) -> Tensor:
    """[B * F, D] -> [number of places, D]; all rows where there are none."""
    return rows if places is None else ops.take(rows, places, axis=0)


def all_rows(rows: Tensor, places: Tensor | None, count: Tensor) -> Tensor:
    """The inverse of `rows_at`: [count, D], zeros for what was left out."""
    if places is None:
        return rows
    shape = (count, rows.shape[-1])
    return ops.scatter(ops.expand_dims(places, -1), rows, shape)
