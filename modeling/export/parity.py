"""An export says what the training graph says, or is refused."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from modeling.errors import UserError
from modeling.export.exported import Arrays, Exporter, Sample

# Largest deviation by precision, as a share of the largest number, or of 1
# where all are smaller. Of bfloat16 a number has 8 bits.
TOLERANCE = {
    "float32": 1e-4,
    "float16": 0.02,
    "bfloat16": 0.15,
    "int8": 0.25,
}
_TIMED_BATCH = 16
_TIMED_RUNS = 7


class Tried(NamedTuple):
    """How an export did.

    Attributes:
      deviation: the largest from the training graph.
      rows_per_second: of sentences, in batches of 16.
    """

    deviation: float
    rows_per_second: float


class Refused(UserError):
    """The export does not say what the training graph says."""


def compare_texts(
    exporter: Exporter,
    answer: Callable[[Sequence[Sample]], Arrays],
    precision: str,
) -> float:
    """Asks about all samples at once; returns the largest deviation.

    Args:
      exporter: knows the samples and what is expected of each.
      answer: outputs for texts, the first axis being the samples'.
      precision: of the export.

    Raises:
      Refused: the deviation is too large.
    """
    samples = exporter.samples()
    outputs = answer(samples)
    return max(
        _compare(
            exporter.expected(sample),
            {name: values[i : i + 1] for name, values in outputs.items()},
            precision,
            f"the texts {sample!r:.200}",
        )
        for i, sample in enumerate(samples)
    )


def compare_rows(
    exporter: Exporter,
    answer: Callable[[Arrays], Arrays],
    precision: str,
    form: str = "tokens",
) -> float:
    """Asks about the rows of samples; returns the largest deviation.

    Args:
      exporter: as above.
      answer: outputs for rows of tokens.
      precision: of the export.
      form: what the rows are given as, for the message.

    Raises:
      Refused: the deviation is too large.
    """
    deviations = [0.0]
    for sample in exporter.samples():
        known = exporter.row(sample)
        if known is None:
            continue
        rows, expected = known
        what = f"{sample!r:.200}, given as {form}"
        deviations.append(_compare(expected, answer(rows), precision, what))
    return max(deviations)


def measure(run: Callable[[], Any], rows: int = _TIMED_BATCH) -> float:
    """Rows a second, the median of some runs."""
    run()
    seconds = []
    for _ in range(_TIMED_RUNS):
        start = time.perf_counter()
        run()
        seconds.append(time.perf_counter() - start)
    return rows / statistics.median(seconds)


def _compare(
    expected: Arrays, actual: Arrays, precision: str, what: str
) -> float:
    worst = 0.0
    for name, wanted in expected.items():
        # Others of a batch may have more tokens.
        shared = tuple(map(slice, wanted.shape))
        got = actual[name][shared]
        if got.shape != wanted.shape:
            raise Refused(_message(name, what, wanted, got, "shape"))
        if wanted.dtype.kind == "S":
            same = np.full(actual[name].shape, b"", object)
            same[shared] = wanted
            if same.tolist() == actual[name].tolist():
                continue
            if precision == "float32":
                raise Refused(_message(name, what, wanted, got, "text"))
            # In lower precision another label or answer may be as good; numbers
            # behind it are of that.
            break
        scale = max(1.0, float(np.abs(wanted).max(initial=0.0)))
        deviation = float(np.abs(got - wanted).max(initial=0.0)) / scale
        # Not a number is no small deviation.
        if not deviation <= TOLERANCE[precision]:
            raise Refused(_message(name, what, wanted, got, f"{deviation:.2g}"))
        worst = max(worst, deviation)
    return worst


def _message(
    name: str, what: str, wanted: np.ndarray, got: np.ndarray, deviation: str
) -> str:
    return (
        f"The exported model does not say what the trained one says of {what}: "
        f"{name} is {_shown(got)} instead of {_shown(wanted)} (deviation: "
        f"{deviation}). Nothing was exported."
    )


def _shown(values: np.ndarray) -> str:
    return str(values.reshape(-1)[:4].tolist())
