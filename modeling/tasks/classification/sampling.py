"""Classes that are rare: weights for them, and samples with as many of each."""

from __future__ import annotations

import numpy as np

from modeling.errors import UserError


def class_weights(targets: np.ndarray, num_classes: int) -> np.ndarray:
    """Weights with which every class counts the same.

    The mean weight of an example is 1, so that learning rates keep their
    meaning.

    Args:
      targets: class ids: int [N]
      num_classes: how many there are.

    Returns:
      float32 [num_classes]; 0 for a class without examples.
    """
    counts = np.bincount(targets, minlength=num_classes)
    present = np.count_nonzero(counts)
    weights = np.zeros(num_classes)
    weights[counts > 0] = len(targets) / (present * counts[counts > 0])
    return weights.astype(np.float32)


def balanced_sample(
    targets: np.ndarray, num_classes: int, seed: int, epoch: int
) -> np.ndarray:
    """As many examples as there are, with as many of each class.

    Of a class that has too few, all are taken equally often, to within one;
    of others, some are left out, in every epoch others.

    Args:
      targets: class ids: int [N]
      num_classes: how many there are.
      seed: of the training.
      epoch: counted from 0.

    Returns:
      Indices of examples, by class: int64 [N]
    """
    # Apart from the stream that shuffles the epoch's batches.
    rng = np.random.default_rng([seed, epoch, 1])
    members = [np.flatnonzero(targets == c) for c in range(num_classes)]
    members = [indices for indices in members if len(indices)]
    if not members:
        raise UserError("There are no examples to sample from.")
    sizes = np.full(len(members), len(targets) // len(members))
    sizes[: len(targets) % len(members)] += 1
    parts = []
    for indices, size in zip(members, sizes, strict=True):
        whole, rest = divmod(int(size), len(indices))
        parts += [indices] * whole + [rng.permutation(indices)[:rest]]
    return np.concatenate(parts)
