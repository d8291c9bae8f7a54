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
    for line in lines or _typed_lines():
        line = line.rstrip("\r\n")
        if not line.strip():
            continue
        try:
            text = answer(line)
        except UserError as error:
            text = f"error: {error}"
        output.write(f"{text}\n")
        output.flush()


def _typed_lines() -> Iterable[str]:
    if isinstance(sys.stdin, io.TextIOWrapper):
        # A byte of another encoding must not end the session.
        sys.stdin.reconfigure(errors="replace")
    return sys.stdin
