"""PretrainingInput: records that fit a model, as batches to train on."""

from __future__ import annotations

import contextlib
import dataclasses
import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol

import numpy as np
import tensorflow as tf
from absl import logging

from modeling.errors import UserError
from modeling.pretraining.dynamic import DynamicMasking
from modeling.pretraining.options import MaskingOptions
from modeling.pretraining.vocabulary import MaskingVocabulary
from modeling.records import (
    RecordMetadata,
    check_metadata,
    find_record_files,
    read_metadata,
    vocabulary_digest,
)
from modeling.records.packing import Packing
from modeling.records.parsing import input_error
from modeling.records.reading import (
    evaluation_dataset,
    padding_share,
    training_dataset,
)
from modeling.records.sources import RecordSource, open_source
from modeling.records.streams import Position


class Share(Protocol):
    """What one host reads; `modeling.training.Share`."""

    host: int
    num_hosts: int
    rows: int
    rows_per_replica: int


@dataclasses.dataclass(frozen=True)
class InputOptions:
    """What records must be, and how they are read.

    Attributes:
      max_seq_length, max_predictions_per_seq: that records must have; None:
        whatever they have. Records that are not masked yet get `masking`'s.
      masking: of records that are not masked yet.
      sentence_pairs: that records must have; None: whatever they have.
      do_lower_case: case of the model; None: not known.
      seed: of order and masks.
      shuffle_buffer: records from which the next is drawn.
      packing: several instances in a row; None: one.
    """

    max_seq_length: int | None = None
    max_predictions_per_seq: int | None = None
    masking: MaskingOptions = dataclasses.field(default_factory=MaskingOptions)
    sentence_pairs: str | None = None
    do_lower_case: bool | None = None
    seed: int = 12345
    shuffle_buffer: int = 16384
    packing: Packing | None = None


