"""One training at a time in a directory."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

from modeling.errors import UserError
from modeling.training.any_files import make_directory

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None


@contextlib.contextmanager
def sole_training(directory: str) -> Iterator[None]:
    """Holds a directory: two trainings would remove each other's checkpoints.

    The system lets go of it when the process ends, in whatever way. Remote
    directories are not held, nor those of systems that know no such locks.

    Args:
      directory: made if it is not there, and removed if nothing was put in it.

    Raises:
      UserError: another process holds it.
      OSError: it cannot be made.
    """
    if fcntl is None or "://" in directory:
        yield
        return
    is_new = not os.path.isdir(directory)
    make_directory(directory)
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        _lock(descriptor, directory)
        yield
    finally:
        # Closing it is not enough while processes live that were forked since.
        with contextlib.suppress(OSError):
            fcntl.flock(descriptor, fcntl.LOCK_UN)
        os.close(descriptor)
        if is_new:
            with contextlib.suppress(OSError):  # not empty
                os.rmdir(directory)


def _lock(descriptor: int, directory: str) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise UserError(
            f"Another process is training in {directory}. Wait until it has "
            "ended, or give another --output_dir."
        ) from error
    except OSError:
        return  # such as a network's file system
