"""Serialized records -> checked tensors, and what to say of those that fail."""

from __future__ import annotations

import dataclasses
import functools
import re

import numpy as np
import tensorflow as tf

from modeling.errors import UserError, without_operations
from modeling.records.schema import parse_spec
from modeling.records.sources import RecordSource, range_error

# A record's origin is one number: its file's in the source, times this, plus
# its own in the file.
FILE_STEP = 1 << 40


@dataclasses.dataclass(frozen=True)
class Parser:
    """Parses batches of records, in the graph.

    Attributes:
      source: what the records hold.
    """

    source: RecordSource

    def parse(
        self, records: tf.Tensor, origins: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        """Features as int32 and float32 [B, length].

        Args:
          records: serialized: string [B]
          origins: where they come from: int64 [B]
        """
        names = tf.strings.join(
            [
                tf.gather(self.source.files, origins // FILE_STEP),
                ", record ",
                tf.strings.as_string(origins % FILE_STEP + 1),
            ]
        )
        features = tf.io.parse_example(
            records, parse_spec(self.source.features), names
        )
        # One matrix, checked and cast at once: a fifth of the operations.
        integers = list(self.source.limits)
        widths = [features[name].shape[-1] for name in integers]
        values = tf.concat([features[name] for name in integers], axis=1)
        limits = np.repeat(list(self.source.limits.values()), widths)
        fits = tf.reduce_all((values >= 0) & (values < limits))
        values = tf.cond(
            fits,
            lambda: tf.cast(values, tf.int32),
            lambda: self._report(values, names),
        )
        values.set_shape([records.shape[0], sum(widths)])
        parts = tf.split(values, widths, axis=1)
        return {**features, **dict(zip(integers, parts, strict=True))}

    def _report(self, values: tf.Tensor, names: tf.Tensor) -> tf.Tensor:
        return tf.numpy_function(
            functools.partial(_raise_range_error, self.source),
            [values, names],
            tf.int32,
        )


def _raise_range_error(
    source: RecordSource, values: np.ndarray, names: np.ndarray
) -> np.ndarray:
    column = 0
    for feature in source.features:
        limit = source.limits.get(feature.name)
        if limit is None:
            continue
        part = values[:, column : column + feature.length]
        column += feature.length
        rows, columns = np.nonzero((part < 0) | (part >= limit))
        if rows.size:
            place = names[rows[0]].decode()
            value = int(part[rows[0], columns[0]])
            raise range_error(place, feature.name, value, source)
    raise AssertionError("all values are in range")


# Of what a function in the graph raises, the message is all that comes through.
_RAISED = re.compile(r"UserError: (.*?)\s*\nTraceback \(most", re.DOTALL)
_PARSE = re.compile(
    r"Name: (.*?), (?:Feature|Key): (\w+)(?:, Index: \d+)?\.?\s*(.*)"
)
_NOT_EXAMPLE = "Could not parse example input"


def input_error(
    error: Exception, source: RecordSource | None = None
) -> UserError | None:
    """What to tell the user of an error that came out of a data set of records.

    Args:
      error: that the iterator, or a step that takes from it, raised.
      source: where the records come from. With it a damaged file is looked for,
        which takes as long as reading all files up to it.

    Returns:
      None if the error is about something else.
    """
    if not isinstance(error, tf.errors.OpError):
        return None
    if isinstance(error, tf.errors.DataLossError):
        return _damage_error(error, source)
    if isinstance(error, tf.errors.InvalidArgumentError):
        return _value_error(error.message)
    return None


def _value_error(message: str) -> UserError | None:
    raised = _RAISED.search(message)
    if raised:
        return UserError(raised[1])
    parse = _PARSE.search(message)
    if parse:
        place, name, reason = parse.groups()
        return UserError(
            f"{place}: {name} is not as in the first record: "
            f"{reason.rstrip('.')}. Train on files that were made alike."
        )
    if _NOT_EXAMPLE in message:
        return UserError(
            "The records hold something that is no tf.train.Example. Name "
            "files that create_pretraining_data.py wrote."
        )
    return None


def _damage_error(
    error: tf.errors.DataLossError, source: RecordSource | None
) -> UserError:
    path, reason = None, without_operations(error.message)
    if source is not None:
        path, reason = _find_damage(source) or (None, reason)
    return UserError(
        f"{path or 'A record file'} is damaged: {reason}. It was changed, or "
        "not written or copied to its end: make or copy it anew, or leave it "
        "out."
    )


def _find_damage(source: RecordSource) -> tuple[str, str] | None:
    for path in source.files:
        try:
            for _ in tf.data.TFRecordDataset(path, source.compression).batch(
                1024
            ):
                pass
        except tf.errors.OpError as error:
            return path, without_operations(error.message)
    return None
