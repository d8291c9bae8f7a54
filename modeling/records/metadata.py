"""What records were made of, beside them, and whether it fits a training."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import json
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from modeling.errors import UserError
from modeling.records.files import metadata_names, opened

_VERSION = 1


@dataclasses.dataclass(frozen=True)
class RecordMetadata:
    """Everything that shaped a set of record files.

    Attributes:
      files: names of the files, without their directory.
      compression: "" or "GZIP", as `tf.data.TFRecordDataset` takes it.
      vocabulary: `digest` (`vocabulary_digest`), `size`, `do_lower_case`, the
        ids `pad_id`, `mask_id` and `never_masked`, and `replacements`, the
        ranges [first, last] of ids that random tokens are drawn from.
      options: lengths, seed, kind of sentence pairs and `masking`, whose
        `method` is "none" for records that the input pipeline masks.
      words: where words and spans come from.
      counts: documents, sentences, tokens, instances, masked tokens.
      text: digest of the text.
      version: of these fields.
    """

    files: list[str]
    compression: str
    vocabulary: dict[str, Any]
    options: dict[str, Any]
    words: dict[str, Any]
    counts: dict[str, int]
    text: str
    version: int = _VERSION

    def as_json(self) -> dict[str, Any]:
        """All fields as JSON values."""
        return dataclasses.asdict(self)


def vocabulary_digest(vocab: Mapping[str, int]) -> str:
    """Tells vocabularies apart: SHA-256 over the tokens and their ids."""
    entries = sorted((token_id, token) for token, token_id in vocab.items())
    return hashlib.sha256(json.dumps(entries).encode()).hexdigest()


def read_metadata(record_files: Sequence[str]) -> RecordMetadata | None:
    """What record files were made of; None where nothing beside them tells.

    Raises:
      UserError: files that do not belong together, one without metadata among
        those with, or metadata that cannot be read.
    """
    # Thousands of shards share a directory, and mostly one description.
    listed, read = functools.cache(metadata_names), functools.cache(_read)
    found = {path: _find(path, listed, read) for path in record_files}
    distinct = list(found.values())
    first = distinct[0] if distinct else None
    for path, metadata in found.items():
        if (metadata is None) != (first is None) or (
            metadata is not None and not _belong_together(metadata, first)
        ):
            raise UserError(
                f"The records {record_files[0]} and {path} were not made "
                "alike: their metadata files differ, or one has none. Train "
                "on files with the same vocabulary and options."
            )
    return first


def check_metadata(
    metadata: RecordMetadata,
    *,
    vocab_size: int,
    max_seq_length: int,
    max_predictions_per_seq: int,
    vocab_digest: str | None = None,
    do_lower_case: bool | None = None,
    sentence_pairs: str | None = None,
    masking: str | None = None,
) -> None:
    """Checks that records fit a model and its training.

    Args:
      metadata: of the records.
      vocab_size: rows of the model's embedding table.
      max_seq_length: of the training.
      max_predictions_per_seq: of the training; of no concern for records that
        are not masked yet.
      vocab_digest: of the model's vocabulary; None where it is not known, as in
        the rest.
      do_lower_case: whether the model is uncased.
      sentence_pairs: the objective: "nsp", "sop" or "none".
      masking: the method that the records must have; "none" for records that
        the input pipeline masks.

    Raises:
      UserError: all that does not fit, with what the records have.
    """
    options, vocabulary = metadata.options, metadata.vocabulary
    recorded = {
        "max_seq_length": (options["max_seq_length"], max_seq_length),
        "do_lower_case": (vocabulary["do_lower_case"], do_lower_case),
        "vocabulary (SHA-256)": (vocabulary["digest"], vocab_digest),
        "sentence_pairs": (options["sentence_pairs"], sentence_pairs),
        "masking": (options["masking"]["method"], masking),
    }
    if options["masking"]["method"] != "none":
        recorded["max_predictions_per_seq"] = (
            options["masking"]["max_predictions_per_seq"],
            max_predictions_per_seq,
        )
    # A table may be padded to more rows, which only the digest can tell from
    # another vocabulary.
    known = vocab_digest == vocabulary["digest"]
    if vocabulary["size"] > vocab_size or not known:
        recorded["vocab_size"] = (vocabulary["size"], vocab_size)
    problems = [
        f"{name} is {theirs!r} in the records, {ours!r} here"
        for name, (theirs, ours) in recorded.items()
        if ours is not None and ours != theirs
    ]
    if problems:
        raise UserError(
            "The records do not fit the model or the flags:\n  "
            + "\n  ".join(problems)
            + "\nMake records with the model's vocabulary and case, or give "
            "the flags that they were made with."
        )


def _find(
    record_file: str,
    listed: Callable[[str], list[str]],
    read: Callable[[str], RecordMetadata],
) -> RecordMetadata | None:
    directory, name = os.path.split(record_file)
    for path in listed(directory):
        metadata = read(path)
        if name in metadata.files:
            return metadata
    return None


def _read(path: str) -> RecordMetadata:
    try:
        with opened(path) as file:
            fields = json.load(file)
        if fields["version"] != _VERSION:
            raise ValueError(f"version {fields['version']}")
        return RecordMetadata(**fields)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(
            f"Cannot read the metadata {path}: {error}. Make the records anew, "
            "or remove the file to train without its checks."
        ) from error


def _belong_together(one: RecordMetadata, other: RecordMetadata) -> bool:
    return (one.compression, one.vocabulary, one.options["masking"]) == (
        other.compression,
        other.vocabulary,
        other.options["masking"],
    ) and all(
        one.options[name] == other.options[name]
        for name in ("max_seq_length", "sentence_pairs")
    )
