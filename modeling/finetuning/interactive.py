"""Answers to lines as they are typed."""

from __future__ import annotations

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
    for line in lines or sys.stdin:
        line = line.rstrip("\r\n")
        if not line.strip():
            continue
        try:
            text = answer(line)
        except UserError as error:
            text = f"error: {error}"
        output.write(f"{text}\n")
        output.flush()
