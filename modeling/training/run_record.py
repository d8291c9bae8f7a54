"""The record of a run: a file of JSON lines, one an event."""

from __future__ import annotations

import json
import math
import os
import time
from typing import Any

from absl import logging

from modeling.training.any_files import append


class RunRecord:
    """Appends events to a file, behind those of earlier runs.

    Every line is an object with `event`, `time` (seconds since 1970) and
    `step`. A run that was killed may have left steps behind that its
    resumption takes again: the later lines count.

    A full disk costs lines, not the run: it is told in the log.

    Args:
      path: of the file.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._may_be_torn = True

    def write(self, event: str, step: int, **fields: Any) -> None:
        """Appends a line."""
        values = {"event": event, "time": time.time(), "step": step, **fields}
        # JSON has no such numbers; as strings, `float` reads them.
        line = json.dumps(_finite(values), default=str) + "\n"
        try:
            if self._may_be_torn:
                _cut_torn_line(self._path)
            self._may_be_torn = True
            append(self._path, line.encode())
            self._may_be_torn = False
        except OSError as error:
            logging.warning(
                "Not recorded in %s: the event %s of step %d (%s).",
                self._path,
                event,
                step,
                error.strerror or error,
            )


def _cut_torn_line(path: str) -> None:
    """Removes the part of a line that a killed run left at the end.

    Not of remote files, whose versions are whole.
    """
    if not os.path.exists(path):
        return
    with open(path, "rb+") as file:
        content = file.read()
        whole = content.rfind(b"\n") + 1
        if whole < len(content):
            file.truncate(whole)


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value
