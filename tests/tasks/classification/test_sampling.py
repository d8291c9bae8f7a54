"""Rare classes."""

import numpy as np
import pytest

from modeling.errors import UserError
from modeling.tasks.classification import balanced_sample, class_weights

TARGETS = np.array([0] * 90 + [1] * 7 + [3] * 3)


def test_weighted_classes_count_the_same():
    weights = class_weights(TARGETS, 4)
    assert weights[2] == 0
    totals = [weights[c] * np.sum(TARGETS == c) for c in (0, 1, 3)]
    np.testing.assert_allclose(totals, 100 / 3, rtol=1e-6)
    assert weights[TARGETS].mean() == pytest.approx(1)


def test_sampled_classes_come_equally_often():
    sample = balanced_sample(TARGETS, 4, seed=1, epoch=0)
    assert np.bincount(TARGETS[sample]).tolist() == [34, 33, 0, 33]
    times = np.bincount(sample, minlength=100)
    # Large classes once, small ones as evenly as it goes.
    assert set(times[:90]) == {0, 1}
    assert set(times[90:97]) == {4, 5}
    assert set(times[97:]) == {11}


def test_sample_is_a_function_of_seed_and_epoch():
    first = balanced_sample(TARGETS, 4, seed=1, epoch=0)
    np.testing.assert_array_equal(first, balanced_sample(TARGETS, 4, 1, 0))
    for other in ((1, 1), (2, 0)):
        assert set(first) != set(balanced_sample(TARGETS, 4, *other))


def test_nothing_to_sample_from():
    with pytest.raises(UserError, match="no examples"):
        balanced_sample(TARGETS[:0], 4, 1, 0)
