"""Rows of many requests, computed together.

A batch starts when the one before it is done: what arrives meanwhile goes into
it. Where nothing is being computed, a row waits a little for as many as came
together the last time; one client alone is not held up.
"""

from __future__ import annotations

import asyncio
import dataclasses
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from typing import Any

from absl import logging

from modeling.serving.limits import RequestRefused
from modeling.serving.signatures import Outputs, Row


@dataclasses.dataclass(frozen=True)
class BatchOptions:
    """How batches are made.

    Attributes:
      tokens: most tokens in a batch, padding included; one row may have more.
      wait_seconds: longest that a row waits for others while nothing is
        computed.
      queue: most rows that wait.
    """

    tokens: int = 2048
    wait_seconds: float = 0.002
    queue: int = 4096


@dataclasses.dataclass(frozen=True)
class BatchReport:
    """How a batch went.

    Attributes:
      rows: in it.
      padding: share of the tokens that were padding, about.
      seconds: of the computation.
      waited: seconds for which its rows had waited.
    """

    rows: int
    padding: float
    seconds: float
    waited: list[float]


class Pending:
    """Rows of one request, from arrival to answer.

    Attributes:
      answers: one for each row, a future.
    """

    def __init__(self, count: int, forget: Callable[[Pending], None]) -> None:
        self.answers: asyncio.Future[list[Outputs]]
        self.answers = asyncio.get_running_loop().create_future()
        self._rows: list[Outputs | None] = [None] * count
        self._missing = count
        self._forget = forget

    @property
    def is_over(self) -> bool:
        return self.answers.done()

    def cancel(self) -> None:
        """Nobody waits any more: rows that are not computed yet never are."""
        if not self.is_over:
            self.answers.cancel()
            self._forget(self)

    def put(self, index: int, outputs: Outputs) -> None:
        """The answer to a row."""
        self._rows[index] = outputs
        self._missing -= 1
        if not self._missing and not self.is_over:
            self.answers.set_result(self._rows)

    def fail(self, error: Exception) -> None:
        if not self.is_over:
            self.answers.set_exception(error)
            self._forget(self)


@dataclasses.dataclass(frozen=True, eq=False)
class Waiting:
    """A row that waits.

    Attributes:
      values: what the model takes.
      length: in tokens, about.
      pending: the request.
      index: of the row in the request.
      since: when it came.
    """

    values: Row
    length: int
    pending: Pending
    index: int
    since: float


class Batcher:
    """Batches for one function; to be used in one event loop.

    Args:
      compute: rows -> an answer for each; runs in the executor.
      options: see there.
      executor: where it computes.
      observe: told of every batch.
    """

    def __init__(
        self,
        compute: Callable[[Sequence[Row]], list[Outputs]],
        options: BatchOptions,
        executor: Executor,
        observe: Callable[[BatchReport], Any] = lambda report: None,
    ) -> None:
        self._compute, self._options = compute, options
        self._executor, self._observe = executor, observe
        # The oldest first.
        self._waiting: list[Waiting] = []
        self._tokens = 0
        # Rows of the last batch.
        self._last = 1
        self._arrived = asyncio.Event()
        self._worker: asyncio.Task[None] | None = None

    @property
    def queue(self) -> int:
        """Rows that wait."""
        return len(self._waiting)

    def submit(self, rows: Sequence[Row], lengths: Sequence[int]) -> Pending:
        """Takes the rows of a request.

        Raises:
          RequestRefused: too many wait.
        """
        if self.queue + len(rows) > self._options.queue:
            raise RequestRefused(
                429,
                f"{self.queue} texts are waiting, and at most "
                f"{self._options.queue} may. Try again later.",
                retry_after=1,
            )
        pending = Pending(len(rows), self._forget)
        now = time.monotonic()
        self._waiting += [
            Waiting(values, length, pending, index, now)
            for index, (values, length) in enumerate(
                zip(rows, lengths, strict=True)
            )
        ]
        self._tokens += sum(lengths)
        self._arrived.set()
        if self._worker is None or self._worker.done():
            self._worker = asyncio.create_task(self._work())
        return pending

    async def drain(self) -> None:
        """Waits until all that was submitted is answered."""
        if self._worker is not None:
            await self._worker

    async def _work(self) -> None:
        """Computes while there are rows."""
        while self._waiting:
            await self._gather()
            batch = choose(self._waiting, self._options.tokens)
            self._remove(set(map(id, batch)))
            if batch:
                self._last = len(batch)
                await self._answer(batch)

    async def _gather(self) -> None:
        """Waits for more rows, but not long."""
        loop = asyncio.get_running_loop()
        while (
            0 < self.queue < self._last and self._tokens < self._options.tokens
        ):
            until = self._waiting[0].since + self._options.wait_seconds
            left = until - time.monotonic()
            if left <= 0:
                return
            self._arrived.clear()
            timer = loop.call_later(left, self._arrived.set)
            await self._arrived.wait()
            timer.cancel()

    async def _answer(self, batch: list[Waiting]) -> None:
        loop = asyncio.get_running_loop()
        began = time.monotonic()
        try:
            answers = await loop.run_in_executor(
                self._executor, self._compute, [row.values for row in batch]
            )
        except Exception as error:
            await self._answer_apart(batch, error)
            return
        for row, outputs in zip(batch, answers, strict=True):
            row.pending.put(row.index, outputs)
        self._observe(_report(batch, began))

    async def _answer_apart(
        self, batch: list[Waiting], error: Exception
    ) -> None:
        """One request's mistake is no other's: each is computed alone."""
        requests: dict[int, list[Waiting]] = {}
        for row in batch:
            requests.setdefault(id(row.pending), []).append(row)
        if len(requests) == 1:
            batch[0].pending.fail(_as_refusal(error))
            return
        for rows in requests.values():
            await self._answer(rows)

    def _forget(self, pending: Pending) -> None:
        self._remove(
            {id(row) for row in self._waiting if row.pending is pending}
        )

    def _remove(self, rows: set[int]) -> None:
        self._waiting = [row for row in self._waiting if id(row) not in rows]
        self._tokens = sum(row.length for row in self._waiting)


def choose(waiting: Sequence[Waiting], tokens: int) -> list[Waiting]:
    """The rows of the next batch: the oldest, which so never starves, and those
    that are nearest to it in length, as many as may be: what `export_model.py`
    writes computes hardly anything for padding.

    Args:
      waiting: the oldest first.
      tokens: most in the batch, padding included.
    """
    if not waiting:
        return []
    oldest, *others = waiting
    others.sort(key=lambda row: abs(row.length - oldest.length))
    chosen = [oldest]
    longest = oldest.length
    for row in others:
        longest = max(longest, row.length)
        if longest * (len(chosen) + 1) > tokens:
            break
        chosen.append(row)
    return chosen


def _report(batch: list[Waiting], began: float) -> BatchReport:
    lengths = [row.length for row in batch]
    return BatchReport(
        rows=len(batch),
        padding=1 - sum(lengths) / (max(lengths) * len(batch)),
        seconds=time.monotonic() - began,
        waited=[began - row.since for row in batch],
    )


def _as_refusal(error: Exception) -> Exception:
    import tensorflow as tf

    if isinstance(error, tf.errors.InvalidArgumentError):
        # Around it stands where in the graph it happened.
        lines = error.message.split("\n")
        reason = next(n for n in reversed(lines) if not n.startswith("\t"))
        return RequestRefused(
            400, f"The model cannot take this input: {reason[:500]}"
        )
    logging.error("A batch failed", exc_info=error)
    return RequestRefused(500, "The model failed; the server's log says why.")
