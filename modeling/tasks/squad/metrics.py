"""Exact match and F1 as SQuAD defines them, and the best null threshold.

Pure functions of right answers and predictions, both by question. A question
without right answers is one that has no answer. Figures are per cent.
"""

from __future__ import annotations

import collections
import itertools
import math
import re
import string
from collections.abc import Callable, Iterable, Mapping, Sequence

from modeling.tasks.squad.questions import Paragraph

_PUNCTUATION = str.maketrans("", "", string.punctuation)
_ARTICLE = re.compile(r"\b(a|an|the)\b")

# A score of (right answer, predicted answer), from 0 to 1.
Score = Callable[[str, str], float]


def right_answers(paragraphs: Iterable[Paragraph]) -> dict[str, list[str]]:
    """Texts of the right answers of every question; {} for a test set.

    A test set is one in which no question has an answer, and none is said to
    have none.
    """
    targets = {}
    is_test = True
    for paragraph in paragraphs:
        for question in paragraph.questions:
            targets[question.id] = [answer.text for answer in question.answers]
            if question.answers or question.is_impossible:
                is_test = False
    return {} if is_test else targets


def squad_metrics(
    targets: Mapping[str, Sequence[str]], predictions: Mapping[str, str]
) -> dict[str, float]:
    """EM and F1 under the names of SQuAD 2.0's evaluation.

    Args:
      targets: right answers; the best-scored one counts.
      predictions: "" for no answer. A question without one counts as wrong.

    Returns:
      `exact`, `f1`, `total` and `missing` (questions without a prediction); and
      where some questions have no answer, the first three for those that have
      one (`HasAns_...`) and those that have none (`NoAns_...`).
    """
    golds = _drop_nothing(targets)
    exact = question_scores(golds, predictions, exact_match)
    f1 = question_scores(golds, predictions, f1_score)
    results = _means(exact, f1, golds)
    has_answer = [key for key, answers in golds.items() if answers]
    no_answer = [key for key, answers in golds.items() if not answers]
    if no_answer:
        for prefix, keys in ("HasAns_", has_answer), ("NoAns_", no_answer):
            if keys:
                means = _means(exact, f1, keys)
                results |= {prefix + k: v for k, v in means.items()}
    results["missing"] = len(targets.keys() - predictions.keys())
    return results


def best_thresholds(
    targets: Mapping[str, Sequence[str]],
    best_texts: Mapping[str, str],
    null_odds: Mapping[str, float],
) -> dict[str, float]:
    """The null thresholds that would have given the best EM and F1.

    Args:
      targets: right answers.
      best_texts: predictions under the highest threshold: an answer wherever
        one was found. (SQuAD's evaluation takes those made under some
        threshold, so it never finds a higher one.)
      null_odds: how far the score of no answer lies above theirs.

    Returns:
      `best_exact`, `best_exact_thresh`, `best_f1` and `best_f1_thresh`.
    """
    golds = _drop_nothing(targets)
    results = {}
    for name, score in ("exact", exact_match), ("f1", f1_score):
        scores = question_scores(golds, best_texts, score)
        best, threshold = _best_threshold(golds, scores, null_odds)
        results[f"best_{name}"] = best
        results[f"best_{name}_thresh"] = threshold
    return results


def question_scores(
    targets: Mapping[str, Sequence[str]],
    predictions: Mapping[str, str],
    score: Score,
) -> dict[str, float]:
    """Every question's score against the right answer that suits it best.

    Where there is no right answer, "" is; where there is no prediction, the
    score is 0.
    """
    return {
        key: max(score(gold, predictions[key]) for gold in answers or [""])
        if key in predictions
        else 0.0
        for key, answers in targets.items()
    }


def normalize_answer(text: str) -> str:
    """Without case, punctuation, articles and superfluous white space."""
    text = text.lower().translate(_PUNCTUATION)
    return " ".join(_ARTICLE.sub(" ", text).split())


def exact_match(gold: str, prediction: str) -> float:
    """Whether two answers are the same once normalised."""
    return float(normalize_answer(gold) == normalize_answer(prediction))


def f1_score(gold: str, prediction: str) -> float:
    """Harmonic mean of precision and recall over normalised words."""
    gold_words = normalize_answer(gold).split()
    words = normalize_answer(prediction).split()
    if not gold_words or not words:
        return float(gold_words == words)
    common = collections.Counter(gold_words) & collections.Counter(words)
    same = sum(common.values())
    # 2PR / (P + R), for P = same / words and R = same / gold words.
    return 2 * same / (len(words) + len(gold_words))


def _drop_nothing(
    targets: Mapping[str, Sequence[str]],
) -> dict[str, list[str]]:
    """Drops answers of which normalisation leaves nothing, such as "the"."""
    return {
        key: [text for text in answers if normalize_answer(text)]
        for key, answers in targets.items()
    }


def _means(
    exact: Mapping[str, float], f1: Mapping[str, float], keys: Iterable[str]
) -> dict[str, float]:
    keys = list(keys)
    total = len(keys)
    return {
        "exact": 100.0 * sum(exact[key] for key in keys) / max(total, 1),
        "f1": 100.0 * sum(f1[key] for key in keys) / max(total, 1),
        "total": total,
    }


def _best_threshold(
    targets: Mapping[str, Sequence[str]],
    scores: Mapping[str, float],
    null_odds: Mapping[str, float],
) -> tuple[float, float]:
    """Raises the threshold from below all odds, one value after the other."""
    is_null = {key: not answers for key, answers in targets.items()}
    # To begin with no question is answered.
    best = current = float(sum(is_null.values()))
    ordered = sorted(null_odds.keys() & targets.keys(), key=null_odds.get)
    if not ordered:
        return 100.0 * best / max(len(targets), 1), 0.0
    # SQuAD's evaluation says 0 here, which need not lie below the odds.
    threshold = math.nextafter(null_odds[ordered[0]], -math.inf)
    for odds, keys in itertools.groupby(ordered, key=null_odds.get):
        # Questions with equal odds are answered together.
        current += sum(scores[key] - is_null[key] for key in keys)
        if current > best:
            best, threshold = current, odds
    return 100.0 * best / len(targets), threshold
