"""Metrics: (targets, predictions) -> numbers.

Targets and predictions are ids of classes, [N], in multi-label sets 0 or 1 for
every label, [N, L], in regression numbers, [N].
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from modeling.errors import UserError
from modeling.tasks.classification.labels import Kind, Labels

Metric = Callable[[np.ndarray, np.ndarray], float]


def accuracy(targets: np.ndarray, predictions: np.ndarray) -> float:
    """The share of right predictions."""
    return float(np.mean(targets == predictions))


def f1(targets: np.ndarray, predictions: np.ndarray) -> float:
    """F1 of class 1 of two, as GLUE reports it; 0 where it is never right."""
    return _f1(targets == 1, predictions == 1, "binary")


def micro_f1(targets: np.ndarray, predictions: np.ndarray) -> float:
    """F1 over all decisions."""
    return _f1(targets, predictions, "micro")


def macro_f1(targets: np.ndarray, predictions: np.ndarray) -> float:
    """The mean of the classes' F1, of those that occur."""
    return _f1(targets, predictions, "macro")


def exact_match(targets: np.ndarray, predictions: np.ndarray) -> float:
    """The share of examples of which every label is right."""
    return float(np.mean(np.all(targets == predictions, axis=1)))


def matthews(targets: np.ndarray, predictions: np.ndarray) -> float:
    """Matthews' correlation; 0 where all predictions are one class."""
    from sklearn.metrics import matthews_corrcoef

    with warnings.catch_warnings():
        # One class alone is told as a mistake.
        warnings.simplefilter("ignore", UserWarning)
        return float(matthews_corrcoef(targets, predictions))


def pearson(targets: np.ndarray, predictions: np.ndarray) -> float:
    """The linear correlation; 0 where it is not defined."""
    from scipy.stats import pearsonr

    return _correlation(pearsonr, targets, predictions)


def spearman(targets: np.ndarray, predictions: np.ndarray) -> float:
    """The correlation of ranks; 0 where it is not defined."""
    from scipy.stats import spearmanr

    return _correlation(spearmanr, targets, predictions)


def mse(targets: np.ndarray, predictions: np.ndarray) -> float:
    """The mean squared error, which is better the smaller it is."""
    return float(np.mean((targets - predictions) ** 2))


METRICS: Mapping[Kind, Mapping[str, Metric]] = {
    "classification": {
        "accuracy": accuracy,
        "f1": f1,
        "macro_f1": macro_f1,
        "matthews": matthews,
    },
    "multi_label": {
        "exact_match": exact_match,
        "macro_f1": macro_f1,
        "micro_f1": micro_f1,
    },
    "regression": {"mse": mse, "pearson": pearson, "spearman": spearman},
}


def evaluate(
    names: Sequence[str],
    kind: Kind,
    targets: np.ndarray,
    predictions: np.ndarray,
) -> dict[str, float]:
    """The metrics of a task, and as "score" what its best model is chosen by.

    The score is the mean of the metrics, as GLUE combines them; an error counts
    with a minus, so that more is always better.

    Raises:
      UserError: an unknown metric, or no examples.
    """
    for name in names:
        if name not in METRICS[kind]:
            raise UserError(
                f"{kind} has the metrics {', '.join(METRICS[kind])}. "
                f"Received: {name!r}"
            )
    if not len(targets):
        raise UserError("There are no examples to evaluate.")
    targets, predictions = np.asarray(targets), np.asarray(predictions)
    values = {name: METRICS[kind][name](targets, predictions) for name in names}
    signed = [-v if name == "mse" else v for name, v in values.items()]
    return {**values, "score": float(np.mean(signed))}


def report(
    labels: Labels, targets: np.ndarray, predictions: np.ndarray
) -> dict[str, Any]:
    """Everything on the classes, as JSON values.

    Returns:
      `per_class`: precision, recall, F1 and the number of examples of every
      class; `confusion_matrix`: a row a true class and a column a predicted
      one, for single labels only; all metrics of the kind. Of numbers, the
      metrics only.
    """
    values: dict[str, Any] = {
        name: metric(targets, predictions)
        for name, metric in METRICS[labels.kind].items()
        if name != "f1" or len(labels.names) == 2
    }
    if labels.kind == "regression":
        return values
    from sklearn import metrics

    classes = range(len(labels.names))
    rows = metrics.precision_recall_fscore_support(
        targets, predictions, labels=classes, average=None, zero_division=0
    )
    values["per_class"] = {
        name: {
            "precision": float(precision),
            "recall": float(recall),
            "f1": float(fscore),
            "examples": int(support),
        }
        for name, precision, recall, fscore, support in zip(
            labels.names, *rows, strict=True
        )
    }
    if labels.kind == "classification":
        matrix = metrics.confusion_matrix(targets, predictions, labels=classes)
        values["confusion_matrix"] = matrix.tolist()
    return values


def _f1(targets: np.ndarray, predictions: np.ndarray, average: str) -> float:
    from sklearn.metrics import f1_score

    return float(
        f1_score(targets, predictions, average=average, zero_division=0)
    )


def _correlation(
    function: Callable[..., Any], targets: np.ndarray, predictions: np.ndarray
) -> float:
    if len(targets) < 2:
        return 0.0
    with warnings.catch_warnings():
        # That numbers which are all the same correlate with nothing.
        warnings.simplefilter("ignore")
        value = float(function(targets, predictions)[0])
    return 0.0 if np.isnan(value) else value
