"""Writing several files as one: all of them appear, or none."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from modeling.errors import UserError

# Readers recognise a checkpoint by these files, so they arrive last.
_LAST = (".index", ".json")


@contextlib.contextmanager
def staged_directory(directory: Path) -> Iterator[Path]:
    """A temporary directory whose files move to `directory` on success.

    Raises:
      UserError: something cannot be written, say because the disk is full.
        What was in `directory` is then as it was.
    """
    created = not directory.exists()
    try:
        directory.mkdir(parents=True, exist_ok=True)
        # Inside, because a move is atomic only within one file system.
        staging = Path(tempfile.mkdtemp(prefix=".writing-", dir=directory))
    except OSError as error:
        raise _cannot_write(directory, error) from error
    try:
        yield staging
        for path in sorted(staging.iterdir(), key=_order):
            os.replace(path, directory / path.name)
    except OSError as error:
        raise _cannot_write(directory, error) from error
    finally:
        shutil.rmtree(staging, ignore_errors=True)
        if created:
            with contextlib.suppress(OSError):  # not empty: it succeeded
                directory.rmdir()


def check_space(directory: Path, size: int) -> None:
    """Tells before the work starts of a disk that is too full.

    HDF5, which cannot write, would end the process.

    Args:
      directory: which need not be there yet.
      size: of what is to be written, in bytes.

    Raises:
      UserError: there is less space.
    """
    existing = directory.absolute()
    while not existing.exists():
        existing = existing.parent
    free = shutil.disk_usage(existing).free
    if free < size:
        raise UserError(
            f"The weights take {size:,} bytes, but the disk of {directory} has "
            f"{free:,} left. Make room, or name a directory elsewhere."
        )


def _order(path: Path) -> tuple[bool, str]:
    return path.name.endswith(_LAST), path.name


def _cannot_write(directory: Path, error: OSError) -> UserError:
    return UserError(f"Cannot write to {directory}: {error}")
