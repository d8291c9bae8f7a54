"""Names of record files, and of what lies beside them."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator, Sequence
from typing import BinaryIO

from modeling.errors import UserError, os_errors
from modeling.text_files import match_files

# Names that begin so are never matched by a pattern such as "examples*", which
# is how people name their records.
_METADATA, _REPORT, _PARTIAL, _CORPUS = (
    "metadata.",
    "report.",
    "partial.",
    "corpus.",
)


def shard_names(output_file: str, num_shards: int) -> list[str]:
    """The files of an output: itself, or NAME-00000-of-00008 and so on."""
    if num_shards == 1:
        return [output_file]
    return [
        f"{output_file}-{shard:05}-of-{num_shards:05}"
        for shard in range(num_shards)
    ]


def metadata_name(output_file: str) -> str:
    """Where an output is described."""
    return _beside(output_file, _METADATA) + ".json"


def metadata_names(directory: str) -> list[str]:
    """All descriptions of outputs in a directory."""
    return match_files(os.path.join(directory, f"{_METADATA}*.json"))


def report_name(output_file: str) -> str:
    """Where the report on an output's making goes."""
    return _beside(output_file, _REPORT) + ".json"


def partial_name(path: str) -> str:
    """What a file is called until it is whole."""
    return _beside(path, _PARTIAL)


def corpus_name(output_file: str) -> str:
    """The directory of an output's tokenized text."""
    return _beside(output_file, _CORPUS)


def lies_beside(path: str, outputs: Iterable[str]) -> bool:
    """Whether a file or directory is there for the sake of some output."""
    path = os.path.abspath(path)
    for output in map(os.path.abspath, outputs):
        partial = partial_name(output)
        if path.startswith(f"{partial}.") or path in (
            partial,
            metadata_name(output),
            report_name(output),
            corpus_name(output),
        ):
            return True
    return False


def _beside(path: str, prefix: str) -> str:
    directory, name = os.path.split(path)
    return os.path.join(directory, prefix + name)


def find_record_files(patterns: Sequence[str]) -> list[str]:
    """Record files that names and globs match, each pattern's sorted.

    Raises:
      UserError: no pattern, or one that matches no record file.
    """
    if not patterns:
        raise UserError("Records: no file was named. Received an empty list.")
    files: list[str] = []
    for pattern in patterns:
        found = [path for path in match_files(pattern) if _is_record(path)]
        if not found:
            raise UserError(f"Records: no file matches {pattern!r}.")
        files += found
    return files


@contextlib.contextmanager
def opened(path: str) -> Iterator[BinaryIO]:
    """Opens a file, here or in remote storage, to be read.

    Raises:
      OSError: it cannot be opened or read, wherever it lies.
    """
    if "://" not in path:
        with open(path, "rb") as file:
            yield file
        return
    import tensorflow as tf

    with os_errors(), tf.io.gfile.GFile(path, "rb") as file:
        yield file


def _is_record(path: str) -> bool:
    name = os.path.basename(path)
    if name.startswith((_METADATA, _REPORT, _PARTIAL)):
        return False
    if "://" not in path:
        return not os.path.isdir(path)
    import tensorflow as tf

    return not tf.io.gfile.isdir(path)
