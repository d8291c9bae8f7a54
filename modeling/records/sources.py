"""Record files that a training reads, looked into before it starts."""

from __future__ import annotations

import concurrent.futures
import dataclasses
import gzip
import zlib
from collections.abc import Mapping, Sequence
from typing import BinaryIO, NamedTuple

import numpy as np

from modeling.errors import UserError
from modeling.records.crc32c import masked_crc32c
from modeling.records.files import opened
from modeling.records.schema import (
    Feature,
    masked_features,
    unmasked_features,
)

_GZIP_MAGIC = b"\x1f\x8b\x08"
_HEADER = 12
_FOOTER = 4
# Remote files take tens of milliseconds each to open.
_OPENED_AT_ONCE = 16


@dataclasses.dataclass(frozen=True)
class RecordSource:
    """Record files, and what each record of them holds.

    Attributes:
      files: names, in the order in which an evaluation reads them.
      compression: "" or "GZIP", as `tf.data.TFRecordDataset` takes it.
      features: `masked_features` or `unmasked_features`.
      vocab_size: of the model; records with other ids are an error.
    """

    files: tuple[str, ...]
    compression: str
    features: tuple[Feature, ...]
    vocab_size: int

    @property
    def is_masked(self) -> bool:
        """Whether the records hold predictions; else the pipeline masks."""
        return "masked_lm_positions" in self._lengths

    @property
    def max_seq_length(self) -> int:
        """Tokens of a record, with its padding."""
        return self._lengths["input_ids"]

    @property
    def max_predictions_per_seq(self) -> int | None:
        """Predictions of a record; None before it is masked."""
        return self._lengths.get("masked_lm_positions")

    @property
    def limits(self) -> dict[str, int]:
        """For every feature of integers the number that its values are below"""
        known = {
            "input_ids": self.vocab_size,
            "masked_lm_ids": self.vocab_size,
            "masked_lm_positions": self.max_seq_length,
            "joins": 4,
        }
        return {
            feature.name: known.get(feature.name, 2)
            for feature in self.features
            if feature.dtype == "int64"
        }

    @property
    def _lengths(self) -> dict[str, int]:
        return {feature.name: feature.length for feature in self.features}


def open_source(
    files: Sequence[str],
    *,
    vocab_size: int,
    max_seq_length: int | None = None,
    max_predictions_per_seq: int | None = None,
) -> RecordSource:
    """Looks at the first record of every file.

    Other people's records have no metadata, so all that can be known of a file
    is read off the file: compression, features, their types and lengths.

    Args:
      files: of `find_record_files`.
      vocab_size: rows of the model's embedding table.
      max_seq_length: that the records must have; None: whatever they have.
      max_predictions_per_seq: the same, of no concern before they are masked.

    Raises:
      UserError: a file that is empty, damaged or no TFRecord file, or a record
        that is no pre-training record, not like the others, not of the lengths
        asked for, or not of the model's vocabulary.

    Example:
      >>> files = find_record_files(["/data/tf_examples.tfrecord*"])
      >>> source = open_source(files, vocab_size=config.vocab_size)
      >>> source.max_seq_length
      128
    """
    with concurrent.futures.ThreadPoolExecutor(_OPENED_AT_ONCE) as pool:
        firsts = list(pool.map(_read_first_record, files))
    compression = firsts[0].compression
    for path, first in zip(files, firsts, strict=True):
        if first.compression != compression:
            raise UserError(
                f"{files[0]} is {_compression_name(compression)} and {path} is "
                f"{_compression_name(first.compression)}. Compress all record "
                "files or none."
            )
    examples = [
        _decode(path, first.data)
        for path, first in zip(files, firsts, strict=True)
    ]
    features = _schema_of(files[0], examples[0])
    source = RecordSource(tuple(files), compression, features, vocab_size)
    asked = {"max_seq_length": (max_seq_length, source.max_seq_length)}
    if source.is_masked:
        asked["max_predictions_per_seq"] = (
            max_predictions_per_seq,
            source.max_predictions_per_seq,
        )
    for flag, (ours, theirs) in asked.items():
        if ours is not None and ours != theirs:
            raise UserError(
                f"{files[0]}: its records have {flag}={theirs}. Received: "
                f"{flag}={ours}. Leave {flag} out to take it from the records, "
                "or make the records anew."
            )
    for path, example in zip(files, examples, strict=True):
        _check_example(path, example, source, files[0])
    return source


def range_error(
    place: str, name: str, value: int, source: RecordSource
) -> UserError:
    """What to say of a value of a record that cannot be."""
    if name in ("input_ids", "masked_lm_ids"):
        return UserError(
            f"{place}: {name} has the id {value}, but the model's vocabulary "
            f"has {source.vocab_size} entries, 0 to {source.vocab_size - 1}. "
            "Make the records with the vocabulary of the model, or train a "
            "model with the vocabulary of the records."
        )
    return UserError(
        f"{place}: {name} must be from 0 to {source.limits[name] - 1}. "
        f"Received: {value}. These are no pre-training records, or they are "
        "damaged: make them anew with create_pretraining_data.py."
    )


