"""What a pre-training record holds: every feature, declared once.

Writer, parser and metadata derive from these declarations.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import tensorflow as tf

# Bits of the feature `joins` of unmasked records: the token belongs to the
# same word, or to the same span, as the token before it.
JOINS_WORD = 1
JOINS_SPAN = 2


@dataclasses.dataclass(frozen=True)
class Feature:
    """A feature of fixed length.

    Attributes:
      name: key in the `tf.train.Example`.
      length: number of values.
      dtype: of the values. Integers are never negative.
    """

    name: str
    length: int
    dtype: Literal["int64", "float32"] = "int64"


def masked_features(
    max_seq_length: int, max_predictions_per_seq: int
) -> tuple[Feature, ...]:
    """The original's schema, in its order.

    Source: `create_pretraining_data.write_instance_to_example_files`.
    """
    return (
        Feature("input_ids", max_seq_length),
        Feature("input_mask", max_seq_length),
        Feature("segment_ids", max_seq_length),
        Feature("masked_lm_positions", max_predictions_per_seq),
        Feature("masked_lm_ids", max_predictions_per_seq),
        Feature("masked_lm_weights", max_predictions_per_seq, "float32"),
        Feature("next_sentence_labels", 1),
    )


def unmasked_features(max_seq_length: int) -> tuple[Feature, ...]:
    """The schema of records that the input pipeline masks.

    They lack the features of the masked language model, so that a trainer which
    does not mask fails on them and does not train on nothing.
    """
    return (
        Feature("input_ids", max_seq_length),
        Feature("input_mask", max_seq_length),
        Feature("segment_ids", max_seq_length),
        Feature("joins", max_seq_length),
        Feature("next_sentence_labels", 1),
    )


def parse_spec(
    features: Sequence[Feature],
) -> dict[str, tf.io.FixedLenFeature]:
    """What `tf.io.parse_example` takes; the original's `name_to_features`."""
    import tensorflow as tf

    return {
        feature.name: tf.io.FixedLenFeature(
            [feature.length], tf.as_dtype(feature.dtype)
        )
        for feature in features
    }
