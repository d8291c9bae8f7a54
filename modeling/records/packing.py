"""Several short instances in one row, so that static shapes waste little.

instances   [CLS] a b [SEP]     [CLS] c [SEP]     padding is not taken
row         [CLS] a b [SEP] [CLS] c [SEP] [PAD]
block_ids     1   1 1   1     2   2   2     0     attend within a block
position_ids  0   1 2   3     0   1   2     0
cls_positions 0 4 0 ..                            one for each instance
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import numpy as np

from modeling.errors import UserError

# What a packed row has, by the axis of its values: tokens, predictions or
# instances of the row.
_TOKENS = (
    "input_ids",
    "input_mask",
    "segment_ids",
    "position_ids",
    "block_ids",
)
_PREDICTIONS = ("masked_lm_positions", "masked_lm_ids", "masked_lm_weights")
_INSTANCES = (
    "cls_positions",
    "next_sentence_labels",
    "next_sentence_weights",
)


@dataclasses.dataclass(frozen=True)
class Packing:
    """How instances are packed.

    Attributes:
      window: consecutive records that are packed together; more of them fill
        the rows better, and are packed again by a training that goes on.
      max_instances: the most in a row.
    """

    window: int = 1024
    max_instances: int = 8

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if value < 1:
                raise UserError(
                    f"{field.name} of packing must be at least 1. Received: "
                    f"{value}"
                )


def packed_widths(
    max_seq_length: int, max_predictions_per_seq: int, max_instances: int
) -> dict[str, int]:
    """Every feature of packed rows, and how many values it has."""
    return {
        **dict.fromkeys(_TOKENS, max_seq_length),
        **dict.fromkeys(_PREDICTIONS, max_predictions_per_seq),
        **dict.fromkeys(_INSTANCES, max_instances),
    }


def pack(
    features: Mapping[str, np.ndarray], max_instances: int
) -> dict[str, np.ndarray]:
    """Masked instances -> fewer rows of the same length.

    Rows come in the order of their first instances, and a row's instances in
    the order in which they came, so that a shuffled stream stays shuffled.

    Args:
      features: of N instances of `masked_features`, integers and floats
        [N, length]. Padding may stand anywhere; rows without any token have
        nothing in them and are left out.
      max_instances: the most in a row, K.

    Returns:
      int32 and float32 [R, length]: the features of `masked_features`, of which
      next_sentence_labels [R, K], and
        position_ids [R, L]: places in the instance.
        block_ids [R, L]: the instance's number in the row from 1; 0: padding.
        cls_positions [R, K]: where each instance begins; 0: there is none.
        next_sentence_weights [R, K]: 1 for each instance.

    Raises:
      UserError: a prediction of padding.
    """
    present = features["input_mask"].any(axis=1)
    features = {name: values[present] for name, values in features.items()}
    real = features["input_mask"] > 0  # [N, L]
    predicted = features["masked_lm_weights"] > 0  # [N, P]
    lengths, counts = real.sum(axis=1), predicted.sum(axis=1)
    capacity = RowCapacity(real.shape[1], predicted.shape[1], max_instances)
    row_of = assign_rows(lengths, counts, capacity)
    order = np.argsort(row_of, kind="stable")
    layout = RowLayout.of(row_of[order], lengths[order], counts[order])
    rows = _Rows(
        {name: values[order] for name, values in features.items()},
        layout,
        capacity,
    )
    return {**rows.tokens(), **rows.predictions(), **rows.instances()}


@dataclasses.dataclass(frozen=True)
class RowCapacity:
    """What fits in a row.

    Attributes:
      tokens, predictions, instances: the most of each.
    """

    tokens: int
    predictions: int
    instances: int


def assign_rows(
    lengths: np.ndarray, predictions: np.ndarray, capacity: RowCapacity
) -> np.ndarray:
    """The row of every instance, rows numbered as they first occur: int64 [N]

    Best fit decreasing: the longest instances first, each in the fullest row
    that still has room for it.

    Args:
      lengths: tokens of each instance: int [N]
      predictions: of each: int [N]
      capacity: of a row, at least that of the largest instance.
    """
    row_of = np.empty(len(lengths), np.int64)
    # Rows by the tokens they have room for; a bit of `spaces` says that a list
    # is not empty.
    open_rows: list[list[int]] = [[] for _ in range(capacity.tokens + 1)]
    spaces = 0
    predictions_left: list[int] = []
    instances_left: list[int] = []
    counts = predictions.tolist()
    order = np.argsort(-lengths, kind="stable").tolist()
    for instance, length in zip(order, lengths[order].tolist(), strict=True):
        count = counts[instance]
        row, space = len(predictions_left), capacity.tokens
        candidates = spaces >> length << length
        while candidates:
            smallest = candidates & -candidates
            candidates ^= smallest
            # Only the newest of the rows that are as full: predictions are in
            # proportion to tokens, so the others are seldom better.
            newest = open_rows[smallest.bit_length() - 1][-1]
            if predictions_left[newest] >= count:
                row, space = newest, smallest.bit_length() - 1
                open_rows[space].pop()
                if not open_rows[space]:
                    spaces ^= smallest
                break
        else:
            predictions_left.append(capacity.predictions)
            instances_left.append(capacity.instances)
        row_of[instance] = row
        predictions_left[row] -= count
        instances_left[row] -= 1
        if instances_left[row] and space > length:
            open_rows[space - length].append(row)
            spaces |= 1 << (space - length)
    _, first, inverse = np.unique(
        row_of, return_index=True, return_inverse=True
    )
    return np.argsort(np.argsort(first))[inverse]


@dataclasses.dataclass(frozen=True, eq=False)
class RowLayout:
    """Where instances, sorted by row, go: int64 [N] each.

    Attributes:
      row: of the instance.
      block: its number in the row, from 0.
      tokens_before: in the row.
      predictions_before: in the row.
    """

    row: np.ndarray
    block: np.ndarray
    tokens_before: np.ndarray
    predictions_before: np.ndarray

    @classmethod
    def of(
        cls, row: np.ndarray, lengths: np.ndarray, predictions: np.ndarray
    ) -> RowLayout:
        """Tokens and predictions of each instance -> what stands before it."""
        first = np.searchsorted(row, row)  # of the instance's row

        def before(values: np.ndarray) -> np.ndarray:
            total = np.cumsum(values) - values
            return total - total[first]

        return cls(
            row,
            np.arange(len(row)) - first,
            before(lengths),
            before(predictions),
        )


@dataclasses.dataclass(frozen=True, eq=False)
class _Rows:
    """Instances, sorted by row, and where they go."""

    instance: Mapping[str, np.ndarray]
    layout: RowLayout
    capacity: RowCapacity

    def tokens(self) -> dict[str, np.ndarray]:
        """Features of tokens: int32 [R, L]"""
        real = self.instance["input_mask"] > 0
        which, place = np.nonzero(real)
        rank = (np.cumsum(real, axis=1) - 1)[which, place]
        to = self.layout.row[which], self.layout.tokens_before[which] + rank
        values = {
            "input_ids": self.instance["input_ids"][which, place],
            "input_mask": 1,
            "segment_ids": self.instance["segment_ids"][which, place],
            "position_ids": rank,
            "block_ids": self.layout.block[which] + 1,
        }
        return {
            name: self._place(name, value, to, self.capacity.tokens)
            for name, value in values.items()
        }

    def predictions(self) -> dict[str, np.ndarray]:
        """Features of predictions: int32 and float32 [R, P]"""
        real = self.instance["input_mask"] > 0
        weights = self.instance["masked_lm_weights"]
        which, slot = np.nonzero(weights > 0)
        rank = (np.cumsum(weights > 0, axis=1) - 1)[which, slot]
        position = self.instance["masked_lm_positions"][which, slot]
        if not real[which, position].all():
            raise UserError(
                "A record predicts its padding: one of its "
                "masked_lm_positions has the weight 1 where input_mask is 0. "
                "Such records cannot be packed: make them anew."
            )
        place = (np.cumsum(real, axis=1) - 1)[which, position]
        to = (
            self.layout.row[which],
            self.layout.predictions_before[which] + rank,
        )
        values = {
            "masked_lm_positions": self.layout.tokens_before[which] + place,
            "masked_lm_ids": self.instance["masked_lm_ids"][which, slot],
            "masked_lm_weights": weights[which, slot],
        }
        return {
            name: self._place(name, value, to, self.capacity.predictions)
            for name, value in values.items()
        }

    def instances(self) -> dict[str, np.ndarray]:
        """Features of instances: int32 and float32 [R, K]"""
        to = self.layout.row, self.layout.block
        labels = self.instance["next_sentence_labels"][:, 0]
        values = {
            "cls_positions": self.layout.tokens_before,
            "next_sentence_labels": labels,
            "next_sentence_weights": 1,
        }
        return {
            name: self._place(name, value, to, self.capacity.instances)
            for name, value in values.items()
        }

    def _place(
        self,
        name: str,
        values: np.ndarray | int,
        to: tuple[np.ndarray, np.ndarray],
        width: int,
    ) -> np.ndarray:
        number = self.layout.row[-1] + 1 if self.layout.row.size else 0
        output = np.zeros((number, width), feature_dtype(name))
        output[to] = values
        return output


def feature_dtype(name: str) -> type[np.generic]:
    """What a feature of packed rows holds."""
    return np.float32 if name.endswith("_weights") else np.int32
