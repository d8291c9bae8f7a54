"""The server's addresses."""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import pathlib
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import orjson
from absl import logging
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import FileResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from modeling.serving.batching import Pending
from modeling.serving.encode import Encoder
from modeling.serving.limits import Limits, RequestRefused
from modeling.serving.metrics import Metrics
from modeling.serving.repository import Repository, Served
from modeling.serving.rest import (
    Query,
    answer_predict,
    describe_metadata,
    describe_status,
    parse_predict,
)
from modeling.serving.signatures import Outputs

_PAGE = pathlib.Path(__file__).with_name("page")
# What orchestrators and browsers ask before they have a token.
_OPEN = ("/healthz", "/readyz", "/")
_STATIC = "/page/"
# Nobody reads it; nginx calls it so in its log.
_CLIENT_GONE = 499


class Service:
    """Answers requests by the models of a repository.

    Args:
      repository: of the models.
      limits: of requests.
      metrics: where they are counted.
      encode_model: the one that `/encode` asks; None: the first that gives
        vectors.
    """

    def __init__(
        self,
        repository: Repository,
        limits: Limits,
        metrics: Metrics,
        encode_model: str | None = None,
    ) -> None:
        self._repository, self._limits = repository, limits
        self._metrics, self._encode_model = metrics, encode_model
        # Of the version that is served, for its vocabulary.
        self._encoder: Encoder | None = None

    async def predict(self, request: Request) -> Response:
        """POST /v1/models/NAME[/versions/V]:predict"""

        async def answer(served: Served, message: Any) -> Any:
            query = parse_predict(message, served.model, self._limits)
            answers = await self._ask(request, served, query)
            return answer_predict(query, served.model, answers)

        return await self._answer(
            request, "predict", lambda: self._named(request), answer
        )

    async def encode(self, request: Request) -> Response:
        """POST /encode"""

        async def answer(served: Served, message: Any) -> Any:
            if self._encoder is None or self._encoder.model != served.model:
                self._encoder = Encoder(served.model)
            encoder = self._encoder
            query = encoder.parse(message, self._limits)
            answers = await self._ask(request, served, query)
            return encoder.answer(message, answers)

        return await self._answer(request, "encode", self._encoding, answer)

    async def status(self, request: Request) -> Response:
        """GET /v1/models/NAME[/versions/V]"""
        return _json(describe_status(self._named(request).version))

    async def metadata(self, request: Request) -> Response:
        """GET /v1/models/NAME[/versions/V]/metadata"""
        served = self._named(request)
        return _json(
            describe_metadata(served.name, served.version, served.model)
        )

    async def models(self, request: Request) -> Response:
        """GET /v1/models: what the page shows; TensorFlow Serving has none."""
        return _json(
            {
                "models": [
                    {
                        **served.model.info,
                        "name": served.name,
                        "version": served.version,
                    }
                    for served in self._repository.served
                ]
            }
        )

    async def metrics(self, request: Request) -> Response:
        """GET /metrics"""
        return Response(
            self._metrics.text(), media_type="text/plain; version=0.0.4"
        )

    async def health(self, request: Request) -> Response:
        """GET /healthz: the process answers."""
        return _json({"status": "ok"})

    async def ready(self, request: Request) -> Response:
        """GET /readyz: models are served."""
        if not list(self._repository.served):
            raise RequestRefused(503, "No model is loaded.")
        return _json({"status": "ready"})

    async def _answer(
        self,
        request: Request,
        kind: str,
        find: Callable[[], Served],
        answer: Callable[[Served, Any], Any],
    ) -> Response:
        """Reads the body, has it answered, and counts."""
        began = time.monotonic()
        model = ""
        try:
            # A wrong address needs no body.
            model = find().name
            body = await self._body(request)
            try:
                message = orjson.loads(body)
            except ValueError as error:
                raise RequestRefused(400, f"No JSON: {error}") from error
            # Now: a new version may have come with the body.
            response = _json(await answer(find(), message))
        except RequestRefused as refused:
            response = _refusal(refused)
        except ClientDisconnect:
            response = Response(status_code=_CLIENT_GONE)
        except Exception:
            # A defect: the handler of 500 answers, and the log has it.
            self._metrics.request(model, kind, 500, time.monotonic() - began)
            raise
        seconds = time.monotonic() - began
        self._metrics.request(model, kind, response.status_code, seconds)
        return response

    async def _body(self, request: Request) -> bytes:
        """The body, as far as it may go."""
        most = self._limits.body_bytes
        too_much = RequestRefused(413, f"A body may have {most} bytes.")
        said = request.headers.get("content-length", "")
        if said.isdigit() and int(said) > most:
            raise too_much

        async def read() -> bytes:
            body = bytearray()
            async for chunk in request.stream():
                body += chunk
                if len(body) > most:
                    raise too_much
            return bytes(body)

        try:
            return await asyncio.wait_for(read(), self._limits.seconds)
        except asyncio.TimeoutError as error:
            raise RequestRefused(
                408, f"The body took over {self._limits.seconds:g} seconds."
            ) from error

    async def _ask(
        self, request: Request, served: Served, query: Query
    ) -> list[Outputs]:
        """The model's answers, as long as the client waits for them."""
        pending: Pending = served.submit(query)
        # After the body, the next that comes is the end of the connection.
        gone = asyncio.ensure_future(request.receive())
        try:
            done, _ = await asyncio.wait(
                {pending.answers, gone},
                timeout=self._limits.seconds,
                return_when=asyncio.FIRST_COMPLETED,
            )
        finally:
            gone.cancel()
            # No effect on what is answered.
            pending.cancel()
        if pending.answers in done:
            return pending.answers.result()
        if done:
            raise ClientDisconnect
        raise RequestRefused(
            503,
            f"No answer within {self._limits.seconds:g} seconds: too many "
            "texts wait. Try again later.",
            retry_after=1,
        )

    def _named(self, request: Request) -> Served:
        version = request.path_params.get("version")
        return self._repository.get(request.path_params["name"], version)

    def _encoding(self) -> Served:
        if self._encode_model is not None:
            served = self._repository.get(self._encode_model)
            if Encoder.fits(served.model):
                return served
        else:
            for served in self._repository.served:
                if Encoder.fits(served.model):
                    return served
        raise RequestRefused(
            404,
            "No model gives vectors: export one with export_model.py "
            "--task=features.",
        )


