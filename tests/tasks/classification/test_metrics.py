"""Metrics, against numbers worked out by hand."""

import math

import numpy as np
import pytest

from modeling.errors import UserError
from modeling.tasks.classification import (
    Labels,
    evaluate,
    find_data_set,
    report,
)
from modeling.tasks.classification.metrics import METRICS
from modeling.tasks.classification.registry import DATA_SET_NAMES

# Of 10: 3 hits, 2 false alarms, 1 miss, 4 rightly left.
TARGETS = np.array([1, 1, 1, 0, 0, 1, 0, 0, 0, 0])
PREDICTED = np.array([1, 1, 1, 1, 1, 0, 0, 0, 0, 0])

# (kind, metric) -> targets, predictions, value
WORKED = {
    ("classification", "accuracy"): (TARGETS, PREDICTED, 7 / 10),
    # precision 3/5, recall 3/4
    ("classification", "f1"): (TARGETS, PREDICTED, 2 / 3),
    # class 0: precision 4/5, recall 4/6
    ("classification", "macro_f1"): (TARGETS, PREDICTED, (2 / 3 + 8 / 11) / 2),
    # (3 * 4 - 2 * 1) / sqrt(5 * 4 * 6 * 5)
    ("classification", "matthews"): (TARGETS, PREDICTED, 10 / math.sqrt(600)),
    ("multi_label", "exact_match"): (
        np.array([[1, 0, 1], [0, 0, 0], [1, 1, 0]]),
        np.array([[1, 0, 1], [0, 0, 1], [0, 1, 0]]),
        1 / 3,
    ),
    # 3 hits, 1 false alarm, 1 miss
    ("multi_label", "micro_f1"): (
        np.array([[1, 0, 1], [0, 0, 0], [1, 1, 0]]),
        np.array([[1, 0, 1], [0, 0, 1], [0, 1, 0]]),
        3 / 4,
    ),
    # by label 2/3, 1, 2/3
    ("multi_label", "macro_f1"): (
        np.array([[1, 0, 1], [0, 0, 0], [1, 1, 0]]),
        np.array([[1, 0, 1], [0, 0, 1], [0, 1, 0]]),
        7 / 9,
    ),
    ("regression", "mse"): (
        np.array([1.0, 2, 3]),
        np.array([1.0, 4, 2]),
        5 / 3,
    ),
    # covariance 1 of deviations (-1, 0, 1) and (-4, 5, -1) / 3
    ("regression", "pearson"): (
        np.array([1.0, 2, 3]),
        np.array([1.0, 4, 2]),
        1 / math.sqrt(2 * 42 / 9),
    ),
    # ranks 1 2 3 and 1 3 2: 1 - 6 * 2 / 24
    ("regression", "spearman"): (
        np.array([1.0, 2, 3]),
        np.array([1.0, 400, 2]),
        1 / 2,
    ),
}


@pytest.mark.parametrize(("kind", "name"), WORKED)
def test_worked_numbers(kind, name):
    targets, predictions, value = WORKED[kind, name]
    assert METRICS[kind][name](targets, predictions) == pytest.approx(value)


def test_every_metric_is_worked():
    named = {(kind, name) for kind, names in METRICS.items() for name in names}
    assert named == set(WORKED)


def test_every_data_set_has_metrics_of_its_kind():
    for name in DATA_SET_NAMES:
        data_set = find_data_set(name)
        assert data_set.metrics
        assert set(data_set.metrics) <= set(METRICS[data_set.kind])


def test_score_is_the_mean_as_in_glue():
    mrpc = find_data_set("mrpc")
    assert evaluate(mrpc.metrics, mrpc.kind, TARGETS, PREDICTED) == {
        "accuracy": pytest.approx(0.7),
        "f1": pytest.approx(2 / 3),
        "score": pytest.approx((0.7 + 2 / 3) / 2),
    }
    numbers = np.array([1.0, 2, 3]), np.array([1.0, 4, 2])
    assert evaluate(["mse"], "regression", *numbers) == {
        "mse": pytest.approx(5 / 3),
        "score": pytest.approx(-5 / 3),
    }


def test_ties_share_their_rank():
    # Ranks 1, 2.5, 2.5, 4 against 1 2 3 4.
    value = METRICS["regression"]["spearman"](
        np.array([1.0, 2, 3, 4]), np.array([0.0, 1, 1, 2])
    )
    assert value == pytest.approx(4.5 / math.sqrt(5 * 4.5))


@pytest.mark.parametrize("name", ["pearson", "spearman"])
def test_what_is_not_defined_is_zero(name, recwarn):
    metric = METRICS["regression"][name]
    assert metric(np.array([1.0, 2, 3]), np.array([2.0, 2, 2])) == 0
    assert metric(np.array([1.0]), np.array([2.0])) == 0
    constant = np.zeros(10, int)
    assert METRICS["classification"]["matthews"](TARGETS, constant) == 0
    assert METRICS["classification"]["f1"](TARGETS, constant) == 0
    assert not recwarn.list


def test_report_of_classes():
    labels = Labels("classification", ("no", "yes", "never"))
    values = report(labels, TARGETS, PREDICTED)
    assert values["confusion_matrix"] == [[4, 2, 0], [1, 3, 0], [0, 0, 0]]
    assert values["per_class"]["yes"] == {
        "precision": pytest.approx(3 / 5),
        "recall": pytest.approx(3 / 4),
        "f1": pytest.approx(2 / 3),
        "examples": 4,
    }
    assert values["per_class"]["never"]["examples"] == 0
    assert values["accuracy"] == pytest.approx(0.7)
    # F1 of one class has no meaning among three.
    assert "f1" not in values
    assert "f1" in report(
        Labels("classification", ("0", "1")), TARGETS, PREDICTED
    )


def test_report_of_other_kinds():
    targets, predictions, _ = WORKED["multi_label", "micro_f1"]
    values = report(
        Labels("multi_label", ("a", "b", "c")), targets, predictions
    )
    assert values["micro_f1"] == pytest.approx(3 / 4)
    assert values["per_class"]["a"]["recall"] == pytest.approx(1 / 2)
    assert "confusion_matrix" not in values
    numbers = np.array([1.0, 2, 3]), np.array([1.0, 4, 2])
    assert set(report(Labels("regression"), *numbers)) == {
        "mse",
        "pearson",
        "spearman",
    }


def test_unknown_metrics_and_no_examples():
    with pytest.raises(UserError, match="has the metrics .*Received: 'bleu'"):
        evaluate(["bleu"], "classification", TARGETS, PREDICTED)
    with pytest.raises(UserError, match="no examples"):
        evaluate(["accuracy"], "classification", TARGETS[:0], PREDICTED[:0])
