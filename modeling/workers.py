"""Functions run in several processes, with results in order."""

from __future__ import annotations

import collections
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent import futures
from typing import Any, TypeVar

from modeling.errors import UserError

_Item = TypeVar("_Item")


class Workers:
    """Processes that know a few functions by name.

    They are spawned: a fork of a process with threads may hang. So a script
    must keep its work under `if __name__ == "__main__":`.

    Args:
      functions: sent to every process once.
      num_workers: processes; 1 means this one.
    """

    def __init__(
        self, functions: Mapping[str, Callable[[Any], Any]], num_workers: int
    ) -> None:
        self._functions, self._num_workers = functions, num_workers
        self._executor: futures.ProcessPoolExecutor | None = None

    def __enter__(self) -> Workers:
        if self._num_workers > 1:
            self._executor = futures.ProcessPoolExecutor(
                self._num_workers,
                mp_context=multiprocessing.get_context("spawn"),
                initializer=_start,
                initargs=(self._functions,),
            )
        return self

    def __exit__(self, *_: object) -> None:
        if self._executor is not None:
            self._executor.shutdown(wait=True, cancel_futures=True)

    def map(
        self, name: str, items: Iterable[_Item]
    ) -> Iterator[tuple[_Item, Any]]:
        """Yields every item with the function's result, in their order.

        Items are taken, and results kept, only as far as needed to keep every
        process at work. An exception in a process is raised here.

        Raises:
          UserError: a process was killed.
        """
        if self._executor is None:
            for item in items:
                yield item, self._functions[name](item)
            return
        pending: collections.deque[tuple[_Item, futures.Future]]
        pending = collections.deque()
        for item in items:
            pending.append((item, self._submit(name, item)))
            # One in work and one waiting for every process.
            if len(pending) >= 2 * self._num_workers:
                yield _finished(*pending.popleft())
        while pending:
            yield _finished(*pending.popleft())

    def _submit(self, name: str, item: Any) -> futures.Future:
        try:
            return self._executor.submit(_call, name, item)
        except futures.process.BrokenProcessPool as error:
            broken: futures.Future = futures.Future()
            broken.set_exception(error)
            return broken


def _finished(item: _Item, future: futures.Future) -> tuple[_Item, Any]:
    try:
        return item, future.result()
    except futures.process.BrokenProcessPool as error:
        raise UserError(
            "A worker process was killed, perhaps because memory ran out. Run "
            "the command again with fewer processes (--num_workers)."
        ) from error


_known: Mapping[str, Callable[[Any], Any]]


def _start(functions: Mapping[str, Callable[[Any], Any]]) -> None:
    global _known
    _known = functions
    # The terminal tells every process of a Ctrl-C; the parent ends the others.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_exit_with_parent, daemon=True).start()


def _exit_with_parent() -> None:
    # A parent that was killed cannot shut its processes down.
    multiprocessing.parent_process().join()
    os._exit(1)


def _call(name: str, item: Any) -> Any:
    return _known[name](item)
