"""Connections of clients, of which only so many are open at a time.

uvicorn counts all connections alike and waits for a request as long as it
takes, so that clients which send nothing would keep all others out. Here a
place is for who has asked: one that waits for its client is given to the next
who comes, and ends by itself after a while.
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable
from typing import Any

import h11
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

# Connections that are there only to be told that there is no place for them.
_MOST_REFUSED = 100


def make_config(
    app: Any, refusal: Any, most: int, seconds: float, **given: Any
) -> uvicorn.Config:
    """How uvicorn serves an application.

    Args:
      app: the application.
      refusal: (status, reason) -> a response that ends the connection, of
        what never comes to the application.
      most: connections at a time.
      seconds: for which a connection may be without a request, or an answer
        without being read.
      **given: to uvicorn.
    """
    connection = functools.partial(
        Connection, refusal=refusal, most=most, seconds=seconds
    )
    return uvicorn.Config(
        app,
        http=connection,
        # It has none, and those would not be counted.
        ws="none",
        log_config=None,
        access_log=False,
        server_header=False,
        **given,
    )


class Connection(H11Protocol):
    """A client's connection; see `make_config`.

    Args:
      refusal, most, seconds: see there.
      **given: by uvicorn.
    """

    def __init__(
        self,
        refusal: Callable[[int, str], Any],
        most: int,
        seconds: float,
        **given: Any,
    ) -> None:
        super().__init__(**given)
        self._refusal, self._most, self._seconds = refusal, most, seconds
        self._is_refused = False
        # When the client's turn began, what it had to read at the last look,
        # and when the next is.
        self._since = 0.0
        self._unread = 0
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._make_room()
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        if self._timer is not None:
            self._timer.cancel()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._watch()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._watch()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._watch()

    def resume_writing(self) -> None:
        super().resume_writing()
        self._watch()

    def send_400_response(self, msg: str) -> None:
        """Answers what is no HTTP; uvicorn does so in plain text, and fails
        where an answer is there already.
        """
        if self.cycle is not None:
            # Whatever it would say comes too late.
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        if self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            response = self._refusal(400, msg)
            for event in (
                h11.Response(
                    status_code=400,
                    headers=response.raw_headers,
                    reason=b"Bad Request",
                ),
                h11.Data(data=response.body),
                h11.EndOfMessage(),
            ):
                self.transport.write(self.conn.send(event))
        self.transport.close()

    @property
    def _waits_for_client(self) -> bool:
        """Whether it is the client's turn: to ask, or to read."""
        cycle = self.cycle
        return (
            cycle is None or cycle.response_complete or self.flow.write_paused
        )

    @property
    def _may_end(self) -> bool:
        """Whether nothing that was asked whole would stay without an answer."""
        cycle = self.cycle
        is_idle = cycle is None or cycle.response_complete or cycle.more_body
        return is_idle and not self.transport.get_write_buffer_size()

    def _make_room(self) -> None:
        """Ends another connection, or refuses this, where there are too many.

        The one ends that has kept the server waiting longest.
        """
        if len(self.connections) <= self._most:
            return
        others = [
            each
            for each in self.connections
            if each is not self and not each.transport.is_closing()
        ]
        refused = [each for each in others if each._is_refused]
        if len(others) - len(refused) < self._most:
            return
        waiting = [
            each for each in others if not each._is_refused and each._may_end
        ]
        if not waiting:
            self._is_refused = True
            reason = (
                f"{self._most} connections are open, and at most so many may "
                "be. Try again later."
            )
            self.app = self._refusal(503, reason)
            waiting = refused if len(refused) >= _MOST_REFUSED else []
        if waiting:
            min(waiting, key=lambda each: each._since).transport.abort()

    def _watch(self) -> None:
        """Begins to wait for the client, or ends it."""
        if not self._waits_for_client:
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None
        elif self._timer is None:
            self._since = self.loop.time()
            self._look_later()

    def _look_later(self) -> None:
        self._unread = self.transport.get_write_buffer_size()
        self._timer = self.loop.call_later(self._seconds, self._look)

    def _look(self) -> None:
        """Ends the connection, unless its client goes on reading."""
        if self.transport.get_write_buffer_size() < self._unread:
            self._look_later()
        else:
            self.transport.abort()
