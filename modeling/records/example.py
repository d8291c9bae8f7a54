"""Serialized `tf.train.Example`s of fixed-length features, a batch at a time.

A batch is laid out as a matrix of bytes, a row a record, in which a number has
room for the longest varint of its column; a second matrix tells the bytes that
count. One selection then gives all records, end to end.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np

from modeling.records.schema import Feature

# Tags of tensorflow/core/example's messages, all of which are length-delimited:
# field 1 of Example, Features, Int64List, FloatList and a map's entry; an
# entry's value; the two kinds of list that a Feature can hold here.
_FIELD_1 = b"\x0a"
_VALUE = b"\x12"
_LIST = {"int64": b"\x1a", "float32": b"\x12"}


def encode_examples(
    columns: Mapping[str, np.ndarray],
    features: Sequence[Feature],
    before: int = 0,
    after: int = 0,
) -> tuple[np.ndarray, np.ndarray]:
    """Serializes a batch to the bytes that the protocol buffer library writes.

    Args:
      columns: [B, length] for every feature.
      features: what a record holds.
      before: bytes left free before every record, for its frame.
      after: bytes left free after it.

    Returns:
      data: uint8 [bytes of all records and their frames]
      lengths: int64 [B], of the records without their frames.

    Raises:
      ValueError: a column of another shape, or a negative integer.
    """
    rows = len(columns[features[0].name])
    entries = [_entry(columns[f.name], f, rows) for f in features]
    example = _Message(
        [part for entry in entries for part in entry.parts],
        sum(entry.sizes for entry in entries),
    ).wrap(_FIELD_1)
    parts = [
        _constant(bytes(before), rows),
        *example.parts,
        _constant(bytes(after), rows),
    ]
    data = np.concatenate([part.bytes for part in parts], axis=1)
    counts = np.concatenate([part.counts for part in parts], axis=1)
    return data[counts], example.sizes


@dataclasses.dataclass
class _Part:
    """A piece of every record.

    Attributes:
      bytes: uint8 [B, widest]
      counts: which of the bytes count: bool [B, widest]
    """

    bytes: np.ndarray
    counts: np.ndarray


@dataclasses.dataclass
class _Message:
    """A message of every record, with sizes: int64 [B]."""

    parts: list[_Part]
    sizes: np.ndarray

    def wrap(self, prefix: bytes) -> _Message:
        """The message behind a tag and its length."""
        start = _constant(prefix, len(self.sizes))
        length = _varints(self.sizes[:, None])
        extra = len(prefix) + length.counts.sum(axis=1)
        return _Message([start, length, *self.parts], self.sizes + extra)


def _entry(values: np.ndarray, feature: Feature, rows: int) -> _Message:
    """An entry of the map in Features."""
    if values.shape != (rows, feature.length):
        raise ValueError(
            f"{feature.name} must have the shape {(rows, feature.length)}. "
            f"Received: {values.shape}"
        )
    if feature.dtype == "float32":
        payload = _floats(values)
    elif values.min() < 0:
        raise ValueError(
            f"{feature.name} must not be negative. Received: {values.min()}"
        )
    else:
        payload = _varints(values)
    key = feature.name.encode()
    return (
        _Message([payload], payload.counts.sum(axis=1))
        .wrap(_FIELD_1)
        .wrap(_LIST[feature.dtype])
        .wrap(_FIELD_1 + bytes([len(key)]) + key + _VALUE)
        .wrap(_FIELD_1)
    )


def _constant(content: bytes, rows: int) -> _Part:
    shape = (rows, len(content))
    row = np.frombuffer(content, np.uint8)
    return _Part(np.broadcast_to(row, shape), np.ones(shape, bool))


def _floats(values: np.ndarray) -> _Part:
    content = values.astype("<f4").view(np.uint8)
    return _Part(content, np.ones(content.shape, bool))


def _varints(values: np.ndarray) -> _Part:
    """Seven bits a byte, the lowest first; the top bit says that more follow"""
    width = max(1, -(-int(values.max(initial=0)).bit_length() // 7))
    if width == 1:
        content = values.astype(np.uint8)
        return _Part(content, np.ones(content.shape, bool))
    values = values.astype(np.uint16 if width == 2 else np.uint64)
    content = np.empty((*values.shape, width), np.uint8)
    counts = np.empty(content.shape, bool)
    more = np.ones(values.shape, bool)
    for k in range(width):
        counts[..., k] = more
        more = values > 0x7F
        content[..., k] = values & 0x7F | more.astype(np.uint8) << 7
        values = values >> 7
    shape = (len(values), -1)
    return _Part(content.reshape(shape), counts.reshape(shape))
