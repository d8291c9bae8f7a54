"""Lines of text from files, globs and standard input, as they stream."""

from __future__ import annotations

import glob
import gzip
import os
import re
import sys
import zlib
from collections.abc import Iterator, Sequence
from typing import BinaryIO

from modeling.errors import UserError

STDIN = "-"

_PAIR = re.compile(r"^(.*) \|\|\| (.*)$")


def find_files(patterns: str) -> list[str]:
    """Files of a comma-separated list of names and globs; "-" is stdin.

    Raises:
      UserError: a name or pattern that matches no file, or a directory.
    """
    files: list[str] = []
    for pattern in patterns.split(","):
        pattern = pattern.strip()
        if pattern == STDIN:
            files.append(pattern)
            continue
        found = sorted(_glob(pattern))
        if not found:
            raise UserError(f"Input: no file matches {pattern!r}.")
        for path in found:
            if os.path.isdir(path):
                raise UserError(
                    f"Input: {path} is a directory. Name its files, or use a "
                    f"pattern such as {os.path.join(path, '*.txt')}"
                )
        files.extend(found)
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
        name = "standard input" if path == STDIN else path
        number = 0
        try:
            with _open(path) as file:
                for number, raw in enumerate(file, 1):
                    empty = False
                    yield _decode(raw, name, number)
        except (OSError, EOFError, zlib.error) as error:
            reason = getattr(error, "strerror", None) or error
            raise UserError(
                f"Cannot read {name} after line {number}: {reason}"
            ) from error
    if empty:
        raise UserError(f"The input has no lines: {', '.join(files)}")


def split_pair(line: str) -> tuple[str, str | None]:
    """`a ||| b` -> ("a", "b"), any other line -> (line, None)."""
    match = _PAIR.match(line)
    return (match[1], match[2]) if match else (line, None)


def _decode(raw: bytes, name: str, number: int) -> str:
    try:
        return raw.decode("utf-8").replace("\r", "").strip()
    except UnicodeDecodeError as error:
        raise UserError(
            f"{name}, line {number}, byte {error.start + 1}: not UTF-8 "
            f"(0x{raw[error.start]:02x}). Convert the file, for instance with "
            "iconv."
        ) from error


def _glob(pattern: str) -> list[str]:
    if "://" in pattern:
        import tensorflow as tf

        return tf.io.gfile.glob(pattern)
    # A file may well have a bracket in its name.
    return [pattern] if os.path.exists(pattern) else glob.glob(pattern)


def _open(path: str) -> BinaryIO:
    if path == STDIN:
        return open(sys.stdin.fileno(), "rb", closefd=False)
    if "://" in path:
        import tensorflow as tf

        file = tf.io.gfile.GFile(path, "rb")
    else:
        file = open(path, "rb")
    return gzip.open(file, "rb") if path.endswith(".gz") else file
