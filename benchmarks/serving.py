"""The server under load: batching, latency, and clients that misbehave.

  python export_model.py --model_dir=MINILM --export_dir=/tmp/models \\
    --name=minilm
  python -m benchmarks.serving --model_dir=/tmp/models --name=minilm \\
    --sentences=FILE

FILE has a sentence a line. Clients run in this process and servers in others,
all on the cores that the command is given: `taskset -c 0,1` makes them two.

1. Closed load: so many clients, each with one sentence at a time, with batching
   and without, the servers in turn.
2. Open load: sentences come at random (Poisson) at shares of the highest rate
   of 1, whether or not the ones before are answered; latency counts from when
   they should have been sent.
3. Mixed requests: some clients leave before the answer, some send too much or
   no JSON. Every answer is compared, and the server's memory is watched.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import re
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator

import numpy as np
from absl import app, flags

_MODEL_DIR = flags.DEFINE_string("model_dir", None, "Exported models.")
_NAME = flags.DEFINE_string("name", None, "One that gives embeddings.")
_SENTENCES = flags.DEFINE_string("sentences", None, "Text, a sentence a line.")
_SECONDS = flags.DEFINE_float("seconds", 5.0, "Of each load.")
_ROUNDS = flags.DEFINE_integer("rounds", 3, "Of closed load; medians count.")
_CLIENTS = flags.DEFINE_list("clients", ["1", "4", "16", "64"], "At a time.")
_MIXED = flags.DEFINE_integer("mixed", 50_000, "Mixed requests; 0: none.")
flags.mark_flags_as_required(["model_dir", "name", "sentences"])

_SHARES = (0.3, 0.5, 0.7, 0.9)
_SERVERS = {
    "batching": [],
    "none": ["--batch_tokens=1", "--batch_wait_ms=0"],
}
_MAX_TEXT_BYTES = 2000
_TOLERANCE = 1e-4


class Connection:
    """One client's, opened again when it was closed.

    Args:
      port: of the server.
    """

    def __init__(self, port: int) -> None:
        self._port = port
        self._streams: tuple | None = None

    async def ask(self, body: bytes) -> tuple[int, bytes]:
        """(status, body)"""
        was_open = self._streams is not None
        await self.send(body)
        try:
            head = await self._streams[0].readuntil(b"\r\n\r\n")
        except (asyncio.IncompleteReadError, ConnectionError) as error:
            # The server closes connections that were not used for a while.
            if not was_open or getattr(error, "partial", b""):
                raise
            self.close()
            return await self.ask(body)
        reader = self._streams[0]
        length = int(re.search(rb"content-length: (\d+)", head.lower())[1])
        content = await reader.readexactly(length)
        if b"connection: close" in head.lower():
            self.close()
        return int(head.split(b" ", 2)[1]), content

    async def send(self, body: bytes) -> None:
        if self._streams is None:
            self._streams = await asyncio.open_connection(
                "127.0.0.1", self._port
            )
        self._streams[1].write(
            f"POST /v1/models/{_NAME.value}:predict HTTP/1.1\r\nHost: x\r\n"
            f"Content-Length: {len(body)}\r\n\r\n".encode()
            + body
        )

    def close(self) -> None:
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None


def main(argv: list[str]) -> None:
    del argv
    with open(_SENTENCES.value, encoding="utf-8") as file:
        lines = [line.strip() for line in file if line.strip()]
    lines = random.Random(0).sample(lines, min(2000, len(lines)))
    bodies = [json.dumps({"instances": [line]}).encode() for line in lines]
    mean = sum(map(len, lines)) / len(lines)
    print(f"{len(lines)} sentences, {mean:.0f} characters each")
    with _server(*_SERVERS["none"]) as (port_without, _):
        with _server() as (port, _):
            ports = {"batching": port, "none": port_without}
            rate = asyncio.run(_closed(ports, bodies))
            asyncio.run(_open(port, bodies, rate))
    if _MIXED.value:
        limit = f"--max_text_bytes={_MAX_TEXT_BYTES}"
        with _server(limit) as (port, process):
            asyncio.run(_mixed(port, process, lines))


@contextlib.contextmanager
def _server(*arguments: str) -> Iterator[tuple[int, subprocess.Popen]]:
    process = subprocess.Popen(
        [
            sys.executable,
            "serve.py",
            f"--model_dir={_MODEL_DIR.value}",
            "--port=0",
            "--verbosity=-1",
            *arguments,
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        url = process.stdout.readline()
        yield int(re.search(r":(\d+)\s*$", url)[1]), process
    finally:
        process.terminate()
        process.wait()


async def _closed(ports: dict[str, int], bodies: list[bytes]) -> float:
    """Prints rates and latencies; returns the highest rate with batching."""
    print("\nClosed load: requests/s, and latency in ms at p50, p99")
    for port in ports.values():
        await _load(port, bodies, 4, 1.0)
    best = 0.0
    for clients in map(int, _CLIENTS.value):
        rates: dict[str, list[float]] = {name: [] for name in ports}
        latencies: dict[str, list[float]] = {name: [] for name in ports}
        for _ in range(_ROUNDS.value):
            for name, port in ports.items():
                got = await _load(port, bodies, clients, _SECONDS.value)
                rates[name].append(len(got) / _SECONDS.value)
                latencies[name] += got
        medians = {name: np.median(rate) for name, rate in rates.items()}
        best = max(best, medians["batching"])
        shown = ", ".join(
            f"{name} {medians[name]:.0f}/s ({_percentiles(values)})"
            for name, values in latencies.items()
        )
        ratio = medians["batching"] / medians["none"]
        print(f"  {clients:3d} clients: {shown}, {ratio:.2f} times")
    return best


async def _load(
    port: int, bodies: list[bytes], clients: int, seconds: float
) -> list[float]:
    """Latencies of the answers within so many seconds."""
    latencies: list[float] = []
    end = time.perf_counter() + seconds

    async def client(number: int) -> None:
        rng = random.Random(number)
        connection = Connection(port)
        while True:
            began = time.perf_counter()
            status, _ = await connection.ask(rng.choice(bodies))
            now = time.perf_counter()
            if now > end:
                break
            assert status == 200
            latencies.append(now - began)
        connection.close()

    await asyncio.gather(*(client(n) for n in range(clients)))
    return latencies


async def _open(port: int, bodies: list[bytes], highest: float) -> None:
    print("\nOpen load: ms at p50, p99")
    for share in _SHARES:
        rate = share * highest
        latencies = await _arrivals(port, bodies, rate, 2 * _SECONDS.value)
        tail = np.percentile(latencies, 99) / np.percentile(latencies, 50)
        print(
            f"  {share:.0%}, {rate:.0f}/s: {_percentiles(latencies)}, "
            f"{tail:.1f} times"
        )


async def _arrivals(
    port: int, bodies: list[bytes], rate: float, seconds: float
) -> list[float]:
    """Latencies of requests at random times."""
    rng = random.Random(1)
    free: list[Connection] = []
    latencies: list[float] = []

    async def ask(due: float, body: bytes) -> None:
        connection = free.pop() if free else Connection(port)
        status, _ = await connection.ask(body)
        assert status == 200
        latencies.append(time.perf_counter() - due)
        free.append(connection)

    tasks, due = [], time.perf_counter()
    end = due + seconds
    while due < end:
        due += rng.expovariate(rate)
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
        tasks.append(asyncio.create_task(ask(due, rng.choice(bodies))))
    await asyncio.gather(*tasks)
    for connection in free:
        connection.close()
    return latencies


async def _mixed(
    port: int, process: subprocess.Popen, lines: list[str]
) -> None:
    """Asks in all ways, and prints what came of it."""
    import psutil

    memory = psutil.Process(process.pid).memory_info
    # Alone, to compare with.
    connection = Connection(port)
    lines = lines[:500]
    known = {line: await _vectors(connection, [line]) for line in lines}
    connection.close()
    counts: Counter[str] = Counter()
    left = iter(range(_MIXED.value))
    began, marks = time.perf_counter(), []

    async def client(number: int) -> None:
        rng = random.Random(number)
        connection = Connection(port)
        for index in left:
            if index % (_MIXED.value // 8) == 0:
                marks.append(memory().rss / 2**20)
            kind = rng.choices(list(_KINDS), _WEIGHTS)[0]
            right = await _KINDS[kind](connection, rng, known)
            counts[f"{kind}: {'right' if right else 'WRONG'}"] += 1
        connection.close()

    await asyncio.gather(*(client(n) for n in range(32)))
    marks.append(memory().rss / 2**20)
    seconds = time.perf_counter() - began
    print(f"\n{_MIXED.value} mixed requests in {seconds:.0f} s")
    for name, count in sorted(counts.items()):
        print(f"  {name} {count}")
    print(f"  MB of memory: {', '.join(f'{m:.0f}' for m in marks)}")


async def _vectors(connection: Connection, texts: list[str]) -> np.ndarray:
    body = json.dumps({"instances": texts}).encode()
    status, content = await connection.ask(body)
    assert status == 200, content
    return np.array(json.loads(content)["predictions"])


async def _good(connection: Connection, rng: random.Random, known) -> bool:
    texts = rng.choices(list(known), k=rng.choice([1, 1, 1, 2, 5]))
    said = await _vectors(connection, texts)
    expected = np.concatenate([known[text] for text in texts])
    return said.shape == expected.shape and bool(
        np.abs(said - expected).max() < _TOLERANCE
    )


async def _leaves(connection: Connection, rng: random.Random, known) -> bool:
    await connection.send(json.dumps({"instances": list(known)[:5]}).encode())
    await asyncio.sleep(rng.uniform(0, 0.01))
    connection.close()
    return True


def _refused(body: bytes, status: int) -> Callable[..., Awaitable[bool]]:
    async def ask(connection: Connection, rng: random.Random, known) -> bool:
        got, content = await connection.ask(body)
        # A refusal has a reason.
        return got == status and bool(json.loads(content)["error"])

    return ask


_KINDS = {
    "answered": _good,
    "left": _leaves,
    "too long": _refused(
        json.dumps({"instances": ["a" * (_MAX_TEXT_BYTES + 1)]}).encode(), 413
    ),
    "too many": _refused(json.dumps({"instances": ["a"] * 1025}).encode(), 413),
    "no JSON": _refused(b'{"instances": [', 400),
    "malformed": _refused(b'{"instances": [{"txt": 1}]}', 400),
}
_WEIGHTS = (80, 8, 3, 3, 3, 3)


def _percentiles(latencies: list[float]) -> str:
    p50, p99 = 1000 * np.percentile(latencies, [50, 99])
    return f"{p50:.1f}, {p99:.1f}"


if __name__ == "__main__":
    app.run(main)
