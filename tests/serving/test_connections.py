"""As many connections as may be, and clients that keep theirs for nothing."""

import contextlib
import http.client
import json
import socket
import threading
import time

import pytest

from modeling.serving.limits import Limits
from tests.serving.servers import Gate, running, version, wait_until

_PREDICT = "/v1/models/sizes:predict"
_SECONDS = 1.0
_MOST = 3


@pytest.fixture(scope="module")
def gate():
    return Gate()


@pytest.fixture(scope="module")
def server(tmp_path_factory, gate):
    directory = tmp_path_factory.mktemp("models")
    version(directory, "sizes", 1)
    with running(
        directory,
        lambda folder: gate.model(),
        Limits(seconds=_SECONDS),
        connections=_MOST,
    ) as server:
        yield server


@contextlib.contextmanager
def connected(server, said=b"", receive_buffer=None):
    """A connection over which something was said."""
    with socket.socket() as client:
        client.settimeout(20)
        if receive_buffer is not None:
            client.setsockopt(
                socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer
            )
        client.connect(("127.0.0.1", server.port))
        client.sendall(said)
        yield client


def post(text, more=0):
    """A request, or the beginning of one."""
    body = json.dumps({"instances": [text]}).encode()
    head = f"POST {_PREDICT} HTTP/1.1\r\nHost: x\r\n"
    return f"{head}Content-Length: {len(body) + more}\r\n\r\n".encode() + body


def rest(client):
    """What comes until the server ends the connection."""
    said = b""
    with contextlib.suppress(ConnectionResetError):
        while part := client.recv(2**16):
            said += part
    return said


def status(client):
    """Of the answer that comes, which is read to its end."""
    with http.client.HTTPResponse(client) as answer:
        answer.begin()
        answer.read()
        return answer.status


def test_where_all_wait_for_answers_the_next_is_refused(server, gate):
    entered = gate.entered
    gate.open.clear()
    try:
        with contextlib.ExitStack() as stack:
            busy = [
                stack.enter_context(connected(server, post(f"text {n}")))
                for n in range(_MOST)
            ]
            wait_until(lambda: gate.entered > entered)
            # So that all of them were read.
            time.sleep(0.1)
            code, headers, content = server.ask("GET", "/healthz")
            assert code == 503
            assert headers["content-type"] == "application/json"
            assert headers["retry-after"] == "1"
            assert headers["connection"] == "close"
            said = json.loads(content)
            assert said["status"] == 503
            assert "3 connections are open" in said["error"]
            gate.open.set()
            for client in busy:
                assert status(client) == 200
    finally:
        gate.open.set()
    assert server.get("/healthz")[0] == 200


@pytest.mark.parametrize(
    "said",
    [b"", b"GET /healthz HTT", post("a", more=5)],
    ids=["silent", "half a head", "half a body"],
)
def test_who_asks_nothing_keeps_nobody_out(server, said):
    with contextlib.ExitStack() as stack:
        idle = [
            stack.enter_context(connected(server, said)) for _ in range(_MOST)
        ]
        began = time.monotonic()
        for _ in range(2 * _MOST):
            assert server.post(_PREDICT, {"instances": ["a"]})[0] == 200
        assert time.monotonic() - began < _SECONDS
        # The first made room.
        assert rest(idle[0]) == b""


def test_who_has_an_answer_makes_room(server):
    asked = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
    with contextlib.ExitStack() as stack:
        for _ in range(3 * _MOST):
            client = stack.enter_context(connected(server, asked))
            assert status(client) == 200


@pytest.mark.parametrize(
    ("said", "drops"),
    [
        (b"", b""),
        (b"", b"GET /healthz HTTP/1.1\r\nX: yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy"),
        # Is answered without the body, which comes all the same.
        (
            b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 99\r\n\r\n",
            b"x" * 50,
        ),
    ],
    ids=["silent", "drop by drop", "behind the answer"],
)
def test_who_asks_nothing_is_let_go(server, said, drops):
    with connected(server, said) as client:
        ended = threading.Event()

        def drip():
            for drop in drops:
                if ended.wait(0.1):
                    return
                with contextlib.suppress(OSError):
                    client.send(bytes([drop]))

        dripping = threading.Thread(target=drip)
        dripping.start()
        began = time.monotonic()
        rest(client)
        seconds = time.monotonic() - began
        ended.set()
        dripping.join()
    assert _SECONDS / 2 < seconds < 4 * _SECONDS


def test_who_reads_nothing_is_let_go(server):
    # Answers to all of them are more than there are buffers for.
    asked = b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n" * 5000
    with connected(server, receive_buffer=4096) as client:
        sending = threading.Thread(target=send_all, args=[client, asked])
        sending.start()
        time.sleep(3 * _SECONDS)
        assert rest(client).count(b" 200 OK") < 5000
        sending.join()


def send_all(client, said):
    with contextlib.suppress(OSError):
        client.sendall(said)


def test_who_reads_slowly_is_not(server):
    asked = b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n" * 400
    with connected(server, receive_buffer=4096) as client:
        sending = threading.Thread(target=send_all, args=[client, asked])
        sending.start()
        said, began = b"", time.monotonic()
        while said.count(b" 200 OK") < 400:
            part = client.recv(2**14)
            assert part
            said += part
            if time.monotonic() - began < 3 * _SECONDS:
                time.sleep(0.01)
        sending.join()


@pytest.mark.parametrize(
    "said",
    [
        b"\x00\xff\x16\x03\x01 what?\r\n\r\n",
        b"GET /healthz HTTP/9\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\n\r\n",
        b"POST /encode HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
        b"POST " + _PREDICT.encode() + b" HTTP/1.1\r\nHost: x\r\n"
        b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
    ],
)
def test_what_is_no_http_is_told_in_json(server, said):
    with connected(server, said) as client:
        head, _, content = rest(client).partition(b"\r\n\r\n")
    assert b" 400 " in head.split(b"\r\n")[0]
    assert json.loads(content)["status"] == 400
    assert server.get("/healthz")[0] == 200


def test_what_is_no_http_behind_an_answer(server, caplog):
    said = (
        b"POST /nowhere HTTP/1.1\r\nHost: x\r\n"
        b"Transfer-Encoding: chunked\r\n\r\n1\r\nx\r\n"
    )
    with connected(server, said) as client:
        assert status(client) == 404
        client.sendall(b"zz\r\n")
        assert rest(client) == b""
    assert server.get("/healthz")[0] == 200
    assert not [r for r in caplog.records if r.exc_info]