def make_app(
    service: Service,
    repository: Repository,
    poll_seconds: float = 2.0,
    token: str | None = None,
) -> Starlette:
    """The application; its models must have been loaded.

    Args:
      service: that answers.
      repository: which it looks after.
      poll_seconds: how often it looks for new versions.
      token: which every request must bring as its bearer; None: none.
    """

    @contextlib.asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        watch = asyncio.create_task(repository.watch(poll_seconds))
        yield
        watch.cancel()
        await repository.close()

    model, version = "/v1/models/{name}", "/versions/{version}"
    routes = [
        Route("/v1/models", service.models),
        *(
            Route(path + end, function, methods=methods)
            for path in (model + version, model)
            for end, function, methods in (
                (":predict", service.predict, ["POST"]),
                ("/metadata", service.metadata, ["GET"]),
                ("", service.status, ["GET"]),
            )
        ),
        Route("/encode", service.encode, methods=["POST"]),
        Route("/healthz", service.health),
        Route("/readyz", service.ready),
        Route("/metrics", service.metrics),
        Route("/", _index),
        Mount("/page", StaticFiles(directory=_PAGE)),
    ]
    middleware = [Middleware(_BearerToken, token=token)] if token else []
    app = Starlette(
        routes=routes,
        middleware=middleware,
        lifespan=lifespan,
        exception_handlers={
            RequestRefused: lambda request, error: _refusal(error),
            404: lambda request, error: _error(404, "No such address."),
            405: _no_method,
            500: lambda request, error: _error(500, "See the server's log."),
        },
    )
    # To an address with another "/" at its end, at whatever host the client
    # has named.
    app.router.redirect_slashes = False
    return app


def _no_method(request: Request, error: Any) -> Response:
    response = _error(405, "No such method here.")
    # Those that there are.
    response.headers.update(error.headers or {})
    return response


class _BearerToken:
    """Lets requests pass that bring the token."""

    def __init__(self, app: Any, token: str) -> None:
        self._app = app
        self._wanted = token.encode()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http" and not _is_open(scope["path"]):
            given = dict(scope["headers"]).get(b"authorization", b"")
            scheme, _, said = given.partition(b" ")
            is_right = hmac.compare_digest(said.strip(), self._wanted)
            if scheme.lower() != b"bearer" or not is_right:
                response = _error(401, "The bearer token is missing or wrong.")
                response.headers["www-authenticate"] = "Bearer"
                await response(scope, receive, send)
                return
        await self._app(scope, receive, send)


def _is_open(path: str) -> bool:
    return path in _OPEN or path.startswith(_STATIC)


def refuse(status: int, reason: str) -> Response:
    """What a client is told that never comes to the application."""
    retry_after = 1 if status == 503 else None
    response = _refusal(RequestRefused(status, reason, retry_after))
    response.headers["connection"] = "close"
    return response


async def _index(request: Request) -> Response:
    return FileResponse(
        _PAGE / "index.html",
        headers={"content-security-policy": "default-src 'self'"},
    )


def _json(content: Any, status: int = 200) -> Response:
    return Response(
        orjson.dumps(content, option=orjson.OPT_SERIALIZE_NUMPY),
        status_code=status,
        media_type="application/json",
    )


def _refusal(refused: RequestRefused) -> Response:
    response = _error(refused.status, refused.reason)
    if refused.retry_after is not None:
        response.headers["retry-after"] = str(refused.retry_after)
    return response


def _error(status: int, reason: str) -> Response:
    # TensorFlow Serving's form; bert-as-service's clients look at the status.
    if status >= 500:
        logging.warning("%d: %s", status, reason)
    return _json({"error": reason, "status": status}, status)
