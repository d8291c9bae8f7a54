"""Which examples go into one batch: those of similar length.

Only numbers are handled here: a batch is a list of examples' indices.
"""

from __future__ import annotations

import dataclasses
from typing import NamedTuple

import numpy as np

from modeling.errors import UserError

_FEWEST_WINDOWS = 4


@dataclasses.dataclass(frozen=True)
class BatchOptions:
    """How large batches are.

    Attributes:
      batch_size: examples in a batch; None where only tokens count.
      max_tokens: positions of a batch, padding included; None for no limit. An
        example that is longer makes a batch of its own. Examples of fewer rows
        than others in their batch are filled up with rows.
      window: batches' worth of examples that are sorted by length together, or
        fewer, so that there are four windows: of few examples, those of one
        text have one length, and would always come together. With 1, examples
        stay as they were shuffled.
      buckets: lengths that batches are padded to, ascending, for compilers that
        want few shapes; the last one must be the longest row's. None pads to
        the longest row of the batch.
      packed: whether several examples share a row of the last bucket's length,
        see `PackedInput`.
      row_multiple: packed rows of a batch of equal size come in multiples of so
        many, for compilers that want few shapes.

    Raises:
      UserError: no limit at all, or one below 1; buckets that do not ascend.
    """

    batch_size: int | None = 32
    max_tokens: int | None = None
    window: int = 50
    buckets: tuple[int, ...] | None = None
    packed: bool = False
    row_multiple: int = 1

    def __post_init__(self) -> None:
        if self.batch_size is None and self.max_tokens is None:
            raise UserError("Give batch_size or max_tokens, or both.")
        for name in ("batch_size", "max_tokens", "window"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise UserError(f"{name} must be positive. Received: {value}")
        buckets = self.buckets
        if buckets is not None and (
            not buckets or buckets[0] < 1 or list(buckets) != sorted({*buckets})
        ):
            raise UserError(
                "buckets must be lengths that ascend, such as 32, 64, 128. "
                f"Received: {list(buckets)}"
            )


class Batch(NamedTuple):
    """Examples that are computed together.

    Attributes:
      indices: of the examples: int64 [N]
      length: what their rows are padded to.
    """

    indices: np.ndarray
    length: int


def training_batches(
    lengths: np.ndarray,
    options: BatchOptions,
    seed: int,
    epoch: int,
    rows: np.ndarray | None = None,
    order: np.ndarray | None = None,
) -> list[Batch]:
    """The batches of an epoch, the same for the same (seed, epoch).

    Examples are shuffled and cut into windows; within a window, those of
    similar length come together; then the batches are shuffled. Each example
    stands in one batch, and the last of equal size may be smaller.

    Args:
      lengths: of every example's longest row: int [N]
      options: sizes of batches.
      seed: of the training.
      epoch: counted from 0.
      rows: rows of every example, None for one each: int [N]
      order: which examples to take, perhaps some twice and others never, None
        for each once: int [any]
    """
    rng = np.random.default_rng([seed, epoch])
    order = np.arange(len(lengths)) if order is None else order
    order = rng.permutation(order)
    batches: list[Batch] = []
    size = window_size(lengths, options)
    for start in range(0, len(order), size):
        window = order[start : start + size]
        if options.window > 1:
            window = _longest_first(window, lengths, rows)
        batches += _cut(window, lengths, rows, options)
    return [batches[place] for place in rng.permutation(len(batches))]


def prediction_batches(
    lengths: np.ndarray,
    options: BatchOptions,
    rows: np.ndarray | None = None,
) -> list[Batch]:
    """The batches of examples whose order does not matter, the longest first.

    So memory runs out at once, if it does. Results are put in order by writing
    them to the places `batch.indices`.
    """
    order = _longest_first(np.arange(len(lengths)), lengths, rows)
    return _cut(order, lengths, rows, options)


def window_size(lengths: np.ndarray, options: BatchOptions) -> int:
    """Examples of a window, a whole number of batches where they are equal."""
    if options.batch_size is not None:
        batches = len(lengths) // (_FEWEST_WINDOWS * options.batch_size)
        return min(options.window, max(1, batches)) * options.batch_size
    mean = max(1.0, float(np.mean(lengths))) if len(lengths) else 1.0
    most = options.window * options.max_tokens / mean
    return max(1, round(min(most, len(lengths) / _FEWEST_WINDOWS)))


def _longest_first(
    indices: np.ndarray, lengths: np.ndarray, rows: np.ndarray | None
) -> np.ndarray:
    if rows is None:
        return indices[np.argsort(-lengths[indices], kind="stable")]
    # Rows are filled up as well: many before few.
    return indices[np.lexsort((-lengths[indices], -rows[indices]))]


def _cut(
    order: np.ndarray,
    lengths: np.ndarray,
    rows: np.ndarray | None,
    options: BatchOptions,
) -> list[Batch]:
    """Cuts examples in the order given into batches that keep the limits."""
    padded = _padded(lengths[order], options.buckets).tolist()
    counts = [1] * len(order) if rows is None else rows[order].tolist()
    most_examples = options.batch_size or len(order)
    most_tokens = options.max_tokens or float("inf")
    batches: list[Batch] = []
    start = longest = most_rows = 0
    for place, (length, count) in enumerate(zip(padded, counts, strict=True)):
        num_rows = (place + 1 - start) * max(most_rows, count)
        is_full = (
            place - start >= most_examples
            or max(longest, length) * num_rows > most_tokens
        )
        if is_full and place > start:
            batches.append(Batch(order[start:place], longest))
            start, longest, most_rows = place, 0, 0
        longest, most_rows = max(longest, length), max(most_rows, count)
    if start < len(order):
        batches.append(Batch(order[start:], longest))
    return batches


def _padded(lengths: np.ndarray, buckets: tuple[int, ...] | None) -> np.ndarray:
    if buckets is None:
        return lengths
    longest = int(lengths.max(initial=0))
    if longest > buckets[-1]:
        raise UserError(
            f"A row has {longest} tokens, more than the last of the buckets "
            f"{list(buckets)}. Let them end with max_seq_length."
        )
    return np.array(buckets)[np.searchsorted(buckets, lengths)]
