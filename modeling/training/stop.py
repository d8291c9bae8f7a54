"""Reasons to end a training early: a signal, or the time allowed."""

from __future__ import annotations

import signal
import time
from types import FrameType

_SIGNALS = (signal.SIGTERM, signal.SIGINT)


class StopRequest:
    """Tells when to save and end; used as a context.

    The first SIGTERM or Ctrl-C asks to end after the step; a second one ends at
    once.

    Args:
      max_seconds: time allowed from entering the context; None: no limit.
    """

    def __init__(self, max_seconds: float | None = None) -> None:
        self._max_seconds = max_seconds
        self._start = time.monotonic()
        self._previous: dict[int, object] = {}
        self.signal: int | None = None

    def __enter__(self) -> StopRequest:
        self._start = time.monotonic()
        for number in _SIGNALS:
            self._previous[number] = signal.signal(number, self._receive)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    def __bool__(self) -> bool:
        return self.signal is not None or self.out_of_time

    @property
    def out_of_time(self) -> bool:
        """Whether the time allowed is over."""
        return (
            self._max_seconds is not None
            and time.monotonic() - self._start >= self._max_seconds
        )

    def _receive(self, number: int, frame: FrameType | None) -> None:
        self.signal = number
        for each in _SIGNALS:
            signal.signal(each, self._previous[each])
