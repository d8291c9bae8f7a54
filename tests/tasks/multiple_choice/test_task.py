"""ChoiceTask: losses and probabilities by hand; gradients of what is there."""

import numpy as np
import pytest
import tensorflow as tf

from modeling.config import BertConfig
from modeling.tasks.multiple_choice.task import ChoiceTask

CONFIG = BertConfig(
    vocab_size=20,
    hidden_size=8,
    num_hidden_layers=2,
    num_attention_heads=2,
    intermediate_size=16,
    max_position_embeddings=16,
    type_vocab_size=2,
    initializer_range=0.5,
)
# Of three questions with 3, 2 and 4 choices, and one that fills the batch.
COUNTS = np.array([3, 2, 4, 0])
ANSWERS = np.array([2, 0, 1, 0], np.int32)
# Stands in rows that are no choice, and nowhere else.
_ELSEWHERE = 19


@pytest.fixture(scope="module")
def task():
    return ChoiceTask(CONFIG)


@pytest.fixture(scope="module")
def model(task):
    return task.build_model()


@pytest.fixture
def features():
    rng = np.random.default_rng(0)
    present = np.arange(4) < COUNTS[:, None]
    lengths = rng.integers(2, 6, (4, 4)) * present
    mask = np.arange(5) < lengths[..., None]
    ids = np.where(mask, rng.integers(5, 19, mask.shape), 0)
    ids[~present] = _ELSEWHERE
    return {
        "input_ids": tf.constant(ids, tf.int32),
        "input_mask": tf.constant(mask, tf.int32),
        "segment_ids": tf.zeros(mask.shape, tf.int32),
        "targets": tf.constant(ANSWERS),
        "example_weights": tf.constant([1.0, 1.0, 1.0, 0.0]),
    }


def inputs(features):
    names = ("input_ids", "input_mask", "segment_ids")
    return {name: features[name] for name in names}


def scalars(tensors):
    return {name: float(value) for name, value in tensors.items()}


def test_loss_and_accuracy_by_hand(task, model, features):
    logits = model(inputs(features)).numpy().astype(np.float64)
    losses, right = [], []
    for row, count, answer in zip(logits, COUNTS[:3], ANSWERS, strict=False):
        scores = row[:count]
        losses.append(np.log(np.exp(scores).sum()) - scores[answer])
        right.append(scores.argmax() == answer)
    weights, sums = task.weights(features), task.sums(model, features)
    assert float(weights["sequences"]) == 3
    assert float(weights["tokens"]) == features["input_mask"].numpy().sum()
    loss = float(task.loss(sums, weights))
    assert loss == pytest.approx(np.mean(losses), rel=1e-5)
    metrics = task.metrics(scalars(sums), scalars(weights))
    assert metrics == {"accuracy": pytest.approx(np.mean(right))}

    outputs = task.outputs(model, features)
    np.testing.assert_allclose(outputs["losses"][:3], losses, rtol=1e-4)
    shares = outputs["probabilities"].numpy()
    for row, scores, count in zip(shares[:3], logits, COUNTS, strict=False):
        expected = np.exp(scores[:count]) / np.exp(scores[:count]).sum()
        np.testing.assert_allclose(row[:count], expected, rtol=1e-4)
        assert not row[count:].any()


def gradients(task, model, features):
    with tf.GradientTape() as tape:
        sums = task.sums(model, features)
        loss = task.loss(sums, task.weights(features))
    variables = [v.value for v in model.trainable_weights]
    found = tape.gradient(loss, variables)
    return {
        variable.path: tf.convert_to_tensor(gradient).numpy()
        for variable, gradient in zip(
            model.trainable_weights, found, strict=True
        )
    }


def test_what_is_no_choice_has_no_gradient(task, model, features):
    found = gradients(task, model, features)
    words = found["bert/embeddings/word_embeddings"]
    assert not words[_ELSEWHERE].any()
    assert words[5:19].any()
    # The same as without the rows that are none: question by question.
    total = {name: np.zeros_like(value) for name, value in found.items()}
    for question in range(3):
        alone = {
            name: value[question : question + 1]
            for name, value in features.items()
        }
        for name in inputs(alone):
            alone[name] = alone[name][:, : COUNTS[question]]
        for name, value in gradients(task, model, alone).items():
            total[name] += value / 3
    for name, value in found.items():
        np.testing.assert_allclose(value, total[name], atol=1e-5, err_msg=name)


def test_a_batch_of_nothing_costs_nothing(task, model, features):
    empty = {name: tf.zeros_like(value) for name, value in features.items()}
    found = gradients(task, model, empty)
    assert not any(value.any() for value in found.values())
