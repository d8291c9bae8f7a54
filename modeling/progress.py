"""Progress of long work: a bar on a terminal, plain log lines elsewhere."""

from __future__ import annotations

import collections
import contextlib
import sys
import time
from collections.abc import Iterator

from absl import logging
from tqdm import tqdm

_SECONDS_BETWEEN_LINES = 30.0


class Progress:
    """Counts work done and tells the rate and the time left.

    Args:
      name: what is being done.
      unit: what is counted, in the plural.
      total: how many there are, None where that is not known.
      done: how many were done before, by a run that this one resumes.
    """

    def __init__(
        self, name: str, unit: str, total: int | None = None, done: int = 0
    ) -> None:
        self._name, self._unit = name, unit
        self._done, self._total, self._first = done, total, done
        self._start = self._last_line = time.monotonic()
        self._bar = None
        if sys.stderr.isatty():
            self._bar = tqdm(
                desc=name, unit=f" {unit}", total=total, initial=done
            )

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def advance(self, count: int) -> None:
        """Adds to what is done."""
        self._done += count
        if self._bar is not None:
            self._bar.update(count)
            return
        now = time.monotonic()
        if now - self._last_line >= _SECONDS_BETWEEN_LINES:
            self._last_line = now
            logging.info("%s", self._line(now - self._start))

    def show(self, text: str) -> None:
        """Puts what was measured beside the bar, or in a log line."""
        if self._bar is not None:
            self._bar.set_postfix_str(text)
            return
        self._last_line = time.monotonic()
        logging.info("%s", text)

    def tell(self, text: str) -> None:
        """Writes a line that stays, above the bar if there is one."""
        if self._bar is not None:
            tqdm.write(text, file=sys.stderr)
        else:
            logging.info("%s", text)

    def close(self) -> None:
        """Ends the bar where it is."""
        if self._bar is not None:
            self._bar.close()

    def _line(self, seconds: float) -> str:
        rate = (self._done - self._first) / seconds
        line = f"{self._name}: {self._done:,} {self._unit}, {rate:,.1f}/s"
        if self._total is not None and rate:
            left = (self._total - self._done) / rate
            line += f", {self._done / self._total:.0%}, {left:,.0f} s left"
        return line


class Phases:
    """Adds up the seconds that each named phase takes, in order of meeting.

    The time of a phase within another one is its own alone.
    """

    def __init__(self) -> None:
        self.seconds: dict[str, float] = collections.defaultdict(float)
        self._within: list[float] = []

    @contextlib.contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Times a `with` block; the same name may come again."""
        start = time.perf_counter()
        self._within.append(0.0)
        try:
            yield
        finally:
            seconds = time.perf_counter() - start
            self.seconds[name] += seconds - self._within.pop()
            if self._within:
                self._within[-1] += seconds

    def __str__(self) -> str:
        return ", ".join(f"{k} {v:,.2f} s" for k, v in self.seconds.items())
