"""A server under good and bad clients."""

import contextlib
import http.client
import json
import socket
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from modeling.serving.limits import Limits
from tests.serving.servers import Gate, running, version, wait_until

_PREDICT = "/v1/models/sizes:predict"
_VERSIONS = "/v1/models/sizes/versions"
_LIMITS = Limits(body_bytes=5000, texts=3, text_bytes=1000, queue=3, seconds=1)


@pytest.fixture(scope="module")
def models_dir(tmp_path_factory):
    directory = tmp_path_factory.mktemp("models")
    version(directory, "sizes", 7)
    return directory


@pytest.fixture(scope="module")
def gate():
    return Gate()


@pytest.fixture(scope="module")
def server(models_dir, gate):
    info = {"task": "lengths", "inputs": ["text"], "max_seq_length": 8}
    with running(
        models_dir, lambda folder: gate.model(**info), _LIMITS
    ) as server:
        yield server


def test_predict(server):
    for path in (_PREDICT, "/v1/models/sizes/versions/7:predict"):
        said = server.post(path, {"instances": ["a", "bcd"]})
        assert said == (200, {"predictions": [1, 3]})


def test_what_is_served(server):
    status, said = server.get("/v1/models/sizes")
    assert status == 200
    assert said["model_version_status"] == [
        {
            "version": "7",
            "state": "AVAILABLE",
            "status": {"error_code": "OK", "error_message": ""},
        }
    ]
    status, said = server.get("/v1/models/sizes/versions/7/metadata")
    assert status == 200
    assert said["model_spec"]["name"] == "sizes"
    (model,) = server.get("/v1/models")[1]["models"]
    assert (model["name"], model["version"]) == ("sizes", 7)
    assert model["task"] == "lengths"
    assert server.get("/healthz")[0] == server.get("/readyz")[0] == 200


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "reason"),
    [
        ("GET", "/nothing", None, 404, "No such address"),
        ("GET", "/v1/models/x", None, 404, "No model 'x'; there are: sizes"),
        ("GET", "/v1/models/sizes/versions/8", None, 404, "version 7 is"),
        ("GET", f"{_VERSIONS}/{'9' * 5000}", None, 404, "version 7 is"),
        ("POST", f"{_VERSIONS}/x:predict", b"", 404, "Received: x"),
        ("POST", "/v1/models/x:predict", b"", 404, "No model 'x'"),
        ("GET", "/encode", None, 405, "method"),
        ("POST", "/encode/", b"{}", 404, "No such address"),
        ("GET", "/page", None, 404, "No such address"),
        ("POST", "/encode", b"{}", 404, "No model gives vectors"),
        ("POST", _PREDICT, b"", 400, "No JSON"),
        ("POST", _PREDICT, b"[" * 3000, 400, "No JSON"),
        ("POST", _PREDICT, b'{"instances": ["\\ud800"]}', 400, "No JSON"),
        ("POST", _PREDICT, b'{"instances": ["\xff"]}', 400, "No JSON"),
        ("POST", _PREDICT, {"instances": 1}, 400, "must be a list"),
        ("POST", _PREDICT, {"instances": ["a"] * 4}, 413, "3 texts"),
        ("POST", _PREDICT, {"instances": ["a" * 1001]}, 413, "1000 bytes"),
        ("POST", _PREDICT, b"x" * 5001, 413, "5000 bytes"),
        ("POST", _PREDICT, {"instances": ["wrong"]}, 400, "a wrong text"),
        ("POST", _PREDICT, {"instances": ["defect"]}, 500, "server's log"),
        ("GET", "/page/../server.py", None, 404, "No such"),
        ("GET", "/page/%2e%2e/server.py", None, 404, "No such"),
    ],
)
def test_refusals(server, method, path, body, status, reason):
    got, _, content = server.ask(method, path, body)
    assert got == status
    assert reason in json.loads(content)["error"]
    # And the next is served.
    assert server.post(_PREDICT, {"instances": ["a"]})[0] == 200


def test_a_body_without_an_end_is_cut(server):
    connection = http.client.HTTPConnection("127.0.0.1", server.port, 20)
    with contextlib.closing(connection):
        chunks = (b"x" * 1000 for _ in range(100))
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            connection.request("POST", _PREDICT, chunks, encode_chunked=True)
        assert connection.getresponse().status == 413


def test_a_body_that_does_not_come(server):
    with socket.create_connection(("127.0.0.1", server.port), 20) as client:
        client.sendall(
            f"POST {_PREDICT} HTTP/1.1\r\nHost: x\r\n"
            "Content-Length: 100\r\n\r\n{".encode()
        )
        answer = client.recv(10_000)
        assert b" 408 " in answer.split(b"\r\n")[0]


@contextlib.contextmanager
def busy(server, gate):
    """While a batch is under way; gives a function that asks beside it."""
    entered = gate.entered
    gate.open.clear()
    gate.batches.clear()
    with ThreadPoolExecutor(8) as threads:

        def ask(*texts):
            message = {"instances": texts}
            return threads.submit(server.ask, "POST", _PREDICT, message)

        try:
            first = ask("first")
            wait_until(lambda: gate.entered > entered)
            yield ask
        finally:
            gate.open.set()
        first.result()


def queue(server):
    return server.metric('bert_queue_texts{model="sizes"}')


def test_past_the_queue(server, gate):
    with busy(server, gate) as ask:
        waiting = ask("a", "b")
        wait_until(lambda: queue(server) == 2)
        status, headers, content = ask("c", "d").result()
        assert status == 429
        assert headers["Retry-After"] == "1"
        assert "2 texts are waiting" in json.loads(content)["error"]
        also = ask("e")
        wait_until(lambda: queue(server) == 3)
        gate.open.set()
        assert waiting.result()[0] == also.result()[0] == 200
    assert gate.batches == [["first"], ["a", "b", "e"]]


