"""Batches of examples for every host and replica."""

import numpy as np
import pytest
import tensorflow as tf

from modeling.tasks.array_input import ArrayInput
from modeling.tasks.length_batches import BatchOptions
from modeling.training import Share

LENGTHS = np.random.default_rng(0).integers(3, 17, 50)


class Numbers:
    """Examples whose only feature is their number, from 1."""

    def __init__(self, rows=None):
        self._rows = np.ones(50, np.int64) if rows is None else rows

    def lengths(self):
        return LENGTHS

    def rows_per_example(self):
        return self._rows

    def signature(self):
        return {"numbers": tf.TensorSpec([None, None], tf.int64)}

    def arrays(self, indices, length, size):
        numbers = np.zeros((size, length), np.int64)
        numbers[: len(indices)] = indices[:, None] + 1
        return {"numbers": numbers}


def share(host=0, num_hosts=1, replicas=1):
    return Share(host, num_hosts, 8 // num_hosts, replicas)


def take(data, count, share=None, position=(0, 0, 0)):
    """(numbers without those that fill, shape, position) of some batches."""
    dataset = data.training(share or _ALONE, np.array(position, np.int64))
    return [
        (
            [n for n in features["numbers"].numpy()[:, 0] if n],
            features["numbers"].shape.as_list(),
            position.numpy().tolist(),
        )
        for features, position in dataset.take(count)
    ]


_ALONE = share()


def test_an_epoch_has_each_example_once_and_the_next_another_order():
    data = ArrayInput(Numbers(), BatchOptions(8), seed=3)
    batches = take(data, 14)
    assert data.batches_per_epoch() == 7
    epochs = [
        sum((b[0] for b in half), []) for half in (batches[:7], batches[7:])
    ]
    for epoch in epochs:
        assert sorted(epoch) == list(range(1, 51))
    assert epochs[0] != epochs[1]
    assert batches[6][2] == [0, 7, 0]
    assert batches[7][2] == [1, 1, 0]


@pytest.mark.parametrize("done", [3, 7, 9])
def test_training_goes_on_where_it_was(done):
    data = ArrayInput(Numbers(), BatchOptions(8), seed=3)
    whole = take(data, 12)
    rest = take(data, 12 - done, position=whole[done - 1][2])
    assert rest == whole[done:]


def test_hosts_and_replicas_share_each_batch():
    data = ArrayInput(Numbers(), BatchOptions(8), seed=3)
    whole = take(data, 7)
    parts = [
        take(data, 14, share(host, num_hosts=2, replicas=2))
        for host in range(2)
    ]
    for number, (numbers, _, _) in enumerate(whole):
        of_hosts = [part[2 * number : 2 * number + 2] for part in parts]
        found = [n for pair in of_hosts for part in pair for n in part[0]]
        assert found == numbers
        # All replicas compute on equal shapes.
        assert len({str(part[1]) for pair in of_hosts for part in pair}) == 1


def test_parts_are_multiples_of_the_micro_batches():
    data = ArrayInput(Numbers(), BatchOptions(8), micro_batches=4)
    for numbers, (rows, _), _ in take(data, 7, share(replicas=2)):
        assert rows == 4
        assert len(numbers) <= 4


@pytest.mark.parametrize(
    "options",
    [
        BatchOptions(4, buckets=(8, 17)),
        BatchOptions(None, max_tokens=68, buckets=(8, 17)),
    ],
)
def test_compilers_see_few_shapes(options):
    data = ArrayInput(Numbers(), options)
    count = data.batches_per_epoch()
    shapes = {tuple(shape) for _, shape, _ in take(data, count)}
    assert len(shapes) == 2
    assert {length for _, length in shapes} == {8, 17}


def test_tpus_see_one_shape_that_is_known_before():
    data = ArrayInput(Numbers(), BatchOptions(8, buckets=(17,)))
    dataset = data.training(_ALONE, np.zeros(3, np.int64))
    features, _ = dataset.element_spec
    assert features["numbers"].shape == [8, 17]
    assert {tuple(shape) for _, shape, _ in take(data, 7)} == {(8, 17)}


def test_prediction_has_each_example_once():
    data = ArrayInput(Numbers(), BatchOptions(None, max_tokens=64))
    found = []
    for indices, arrays in data.prediction(replicas=3):
        numbers = arrays["numbers"]
        assert len(numbers) % 3 == 0
        np.testing.assert_array_equal(numbers[: len(indices), 0], indices + 1)
        assert not numbers[len(indices) :].any()
        found += indices.tolist()
    assert sorted(found) == list(range(50))
