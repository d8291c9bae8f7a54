"""The best spans of a question's windows."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from modeling.tasks.squad import encode
from modeling.tasks.squad.scores import WindowScores
from modeling.tasks.windows import max_context_window


class Spans(NamedTuple):
    """Possible answers, best first.

    Attributes:
      firsts: first token of each in its paragraph: [spans]
      lasts: last token: [spans]
      start_logits: score of its start: [spans]
      end_logits: score of its end: [spans]
    """

    firsts: list[int]
    lasts: list[int]
    start_logits: list[float]
    end_logits: list[float]


# What stands for the first token of "no answer".
NULL = -1


def best_spans(
    windows: np.ndarray,
    query_length: int,
    scores: WindowScores,
    max_answer_length: int,
    with_null: bool,
) -> Spans:
    """Every pair of a good start and a good end that can be an answer.

    As in the original, the start must be in the window that shows it in most
    context; the end need not be. Of equal sums comes first what comes first by
    window, then by start score, then by end score, and no answer last.

    Args:
      windows: of one question: [W, 5]
      query_length: tokens of the question.
      scores: of the windows.
      max_answer_length: longest answer in tokens.
      with_null: whether no answer is possible; its score is that of the window
        where it is lowest.
    """
    owner = max_context_window(windows[:, encode.START : encode.LENGTH + 1])
    parts = []
    for index, (start, length) in enumerate(
        windows[:, encode.START : encode.LENGTH + 1].tolist()
    ):
        # Places in the row -> tokens of the paragraph.
        shift = start - (query_length + 2)
        first, last = scores.starts[index] + shift, scores.ends[index] + shift
        good = _in_window(scores.starts[index], first, start, length)
        good[good] = owner[first[good]] == index
        first, first_logit = first[good], scores.start_logits[index][good]
        good = _in_window(scores.ends[index], last, start, length)
        last, last_logit = last[good], scores.end_logits[index][good]

        tokens = last[None, :] - first[:, None] + 1
        i, j = np.nonzero((tokens > 0) & (tokens <= max_answer_length))
        parts.append((first[i], last[j], first_logit[i], last_logit[j]))
    if with_null and len(windows):
        parts.append(_null(scores))
    if not parts:
        return Spans([], [], [], [])
    firsts, lasts, starts, ends = map(np.concatenate, zip(*parts, strict=True))
    # The original adds Python's floats.
    starts, ends = starts.astype(np.float64), ends.astype(np.float64)
    order = np.argsort(-(starts + ends), kind="stable")
    columns = firsts, lasts, starts, ends
    return Spans(*(column[order].tolist() for column in columns))


def softmax(scores: Sequence[float]) -> list[float]:
    """Probabilities of scores (original: `_compute_softmax`)."""
    if not scores:
        return []
    highest = max(scores)
    # One after the other, so that the last digit is the original's.
    exponentials = [math.exp(score - highest) for score in scores]
    total = 0.0
    for exponential in exponentials:
        total += exponential
    return [exponential / total for exponential in exponentials]


def _in_window(
    places: np.ndarray, tokens: np.ndarray, start: int, length: int
) -> np.ndarray:
    """Which places are tokens of the paragraph, not question or padding."""
    return (places >= 0) & (tokens >= start) & (tokens < start + length)


def _null(scores: WindowScores) -> tuple[np.ndarray, ...]:
    lowest = np.argmin(scores.null_logits.astype(np.float64).sum(axis=1))
    start, end = scores.null_logits[lowest]
    no_token = np.array([NULL], np.int32)
    return no_token, no_token, np.array([start]), np.array([end])