def test_an_answer_that_takes_too_long(server, gate):
    with busy(server, gate) as ask:
        status, headers, content = ask("late").result()
        assert status == 503
        assert headers["Retry-After"] == "1"
        assert "No answer within 1 seconds" in json.loads(content)["error"]
        assert queue(server) == 0
    wait_until(lambda: gate.batches)
    # Nobody waited for it any more.
    assert gate.batches == [["first"]]


def test_texts_of_a_client_that_is_gone_are_not_computed(server, gate):
    message = json.dumps({"instances": ["gone"]})
    with busy(server, gate) as ask:
        client = socket.create_connection(("127.0.0.1", server.port), 20)
        with client:
            client.sendall(
                f"POST {_PREDICT} HTTP/1.1\r\nHost: x\r\n"
                f"Content-Length: {len(message)}\r\n\r\n{message}".encode()
            )
            wait_until(lambda: queue(server) == 1)
        wait_until(lambda: queue(server) == 0)
        stays = ask("stays")
        wait_until(lambda: queue(server) == 1)
        gate.open.set()
        assert stays.result()[0] == 200
    assert gate.batches == [["first"], ["stays"]]
    counted = 'bert_requests_total{kind="predict",model="sizes",status="499"}'
    assert server.metric(counted) == 1


def test_requests_of_many_clients_share_batches(server, gate):
    before = server.metric('bert_batch_texts_count{model="sizes"}')
    with busy(server, gate) as ask:
        answers = [ask("x" * n) for n in range(1, 4)]
        wait_until(lambda: queue(server) == 3)
        gate.open.set()
        for n, answer in enumerate(answers, 1):
            assert json.loads(answer.result()[2]) == {"predictions": [n]}
    after = server.metric('bert_batch_texts_count{model="sizes"}')
    assert after - before == 2


def test_a_bad_text_of_a_stranger_spoils_nothing(server, gate):
    with busy(server, gate) as ask:
        good, bad = ask("good"), ask("wrong")
        wait_until(lambda: queue(server) == 2)
        gate.open.set()
        assert good.result()[0] == 200
        assert bad.result()[0] == 400


def test_metrics_name_no_words_of_clients(server):
    server.post("/v1/models/secret:predict", {"instances": ["secret"]})
    text = server.ask("GET", "/metrics")[2].decode()
    assert "secret" not in text
    assert 'bert_model_version{model="sizes"} 7.0' in text
    assert 'bert_request_seconds_bucket{le="0.001",model="sizes"}' in text


def test_bearer_token(models_dir, gate):
    with running(
        models_dir, lambda folder: gate.model(), token="abc"
    ) as server:
        message = {"instances": ["a"]}
        for given in ((), {"Authorization": "Bearer abd"}.items()):
            status, headers, _ = server.ask("POST", _PREDICT, message, given)
            assert status == 401
            assert headers["WWW-Authenticate"] == "Bearer"
        assert server.get("/v1/models")[0] == 401
        assert server.ask("GET", "/metrics")[0] == 401
        assert server.get("/readyz")[0] == 200
        assert server.ask("GET", "/")[0] == 200
        assert server.ask("GET", "/page/page.js")[0] == 200
        right = {"Authorization": "Bearer abc"}
        assert server.post(_PREDICT, message, headers=right)[0] == 200


@pytest.mark.parametrize(
    ("given", "status"),
    [
        ("Bearer clé-ключ", 200),
        ("bearer clé-ключ", 200),
        ("Bearer  clé-ключ ", 200),
        ("Bearer clé-клю", 401),
        ("Bearer cl", 401),
        ("Bearer", 401),
        ("", 401),
        ("clé-ключ", 401),
        ("Basic clé-ключ", 401),
        ("Bearer \x80\xff", 401),
    ],
)
def test_bearer_tokens_of_any_letters(models_dir, gate, given, status):
    token = "clé-ключ"
    with running(
        models_dir, lambda folder: gate.model(), token=token
    ) as server:
        asked = {"Authorization": given.encode()}
        assert server.ask("GET", "/v1/models", None, asked)[0] == status


def test_methods_that_there_are(server):
    status, headers, content = server.ask("OPTIONS", _PREDICT)
    assert (status, headers["Allow"]) == (405, "POST")
    assert json.loads(content)["status"] == 405
    status, headers, content = server.ask("HEAD", "/v1/models/sizes")
    assert (status, content) == (200, b"")


def test_what_was_asked_is_answered_at_the_end(models_dir):
    gate = Gate()
    with running(models_dir, lambda folder: gate.model()) as server:
        gate.open.clear()
        with ThreadPoolExecutor(4) as threads:
            asked = []
            for n in range(1, 5):
                message = {"instances": ["a" * n]}
                asked.append(threads.submit(server.post, _PREDICT, message))
                # The first is a batch alone; the others wait.
                wait_until(lambda: gate.entered)
            wait_until(lambda: queue(server) == 3)
            # The server ends while the answers are not there yet.
            threading.Timer(0.5, gate.open.set).start()
            stopping = threading.Thread(target=server.stop)
            stopping.start()
            for n, answer in enumerate(asked, 1):
                assert answer.result() == (200, {"predictions": [n]})
            stopping.join()
    with pytest.raises(ConnectionRefusedError):
        server.get("/healthz")


def test_the_page_takes_nothing_from_elsewhere(server):
    status, headers, content = server.ask("GET", "/")
    assert status == 200
    assert headers["content-security-policy"] == "default-src 'self'"
    assert b"page/page.js" in content
    assert b"://" not in content
