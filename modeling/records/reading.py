"""Record files -> batches that a training or an evaluation takes.

A batch of a training tells the position after it, at which a training that was
interrupted goes on.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np
import tensorflow as tf

from modeling.errors import UserError
from modeling.records.packing import (
    Packing,
    feature_dtype,
    pack,
    packed_widths,
)
from modeling.records.parsing import Parser
from modeling.records.sources import RecordSource
from modeling.records.streams import (
    EPOCH_STEP,
    FileReader,
    Position,
    RecordStream,
)

# Masks a batch: features, epoch of each record [B], and its number in the
# epoch, other on every host [B] -> features of masked records.
Mask = Callable[
    [dict[str, tf.Tensor], tf.Tensor, tf.Tensor], dict[str, tf.Tensor]
]

# Records that are parsed and masked together, whatever the batch: enough to
# hide the cost of a call.
_BLOCK = 256
_BATCHES_AHEAD = 8
_START = Position()
# Python's own functions: errors that they raise stay what they are, and graphs
# are made faster.
_UNCONVERTED = tf.autograph.experimental.do_not_convert


def training_dataset(
    source: RecordSource,
    *,
    batch_size: int,
    seed: int,
    shuffle_buffer: int,
    position: Position = _START,
    host: int = 0,
    num_hosts: int = 1,
    mask: Mask | None = None,
    packing: Packing | None = None,
) -> tf.data.Dataset:
    """Endless batches, every record once an epoch, in an order by the seed.

    Each host reads files of its own, so its epochs and positions are its own,
    too; with fewer files than hosts each takes its share of the records of all.

    Args:
      source: the records.
      batch_size: rows of all hosts together.
      seed: of the order.
      shuffle_buffer: records from which the next is drawn.
      position: where to go on; the same seed, buffer, source and hosts then
        give the batches that would have followed.
      host: number of this host.
      num_hosts: among which the records are divided.
      mask: for records that are not masked yet, and only for those.
      packing: puts several instances into a row.

    Returns:
      Elements (features, position): features as int32 and float32 tensors
      [rows of this host, length], and the `Position` after the batch, int64
      [3]. Beside the features of `masked_features` there are row_weights [B],
      all 1, next_sentence_weights [B, 1] and, if packed, what `pack` adds.

    Raises:
      UserError: hosts without records.
    """
    _check_mask(source, mask)
    rows = _rows_of_host(batch_size, num_hosts)
    stream = RecordStream(source, seed, shuffle_buffer, host, num_hosts)
    stream.check()
    position = Position(*map(int, position))
    maker = _RowMaker(Parser(source), mask, packing, position, host, num_hosts)
    dataset = (
        stream.records(position)
        .batch(packing.window if packing else _BLOCK, drop_remainder=True)
        .map(maker.make_rows, tf.data.AUTOTUNE)
        .rebatch(rows, drop_remainder=True)
        .map(_finish_batch)
    )
    return _prefetched(dataset)


def evaluation_dataset(
    source: RecordSource,
    *,
    batch_size: int,
    host: int = 0,
    num_hosts: int = 1,
    max_batches: int | None = None,
    mask: Mask | None = None,
) -> tf.data.Dataset:
    """Every record once, in the order of the files.

    Args:
      source: the records.
      batch_size: rows of all hosts together; each host gets its part of every
        batch, so that all have as many batches.
      host: number of this host.
      num_hosts: among which batches are divided.
      max_batches: that are taken; None: all.
      mask: for records that are not masked yet, and only for those; they are
        masked as in epoch 0.

    Returns:
      Features as in `training_dataset`. The last batch is filled up with zeros,
      which row_weights (1 for a record) and the other weights tell.
    """
    _check_mask(source, mask)
    rows = _rows_of_host(batch_size, num_hosts)
    files = tf.data.Dataset.from_tensor_slices(list(source.files)).enumerate()
    records = files.flat_map(FileReader(source.compression).read)
    places = tf.data.Dataset.range(EPOCH_STEP)
    batches = tf.data.Dataset.zip(records, places).batch(batch_size)
    if max_batches is not None:
        batches = batches.take(max_batches)
    maker = _RowMaker(Parser(source), mask)

    @_UNCONVERTED
    def rows_of_host(
        records: tuple[tf.Tensor, tf.Tensor], places: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        mine = slice(host * rows, (host + 1) * rows)
        (serialized, origins), places = records, places[mine]
        features = maker.features((serialized[mine], origins[mine]), places)
        features["row_weights"] = tf.ones(tf.shape(places))
        return {name: _fill(rows, values) for name, values in features.items()}

    return _prefetched(batches.map(rows_of_host, tf.data.AUTOTUNE))


def padding_share(
    source: RecordSource,
    packing: Packing,
    *,
    num_records: int = 16384,
    mask: Mask | None = None,
) -> dict[str, float]:
    """How much of the rows is padding, with and without packing.

    Args:
      source: the records.
      packing: what is tried.
      num_records: that are looked at, from all files.
      mask: for records that are not masked yet.

    Returns:
      records, tokens, and of each way its rows and its padding, as a share of
      the positions.
    """
    _check_mask(source, mask)
    stream = RecordStream(source, 0, packing.window, 0, 1)
    maker = _RowMaker(Parser(source), mask)
    records = tokens = rows = 0
    sample = stream.records(_START, num_epochs=1).take(num_records)
    for record, place in sample.batch(packing.window):
        features = maker.features(record, place)
        features = {name: values.numpy() for name, values in features.items()}
        records += len(place)
        tokens += int(features["input_mask"].sum())
        rows += len(pack(features, packing.max_instances)["input_ids"])
    length = source.max_seq_length
    return {
        "records": records,
        "tokens": tokens,
        "rows": records,
        "packed_rows": rows,
        "padding_share": 1 - tokens / (records * length),
        "packed_padding_share": 1 - tokens / (max(rows, 1) * length),
    }


@dataclasses.dataclass(frozen=True)
class _RowMaker:
    """Serialized records -> rows, and the position after each."""

    parser: Parser
    mask: Mask | None
    packing: Packing | None = None
    position: Position = _START
    host: int = 0
    num_hosts: int = 1

    def features(
        self, record: tuple[tf.Tensor, tf.Tensor], place: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        """The features of masked records: [B, length]"""
        features = self.parser.parse(*record)
        if self.mask is not None:
            number = place % EPOCH_STEP * self.num_hosts + self.host
            features = self.mask(features, place // EPOCH_STEP, number)
        features["next_sentence_weights"] = tf.ones_like(
            features["next_sentence_labels"], tf.float32
        )
        return features

    @_UNCONVERTED
    def make_rows(
        self, record: tuple[tf.Tensor, tf.Tensor], place: tf.Tensor
    ) -> tuple[dict[str, tf.Tensor], tf.Tensor]:
        """The features of rows [R, length], and positions int64 [R, 3]."""
        features = self.features(record, place)
        epoch, number = place // EPOCH_STEP, place % EPOCH_STEP
        after = tf.stack([epoch, number + 1, tf.zeros_like(epoch)], axis=1)
        if self.packing is None:
            return features, after
        features = self._pack(features)
        rows = tf.shape(features["input_ids"], tf.int64)[0]
        within = tf.stack(
            [
                tf.fill([rows], epoch[0]),
                tf.fill([rows], number[0]),
                tf.range(1, rows + 1),
            ],
            axis=1,
        )
        positions = tf.concat([within[:-1], after[-1:]], axis=0)
        is_first = (epoch[0] == self.position.epoch) & (
            number[0] == self.position.record
        )
        used = tf.where(is_first, self.position.row, 0)
        features = {name: values[used:] for name, values in features.items()}
        return features, positions[used:]

    def _pack(self, features: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        widths = packed_widths(
            features["input_ids"].shape[1],
            features["masked_lm_ids"].shape[1],
            self.packing.max_instances,
        )
        names = list(features)

        def pack_values(*values: np.ndarray) -> list[np.ndarray]:
            instances = dict(zip(names, values, strict=True))
            rows = pack(instances, self.packing.max_instances)
            return [rows[name] for name in widths]

        outputs = tf.numpy_function(
            pack_values,
            list(features.values()),
            [feature_dtype(name) for name in widths],
            stateful=False,
        )
        rows = dict(zip(widths, outputs, strict=True))
        for name, values in rows.items():
            values.set_shape([None, widths[name]])
        return rows


def _finish_batch(
    features: dict[str, tf.Tensor], positions: tf.Tensor
) -> tuple[dict[str, tf.Tensor], tf.Tensor]:
    features["row_weights"] = tf.ones([positions.shape[0]])
    return features, positions[-1]


def _fill(rows: int, values: tf.Tensor) -> tf.Tensor:
    missing = rows - tf.shape(values)[0]
    values = tf.pad(values, [[0, missing]] + [[0, 0]] * (values.ndim - 1))
    values.set_shape([rows, *values.shape[1:]])
    return values


def _prefetched(dataset: tf.data.Dataset) -> tf.data.Dataset:
    options = tf.data.Options()
    # Hosts are told apart above.
    options.experimental_distribute.auto_shard_policy = (
        tf.data.experimental.AutoShardPolicy.OFF
    )
    # Its thread may sleep on for seconds when a dataset ends.
    options.autotune.enabled = False
    return dataset.prefetch(_BATCHES_AHEAD).with_options(options)


def _rows_of_host(batch_size: int, num_hosts: int) -> int:
    if batch_size % num_hosts:
        raise UserError(
            f"A batch of {batch_size} rows cannot be divided among {num_hosts} "
            f"hosts. Choose a multiple of {num_hosts}."
        )
    return batch_size // num_hosts


def _check_mask(source: RecordSource, mask: Mask | None) -> None:
    if not source.is_masked and mask is None:
        raise UserError(
            f"The records of {source.files[0]} are not masked yet: choose a "
            "masking other than none."
        )
    if source.is_masked and mask is not None:
        raise UserError(
            f"The records of {source.files[0]} are masked already and cannot "
            "be masked otherwise. Make them with --masking=none to mask while "
            "training."
        )