@dataclasses.dataclass(frozen=True)
class PretrainingInput:
    """Batches of pre-training records for every host and replica.

    Attributes:
      source: the records.
      metadata: what they were made of; None for other people's.
      mask: for records that are not masked yet.
      options: see there.
    """

    source: RecordSource
    metadata: RecordMetadata | None
    mask: DynamicMasking | None
    options: InputOptions

    @classmethod
    def open(
        cls,
        patterns: Sequence[str],
        options: InputOptions,
        *,
        vocab_size: int,
        max_position_embeddings: int | None,
        vocab: Mapping[str, int] | None,
    ) -> PretrainingInput:
        """Finds records and checks that they fit.

        Args:
          patterns: names and globs.
          options: see there.
          vocab_size: rows of the model's table of words.
          max_position_embeddings: the longest input of the model; None: any.
          vocab: of the model; None: not known.

        Raises:
          UserError: no records, or records that do not fit.
        """
        files = find_record_files(patterns)
        metadata = read_metadata(files)
        source = open_source(
            files,
            vocab_size=vocab_size,
            max_seq_length=options.max_seq_length,
            max_predictions_per_seq=options.max_predictions_per_seq,
        )
        if metadata is not None:
            check_metadata(
                metadata,
                vocab_size=vocab_size,
                max_seq_length=source.max_seq_length,
                max_predictions_per_seq=source.max_predictions_per_seq,
                vocab_digest=vocabulary_digest(vocab) if vocab else None,
                do_lower_case=options.do_lower_case,
                sentence_pairs=options.sentence_pairs,
            )
        else:
            logging.info(
                "There is no metadata beside %s: the first record of each file "
                "was checked.",
                files[0],
            )
        _check_length(source, max_position_embeddings)
        mask = None
        if not source.is_masked:
            mask = _dynamic_masking(metadata, options, source)
        return cls(source, metadata, mask, options)

    @property
    def mask_id(self) -> int | None:
        """Of [MASK] in the records; None where nothing tells."""
        if self.metadata is None:
            return None
        return self.metadata.vocabulary["mask_id"]

    @property
    def do_lower_case(self) -> bool | None:
        """Case of the records; None where nothing tells."""
        if self.metadata is None:
            return self.options.do_lower_case
        return self.metadata.vocabulary["do_lower_case"]

    @property
    def sentence_pairs(self) -> str:
        """Objective of the records: "nsp", "sop" or "none"."""
        if self.metadata is None:
            return self.options.sentence_pairs or "nsp"
        return self.metadata.options["sentence_pairs"]

    @property
    def max_predictions_per_seq(self) -> int:
        """Predictions of a row."""
        own = self.source.max_predictions_per_seq
        if own is None:
            return self.options.masking.max_predictions_per_seq
        return own

    def settings(self) -> dict[str, Any]:
        """What of this shapes a training, as JSON values."""
        packing = self.options.packing
        values = {
            "input_files": [os.path.basename(f) for f in self.source.files],
            "max_seq_length": self.source.max_seq_length,
            "max_predictions_per_seq": self.max_predictions_per_seq,
            "sentence_pairs": self.sentence_pairs,
            "shuffle_buffer": self.options.shuffle_buffer,
            "packing": dataclasses.asdict(packing) if packing else None,
        }
        if self.metadata is not None:
            values["records"] = {
                "text": self.metadata.text,
                "options": self.metadata.options,
            }
        if self.mask is not None:
            values["masking"] = dataclasses.asdict(self.options.masking)
        return values

    def training(self, share: Share, position: np.ndarray) -> tf.data.Dataset:
        """Endless batches for a host's replicas in turn; see
        `training_dataset`.
        """
        return training_dataset(
            self.source,
            batch_size=share.rows_per_replica * share.num_hosts,
            seed=self.options.seed,
            shuffle_buffer=self.options.shuffle_buffer,
            position=Position(*(int(number) for number in position)),
            host=share.host,
            num_hosts=share.num_hosts,
            mask=self.mask,
            packing=self.options.packing,
        )

    def evaluation(
        self, share: Share, max_batches: int | None = None
    ) -> tf.data.Dataset:
        """A host's part of one pass; see `evaluation_dataset`."""
        return evaluation_dataset(
            self.source,
            batch_size=share.rows * share.num_hosts,
            host=share.host,
            num_hosts=share.num_hosts,
            max_batches=max_batches,
            mask=self.mask,
        )

    @contextlib.contextmanager
    def told_errors(self) -> Iterator[None]:
        """A `with` block in which damaged records are told as such.

        Raises:
          UserError: a file is damaged, or a record that was read does not fit.
        """
        try:
            yield
        except tf.errors.OpError as error:
            told = input_error(error, self.source)
            if told is None:
                raise
            raise told from error

    def log_padding(self) -> None:
        """Tells how much of the rows is padding, packed and not."""
        packing = self.options.packing or Packing()
        shares = padding_share(self.source, packing, mask=self.mask)
        logging.info(
            "Padding: %.1f%% of the positions of %d records, %.1f%% when "
            "packed in %d rows%s",
            100 * shares["padding_share"],
            shares["records"],
            100 * shares["packed_padding_share"],
            shares["packed_rows"],
            "" if self.options.packing else " (--pack_sequences)",
        )


def _check_length(source: RecordSource, longest: int | None) -> None:
    if longest is not None and source.max_seq_length > longest:
        raise UserError(
            f"The records of {source.files[0]} are {source.max_seq_length} "
            f"tokens long, the model has only {longest} positions "
            "(max_position_embeddings in its config). Make shorter records."
        )


def _dynamic_masking(
    metadata: RecordMetadata | None,
    options: InputOptions,
    source: RecordSource,
) -> DynamicMasking:
    if metadata is None:
        raise UserError(
            f"The records of {source.files[0]} are not masked yet, and the "
            "metadata file that tells their vocabulary is not beside them. "
            "Copy metadata.*.json to where the records are."
        )
    vocabulary = MaskingVocabulary.from_json(metadata.vocabulary)
    return DynamicMasking(options.masking, vocabulary, options.seed)
