"""Models that need no training, and servers in a thread."""

import asyncio
import contextlib
import http.client
import json
import threading
import time

import tensorflow as tf
import uvicorn

from modeling.serving.app import Service, make_app, refuse
from modeling.serving.batching import BatchOptions
from modeling.serving.connections import make_config
from modeling.serving.limits import Limits
from modeling.serving.metrics import Metrics
from modeling.serving.model import Model
from modeling.serving.repository import Repository
from modeling.serving.signatures import Signature, Tensor

STRINGS = Tensor("DT_STRING", (None,))


def string_model(function, outputs, info=None, inputs=("text",)):
    """A model of texts that is a function of ours."""
    signature = Signature(
        "serving_default", dict.fromkeys(inputs, STRINGS), outputs, function
    )
    return Model("nowhere", {signature.name: signature}, info or {})


class Gate:
    """Texts -> their lengths, one batch at a time and only while it is open.

    Attributes:
      entered: how many batches came.
      batches: texts of those that were let in.
    """

    def __init__(self):
        self.open = threading.Event()
        self.open.set()
        self.entered = 0
        self.batches = []

    def __call__(self, text):
        self.entered += 1
        assert self.open.wait(20)
        texts = [each.decode() for each in text.numpy().tolist()]
        self.batches.append(texts)
        if "wrong" in texts:
            raise tf.errors.InvalidArgumentError(None, None, "a wrong text")
        if "defect" in texts:
            raise RuntimeError("a defect")
        return {"length": tf.strings.length(text)}

    def model(self, **info):
        outputs = {"length": Tensor("DT_INT32", (None,))}
        return string_model(self, outputs, info)


def version(directory, name, number):
    """A folder that looks like an exported model."""
    folder = directory / name / str(number)
    folder.mkdir(parents=True)
    (folder / "saved_model.pb").write_bytes(b"")
    return folder


class Server:
    """What a test knows of a running one."""

    def __init__(self, port, stop):
        self.port, self.stop = port, stop
        self.url = f"http://127.0.0.1:{port}"

    def ask(self, method, path, body=None, headers=()):
        """(status, headers, body), where the body is bytes or for JSON."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, 20)
        with contextlib.closing(connection):
            if not isinstance(body, bytes | None):
                body = json.dumps(body).encode()
            connection.request(method, path, body, dict(headers))
            response = connection.getresponse()
            return response.status, response.headers, response.read()

    def get(self, path, **given):
        status, _, content = self.ask("GET", path, **given)
        return status, json.loads(content)

    def post(self, path, body, **given):
        status, _, content = self.ask("POST", path, body, **given)
        return status, json.loads(content)

    def metric(self, line):
        """The number behind a line's beginning, in Prometheus' text."""
        for row in self.ask("GET", "/metrics")[2].decode().split("\n"):
            if row.startswith(line + " "):
                return float(row.split()[-1])
        return None


@contextlib.contextmanager
def running(
    directory,
    load=Model.load,
    limits=None,
    batches=None,
    token=None,
    poll_seconds=0.02,
    encode_model=None,
    connections=100,
):
    """A server of the models in a directory, until the block is left."""
    started, servers = threading.Event(), []
    limits = limits or Limits()

    async def serve():
        metrics = Metrics(
            lambda: [(s.name, s.version, s.queue) for s in repository.served]
        )
        repository = Repository(
            str(directory),
            batches or BatchOptions(queue=limits.queue),
            metrics.batch,
            load=load,
        )
        await repository.start()
        service = Service(repository, limits, metrics, encode_model)
        app = make_app(service, repository, poll_seconds, token)
        config = make_config(app, refuse, connections, limits.seconds, port=0)
        server = uvicorn.Server(config)
        servers.append(server)
        task = asyncio.create_task(server.serve())
        while not server.started:
            await asyncio.sleep(0.01)
        started.set()
        await task

    thread = threading.Thread(target=asyncio.run, args=(serve(),))
    thread.start()
    assert started.wait(60)
    (server,) = servers
    listener = server.servers[0].sockets[0]

    def stop():
        server.should_exit = True
        thread.join(30)
        assert not thread.is_alive()

    try:
        yield Server(listener.getsockname()[1], stop)
    finally:
        stop()


def wait_until(happened, seconds=10):
    """Fails where something does not happen."""
    end = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.01)
