"""Arrays on disk, under a digest of everything that shaped them.

A directory a digest: a file without header for every array, and a description,
which tells their types. The directory gets its name when it is whole.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np
from absl import logging

from modeling.errors import UserError
from modeling.output_files import sync, whole_directory, write_json
from modeling.progress import Progress
from modeling.tasks.flat_arrays import ArraysT, are_starts

_DESCRIPTION = "examples.json"


class CacheEntry(NamedTuple):
    """What is wanted from a cache.

    Attributes:
      directory: holds a directory for every digest; made where it does not
        exist. Directories that are not wanted any more can be deleted.
      shaping: everything but the data that shapes the arrays, as JSON values.
      content: all of the data, in parts.
    """

    directory: str
    shaping: Mapping[str, Any]
    content: Iterable[Any]


def cached(
    kind: type[ArraysT],
    entry: CacheEntry,
    make: Callable[[], Iterable[tuple[int, ArraysT]]],
) -> ArraysT:
    """Makes arrays, or opens what an earlier run has made of the same.

    Args:
      kind: a named tuple of arrays, see `flat_arrays`.
      entry: where they are, and under which digest.
      make: gives them in parts, each with the number of its examples.

    Returns:
      The arrays, mapped from the files.

    Raises:
      UserError: nothing was made, or the disk takes no files.
    """
    digest = _digest(entry)
    directory = os.path.join(entry.directory, f"examples.{digest[:32]}")
    if os.path.exists(os.path.join(directory, _DESCRIPTION)):
        logging.info("The examples are tokenized already: %s", directory)
        return _open(kind, directory)
    with whole_directory(directory) as temporary:
        types = _write(kind, temporary, make())
        write_json(
            os.path.join(temporary, _DESCRIPTION),
            {"shaping": entry.shaping, "arrays": types},
        )
    return _open(kind, directory)


def _digest(entry: CacheEntry) -> str:
    shaping = json.dumps(entry.shaping, sort_keys=True)
    digest = hashlib.sha256(shaping.encode())
    for part in entry.content:
        digest.update(repr(part).encode("utf-8", "surrogatepass"))
    return digest.hexdigest()


def _write(
    kind: type[ArraysT],
    directory: str,
    parts: Iterable[tuple[int, ArraysT]],
) -> dict[str, list[Any]]:
    """Writes the arrays as they come; returns their types and inner shapes."""
    files = {name: open(_path(directory, name), "wb") for name in kind._fields}
    ends = {name: 0 for name in kind._fields if are_starts(name)}
    types: dict[str, list[Any]] = {}
    try:
        for name in ends:
            files[name].write(np.zeros(1, np.int64).tobytes())
        with Progress("Tokenizing", "examples") as progress:
            for count, arrays in parts:
                for name, array in arrays._asdict().items():
                    types[name] = [array.dtype.str, list(array.shape[1:])]
                    if name in ends:
                        array = array[1:] + ends[name]
                        ends[name] = (
                            int(array[-1]) if len(array) else ends[name]
                        )
                    files[name].write(array.tobytes())
                progress.advance(count)
        for file in files.values():
            sync(file)
    finally:
        for file in files.values():
            file.close()
    if not types:
        raise UserError("There are no examples to tokenize.")
    return types


def _open(kind: type[ArraysT], directory: str) -> ArraysT:
    path = os.path.join(directory, _DESCRIPTION)
    with open(path, encoding="utf-8") as file:
        arrays = json.load(file)["arrays"]
    return kind(
        **{
            name: _map(_path(directory, name), *arrays[name])
            for name in kind._fields
        }
    )


def _map(path: str, dtype: str, inner: list[int]) -> np.ndarray:
    if not os.path.getsize(path):
        # An empty file cannot be mapped.
        return np.zeros((0, *inner), dtype)
    values = np.memmap(path, dtype, mode="r")
    return values.reshape(-1, *inner) if inner else values


def _path(directory: str, name: str) -> str:
    return os.path.join(directory, f"{name}.bin")
