"""A client of `serve.py` and of TensorFlow Serving.

  from modeling.serving.client import Client

  with Client("http://127.0.0.1:8501", "reviews") as client:
      for said in client.predict(["Not bad.", "Never again."]):
          print(said["label"], said["probabilities"])

It needs nothing but the standard library.
"""

from __future__ import annotations

import datetime
import email.utils
import http.client
import itertools
import json
import random
import threading
import time
import urllib.parse
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

# The server is busy or not there yet; the same request may pass later.
_PASSING = (429, 502, 503, 504)
_FIRST_WAIT, _LONGEST_WAIT = 0.1, 10.0
_VERY_LONG = 10**9


class ServingError(Exception):
    """A request that was not answered.

    Args:
      status: of HTTP; None: no answer came; 200: one that is no model's.
      reason: the server's, or of the connection.
      retry_after: seconds for which the server asks to wait.
    """

    def __init__(
        self, status: int | None, reason: str, retry_after: float = 0.0
    ) -> None:
        super().__init__(reason if status is None else f"{status}: {reason}")
        self.status, self.reason = status, reason
        self.retry_after = retry_after

    @property
    def may_pass(self) -> bool:
        """Whether the same request may be answered later."""
        return self.status is None or self.status in _PASSING


class Client:
    """Asks one model; may be used by several threads.

    Args:
      url: of the server, http:// or https://.
      model: its name.
      version: None: the one that is served.
      token: the server's bearer token.
      batch_size: most texts in a request.
      parallel: requests at a time.
      retries: of a request, where the server is busy or the connection breaks.
      timeout: seconds to wait for an answer, and the longest wait before the
        next try, whatever the server asks for.
      sleep: waits between tries.

    Raises:
      ValueError: an address or a token that is none.
    """

    def __init__(
        self,
        url: str,
        model: str,
        version: int | None = None,
        *,
        token: str | None = None,
        batch_size: int = 64,
        parallel: int = 2,
        retries: int = 5,
        timeout: float = 60.0,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._parts, self._timeout = _parse_address(url), timeout
        self._path = f"/v1/models/{urllib.parse.quote(model, safe='')}"
        if version is not None:
            self._path += f"/versions/{version}"
        self._headers: dict[str, str | bytes]
        self._headers = {"Content-Type": "application/json"}
        if token is not None:
            if not token.isprintable():
                raise ValueError(
                    "A token is one line of printable characters. Received one "
                    f"of {len(token)} characters with others among them."
                )
            # As bytes: of strings, http.client takes only Latin-1.
            self._headers["Authorization"] = f"Bearer {token}".encode()
        self._batch_size, self._retries = batch_size, retries
        self._sleep = sleep
        self._parallel = parallel
        self._threads = ThreadPoolExecutor(parallel, "client")
        # A connection is used by one thread; all are closed together.
        self._local = threading.local()
        self._connections: list[http.client.HTTPConnection] = []

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Ends all connections."""
        self._threads.shutdown(cancel_futures=True)
        for connection in self._connections:
            connection.close()

    def predict(
        self, instances: Iterable[Any], signature_name: str | None = None
    ) -> list[Any]:
        """What the model says of each.

        Args:
          instances: texts, or {input: value} for several inputs; the value is a
            list for choices.
          signature_name: None: the one for texts.

        Raises:
          ServingError: a request was refused, never answered, or answered by
            something that is no model.
        """
        return list(self.predict_stream(instances, signature_name))

    def predict_stream(
        self, instances: Iterable[Any], signature_name: str | None = None
    ) -> Iterator[Any]:
        """The same, one after another, of any number of instances."""

        def ask(batch: Sequence[Any]) -> list[Any]:
            message: dict[str, Any] = {"instances": batch}
            if signature_name is not None:
                message["signature_name"] = signature_name
            path = f"{self._path}:predict"
            said = self._request("POST", path, message)
            return _answers(said, "predictions", len(batch))

        return self._in_batches(instances, ask)

    def encode(self, texts: Iterable[Any], is_tokenized: bool = False) -> list:
        """Vectors of texts, by the address of bert-as-service.

        Args:
          texts: strings, or lists of tokens.
          is_tokenized: whether they are tokens.

        Raises:
          ServingError: see `predict`.
        """
        numbers = itertools.count()

        def ask(batch: Sequence[Any]) -> list[Any]:
            message = {
                "id": next(numbers),
                "texts": batch,
                "is_tokenized": is_tokenized,
            }
            said = self._request("POST", "/encode", message)
            return _answers(said, "results", len(batch))

        return list(self._in_batches(texts, ask))

    def status(self) -> dict[str, Any]:
        """Which version is served."""
        return self._request("GET", self._path)

    def metadata(self) -> dict[str, Any]:
        """Inputs and outputs of the model."""
        return self._request("GET", f"{self._path}/metadata")

    def _in_batches(
        self, items: Iterable[Any], ask: Callable[[Sequence[Any]], list[Any]]
    ) -> Iterator[Any]:
        """Answers in order, while the next requests are under way."""
        left = iter(items)
        batches = iter(
            lambda: list(itertools.islice(left, self._batch_size)), []
        )
        asked = [
            self._threads.submit(ask, batch)
            for batch in itertools.islice(batches, self._parallel)
        ]
        while asked:
            answers = asked.pop(0).result()
            for batch in itertools.islice(batches, 1):
                asked.append(self._threads.submit(ask, batch))
            yield from answers

    def _request(
        self, method: str, path: str, message: dict[str, Any] | None = None
    ) -> Any:
        """Asks until there is an answer, or too often."""
        body = None if message is None else json.dumps(message).encode()
        for tries in itertools.count():
            try:
                return self._ask(method, path, body)
            except ServingError as error:
                if tries == self._retries or not error.may_pass:
                    raise
                # Those that were refused together shall not come back so.
                wait = min(_FIRST_WAIT * 2**tries, _LONGEST_WAIT)
                wait *= random.uniform(0.5, 1.5)
                self._sleep(min(max(wait, error.retry_after), self._timeout))
        raise AssertionError("count() does not end")

    def _ask(self, method: str, path: str, body: bytes | None) -> Any:
        """Asks once; raises `ServingError`."""
        connection = self._connection()
        path = self._parts.path.rstrip("/") + path
        try:
            connection.request(method, path, body, self._headers)
            response = connection.getresponse()
            content = response.read()
        except (OSError, http.client.HTTPException) as error:
            # The next request opens it again.
            connection.close()
            reason = f"{type(error).__name__}: {error}"
            raise ServingError(None, reason) from error
        if response.status == 200:
            try:
                return json.loads(content)
            except (ValueError, RecursionError) as error:
                raise _no_answer("is not JSON", content) from error
        raise ServingError(
            response.status,
            _reason(content),
            _seconds(response.getheader("Retry-After")),
        )

    def _connection(self) -> http.client.HTTPConnection:
        connection = getattr(self._local, "connection", None)
        if connection is None:
            kind = (
                http.client.HTTPSConnection
                if self._parts.scheme == "https"
                else http.client.HTTPConnection
            )
            connection = kind(
                self._parts.hostname, self._parts.port, timeout=self._timeout
            )
            self._local.connection = connection
            self._connections.append(connection)
        return connection


def _parse_address(url: str) -> urllib.parse.SplitResult:
    try:
        parts = urllib.parse.urlsplit(url)
        # Asked for, it is checked.
        known = parts.scheme in ("http", "https") and parts.port != 0
    except ValueError:
        known = False
    if not known or not parts.hostname:
        raise ValueError(
            f"A server's address is http://HOST:PORT. Received: {url!r}"
        )
    return parts


def _answers(said: Any, name: str, count: int) -> list[Any]:
    """Those to so many texts; raises `ServingError` where there are others."""
    answers = said.get(name) if isinstance(said, dict) else None
    if not isinstance(answers, list) or len(answers) != count:
        content = json.dumps(said).encode()
        raise _no_answer(f'lacks the {count} answers in "{name}"', content)
    return answers


def _no_answer(what: str, content: bytes) -> ServingError:
    return ServingError(
        200,
        f"The answer {what}. Received {len(content)} bytes: "
        f"{content[:100]!r}. Does the address lead to serve.py or TensorFlow "
        "Serving, or to something before it?",
    )


def _reason(content: bytes) -> str:
    try:
        return str(json.loads(content)["error"])
    except (ValueError, KeyError, TypeError, RecursionError):
        # Of something between us and the server.
        return content.decode(errors="replace")[:500]


def _seconds(retry_after: str | None) -> float:
    """What the header asks for, seconds or a date; 0 for what is neither."""
    if retry_after is None:
        return 0.0
    try:
        # Larger ones are no floats.
        return max(float(min(int(retry_after), _VERY_LONG)), 0.0)
    except ValueError:
        pass
    try:
        until = email.utils.parsedate_to_datetime(retry_after)
        # A date without a zone is in the server's; there is no knowing which.
        left = until - datetime.datetime.now(datetime.timezone.utc)
    except (ValueError, TypeError, OverflowError):
        return 0.0
    return max(left.total_seconds(), 0.0)
