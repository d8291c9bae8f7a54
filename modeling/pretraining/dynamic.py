"""Masking anew on every pass, in the input pipeline.

Records written with masking "none" are masked by the same function that masks
when records are written, as a numpy function in the graph of `tf.data`.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import numpy as np

from modeling.errors import UserError
from modeling.pretraining.masking import Masked, mask_batch
from modeling.pretraining.options import MaskingOptions
from modeling.pretraining.random_streams import document_streams
from modeling.pretraining.vocabulary import MaskingVocabulary

if TYPE_CHECKING:
    import tensorflow as tf


def mask_dataset(
    dataset: tf.data.Dataset,
    options: MaskingOptions,
    vocabulary: MaskingVocabulary,
    seed: int,
    first_batch: int = 0,
) -> tf.data.Dataset:
    """Batches of unmasked records -> batches as the original's records give.

    A batch's masks follow from the seed and its number, so that a repeated
    dataset (`.repeat()` before this) gets other masks on every pass, and a
    training that goes on at `first_batch` the masks that it would have had.

    Args:
      dataset: batches of `unmasked_features`, with a known batch size or not.
      options: what is masked.
      vocabulary: of the records; `RecordMetadata.vocabulary` holds it.
      seed: of the masks.
      first_batch: number of the dataset's first batch.

    Raises:
      UserError: masking "none", or more predictions than fit.

    Example:
      >>> metadata = read_metadata(files)
      >>> vocabulary = MaskingVocabulary.from_json(metadata.vocabulary)
      >>> dataset = mask_dataset(
      ...     dataset.repeat().batch(32), MaskingOptions(), vocabulary, seed=1
      ... )
    """
    import tensorflow as tf

    if options.method == "none":
        raise UserError(
            "The records are not masked yet: choose a masking other than none."
        )
    predictions = options.max_predictions_per_seq
    length = dataset.element_spec["input_ids"].shape[-1]
    if predictions > length - 2:
        raise UserError(
            f"max_predictions_per_seq={predictions} do not fit in records of "
            f"{length} tokens."
        )

    masker = _Masker(options, vocabulary, seed, length)
    return dataset.enumerate(first_batch).map(
        masker.mask_features, num_parallel_calls=tf.data.AUTOTUNE
    )


_MASKED = (
    "input_ids",
    "masked_lm_positions",
    "masked_lm_ids",
    "masked_lm_weights",
)


@dataclasses.dataclass(frozen=True, eq=False)
class _Masker:
    """Masks batches of records of `length` tokens; see `mask_dataset`."""

    options: MaskingOptions
    vocabulary: MaskingVocabulary
    seed: int
    length: int

    def mask_features(
        self, batch: tf.Tensor, features: dict[str, tf.Tensor]
    ) -> dict[str, tf.Tensor]:
        """In the graph: the features of masked records."""
        import tensorflow as tf

        features = dict(features)
        ids = features["input_ids"]
        outputs = tf.numpy_function(
            self._mask,
            [batch, ids, features["input_mask"], features.pop("joins")],
            [tf.int32, tf.int32, tf.int32, tf.float32],
            stateful=False,
        )
        widths = [self.length] + [self.options.max_predictions_per_seq] * 3
        for name, values, width in zip(_MASKED, outputs, widths, strict=True):
            values.set_shape([ids.shape[0], width])
            is_weight = values.dtype == tf.float32
            features[name] = values if is_weight else tf.cast(values, tf.int64)
        return features

    def _mask(
        self,
        batch: np.ndarray,
        ids: np.ndarray,
        input_mask: np.ndarray,
        joins: np.ndarray,
    ) -> Masked:
        rows = np.arange(len(ids))
        keys = document_streams(self.seed, np.full(len(ids), batch), rows)
        return mask_batch(
            ids,
            input_mask.sum(axis=1),
            joins,
            keys,
            self.options,
            self.vocabulary,
        )
