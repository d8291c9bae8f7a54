"""serve.py as its users run it."""

import contextlib
import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time

import pytest
from absl import flags
from absl.testing import flagsaver

from modeling.errors import UserError
from tests.conftest import ROOT
from tests.export.models import classifier, export
from tests.scripts import load_script
from tests.serving.servers import wait_until


@pytest.fixture(scope="module")
def models_dir(tmp_path_factory):
    trained = classifier(tmp_path_factory.mktemp("trained") / "reviews")
    directory = tmp_path_factory.mktemp("models")
    export(trained, directory)
    return directory


def run_script(models_dir, *arguments, **given):
    return subprocess.Popen(
        [sys.executable, "serve.py", f"--model_dir={models_dir}", *arguments],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **given,
    )


def refuses(address):
    connection = http.client.HTTPConnection(address, timeout=20)
    try:
        connection.connect()
    except ConnectionRefusedError:
        return True
    connection.close()
    return False


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_serves_until_a_signal(models_dir, tmp_path, number):
    token_file = tmp_path / "token"
    token_file.write_text("secret\n")
    process = run_script(models_dir, "--port=0", f"--token_file={token_file}")
    # So that it never waits for us to read.
    noise = []
    reader = threading.Thread(target=lambda: noise.extend(process.stderr))
    reader.start()
    try:
        url = re.search(r"http://127\.0\.0\.1:\d+", process.stdout.readline())
        address = url[0].removeprefix("http://")
        connection = http.client.HTTPConnection(address, timeout=20)
        body = b'{"instances": ["The cat"]}'
        connection.putrequest("POST", "/v1/models/reviews:predict")
        connection.putheader("Authorization", "Bearer secret")
        connection.putheader("Content-Length", str(len(body)))
        connection.endheaders(body[:5])
        time.sleep(0.3)
        process.send_signal(number)
        # Once a second connection is refused, the server is draining.
        wait_until(lambda: refuses(address))
        connection.send(body[5:])
        (said,) = json.load(connection.getresponse())["predictions"]
        assert said["label"] in ("bad", "good", "neutral")
        connection.close()
        assert process.wait(20) == 0
    finally:
        process.kill()
        process.wait()
        reader.join()
        process.stdout.close()
        process.stderr.close()
    assert "Drained." in "".join(noise)
    assert "secret" not in "".join(noise)


def test_a_port_that_is_none():
    load_script("serve")
    with pytest.raises(flags.IllegalFlagValueError, match="port=65536"):
        with flagsaver.as_parsed(port="65536"):
            pass


def test_as_many_connections_as_may_be(models_dir):
    from modeling.serving.server import ServerOptions, serve

    said = []

    def ask(address):
        host, port = address.split(":")
        with socket.create_connection((host, int(port)), 20) as silent:
            connection = http.client.HTTPConnection(address, timeout=20)
            with contextlib.closing(connection):
                connection.request("GET", "/healthz")
                said.append(connection.getresponse().status)
            # It made room.
            said.append(silent.recv(100))
        os.kill(os.getpid(), signal.SIGTERM)

    def start(url):
        address = url.removeprefix("http://")
        threading.Thread(target=ask, args=[address]).start()

    serve(ServerOptions(str(models_dir), port=0, connections=1), start)
    assert said == [200, b""]


def test_interactive(models_dir, monkeypatch, capsys):
    lines = ["The cat\n", "\n", "one\ttwo\n"]
    monkeypatch.setattr(sys, "stdin", lines)
    script = load_script("serve")
    with flagsaver.flagsaver(model_dir=str(models_dir), interactive=True):
        script.main([])
    said, wrong = capsys.readouterr().out.splitlines()
    assert re.fullmatch(r"(bad|good|neutral)\t[01]\.\d{4}", said)
    assert wrong == "error: A line has text. Received: 2 texts"


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"model_dir": "/nowhere"}, "no directory /nowhere"),
        ({"max_queue": 10}, "only 10 may wait"),
        ({"token_file": "/nowhere"}, "no --token_file /nowhere"),
        ({"token_file": "/dev/null"}, "/dev/null is empty"),
        ({"token_file": "/"}, "--token_file / cannot be read: .*directory"),
        ({"host": "192.0.2.1"}, "Cannot listen at 192.0.2.1, port 8501"),
        ({"encode_model": "other"}, "--encode_model=other"),
    ],
)
def test_mistakes_are_told(models_dir, given, message):
    script = load_script("serve")
    given = {"model_dir": str(models_dir), **given}
    with flagsaver.flagsaver(**given):
        with pytest.raises(UserError, match=message):
            script.main([])


def test_it_says_what_to_install(models_dir, monkeypatch):
    for name in [n for n in sys.modules if n.startswith("modeling.serving")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    script = load_script("serve")
    with flagsaver.flagsaver(model_dir=str(models_dir)):
        with pytest.raises(UserError, match=r'uvicorn .* "\.\[serve\]"'):
            script.main([])
