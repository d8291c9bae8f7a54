"""Answers to lines as they are typed."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable, Iterable
from typing import IO

from modeling.errors import UserError


def answer_lines(
    answer: Callable[[str], str],
    lines: Iterable[str] | None = None,
    output: IO[str] | None = None,
) -> None:
    """Writes an answer to each line at once; blank lines have none.

    What is wrong with a line is its answer.

    Args:
      answer: line -> text.
      lines: None: standard input.
      output: None: standard output.
    """
    output = output or sys.stdout
    if lines is None and isinstance(sys.stdin, io.TextIOWrapper):
        # Bytes that are no UTF-8 reach their line instead of ending the loop.
        sys.stdin.reconfigure(encoding="utf-8", errors="surrogateescape")
    for line in lines or sys.stdin:
        line = line.rstrip("\r\n")
        if not line.strip():
            continue
        try:
            _check_utf8(line)
            text = answer(line)
        except UserError as error:
            text = f"error: {error}"
        output.write(f"{text}\n")
        output.flush()


def _check_utf8(line: str) -> None:
    try:
        line.encode()
    except UnicodeEncodeError as error:
        byte = len(line[: error.start].encode()) + 1
        raise UserError(
            f"Not UTF-8 (byte {byte} of the line). Set the terminal to UTF-8, "
            "or convert the text, for instance with iconv."
        ) from error
