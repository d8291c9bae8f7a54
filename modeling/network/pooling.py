"""One vector of many: over the tokens of a text, over its windows."""

from __future__ import annotations

from typing import Any

from keras import ops

Tensor = Any

POOLING = ("cls", "mean", "max")
# Below everything that an encoder gives, in every precision.
_LOWEST = -30000.0


def masked_mean(values: Tensor, mask: Tensor) -> Tensor:
    """[B, T, D] and [B, T] -> [B, D]; zeros where the mask has no ones.

    The sum is taken in float32.
    """
    weights = ops.cast(mask, "float32")[:, :, None]
    total = ops.sum(ops.cast(values, "float32") * weights, axis=1)
    mean = total / ops.maximum(ops.sum(weights, axis=1), 1.0)
    return ops.cast(mean, values.dtype)


def masked_max(values: Tensor, mask: Tensor) -> Tensor:
    """[B, T, D] and [B, T] -> [B, D]."""
    present = ops.cast(mask, "bool")[:, :, None]
    lowest = ops.cast(_LOWEST, values.dtype)
    return ops.max(ops.where(present, values, lowest), axis=1)


def pool_tokens(tokens: Tensor, mask: Tensor, method: str) -> Tensor:
    """A vector for each row.

    Args:
      tokens: [B, F, D].
      mask: [B, F], 1 for tokens, [CLS] and [SEP] included.
      method: one of `POOLING`; "cls" is the first token's vector.

    Returns:
      [B, D].
    """
    if method == "cls":
        return tokens[:, 0, :]
    return _MASKED[method](tokens, mask)


def pool_windows(rows: Tensor, mask: Tensor, method: str) -> Tensor:
    """A vector for each text that was read through windows.

    Args:
      rows: a vector for each window, those of a text together: [B * W, D].
      mask: of the windows' tokens: [B, W, F]; windows without any do not
        count.
      method: how tokens were pooled: the maximum of windows' maxima, else
        their mean.

    Returns:
      [B, D].
    """
    present = ops.max(mask, axis=-1)
    shape = (-1, ops.shape(mask)[1], rows.shape[-1])
    rows = ops.reshape(rows, shape)
    return _MASKED["max" if method == "max" else "mean"](rows, present)


def pool_blocks(
    tokens: Tensor, block_ids: Tensor, count: int, method: str
) -> Tensor:
    """A vector for each of several texts that share a row.

    Args:
      tokens: [B, F, D].
      block_ids: each token's text, from 1; 0 for padding: [B, F]
      count: K, the most texts of a row.
      method: "mean" or "max".

    Returns:
      [B * K, D]; zeros for texts that are not there.
    """
    # [B, F, K]
    members = ops.one_hot(block_ids, count + 1, dtype="float32")[:, :, 1:]
    sizes = ops.sum(members, axis=1)[:, :, None]  # [B, K, 1]
    values = ops.cast(tokens, "float32")
    if method == "mean":
        total = ops.matmul(ops.transpose(members, (0, 2, 1)), values)
        pooled = total / ops.maximum(sizes, 1.0)
    else:
        pooled = ops.where(sizes > 0, _block_max(values, block_ids, count), 0.0)
    return ops.cast(ops.reshape(pooled, (-1, tokens.shape[-1])), tokens.dtype)


def _block_max(values: Tensor, block_ids: Tensor, count: int) -> Tensor:
    """[B, F, D] and [B, F] -> [B, K, D]; padding is a block of its own."""
    batch, size = ops.shape(values)[0], values.shape[-1]
    first = ops.arange(batch, dtype=block_ids.dtype)[:, None] * (count + 1)
    highest = ops.segment_max(
        ops.reshape(values, (-1, size)),
        ops.reshape(first + block_ids, (-1,)),
        num_segments=batch * (count + 1),
    )
    return ops.reshape(highest, (-1, count + 1, size))[:, 1:, :]


_MASKED = {"mean": masked_mean, "max": masked_max}
