"""Encoded examples on disk, under a digest of everything that shaped them."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import shutil
import uuid
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from absl import logging

from modeling.errors import UserError
from modeling.output_files import sync, write_json
from modeling.progress import Progress
from modeling.tasks.classification.encoding import (
    EncodedExamples,
    ExampleEncoder,
    stream,
)
from modeling.tasks.classification.examples import InputExample

# Goes up with every change of what the same examples become.
_VERSION = 1
_DESCRIPTION = "examples.json"


def encode_cached(
    encoder: ExampleEncoder,
    examples: Iterable[InputExample],
    cache_dir: str,
    num_workers: int = 1,
) -> EncodedExamples:
    """Encodes examples, or opens what an earlier run has made of the same.

    Memory holds a few hundred examples at a time, however many there are.

    Args:
      encoder: makes rows of the examples.
      examples: iterated over twice, first for their digest.
      cache_dir: holds a directory for every digest; made where it does not
        exist. Directories that are not wanted any more can be deleted.
      num_workers: processes that tokenize.

    Returns:
      The examples, mapped from the files.

    Raises:
      UserError: an example with an unknown label, or a directory that cannot
        be written.
    """
    shaping = _shaping(encoder)
    digest = _digest(examples, shaping)
    directory = os.path.join(cache_dir, f"examples.{digest[:32]}")
    if os.path.exists(os.path.join(directory, _DESCRIPTION)):
        logging.info("The examples are tokenized already: %s", directory)
        return _open(directory)
    try:
        temporary = os.path.join(cache_dir, f"partial.{uuid.uuid4().hex}")
        os.makedirs(temporary)
    except OSError as error:
        raise UserError(
            f"Cannot write the cache {cache_dir}: {error.strerror}"
        ) from error
    try:
        _write(temporary, encoder, examples, shaping, num_workers)
        _move(temporary, directory)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return _open(directory)


def _shaping(encoder: ExampleEncoder) -> dict[str, Any]:
    return {
        "version": _VERSION,
        "tokenizer": encoder.tokenizer.digest(),
        "labels": dataclasses.asdict(encoder.labels),
        "options": dataclasses.asdict(encoder.options),
    }


def _digest(
    examples: Iterable[InputExample], shaping: Mapping[str, Any]
) -> str:
    digest = hashlib.sha256(json.dumps(shaping, sort_keys=True).encode())
    for example in examples:
        parts = example.text_a, example.text_b, example.label
        digest.update(repr(parts).encode("utf-8", "surrogatepass"))
    return digest.hexdigest()


def _write(
    directory: str,
    encoder: ExampleEncoder,
    examples: Iterable[InputExample],
    shaping: Mapping[str, Any],
    num_workers: int,
) -> None:
    files = {
        name: open(os.path.join(directory, f"{name}.bin"), "wb")
        for name in EncodedExamples._fields
    }
    ends = {"row_starts": 0, "example_starts": 0}
    types: dict[str, list[Any]] = {}
    try:
        for name in ends:
            files[name].write(np.zeros(1, np.int64).tobytes())
        with Progress("Tokenizing", "examples") as progress:
            for chunk, encoded in stream(encoder, examples, num_workers):
                for name, array in encoded._asdict().items():
                    types[name] = [array.dtype.str, list(array.shape[1:])]
                    if name in ends:
                        array = array[1:] + ends[name]
                        ends[name] = int(array[-1])
                    files[name].write(array.tobytes())
                progress.advance(len(chunk))
        for file in files.values():
            sync(file)
    finally:
        for file in files.values():
            file.close()
    if not types:
        raise UserError("There are no examples to tokenize.")
    write_json(
        os.path.join(directory, _DESCRIPTION),
        {"shaping": shaping, "arrays": types},
    )


def _move(temporary: str, directory: str) -> None:
    """Puts a whole directory in its place, unless another run was faster."""
    try:
        os.rename(temporary, directory)
    except OSError:
        if not os.path.exists(os.path.join(directory, _DESCRIPTION)):
            raise


def _open(directory: str) -> EncodedExamples:
    path = os.path.join(directory, _DESCRIPTION)
    with open(path, encoding="utf-8") as file:
        arrays = json.load(file)["arrays"]
    return EncodedExamples(
        *(
            _map(os.path.join(directory, f"{name}.bin"), *arrays[name])
            for name in EncodedExamples._fields
        )
    )


def _map(path: str, dtype: str, inner: list[int]) -> np.ndarray:
    values = np.memmap(path, dtype, mode="r")
    return values.reshape(-1, *inner) if inner else values
