"""The pre-training task: its losses, metrics and packed rows."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from modeling.checkpoints import initialize_model
from modeling.config import BertConfig
from modeling.records.packing import pack
from modeling.tasks.pretraining import PretrainingTask
from tests.conftest import ROOT

GOLDEN = ROOT / "tests" / "golden"
_MASK_ID = 103


@pytest.fixture(scope="module")
def task():
    config = BertConfig.from_json_file(GOLDEN / "bert_config.json")
    return PretrainingTask(config, mask_id=_MASK_ID)


@pytest.fixture(scope="module")
def model(task):
    model = task.build_model()
    initialize_model(model, GOLDEN / "bert_model.ckpt")
    return model


@pytest.fixture(scope="module")
def short_instances():
    """Instances of 6 to 20 tokens in rows of 64, as a pipeline gives them."""
    rng = np.random.default_rng(0)
    lengths = rng.integers(6, 21, 20)
    rows = len(lengths)
    features = {
        name: np.zeros((rows, 64), np.int32)
        for name in ("input_ids", "input_mask", "segment_ids")
    }
    features |= {
        "masked_lm_positions": np.zeros((rows, 10), np.int32),
        "masked_lm_ids": np.zeros((rows, 10), np.int32),
        "masked_lm_weights": np.zeros((rows, 10), np.float32),
        "next_sentence_labels": rng.integers(0, 2, (rows, 1)).astype(np.int32),
        "next_sentence_weights": np.ones((rows, 1), np.float32),
    }
    for row, length in enumerate(lengths):
        features["input_ids"][row, :length] = rng.integers(104, 2371, length)
        features["input_mask"][row, :length] = 1
        features["segment_ids"][row, length // 2 : length] = 1
        count = 1 + length // 8
        positions = np.sort(rng.choice(length, count, replace=False))
        features["masked_lm_positions"][row, :count] = positions
        features["masked_lm_ids"][row, :count] = rng.integers(104, 2371, count)
        features["masked_lm_weights"][row, :count] = 1
        features["input_ids"][row, positions[0]] = _MASK_ID
    return features


def _numbers(task, model, features):
    features = {name: tf.constant(v) for name, v in features.items()}
    sums = task.sums(model, features)
    weights = task.weights(features)
    loss = task.loss(sums, weights)
    return (
        float(loss),
        {name: float(value) for name, value in sums.items()},
        {name: float(value) for name, value in weights.items()},
    )


def test_packed_rows_have_the_loss_of_the_instances(
    task, model, short_instances
):
    packed = pack(short_instances, max_instances=8)
    assert len(packed["input_ids"]) < 8
    loss, sums, weights = _numbers(task, model, short_instances)
    packed_loss, packed_sums, packed_weights = _numbers(task, model, packed)
    assert packed_loss == pytest.approx(loss, abs=1e-5)
    assert packed_sums == pytest.approx(sums, rel=1e-5)
    assert packed_weights == weights


def test_packed_rows_have_the_gradients_of_the_instances(
    task, model, short_instances
):
    def gradients(features):
        features = {name: tf.constant(v) for name, v in features.items()}
        with tf.GradientTape() as tape:
            sums = task.sums(model, features)
            loss = task.loss(sums, task.weights(features))
        return tape.gradient(loss, [v.value for v in model.weights])

    packed = gradients(pack(short_instances, max_instances=8))
    expected = gradients(short_instances)
    for variable, ours, theirs in zip(
        model.weights, packed, expected, strict=True
    ):
        ours, theirs = (tf.convert_to_tensor(g).numpy() for g in (ours, theirs))
        np.testing.assert_allclose(ours, theirs, 0, 1e-5, err_msg=variable.path)


def test_metrics_by_hand(task):
    sums = {
        "masked_lm_loss": 8.0,
        "masked_lm_correct": 3.0,
        "masked_correct": 2.0,
        "random_correct": 0.0,
        "kept_correct": 1.0,
        "next_sentence_loss": 1.0,
        "next_sentence_correct": 2.0,
    }
    weights = {
        "predictions": 4.0,
        "masked_predictions": 3.0,
        "random_predictions": 0.0,
        "kept_predictions": 1.0,
        "pairs": 4.0,
    }
    assert task.metrics(sums, weights) == pytest.approx(
        {
            "masked_lm_loss": 2.0,
            "masked_lm_accuracy": 0.75,
            "masked_lm_perplexity": np.exp(2.0),
            "next_sentence_loss": 0.25,
            "next_sentence_accuracy": 0.5,
            "masked_lm_accuracy_masked": 2 / 3,
            "masked_lm_accuracy_kept": 1.0,
        }
    )


def test_predictions_are_sorted_by_what_the_input_has(task):
    # [MASK], a random word, the word itself, and padding.
    features = {
        "input_ids": tf.constant([[_MASK_ID, 200, 300, 0]]),
        "input_mask": tf.constant([[1, 1, 1, 0]]),
        "masked_lm_positions": tf.constant([[0, 1, 2, 0]]),
        "masked_lm_ids": tf.constant([[250, 251, 300, 0]]),
        "masked_lm_weights": tf.constant([[1.0, 1.0, 1.0, 0.0]]),
        "next_sentence_weights": tf.constant([[1.0]]),
    }
    weights = {k: float(v) for k, v in task.weights(features).items()}
    assert weights == {
        "predictions": 3,
        "pairs": 1,
        "sequences": 1,
        "tokens": 3,
        "masked_predictions": 1,
        "random_predictions": 1,
        "kept_predictions": 1,
    }


def test_without_pairs_their_head_stays_as_it_is(task, model, short_instances):
    alone = dataclasses.replace(task, next_sentence=False, mask_id=None)
    loss, sums, weights = _numbers(alone, model, short_instances)
    assert weights["pairs"] == 0 and "next_sentence_loss" not in sums
    assert loss == pytest.approx(
        sums["masked_lm_loss"] / (weights["predictions"] + 1e-5)
    )
    assert "next_sentence_loss" not in alone.metrics(sums, weights)
