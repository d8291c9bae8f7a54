"""Losses, weights and outputs of the three kinds, by hand."""

import numpy as np
import pytest
import tensorflow as tf

from modeling.config import BertConfig
from modeling.tasks.classification import Labels
from modeling.tasks.classification.task import ClassificationTask

CONFIG = BertConfig(vocab_size=10)
LOGITS = np.array([[2.0, -1.0], [0.5, 0.25], [3.0, 9.0]], np.float32)
# The last one only fills the batch.
WEIGHTS = np.array([1.0, 1.0, 0.0], np.float32)


def loss_of(task, logits, targets):
    """The loss, and what `outputs` gives, of a model with these logits."""
    features = {
        "input_ids": tf.ones([3, 4], tf.int32),
        "input_mask": tf.constant([[1, 1, 1, 0], [1, 1, 0, 0], [0] * 4]),
        "targets": tf.constant(targets),
        "example_weights": tf.constant(WEIGHTS),
    }

    def model(inputs, **_):
        assert set(inputs) == {"input_ids", "input_mask"}
        return tf.constant(logits)

    weights = task.weights(features)
    assert float(weights["sequences"]) == 2
    assert float(weights["tokens"]) == 5
    sums = task.sums(model, features, training=True)
    metrics = task.metrics(
        {k: float(v) for k, v in sums.items()},
        {k: float(v) for k, v in weights.items()},
    )
    outputs = task.outputs(model, features)
    return float(task.loss(sums, weights)), metrics, outputs


def test_classes():
    targets = np.array([0, 1, 0], np.int32)
    log_sums = np.log(np.exp(LOGITS).sum(axis=1))
    losses = log_sums - LOGITS[np.arange(3), targets]
    labels = Labels("classification", ("a", "b"))
    loss, metrics, outputs = loss_of(
        ClassificationTask(CONFIG, labels), LOGITS, targets
    )
    assert loss == pytest.approx(losses[:2].mean(), rel=1e-6)
    assert metrics == {"accuracy": 0.5}
    np.testing.assert_allclose(outputs["losses"], losses, rtol=1e-5)
    expected = np.exp(LOGITS - log_sums[:, None])
    np.testing.assert_allclose(outputs["outputs"], expected, rtol=1e-5)

    weighted = ClassificationTask(CONFIG, labels, class_weights=(0.5, 3.0))
    loss, _, outputs = loss_of(weighted, LOGITS, targets)
    expected = (0.5 * losses[0] + 3.0 * losses[1]) / 2
    assert loss == pytest.approx(expected, rel=1e-6)
    # Weights are for training: what is reported stays comparable.
    np.testing.assert_allclose(outputs["losses"], losses, rtol=1e-5)


def test_any_number_of_labels():
    targets = np.array([[1, 0], [1, 1], [0, 0]], np.float32)
    shares = 1 / (1 + np.exp(-LOGITS))
    losses = -np.log(np.where(targets == 1, shares, 1 - shares)).mean(axis=1)
    task = ClassificationTask(CONFIG, Labels("multi_label", ("a", "b")))
    loss, metrics, outputs = loss_of(task, LOGITS, targets)
    assert loss == pytest.approx(losses[:2].mean(), rel=1e-5)
    assert metrics == {}
    np.testing.assert_allclose(outputs["outputs"], shares, rtol=1e-5)


def test_numbers():
    targets = np.array([1.0, 2.0, 7.0], np.float32)
    task = ClassificationTask(CONFIG, Labels("regression"))
    loss, _, outputs = loss_of(task, LOGITS[:, :1], targets)
    assert loss == pytest.approx(((2 - 1) ** 2 + (0.5 - 2) ** 2) / 2)
    np.testing.assert_array_equal(outputs["outputs"], LOGITS[:, :1])
