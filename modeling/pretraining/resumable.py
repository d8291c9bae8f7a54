"""Files that grow for a long time, of which a killed run leaves a whole part.

What is appended counts only once the record beside the files says so; a run
that goes on cuts off the rest.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, BinaryIO

from absl import logging

from modeling.errors import UserError
from modeling.locks import locked
from modeling.output_files import is_refusal, sync, write_json

# A record costs a wait for the disk.
_SECONDS_BETWEEN_RECORDS = 1.0


class GrowingFiles:
    """Files that are appended to together.

    Args:
      record: path of the record of what counts.
      paths: of the files.
      settings: all that shapes their content, as JSON values. Files of a run
        with others are discarded.
      can_go_on: whether a run's last state can be gone on with.

    Attributes:
      state: what the last `count` was given, None for new files.
    """

    def __init__(
        self,
        record: str,
        paths: Sequence[str],
        settings: Mapping[str, Any],
        can_go_on: Callable[[dict[str, Any]], bool] = lambda state: True,
    ) -> None:
        self._record, self._can_go_on = record, can_go_on
        self._settings = json.loads(json.dumps(settings))
        sizes, self.state = self._restore(paths)
        self._files: dict[str, BinaryIO] = {}
        for path in paths:
            # Opened for update, as "a" would write after what is cut off.
            self._files[path] = file = open(
                path, "r+b" if sizes else "wb", buffering=1 << 20
            )
            file.truncate(sizes.get(path, 0))
            file.seek(0, os.SEEK_END)
        self._last_record = time.monotonic()

    def __enter__(self) -> GrowingFiles:
        return self

    def __exit__(self, *_: object) -> None:
        # After a full disk, what is still in the buffers cannot be written.
        with contextlib.suppress(OSError):
            for file in self._files.values():
                file.close()

    def append(self, path: str, data: Any) -> None:
        """Adds bytes to a file."""
        self._files[path].write(data)

    def count(self, state: Mapping[str, Any], now: bool = False) -> None:
        """Makes all that was appended count, now or when it is time again."""
        if not now and (
            time.monotonic() - self._last_record < _SECONDS_BETWEEN_RECORDS
        ):
            return
        sizes = {}
        for path, file in self._files.items():
            sync(file)
            sizes[path] = file.tell()
        write_json(
            self._record,
            {"settings": self._settings, "sizes": sizes, "state": state},
        )
        self._last_record = time.monotonic()

    def discard_record(self) -> None:
        """Forgets the run, when its files have their final names."""
        os.remove(self._record)

    def _restore(
        self, paths: Sequence[str]
    ) -> tuple[dict[str, int], dict[str, Any] | None]:
        record = read_json(self._record)
        if record is None:
            return {}, None
        sizes = record.get("sizes", {})
        if (
            record.get("settings") != self._settings
            or any(_size(path) < sizes.get(path, 0) for path in paths)
            or not self._can_go_on(record["state"])
        ):
            logging.warning(
                "Starting over: %s is of a run with other input or settings.",
                self._record,
            )
            return {}, None
        return sizes, record["state"]


@contextlib.contextmanager
def only_run(path: str, what: str) -> Iterator[None]:
    """Keeps every other run from the same files, until the block ends.

    Args:
      path: of a file to lock. The lock of a run that was killed is free.
      what: is written, for the message.

    Raises:
      UserError: another run holds the lock.
    """
    told = (
        f"Another run is writing {what}. Wait until it has ended, or write "
        "elsewhere."
    )
    with open(path, "wb") as file, locked(file.fileno(), told):
        try:
            yield
        finally:
            with contextlib.suppress(FileNotFoundError):
                os.remove(path)


def _size(path: str) -> int:
    return os.path.getsize(path) if os.path.exists(path) else -1


def read_json(path: str) -> dict[str, Any] | None:
    """The object in a file; None where there is no such file, or none whole."""
    try:
        with open(path, encoding="utf-8") as file:
            return json.load(file)
    except (FileNotFoundError, ValueError):
        return None


@contextlib.contextmanager
def writing(path: str) -> Iterator[None]:
    """Turns what a disk refuses into a `UserError` about `path`.

    Raises:
      UserError: no permission, no space left, a file too large.
    """
    try:
        yield
    except OSError as error:
        if not is_refusal(error):
            raise
        file = error.filename or path
        raise UserError(
            f"Cannot write {file}: {error.strerror}. Earlier outputs are "
            "unchanged; the same command goes on with what is finished."
        ) from error
