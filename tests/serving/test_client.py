"""The client, and a server that is not always in the mood."""

import email.utils
import http.server
import json
import threading
import time

import pytest

from modeling.serving.client import Client, ServingError


class Moody(http.server.BaseHTTPRequestHandler):
    """Answers as it is told to, else with the length of every text."""

    protocol_version = "HTTP/1.1"

    def do_POST(self):
        size = int(self.headers["Content-Length"])
        message = json.loads(self.rfile.read(size))
        self.server.asked.append((self.path, message, dict(self.headers)))
        status, headers, answer = 200, {}, None
        if self.server.moods:
            status, headers, answer = self.server.moods.pop(0)
        if status is None:
            # Without an answer.
            self.close_connection = True
            return
        if answer is None and self.path == "/encode":
            answer = {"results": [[len(t)] for t in message["texts"]]}
        elif answer is None:
            answer = {"predictions": [len(t) for t in message["instances"]]}
        content = answer
        if not isinstance(answer, bytes):
            content = json.dumps(answer).encode()
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_):
        pass


@pytest.fixture
def server():
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Moody) as server:
        server.asked, server.moods = [], []
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def waits():
    return []


@pytest.fixture
def client(server, waits):
    url = f"http://127.0.0.1:{server.server_port}"
    with Client(
        url, "a b", batch_size=2, retries=3, token="t", sleep=waits.append
    ) as client:
        yield client


def test_texts_go_in_batches_and_come_in_order(server, client):
    texts = ["x" * n for n in range(7)]
    assert client.predict(texts) == list(range(7))
    sizes = sorted(len(m["instances"]) for _, m, _ in server.asked)
    assert sizes == [1, 2, 2, 2]
    path, _, headers = server.asked[0]
    assert path == "/v1/models/a%20b:predict"
    assert headers["Authorization"] == "Bearer t"
    assert client.predict([]) == []


def test_a_stream_is_not_read_ahead_of_the_answers(client):
    taken = []

    def texts():
        for n in range(1000):
            taken.append(n)
            yield "x" * n

    stream = client.predict_stream(texts())
    assert [next(stream) for _ in range(3)] == [0, 1, 2]
    # Two requests of two texts, and the next ones.
    assert len(taken) <= 8


def test_encode(server, client):
    assert client.encode(["a", "bc"]) == [[1], [2]]
    assert client.encode([["a", "b"]], is_tokenized=True) == [[2]]
    assert [m["is_tokenized"] for _, m, _ in server.asked] == [False, True]


def test_signature_name(server, client):
    client.predict([{"ids": [1]}], "token_ids")
    assert server.asked[0][1]["signature_name"] == "token_ids"


@pytest.mark.parametrize("status", [None, 429, 503])
def test_what_may_pass_is_asked_again(server, client, waits, status):
    server.moods[:] = [(status, {}, {"error": "busy"})] * 3
    assert client.predict(["abc"]) == [3]
    assert len(server.asked) == 4
    # Longer and longer.
    assert len(waits) == 3
    for wait, base in zip(waits, (0.1, 0.2, 0.4), strict=True):
        assert base / 2 <= wait <= 1.5 * base


def test_retries_end(server, client):
    server.moods[:] = [(503, {}, {"error": "busy"})] * 4
    with pytest.raises(ServingError, match="503: busy") as error:
        client.predict(["abc"])
    assert error.value.status == 503
    assert len(server.asked) == 4


def test_the_server_says_how_long_to_wait(server, client, waits):
    server.moods[:] = [(429, {"Retry-After": "7"}, {"error": "busy"})]
    client.predict(["abc"])
    assert waits == [7]


@pytest.mark.parametrize(
    "asked", ["99999999", "9" * 400, "Fri, 31 Dec 9999 23:59:59 GMT"]
)
def test_nobody_waits_longer_than_for_an_answer(server, client, waits, asked):
    server.moods[:] = [(503, {"Retry-After": asked}, {"error": "busy"})]
    assert client.predict(["abc"]) == [3]
    assert waits == [60]


def test_the_server_says_until_when_to_wait(server, client, waits):
    until = email.utils.formatdate(time.time() + 20, usegmt=True)
    server.moods[:] = [(429, {"Retry-After": until}, {"error": "busy"})]
    client.predict(["abc"])
    assert 10 < waits[0] <= 20


@pytest.mark.parametrize(
    "asked",
    [
        *("-5", "soon", "1.5", "\u00b2", "", "nan", "inf"),
        "Fri, 31 Dec 1999 23:59:59 GMT",
        "Fri, 31 Dec 9999 23:59:59 -0000",
        "Fri, 99 Dec 2026 23:59:59 GMT",
    ],
)
def test_a_wait_that_is_none_is_ours(server, client, waits, asked):
    server.moods[:] = [(503, {"Retry-After": asked}, {"error": "busy"})]
    assert client.predict(["abc"]) == [3]
    assert 0.05 <= waits[0] <= 0.15


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"<html>Please log in</html>", "not JSON.*b'<html>Please log in"),
        (b"", "not JSON. Received 0 bytes"),
        (b"\xff\xfe", r"not JSON.*b'\\xff"),
        (b"[" * 100_000, "not JSON. Received 100000 bytes"),
        (b"[1]", '1 answers in "predictions".*serve.py or TensorFlow Serving'),
        (b'{"results": [1]}', '1 answers in "predictions"'),
        (b'{"predictions": [1, 2]}', '1 answers in "predictions"'),
        (b'{"predictions": {"a": 1}}', '1 answers in "predictions"'),
    ],
)
def test_answers_of_something_else(server, client, content, said):
    server.moods[:] = [(200, {}, content)]
    with pytest.raises(ServingError, match=said) as error:
        client.predict(["abc"])
    assert error.value.status == 200
    assert len(error.value.reason) < 500
    # The same would come again.
    assert len(server.asked) == 1


def test_what_is_wrong_is_not_asked_again(server, client):
    server.moods[:] = [(413, {}, {"error": "too long"})]
    with pytest.raises(ServingError, match="413: too long"):
        client.predict(["abc"])
    assert len(server.asked) == 1
    server.moods[:] = [(400, {}, ["of a proxy"])]
    with pytest.raises(ServingError, match="of a proxy"):
        client.predict(["abc"])


def test_no_server(waits):
    with Client("http://127.0.0.1:1", "m", sleep=waits.append) as client:
        with pytest.raises(ServingError, match="ConnectionRefused") as error:
            client.predict(["a"])
    assert error.value.status is None
    assert len(waits) == 5


def test_a_token_of_any_letters(server):
    url = f"http://127.0.0.1:{server.server_port}"
    with Client(url, "m", token="clé-ключ") as client:
        client.predict(["a"])
    sent = server.asked[0][2]["Authorization"]
    assert sent.encode("latin-1") == "Bearer clé-ключ".encode()
    with pytest.raises(ValueError, match="one line of printable"):
        Client(url, "m", token="a\nX-Other: b")


@pytest.mark.parametrize(
    "url",
    [
        *("127.0.0.1:8501", "ftp://x", "http://", "http://x:99999"),
        *("http://x:port", "http://[::1"),
    ],
)
def test_addresses(url):
    with pytest.raises(ValueError, match="Received"):
        Client(url, "m")
