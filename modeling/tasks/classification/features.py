"""The original's features: every row padded to one length."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from modeling.records import Feature, encode_records
from modeling.tasks.classification.encoding import ExampleEncoder, RowOptions
from modeling.tasks.classification.examples import (
    InputExample,
    PaddingInputExample,
)
from modeling.tasks.classification.labels import Labels
from modeling.tasks.token_rows import encode_examples
from modeling.tokenization import Tokenizer


@dataclasses.dataclass(frozen=True, eq=False)
class InputFeatures:
    """An example as a model of fixed length takes it.

    Attributes:
      input_ids: int32 [max_seq_length]
      input_mask: 1 for tokens, 0 for padding: int32 [max_seq_length]
      segment_ids: 1 for the second text: int32 [max_seq_length]
      label_id: of the label.
      is_real_example: whether it counts.

    Source: `run_classifier.InputFeatures`.
    """

    input_ids: np.ndarray
    input_mask: np.ndarray
    segment_ids: np.ndarray
    label_id: int
    is_real_example: bool = True


def convert_examples_to_features(
    examples: Sequence[InputExample | PaddingInputExample],
    label_list: Sequence[str],
    max_seq_length: int,
    tokenizer: Tokenizer,
) -> list[InputFeatures]:
    """Examples -> features, as the original makes them.

    Raises:
      UserError: a label that is not in the list.

    Source: `run_classifier.convert_examples_to_features`.
    """
    encoder = ExampleEncoder(
        tokenizer,
        Labels("classification", tuple(label_list)),
        RowOptions(max_seq_length),
    )
    real = [e for e in examples if not isinstance(e, PaddingInputExample)]
    encoded = encode_examples(encoder, real)
    batch = encoded.pad(np.arange(len(real)), max_seq_length)
    rows = zip(
        batch["input_ids"],
        batch["input_mask"],
        batch["segment_ids"],
        map(int, encoded.targets),
        strict=True,
    )
    nothing = np.zeros(max_seq_length, np.int32)
    padding = InputFeatures(nothing, nothing, nothing, 0, False)
    return [
        padding
        if isinstance(example, PaddingInputExample)
        else InputFeatures(*next(rows))
        for example in examples
    ]


def record_features(max_seq_length: int) -> tuple[Feature, ...]:
    """What a record of the original's `train.tf_record` holds.

    Source: `run_classifier.file_based_convert_examples_to_features`.
    """
    return (
        Feature("input_ids", max_seq_length),
        Feature("input_mask", max_seq_length),
        Feature("segment_ids", max_seq_length),
        Feature("label_ids", 1),
        Feature("is_real_example", 1),
    )


def encode_as_records(features: Sequence[InputFeatures]) -> bytes:
    """Features as they stand in a TFRecord file."""
    columns = {
        "input_ids": np.stack([f.input_ids for f in features]),
        "input_mask": np.stack([f.input_mask for f in features]),
        "segment_ids": np.stack([f.segment_ids for f in features]),
        "label_ids": np.array([[f.label_id] for f in features]),
        "is_real_example": np.array(
            [[f.is_real_example] for f in features], int
        ),
    }
    max_seq_length = columns["input_ids"].shape[1]
    return encode_records(columns, record_features(max_seq_length)).tobytes()
