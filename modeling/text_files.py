"""Lines of text from files as users name them: globs, gzip, stdin, gs://."""

from __future__ import annotations

import contextlib
import glob
import gzip
import os
import sys
import zlib
from collections.abc import Callable, Iterator, Sequence
from typing import BinaryIO

from modeling.errors import UserError

STDIN = "-"


def find_files(
    patterns: str,
    allow_stdin: bool = False,
    leave_out: Callable[[str], bool] = lambda path: False,
) -> list[str]:
    """Files of a comma-separated list of names and globs, in its order.

    Args:
      patterns: each may match several files, which come sorted.
      allow_stdin: whether "-" stands for standard input.
      leave_out: tells of what a glob matches that is not meant.

    Raises:
      UserError: a name or pattern that matches no file, or a directory.
    """
    files: list[str] = []
    for pattern in patterns.split(","):
        pattern = pattern.strip()
        if allow_stdin and pattern == STDIN:
            files.append(pattern)
            continue
        found = match_files(pattern)
        if found != [pattern]:
            found = [path for path in found if not leave_out(path)]
        if not found:
            raise UserError(f"Input: no file matches {pattern!r}.")
        for path in found:
            if os.path.isdir(path):
                raise UserError(
                    f"Input: {path} is a directory. Name its files, or use a "
                    f"pattern such as {os.path.join(path, '*.txt')}"
                )
        files += found
    return files


def read_lines(files: Sequence[str]) -> Iterator[str]:
    r"""Yields every line of the files, stripped as the original does.

    Lines end at "\n" only and every "\r" is deleted, also within a line.

    Raises:
      UserError: a file that cannot be read or is not UTF-8, with the line; or
        no line at all.
    """
    empty = True
    for path in files:
        with reading(path), open_file(path) as file:
            for number, raw in enumerate(file, 1):
                empty = False
                try:
                    line = raw.decode("utf-8")
                except UnicodeDecodeError as error:
                    raise decode_error(error, path, number) from error
                yield line.replace("\r", "").strip()
    if empty:
        names = ", ".join(map(display_name, files))
        raise UserError(f"The input has no lines: {names}")


def display_name(path: str) -> str:
    """What messages call a file."""
    return "standard input" if path == STDIN else path


def is_read_once(path: str) -> bool:
    """Whether a second reading would find nothing: standard input, a pipe."""
    if path == STDIN:
        return True
    is_plain = os.path.isfile(path) or os.path.isdir(path)
    return os.path.exists(path) and not is_plain


def open_file(path: str) -> BinaryIO:
    """Opens a file of `find_files`, decompressed if its name ends in .gz."""
    if path == STDIN:
        if sys.stdin is None:
            raise OSError("it is closed")
        return open(sys.stdin.fileno(), "rb", closefd=False)
    if "://" in path:
        import tensorflow as tf

        file = tf.io.gfile.GFile(path, "rb")
    else:
        file = open(path, "rb")
    return gzip.open(file, "rb") if path.endswith(".gz") else file


@contextlib.contextmanager
def reading(path: str) -> Iterator[None]:
    """Turns a failure to open or read a file into a `UserError`.

    Raises:
      UserError: the file cannot be read, or is not the gzip that its name
        promises.
    """
    try:
        yield
    except (OSError, EOFError, zlib.error) as error:
        reason = getattr(error, "strerror", None) or error
        raise UserError(
            f"Cannot read {display_name(path)}: {reason}"
        ) from error


def decode_error(
    error: UnicodeDecodeError, path: str, first_line: int
) -> UserError:
    """What to say of bytes that are not UTF-8, given the line they begin at."""
    data = error.object
    line = first_line + data.count(b"\n", 0, error.start)
    column = error.start - data.rfind(b"\n", 0, error.start)
    return UserError(
        f"{display_name(path)}, line {line}, byte {column}: not UTF-8 "
        f"(0x{data[error.start]:02x}). Convert the file, for instance with "
        "iconv."
    )


def match_files(pattern: str) -> list[str]:
    """Files that a name or glob matches, sorted."""
    if "://" in pattern:
        import tensorflow as tf

        return sorted(tf.io.gfile.glob(pattern))
    # A file may well have a bracket in its name.
    return [pattern] if os.path.exists(pattern) else sorted(glob.glob(pattern))
