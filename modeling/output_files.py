"""Writing files that are whole whenever they are there."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import IO, Any


def write_json(path: str, values: Mapping[str, Any]) -> None:
    """Writes an object to a file, in place of an earlier one once it is whole.

    Raises:
      OSError: the file cannot be written.
    """
    temporary = f"{path}.tmp"
    with open(temporary, "w", encoding="utf-8") as file:
        json.dump(values, file, indent=1)
        file.write("\n")
        sync(file)
    os.replace(temporary, path)


def sync(file: IO[Any]) -> None:
    """Hands a file's content to the disk before anything counts on it."""
    file.flush()
    os.fsync(file.fileno())
