"""Losses as sums that add up over batches."""

import numpy as np
import pytest
from keras import ops

from modeling.network import losses

# Probabilities 1/4, 3/4 and 1/2, 1/2.
LOGITS = np.log(np.array([[[1.0, 3.0], [1.0, 1.0]], [[3.0, 1.0], [1.0, 3.0]]]))
LABELS = np.array([[0, 1], [0, 0]])
# -log of 1/4, 1/2, 3/4, 1/4
LOSSES = np.log([[4.0, 2.0], [4 / 3, 4.0]])
WEIGHTS = np.array([[1, 1], [1, 0]])


def test_weighted_sum():
    loss, weight = losses.weighted_cross_entropy_sum(LOGITS, LABELS, WEIGHTS)
    assert float(loss) == pytest.approx(np.log(4 * 2 * 4 / 3), rel=1e-6)
    assert float(weight) == 3


def test_labels_of_any_shape_and_no_weights():
    loss, weight = losses.weighted_cross_entropy_sum(
        LOGITS[:, 0], LABELS[:, :1]
    )
    assert float(loss) == pytest.approx(np.log(4 * 4 / 3), rel=1e-6)
    assert float(weight) == 2


def test_means():
    mean = losses.masked_lm_loss(LOGITS, LABELS, WEIGHTS)
    assert float(mean) == pytest.approx((LOSSES * WEIGHTS).sum() / 3, rel=1e-5)
    assert float(losses.masked_lm_loss(LOGITS, LABELS, 0 * WEIGHTS)) == 0
    for labels in (LABELS[:, 1], LABELS[:, 1:]):
        mean = losses.next_sentence_loss(LOGITS[:, 1], labels)
        assert float(mean) == pytest.approx(LOSSES[:, 1].mean(), rel=1e-6)


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_half_precision_is_left_before_the_softmax(dtype):
    # Below the smallest float16, and not 1 - 2^-8 apart in either.
    logits = ops.cast(np.array([[0.0, -30.0]]), dtype)
    loss = losses.cross_entropy(logits, np.array([0]))
    assert "float32" in str(loss.dtype)
    loss = losses.cross_entropy(-logits, np.array([0]))
    assert float(loss[0]) == 30
    many = ops.zeros((1, 70000), dtype)
    loss = losses.cross_entropy(many, np.array([3]))
    assert float(loss[0]) == pytest.approx(np.log(70000), rel=1e-6)
