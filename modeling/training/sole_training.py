"""One training at a time in a directory."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

from modeling.locks import HAS_LOCKS, locked
from modeling.training.any_files import make_directory


@contextlib.contextmanager
def sole_training(directory: str) -> Iterator[None]:
    """Holds a directory: two trainings would remove each other's checkpoints.

    Remote directories are not held, nor those of systems without locks.

    Args:
      directory: made if it is not there, and removed if nothing was put in it.

    Raises:
      UserError: another process holds it.
      OSError: it cannot be made.
    """
    if not HAS_LOCKS or "://" in directory:
        yield
        return
    is_new = not os.path.isdir(directory)
    make_directory(directory)
    descriptor = os.open(directory, os.O_RDONLY)
    told = (
        f"Another process is training in {directory}. Wait until it has ended, "
        "or give another --output_dir."
    )
    try:
        with locked(descriptor, told):
            yield
    finally:
        os.close(descriptor)
        if is_new:
            with contextlib.suppress(OSError):  # not empty
                os.rmdir(directory)
