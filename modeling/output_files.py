"""Writing files and directories that are whole whenever they are there."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import shutil
import uuid
from collections.abc import Iterator, Mapping
from typing import IO, Any

from modeling.errors import UserError, os_errors

# What a user can change about a disk, a directory or a quota.
_REFUSED = {
    errno.EACCES,
    errno.EDQUOT,
    errno.EEXIST,
    errno.EFBIG,
    errno.EIO,
    errno.EISDIR,
    errno.ENAMETOOLONG,
    errno.ENOSPC,
    errno.ENOTDIR,
    errno.EPERM,
    errno.EROFS,
}


def is_refusal(error: OSError) -> bool:
    """Whether a disk refuses; any other error of a file is a defect of ours."""
    return error.errno in _REFUSED


def check_can_write(directory: str, flag: str) -> None:
    """Tells early, and without writing, of a directory that takes no files.

    Args:
      directory: which need not be there yet; remote ones are not looked at.
      flag: that names it.

    Raises:
      UserError: a file is in its place, or it is not the user's to write to.
    """
    if "://" in directory:
        return
    existing = os.path.abspath(directory)
    while not os.path.lexists(existing):
        existing = os.path.dirname(existing)
    if os.path.isdir(existing) and os.access(existing, os.W_OK | os.X_OK):
        return
    reason = "cannot be written to"
    if not os.path.isdir(existing):
        reason = "is not a directory"
    raise UserError(
        f"--{flag}={directory}: {existing} {reason}. Name a directory in which "
        "files may be made."
    )


def write_json(path: str, values: Mapping[str, Any]) -> None:
    """Writes an object to a file, in place of an earlier one once it is whole.

    Raises:
      OSError: the file cannot be written.
    """
    with whole_file(path) as file:
        json.dump(values, file, indent=1)
        file.write("\n")


def write_results(path: str, values: Mapping[str, Any]) -> None:
    """Writes `key = value` lines by sorted key, as every `eval_results.txt`.

    Raises:
      OSError: the file cannot be written.
    """
    with whole_file(path) as file:
        for key in sorted(values):
            file.write(f"{key} = {values[key]!s}\n")


@contextlib.contextmanager
def telling(path: str) -> Iterator[None]:
    """Turns a failure to write into a `UserError`.

    Args:
      path: what is written, or the directory of several files; named where the
        failure does not name a file itself.

    Raises:
      UserError: a file cannot be written.
    """
    try:
        yield
    except OSError as error:
        raise UserError(
            f"Cannot write {error.filename2 or error.filename or path}: "
            f"{error.strerror or error}. Is there space, and may you write "
            "there?"
        ) from error


def remove_file(path: str) -> None:
    """Removes a file, local or remote, where there is one.

    Raises:
      OSError: it cannot be removed.
    """
    if "://" not in path:
        with contextlib.suppress(FileNotFoundError):
            os.remove(path)
        return
    import tensorflow as tf

    with os_errors():
        if tf.io.gfile.exists(path):
            tf.io.gfile.remove(path)


@contextlib.contextmanager
def whole_file(path: str) -> Iterator[IO[str]]:
    """A text file that takes its name when it is whole; local or remote.

    Where writing it fails, an earlier file of the name stays as it was.

    Raises:
      OSError: the file cannot be written.
    """
    if "://" in path:
        with _whole_remote_file(path) as file:
            yield file
        return
    temporary = f"{path}.tmp"
    try:
        with open(temporary, "w", encoding="utf-8", newline="\n") as file:
            yield file
            sync(file)
        os.replace(temporary, path)
    except BaseException as error:
        with contextlib.suppress(FileNotFoundError):
            os.remove(temporary)
        if isinstance(error, OSError) and error.filename is None:
            # A full disk does not say of which file.
            error.filename = path
        raise


@contextlib.contextmanager
def whole_directory(path: str) -> Iterator[str]:
    """A directory to write to, which takes its name when it is whole.

    Its parents are made. Where another process was faster with the same, that
    one's stays.

    Raises:
      UserError: something cannot be written.
    """
    parent = os.path.dirname(path)
    temporary = os.path.join(parent, f"partial.{uuid.uuid4().hex}")
    try:
        with telling(parent):
            os.makedirs(parent, exist_ok=True)
            os.mkdir(temporary)
            yield temporary
            try:
                os.rename(temporary, path)
            except OSError:
                if not os.path.isdir(path):
                    raise
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


@contextlib.contextmanager
def _whole_remote_file(path: str) -> Iterator[IO[str]]:
    import tensorflow as tf

    temporary = f"{path}.tmp"
    with os_errors():
        with tf.io.gfile.GFile(temporary, "w") as file:
            yield file
        tf.io.gfile.rename(temporary, path, overwrite=True)


def sync(file: IO[Any]) -> None:
    """Hands a file's content to the disk before anything counts on it."""
    file.flush()
    os.fsync(file.fileno())
