"""The order in which a training reads records, as a function of the seed.

Every epoch draws an order of the files, reads several at a time and shuffles
their records through a buffer. Each record carries its place, so that a
training goes on where it was by reading up to there without parsing.
"""

from __future__ import annotations

import dataclasses
from typing import NamedTuple

import numpy as np
import tensorflow as tf
from absl import logging

from modeling.errors import UserError
from modeling.records.parsing import FILE_STEP
from modeling.records.sources import RecordSource

# A record's place is one number: its epoch times this, plus its own.
EPOCH_STEP = 1 << 40
_FILES_AT_ONCE = 16
_RECORDS_IN_TURN = 16


class Position(NamedTuple):
    """Where a training goes on in its stream.

    Attributes:
      epoch: from 0.
      record: of the epoch; of packed rows, the first record of their window.
      row: of the window's rows the first that was not used yet.
    """

    epoch: int = 0
    record: int = 0
    row: int = 0


@dataclasses.dataclass(frozen=True)
class FileReader:
    """Records of a file, and where each comes from: string and int64."""

    compression: str

    def read(self, number: tf.Tensor, path: tf.Tensor) -> tf.data.Dataset:
        records = tf.data.TFRecordDataset(path, self.compression)
        origins = tf.data.Dataset.range(
            number * FILE_STEP, (number + 1) * FILE_STEP
        )
        return tf.data.Dataset.zip(records, origins)


@dataclasses.dataclass(frozen=True)
class RecordStream:
    """Serialized records of a host in their order, with origin and place."""

    source: RecordSource
    seed: int
    shuffle_buffer: int
    host: int
    num_hosts: int

    @property
    def divides_records(self) -> bool:
        """Whether hosts divide the records of all files, not the files."""
        return len(self.source.files) < self.num_hosts

    def check(self) -> None:
        """Sees to it that no host waits for ever for its first record."""
        if not self.divides_records:
            return
        files = list(self.source.files)
        logging.warning(
            "%d record file(s) for %d hosts: each reads all of them and takes "
            "its share of the records. Make at least as many files as hosts "
            "(--num_shards).",
            len(files),
            self.num_hosts,
        )
        records = tf.data.TFRecordDataset(files, self.source.compression)
        found = sum(1 for _ in records.take(self.num_hosts))
        if found < self.num_hosts:
            raise UserError(
                f"{len(files)} record file(s) with {found} record(s) are not "
                f"enough for {self.num_hosts} hosts."
            )

    def records(
        self, position: Position, num_epochs: int = -1
    ) -> tf.data.Dataset:
        """((record, origin), place) from a position on; -1: endless."""
        epochs = tf.data.Dataset.counter(position.epoch).take(num_epochs)
        return epochs.flat_map(lambda epoch: self._epoch(epoch, position))

    def _epoch(self, epoch: tf.Tensor, position: Position) -> tf.data.Dataset:
        records = self._files(epoch).interleave(
            FileReader(self.source.compression).read,
            cycle_length=_FILES_AT_ONCE,
            block_length=_RECORDS_IN_TURN,
            num_parallel_calls=tf.data.AUTOTUNE,
            deterministic=True,
        )
        if self.divides_records:
            records = records.shard(self.num_hosts, self.host)
        # The seed of this function's graph alone, so that the order is the same
        # under any global seed. Zero would mean: none.
        tf.compat.v1.set_random_seed(1 + self.seed % (2**31 - 2))
        records = records.shuffle(
            self.shuffle_buffer, seed=epoch, reshuffle_each_iteration=False
        )
        done = tf.cast(epoch == position.epoch, tf.int64) * position.record
        places = tf.data.Dataset.range(
            epoch * EPOCH_STEP + done, (epoch + 1) * EPOCH_STEP
        )
        return tf.data.Dataset.zip(records.skip(done), places)

    def _files(self, epoch: tf.Tensor) -> tf.data.Dataset:
        """Numbers and names of this host's files, in the epoch's order."""
        numbers = np.arange(len(self.source.files))
        if not self.divides_records:
            numbers = numbers[self.host :: self.num_hosts]
        seed = tf.stack([tf.constant(self.seed % 2**63, tf.int64), epoch])
        numbers = tf.random.experimental.stateless_shuffle(numbers, seed)
        names = tf.gather(list(self.source.files), numbers)
        return tf.data.Dataset.from_tensor_slices((numbers, names))
