"""Output that appears under its name only when whole, and can be resumed.

While a run lasts, what it has finished lies in `NAME.partial`, and
`NAME.progress` says how much of that counts: a record is written first and
counted after, so that a run killed at any moment leaves a partial output whose
counted part is whole. A resumed run cuts off the rest and goes on.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from typing import Any

from absl import logging

from modeling.errors import UserError
from modeling.output_files import write_json


class PartialOutput:
    """The counted part of a partial output.

    Args:
      path: name of the whole output.
      settings: everything that shapes the output, as JSON values. A resumed
        run must have the same.
      resume: whether to go on with what an interrupted run left.

    Attributes:
      partial: name of the output while it is not whole.
      lines: input lines whose output counts.
      state: what the kind of output needs to know to go on.

    Raises:
      UserError: the interrupted run had other settings.
    """

    def __init__(
        self, path: str, settings: Mapping[str, Any], resume: bool
    ) -> None:
        self.path = path
        self.partial = f"{path}.partial"
        self.lines = 0
        self.state: dict[str, Any] = {}
        self._file = f"{path}.progress"
        self._settings = json.loads(json.dumps(settings))
        if resume:
            self._restore()
        else:
            self._discard()

    def count(self, lines: int, **state: Any) -> None:
        """Makes what was written so far count."""
        self.lines += lines
        self.state = state
        write_json(
            self._file,
            {"lines": self.lines, "state": state, "settings": self._settings},
        )

    def finish(self) -> None:
        """Gives the output its name, in place of an earlier one."""
        if os.path.isdir(self.path):
            # A directory is never replaced in one step: the old one steps
            # aside first.
            old = f"{self.path}.old"
            shutil.rmtree(old, ignore_errors=True)
            os.replace(self.path, old)
            os.replace(self.partial, self.path)
            shutil.rmtree(old, ignore_errors=True)
        else:
            os.replace(self.partial, self.path)
        with contextlib.suppress(FileNotFoundError):
            os.remove(self._file)

    def _discard(self) -> None:
        if os.path.exists(self._file):
            logging.warning(
                "Starting over: %s of an interrupted run is discarded. "
                "(--resume would go on with it.)",
                self.partial,
            )
            os.remove(self._file)
        if os.path.isdir(self.partial):
            shutil.rmtree(self.partial)
        elif os.path.exists(self.partial):
            os.remove(self.partial)

    def _restore(self) -> None:
        try:
            with open(self._file, encoding="utf-8") as file:
                saved = json.load(file)
        except FileNotFoundError:
            logging.info("No interrupted run of %s: starting.", self.path)
            return
        except ValueError as error:
            raise UserError(
                f"{self._file} is damaged, so the run cannot be resumed. Start "
                "it without --resume."
            ) from error
        differences = [
            f"{key} was {saved['settings'].get(key)!r}, is {value!r}"
            for key, value in self._settings.items()
            if saved["settings"].get(key) != value
        ]
        if differences:
            raise UserError(
                f"The interrupted run of {self.path} had other settings, so it "
                "cannot be resumed. Repeat them, or start without --resume.\n  "
                + "\n  ".join(differences)
            )
        if not os.path.exists(self.partial):
            raise UserError(
                f"{self._file} tells of an interrupted run, but {self.partial} "
                "is gone. Start without --resume."
            )
        self.lines, self.state = saved["lines"], saved["state"]
        logging.info("Resuming after line %d.", self.lines)


@contextlib.contextmanager
def writing(path: str) -> Iterator[None]:
    """Turns a failure to write into a `UserError` about `path`.

    Raises:
      UserError: no such directory, no permission, no space left.
    """
    try:
        yield
    except OSError as error:
        raise UserError(
            f"Cannot write {path}: {error.strerror or error}. Nothing that "
            "existed was changed; what is finished can be gone on with by "
            "--resume."
        ) from error
