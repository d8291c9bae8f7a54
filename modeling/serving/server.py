"""From options to a server that runs until it is told to end."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import signal
import socket
from collections.abc import Callable, Iterator

import uvicorn
from absl import logging

from modeling.errors import UserError
from modeling.serving.app import Service, make_app, refuse
from modeling.serving.batching import BatchOptions
from modeling.serving.connections import make_config
from modeling.serving.encode import Encoder
from modeling.serving.limits import Limits
from modeling.serving.metrics import Metrics
from modeling.serving.repository import Repository

_SIGNALS = (signal.SIGTERM, signal.SIGINT)


@dataclasses.dataclass(frozen=True)
class ServerOptions:
    """Where and how to serve.

    Attributes:
      model_dir: see `repository.find_models`.
      host: address to bind to.
      port: 0 for any free one.
      batches: how requests are batched.
      limits: of requests.
      connections: most at a time; see `connections.make_config`.
      poll_seconds: how often to look for new versions.
      drain_seconds: how long requests may take to end after a signal.
      token: which every request must bring; None: none.
      encode_model: that `/encode` asks; None: the first that gives vectors.
    """

    model_dir: str
    host: str = "127.0.0.1"
    port: int = 8501
    batches: BatchOptions = BatchOptions()
    limits: Limits = Limits()
    connections: int = 1000
    poll_seconds: float = 2.0
    drain_seconds: float = 30.0
    token: str | None = None
    encode_model: str | None = None


def serve(
    options: ServerOptions, on_start: Callable[[str], None] = lambda url: None
) -> None:
    """Serves until SIGTERM or SIGINT; what was asked by then is answered.

    Args:
      options: see there.
      on_start: told the server's address once it answers.

    Raises:
      UserError: no models, or an address that cannot be bound.
    """
    asyncio.run(_serve(options, on_start))


async def _serve(
    options: ServerOptions, on_start: Callable[[str], None]
) -> None:
    metrics = Metrics(
        lambda: [(s.name, s.version, s.queue) for s in repository.served]
    )
    batches = dataclasses.replace(options.batches, queue=options.limits.queue)
    repository = Repository(options.model_dir, batches, metrics.batch)
    await repository.start()
    _check_encode_model(options.encode_model, repository)
    service = Service(repository, options.limits, metrics, options.encode_model)
    app = make_app(service, repository, options.poll_seconds, options.token)
    config = make_config(
        app,
        refuse,
        options.connections,
        options.limits.seconds,
        timeout_graceful_shutdown=options.drain_seconds,
    )
    with _listen(options) as listener:
        server = _Server(config)
        host, port = listener.getsockname()[:2]
        host = f"[{host}]" if ":" in host else host
        starting = asyncio.create_task(server.serve([listener]))
        while not server.started and not starting.done():
            await asyncio.sleep(0.01)
        on_start(f"http://{host}:{port}")
        await starting
    logging.info("Drained.")


class _Server(uvicorn.Server):
    """Ends by a signal as by any other reason: uvicorn's own raises it again,
    and so exits with an error.
    """

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        loop = asyncio.get_running_loop()
        for number in _SIGNALS:
            loop.add_signal_handler(number, self.handle_exit, number, None)
        yield
        for number in _SIGNALS:
            loop.remove_signal_handler(number)


def _check_encode_model(name: str | None, repository: Repository) -> None:
    fit = [s.name for s in repository.served if Encoder.fits(s.model)]
    if name is not None and name not in fit:
        raise UserError(
            f"--encode_model={name} is no model with vectors; these are: "
            f"{', '.join(fit) or 'none'}"
        )


def _listen(options: ServerOptions) -> socket.socket:
    """A socket at the address; uvicorn would end the process over it."""
    family = socket.AF_INET6 if ":" in options.host else socket.AF_INET
    # The protocol is named because asyncio sends at once (TCP_NODELAY) only
    # where it is; else answers wait 40 ms for the client's acknowledgement.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((options.host, options.port))
    except OSError as error:
        listener.close()
        raise UserError(
            f"Cannot listen at {options.host}, port {options.port}: "
            f"{error.strerror}. Give another --host or --port."
        ) from error
    return listener
