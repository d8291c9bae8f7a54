"""Google's format: a TensorFlow checkpoint under the original's names.

A "V2" bundle, as `tf.compat.v1.train.Saver` writes and reads it: the files
`<prefix>.index` and `<prefix>.data-00000-of-00001`. Training checkpoints are
the same with the optimizer's slots (`<variable>/adam_m`) and `global_step`.
"""

from __future__ import annotations

import contextlib
import os
import re
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import tensorflow as tf

from modeling.checkpoints.reader import CheckpointReader, as_float32
from modeling.errors import UserError

# TensorFlow reports a cut file as IndexError, a damaged one as OpError.
_READ_ERRORS = (tf.errors.OpError, IndexError, RuntimeError, ValueError)
_SHARD = re.compile(r"\.data-(\d{5})-of-(\d{5})$")
_OBJECT_GRAPH = "_CHECKPOINTABLE_OBJECT_GRAPH"


class GoogleReader(CheckpointReader):
    """Reads `<prefix>.index` and its data files, local or remote (`gs://`).

    The files beside a remote checkpoint are not looked for: `config` and
    `vocab_file` are None.

    Raises:
      UserError: a file is missing, cut short, damaged, or not name-based.
    """

    format = "google"

    def __init__(self, prefix: str) -> None:
        if not tf.io.gfile.exists(f"{prefix}.index"):
            raise UserError(f"There is no file {prefix}.index.")
        _check_shards(prefix)
        try:
            self._reader = tf.compat.v1.train.NewCheckpointReader(prefix)
        except _READ_ERRORS as error:
            raise _damaged(f"{prefix}.index", error) from error
        shapes = self._reader.get_variable_to_shape_map()
        if _OBJECT_GRAPH in shapes:
            raise UserError(
                f"{prefix} was written by tf.train.Checkpoint, whose names are "
                "paths of Python objects, not of BERT's variables. Give a "
                "checkpoint in Google's format, a Hugging Face directory or a "
                "Keras file of ours instead."
            )
        directory = None if is_remote(prefix) else Path(prefix).parent
        super().__init__(
            prefix,
            {name: tuple(shapes[name]) for name in sorted(shapes)},
            directory,
        )

    def read(self, name: str) -> np.ndarray:
        if name not in self.shapes:
            raise KeyError(name)
        try:
            return as_float32(np.asarray(self._reader.get_tensor(name)))
        except _READ_ERRORS as error:
            raise _damaged(f"{self.path}.data-*", error, name) from error


def is_remote(path: str) -> bool:
    """Whether only `tf.io.gfile` can open a path (`gs://bucket/...`)."""
    return "://" in path


def write_google_checkpoint(
    prefix: str | os.PathLike[str], arrays: Mapping[str, np.ndarray]
) -> None:
    """Writes a checkpoint that TensorFlow 1 and 2 load by name.

    A checkpoint of that name is replaced only once the new one is complete,
    and the index comes last: readers look for it first.

    Args:
      prefix: of the files, such as `out/bert_model.ckpt`; local or remote.
      arrays: arrays by variable name; floating point is stored as float32.

    Raises:
      UserError: the files cannot be written.
    """
    prefix = os.fspath(prefix)
    temporary = f"{prefix}.tmp-{uuid.uuid4().hex}"
    names = sorted(arrays)  # the same bytes, whatever the order given
    try:
        with _errors_of_writing(prefix), tf.device("CPU:0"):
            tf.io.gfile.makedirs(os.path.dirname(prefix) or ".")
            tf.raw_ops.SaveV2(
                prefix=temporary,
                tensor_names=names,
                shape_and_slices=[""] * len(names),
                tensors=[
                    tf.convert_to_tensor(as_float32(np.asarray(arrays[name])))
                    for name in names
                ],
            )
            # The index numbers its data files and does not name them, so they
            # may be renamed. In this order "data" comes before "index".
            for path in sorted(_files_of(temporary)):
                suffix = path.removeprefix(temporary)
                tf.io.gfile.rename(path, prefix + suffix, overwrite=True)
    finally:
        for path in _files_of(temporary):
            tf.io.gfile.remove(path)


def _files_of(prefix: str) -> list[str]:
    # Not by pattern: a directory's name may hold the pattern's characters.
    directory, name = os.path.split(prefix)
    if not tf.io.gfile.isdir(directory or "."):
        return []
    return [
        os.path.join(directory, file)
        for file in tf.io.gfile.listdir(directory or ".")
        if file.startswith(f"{name}.")
    ]


def _check_shards(prefix: str) -> None:
    found = [
        _SHARD.fullmatch(p.removeprefix(prefix)) for p in _files_of(prefix)
    ]
    shards = {(int(m[1]), int(m[2])) for m in found if m}
    counts = {count for _, count in shards} or {1}
    missing = {
        count: [i for i in range(count) if (i, count) not in shards]
        for count in counts
    }
    # Shards of another count may lie there from an earlier write.
    if all(missing.values()):
        count, indices = min(missing.items(), key=lambda item: len(item[1]))
        raise UserError(
            f"{prefix}.data-{indices[0]:05}-of-{count:05} is missing beside "
            f"{os.path.basename(prefix)}.index, so the checkpoint has no "
            "weights. Copy or download all of its files."
        )


def _damaged(file: str, error: Exception, name: str = "") -> UserError:
    what = f"{name} cannot be read" if name else "it cannot be read"
    reason = str(error).strip().partition("\n")[0]
    return UserError(
        f"{file} is cut short or damaged: {what} ({reason}). Copy or download "
        "the checkpoint again."
    )


@contextlib.contextmanager
def _errors_of_writing(prefix: str) -> Iterator[None]:
    try:
        yield
    except (tf.errors.OpError, OSError) as error:
        reason = str(error).strip().partition("\n")[0]
        # Without the names of TensorFlow's operations.
        reason = re.sub(r"\{\{.*?\}\} *| *\[Op:.*", "", reason)
        raise UserError(
            f"Cannot write the checkpoint {prefix}: {reason}"
        ) from error
