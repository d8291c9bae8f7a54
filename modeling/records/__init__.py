"""What lies on disk: the schema of records, writing, reading, metadata."""

from modeling.records.files import find_record_files
from modeling.records.metadata import (
    RecordMetadata,
    check_metadata,
    read_metadata,
    vocabulary_digest,
)
from modeling.records.packing import Packing
from modeling.records.schema import (
    JOINS_SPAN,
    JOINS_WORD,
    Feature,
    masked_features,
    parse_spec,
    unmasked_features,
)
from modeling.records.sources import RecordSource, open_source
from modeling.records.tfrecord import compress, encode_records

__all__ = [
    "JOINS_SPAN",
    "JOINS_WORD",
    "Feature",
    "Packing",
    "RecordMetadata",
    "RecordSource",
    "check_metadata",
    "compress",
    "encode_records",
    "find_record_files",
    "masked_features",
    "open_source",
    "parse_spec",
    "read_metadata",
    "unmasked_features",
    "vocabulary_digest",
]
