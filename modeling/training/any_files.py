"""Directories and copies of files, local or remote, with Python's errors."""

from __future__ import annotations

import tensorflow as tf

from modeling.errors import os_errors
from modeling.output_files import remove_file


def make_directory(path: str) -> None:
    """Makes a directory and those above it, where they are not there yet.

    Raises:
      OSError: it cannot be made.
    """
    with os_errors():
        tf.io.gfile.makedirs(path)


def copy_whole(path: str, target: str) -> None:
    """Copies a file in place of an earlier one, once the copy is whole.

    Raises:
      OSError: it cannot be copied; an earlier file is then as it was.
    """
    temporary = f"{target}.tmp"
    try:
        with os_errors():
            tf.io.gfile.copy(path, temporary, overwrite=True)
            tf.io.gfile.rename(temporary, target, overwrite=True)
    except OSError:
        remove_file(temporary)
        raise


def append(path: str, line: bytes) -> None:
    """Adds to the end of a file.

    Raises:
      OSError: it cannot be written.
    """
    if "://" not in path:
        with open(path, "ab") as file:
            file.write(line)
        return
    with os_errors(), tf.io.gfile.GFile(path, "ab") as file:
        file.write(line)
