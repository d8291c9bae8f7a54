"""What Prometheus is told."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Histogram,
    generate_latest,
)
from prometheus_client.core import GaugeMetricFamily

from modeling.serving.batching import BatchReport

# Upper ends, in seconds: of answers on a laptop to those of a long queue.
_SECONDS = (
    *(0.001, 0.002, 0.005, 0.01, 0.02, 0.05),
    *(0.1, 0.2, 0.5, 1, 2, 5, 10, 30),
)
_ROWS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512)
_SHARES = (0, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.75, 1)

# (model, version, rows that wait)
State = tuple[str, int, int]


class Metrics:
    """Counts and durations of one server.

    Args:
      states: of the models, now.
    """

    def __init__(self, states: Callable[[], Iterable[State]]) -> None:
        self._registry = CollectorRegistry()
        self._registry.register(_States(states))

        def histogram(name: str, text: str, ends: tuple) -> Histogram:
            return Histogram(
                f"bert_{name}",
                text,
                ["model"],
                buckets=ends,
                registry=self._registry,
            )

        self._requests = Counter(
            "bert_requests",
            "Requests, by the status of the answer.",
            ["model", "kind", "status"],
            registry=self._registry,
        )
        self._request = histogram(
            "request_seconds", "From request to answer.", _SECONDS
        )
        self._wait = histogram(
            "queue_seconds", "For which texts waited for a batch.", _SECONDS
        )
        self._batch = histogram(
            "batch_seconds", "Of the computation of a batch.", _SECONDS
        )
        self._rows = histogram("batch_texts", "Texts in a batch.", _ROWS)
        self._padding = histogram(
            "batch_padding", "Share of a batch's tokens, about.", _SHARES
        )

    def request(
        self, model: str, kind: str, status: int, seconds: float
    ) -> None:
        """Counts an answer.

        Args:
          model: one that is served, or "": clients' words are no labels.
          kind: "predict" or "encode".
          status: of HTTP.
          seconds: that it took.
        """
        self._requests.labels(model, kind, str(status)).inc()
        self._request.labels(model).observe(seconds)

    def batch(self, model: str, report: BatchReport) -> None:
        """Counts a batch."""
        self._rows.labels(model).observe(report.rows)
        self._padding.labels(model).observe(report.padding)
        self._batch.labels(model).observe(report.seconds)
        wait = self._wait.labels(model)
        for seconds in report.waited:
            wait.observe(seconds)

    def text(self) -> bytes:
        """All of it in Prometheus' text format."""
        return generate_latest(self._registry)


class _States:
    """Asked when Prometheus asks."""

    def __init__(self, states: Callable[[], Iterable[State]]) -> None:
        self._states = states

    def collect(self) -> Iterable[GaugeMetricFamily]:
        version = GaugeMetricFamily(
            "bert_model_version", "That is served.", labels=["model"]
        )
        queue = GaugeMetricFamily(
            "bert_queue_texts", "That wait for a batch.", labels=["model"]
        )
        for model, served, waiting in self._states():
            version.add_metric([model], served)
            queue.add_metric([model], waiting)
        return [version, queue]

    def describe(self) -> Iterable[GaugeMetricFamily]:
        """None: registering asks no models."""
        return []
