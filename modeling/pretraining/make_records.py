"""The two functions that workers run on a corpus: pairing, and records."""

from __future__ import annotations

import dataclasses
import functools
from typing import NamedTuple

import numpy as np

from modeling.pretraining.assemble import make_columns
from modeling.pretraining.corpus import Corpus
from modeling.pretraining.corpus_writer import open_corpus
from modeling.pretraining.options import InstanceOptions
from modeling.pretraining.pairs import Run, make_instances
from modeling.pretraining.vocabulary import RecordVocabulary
from modeling.records import (
    Feature,
    compress,
    encode_records,
    masked_features,
    unmasked_features,
)

# Instances that are arrays at the same time: enough to hide the cost of a call,
# few enough for the processor's cache.
_BATCH = 2048


@dataclasses.dataclass(frozen=True)
class PairMaker:
    """A run of documents -> instances.

    Attributes:
      directory: of the corpus.
      options: lengths, kind of pairs, seed.
    """

    directory: str
    options: InstanceOptions

    def __call__(self, run: Run) -> np.ndarray:
        """The instances of a run: INSTANCE [any]"""
        return make_instances(self._corpus, run, self.options)

    @functools.cached_property
    def _corpus(self) -> Corpus:
        return open_corpus(self.directory)


class Records(NamedTuple):
    """A piece of a record file, and what is in it.

    Attributes:
      data: the bytes.
      lengths: how many instances have each number of tokens:
        int64 [max_seq_length + 1]
      masked: predicted tokens.
    """

    data: bytes
    lengths: np.ndarray
    masked: int


@dataclasses.dataclass(frozen=True, eq=False)
class RecordMaker:
    """Instances -> records.

    Attributes:
      directory: of the corpus.
      options: lengths and masking.
      vocabulary: special tokens, continuations, replacements.
      gzip: whether the records are compressed.
    """

    directory: str
    options: InstanceOptions
    vocabulary: RecordVocabulary
    gzip: bool = False

    def __call__(self, instances: np.ndarray) -> Records:
        """Instances in their order: INSTANCE [any]"""
        width = self.options.max_seq_length + 1
        lengths, masked = np.zeros(width, np.int64), 0
        pieces = []
        for start in range(0, len(instances), _BATCH):
            columns = self.columns(instances[start : start + _BATCH])
            tokens = columns["input_mask"].sum(axis=1, dtype=np.int64)
            lengths += np.bincount(tokens, minlength=width)
            if "masked_lm_weights" in columns:
                masked += int(columns["masked_lm_weights"].sum())
            pieces.append(encode_records(columns, self.features).tobytes())
        data = b"".join(pieces)
        return Records(compress(data) if self.gzip else data, lengths, masked)

    @property
    def features(self) -> tuple[Feature, ...]:
        """What a record holds."""
        length, masking = self.options.max_seq_length, self.options.masking
        if masking.method == "none":
            return unmasked_features(length)
        return masked_features(length, masking.max_predictions_per_seq)

    def columns(self, instances: np.ndarray) -> dict[str, np.ndarray]:
        """The features of instances: name -> [B, length]"""
        return make_columns(
            instances, self._corpus, self.options, self.vocabulary
        )

    @functools.cached_property
    def _corpus(self) -> Corpus:
        return open_corpus(self.directory)
