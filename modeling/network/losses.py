"""The two pre-training losses, as weighted sums and as the original's means."""

from __future__ import annotations

from typing import Any

from keras import ops

Tensor = Any


def cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    """Negative log-likelihood, in float32.

    Args:
      logits: [..., classes].
      labels: integers [...].

    Returns:
      float32 [...].
    """
    return ops.sparse_categorical_crossentropy(
        labels, ops.cast(logits, "float32"), from_logits=True
    )


def weighted_cross_entropy_sum(
    logits: Tensor, labels: Tensor, weights: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """A loss as a sum and what to divide it by, both of which can be added up
    over replicas and micro-batches before the division.

    Args:
      logits: [..., classes].
      labels: integers, one for each row of logits, in any shape.
      weights: likewise. Default: ones.

    Returns:
      The float32 scalars sum(weights * losses) and sum(weights).
    """
    shape = ops.shape(logits)[:-1]
    losses = cross_entropy(logits, ops.reshape(labels, shape))
    if weights is None:
        weights = ops.ones_like(losses)
    weights = ops.reshape(ops.cast(weights, "float32"), shape)
    return ops.sum(weights * losses), ops.sum(weights)


def masked_lm_loss(
    logits: Tensor, masked_lm_ids: Tensor, masked_lm_weights: Tensor
) -> Tensor:
    """Mean over the real predictions (original: `get_masked_lm_output`).

    Args:
      logits: [batch, predictions, vocab_size].
      masked_lm_ids: integers [batch, predictions].
      masked_lm_weights: [batch, predictions], 0 for padded predictions.

    Returns:
      A float32 scalar; 0 where there are no predictions at all.
    """
    loss, weight = weighted_cross_entropy_sum(
        logits, masked_lm_ids, masked_lm_weights
    )
    return loss / (weight + 1e-5)


def next_sentence_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Mean over the batch (original: `get_next_sentence_output`).

    Args:
      logits: [batch, 2]; 0 is the true next sentence, 1 a random one.
      labels: integers [batch] or [batch, 1].
    """
    loss, weight = weighted_cross_entropy_sum(logits, labels)
    return loss / weight
