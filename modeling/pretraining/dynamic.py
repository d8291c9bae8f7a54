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

_MASKED = (
    "input_ids",
    "masked_lm_positions",
    "masked_lm_ids",
    "masked_lm_weights",
)


@dataclasses.dataclass(frozen=True, eq=False)
class DynamicMasking:
    """Masks records as they are read; the `mask` of `modeling.records.reading`.

    A record's masks follow from the seed, the epoch and the record's number in
    it, and from nothing else: they are others in every epoch, and the same for
    any size of batches and after an interruption.

    Attributes:
      options: what is masked.
      vocabulary: of the records; `RecordMetadata.vocabulary` holds it.
      seed: of the masks.

    Raises:
      UserError: masking "none", or more predictions than a record has room for.

    Example:
      >>> metadata = read_metadata(files)
      >>> vocabulary = MaskingVocabulary.from_json(metadata.vocabulary)
      >>> mask = DynamicMasking(MaskingOptions(), vocabulary, seed=1)
      >>> dataset = training_dataset(source, mask=mask, ...)
    """

    options: MaskingOptions
    vocabulary: MaskingVocabulary
    seed: int

    def __post_init__(self) -> None:
        if self.options.method == "none":
            raise UserError(
                "The records are not masked yet: choose a masking other than "
                "none."
            )

    def __call__(
        self,
        features: dict[str, tf.Tensor],
        epochs: tf.Tensor,
        indices: tf.Tensor,
    ) -> dict[str, tf.Tensor]:
        """In the graph: the features of masked records.

        Args:
          features: of `unmasked_features`: int32 [B, length]
          epochs: of the records: int64 [B]
          indices: their numbers in the epoch: int64 [B]
        """
        import tensorflow as tf

        features = dict(features)
        ids = features["input_ids"]
        length, predictions = ids.shape[1], self.options.max_predictions_per_seq
        if predictions > length - 2:
            raise UserError(
                f"max_predictions_per_seq={predictions} do not fit in records "
                f"of {length} tokens."
            )
        outputs = tf.numpy_function(
            self._mask,
            [epochs, indices, ids, features["input_mask"], features["joins"]],
            [tf.int32, tf.int32, tf.int32, tf.float32],
            stateful=False,
        )
        del features["joins"]
        widths = [length] + [predictions] * 3
        for name, values, width in zip(_MASKED, outputs, widths, strict=True):
            values.set_shape([ids.shape[0], width])
            features[name] = values
        return features

    def _mask(
        self,
        epochs: np.ndarray,
        indices: np.ndarray,
        ids: np.ndarray,
        input_mask: np.ndarray,
        joins: np.ndarray,
    ) -> Masked:
        return mask_batch(
            ids,
            input_mask.sum(axis=1),
            joins,
            document_streams(self.seed, epochs, indices),
            self.options,
            self.vocabulary,
        )
