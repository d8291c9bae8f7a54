"""What one request, and all that wait, may take."""

from __future__ import annotations

import dataclasses

from modeling.errors import UserError


class RequestRefused(Exception):
    """A request that is not answered, and why.

    Args:
      status: of HTTP.
      reason: told to the client.
      retry_after: seconds after which the same request may pass.
    """

    def __init__(
        self, status: int, reason: str, retry_after: int | None = None
    ) -> None:
        super().__init__(reason)
        self.status, self.reason = status, reason
        self.retry_after = retry_after


@dataclasses.dataclass(frozen=True)
class Limits:
    """Past them a request is refused at once, with a reason.

    Attributes:
      body_bytes: of a request; 413 past it.
      texts: of a request, or rows of tokens, choices one by one; 413 past it.
      text_bytes: of one text in UTF-8; 413 past it.
      queue: texts that wait for one model's signature; 429 past it.
      seconds: to send a request (408 past it), and again to wait for its
        answer (503 past it).

    Raises:
      UserError: limits of which one defeats another.
    """

    body_bytes: int = 4 * 2**20
    texts: int = 1024
    text_bytes: int = 32 * 2**10
    queue: int = 4096
    seconds: float = 30.0

    def __post_init__(self) -> None:
        if self.queue < self.texts:
            raise UserError(
                f"A request may have {self.texts} texts, but only {self.queue} "
                "may wait: it would never be taken. Raise --max_queue or lower "
                "--max_texts."
            )

    def check_texts(self, count: int) -> None:
        """Raises `RequestRefused` for too many."""
        if count > self.texts:
            raise RequestRefused(
                413,
                f"A request may have {self.texts} texts. Received: {count}",
            )

    def check_text(self, text: bytes, where: str) -> None:
        """Raises `RequestRefused` for one that is too long."""
        if len(text) > self.text_bytes:
            raise RequestRefused(
                413,
                f"{where} may have {self.text_bytes} bytes. Received: "
                f"{len(text)}",
            )