class _First(NamedTuple):
    """The bytes of a file's first record."""

    compression: str
    data: bytes


def _read_first_record(path: str) -> _First:
    try:
        with opened(path) as file:
            compression = "GZIP" if file.read(3) == _GZIP_MAGIC else ""
            file.seek(0)
            if compression:
                with gzip.GzipFile(fileobj=file) as unpacked:
                    return _First(compression, _first_frame(path, unpacked))
            return _First(compression, _first_frame(path, file))
    except (OSError, EOFError, zlib.error) as error:
        reason = getattr(error, "strerror", None) or error
        raise UserError(f"Cannot read the records {path}: {reason}.") from error


def _first_frame(path: str, file: BinaryIO) -> bytes:
    header = file.read(_HEADER)
    if not header:
        raise UserError(f"{path} has no records: it is empty. Leave it out.")
    if len(header) < _HEADER or not _is_intact(header[:8], header[8:]):
        raise UserError(
            f"{path} is no TFRecord file: it begins with {header!r}. Name "
            "files that create_pretraining_data.py wrote."
        )
    length = int.from_bytes(header[:8], "little")
    data = file.read(length + _FOOTER)
    if len(data) < length + _FOOTER:
        raise UserError(
            f"{path} ends within its first record. It was not written, or not "
            "copied, to its end: make or copy it anew."
        )
    if not _is_intact(data[:length], data[length:]):
        raise UserError(
            f"{path}: the first record is damaged, its checksum is not that of "
            "its content. Make or copy the file anew."
        )
    return data[:length]


def _is_intact(data: bytes, checksum: bytes) -> bool:
    if len(data) < 4:
        # Too short for a record of anything, which is told later.
        return True
    (expected,) = masked_crc32c(
        np.frombuffer(data, np.uint8), np.zeros(1, int), np.array([len(data)])
    )
    return int(expected) == int.from_bytes(checksum, "little")


def _compression_name(compression: str) -> str:
    return "gzipped" if compression else "not compressed"


def _decode(path: str, record: bytes) -> dict[str, np.ndarray]:
    """The features of a record: int64 or float32 [length], or bytes."""
    import tensorflow as tf
    from google.protobuf.message import DecodeError

    try:
        example = tf.train.Example.FromString(record)
    except DecodeError as error:
        raise UserError(
            f"{path}: the first record is no tf.train.Example. Name files that "
            "create_pretraining_data.py wrote."
        ) from error
    values = {}
    for name, feature in example.features.feature.items():
        kind = feature.WhichOneof("kind")
        dtype = {"int64_list": np.int64, "float_list": np.float32}.get(kind)
        values[name] = np.array(
            getattr(feature, kind).value if kind else [], dtype
        )
    return values


def _schema_of(
    path: str, example: Mapping[str, np.ndarray]
) -> tuple[Feature, ...]:
    """The features that a record like this one should have."""
    is_unmasked = "joins" in example and "masked_lm_positions" not in example
    expected = unmasked_features(1) if is_unmasked else masked_features(1, 1)
    missing = [f.name for f in expected if f.name not in example]
    if missing:
        raise UserError(
            f"{path}: the first record lacks {', '.join(missing)}. It has: "
            f"{', '.join(sorted(example)) or 'nothing'}. Name files that "
            "create_pretraining_data.py wrote."
        )
    length = len(example["input_ids"])
    if is_unmasked:
        return unmasked_features(length)
    return masked_features(length, len(example["masked_lm_positions"]))


def _check_example(
    path: str,
    example: Mapping[str, np.ndarray],
    source: RecordSource,
    first_file: str,
) -> None:
    place = f"{path}, record 1"
    for feature in source.features:
        if feature.name not in example:
            raise UserError(
                f"{place}: there is no {feature.name}, as there is in "
                f"{first_file}. Train on files that were made alike."
            )
        values = example[feature.name]
        if values.dtype != feature.dtype:
            kinds = {"int64": "int64", "float32": "float"}
            received = kinds.get(str(values.dtype), "bytes")
            raise UserError(
                f"{place}: {feature.name} must hold {kinds[feature.dtype]} "
                f"values. Received: {received}. Make the records anew with "
                "create_pretraining_data.py."
            )
        if len(values) != feature.length or not feature.length:
            raise UserError(
                f"{place}: {feature.name} must have {feature.length or 'some'} "
                f"values, as the first record of {first_file} says. Received: "
                f"{len(values)}. Train on files that were made alike."
            )
        limit = source.limits.get(feature.name)
        if limit is None:
            continue
        bad = values[(values < 0) | (values >= limit)]
        if bad.size:
            raise range_error(place, feature.name, int(bad[0]), source)
