"""Locks that the system lets go of when a process ends, in whatever way."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from modeling.errors import UserError

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

HAS_LOCKS = fcntl is not None


@contextlib.contextmanager
def locked(descriptor: int, told: str) -> Iterator[None]:
    """Holds an open file or directory, where its file system has locks.

    Some that are shared over a network have none; they must do without.

    Args:
      descriptor: of the file.
      told: where another process holds it.

    Raises:
      UserError: another process holds it.
    """
    if fcntl is not None:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise UserError(told) from error
        except OSError:
            pass
    try:
        yield
    finally:
        # Closing it is not enough while processes live that were forked since.
        if fcntl is not None:
            with contextlib.suppress(OSError):
                fcntl.flock(descriptor, fcntl.LOCK_UN)
