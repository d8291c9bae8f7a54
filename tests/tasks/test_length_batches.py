"""Batches of similar lengths."""

import numpy as np
import pytest

from modeling.errors import UserError
from modeling.tasks.length_batches import (
    BatchOptions,
    prediction_batches,
    training_batches,
)

LENGTHS = np.random.default_rng(0).gamma(4, 7, 1000).astype(np.int64) + 3


def as_lists(batches):
    return [(batch.indices.tolist(), batch.length) for batch in batches]


def padded_tokens(batches):
    return sum(len(batch.indices) * batch.length for batch in batches)


OPTIONS = [
    BatchOptions(32),
    BatchOptions(32, window=1),
    BatchOptions(None, max_tokens=512),
    BatchOptions(16, max_tokens=512, buckets=(16, 32, 64, 128)),
]


@pytest.mark.parametrize("options", OPTIONS)
def test_every_example_stands_in_one_batch_within_the_limits(options):
    batches = training_batches(LENGTHS, options, seed=1, epoch=0)
    indices = np.concatenate([batch.indices for batch in batches])
    assert sorted(indices) == list(range(1000))
    for batch in batches:
        longest = LENGTHS[batch.indices].max()
        if options.buckets is None:
            assert batch.length == longest
        else:
            assert batch.length == min(
                b for b in options.buckets if b >= longest
            )
        if options.batch_size is not None:
            assert len(batch.indices) <= options.batch_size
        if options.max_tokens is not None:
            assert len(batch.indices) * batch.length <= options.max_tokens


def test_fixed_size_takes_as_many_steps_as_without_lengths():
    batches = training_batches(LENGTHS, BatchOptions(32), seed=1, epoch=0)
    sizes = sorted(len(batch.indices) for batch in batches)
    assert sizes == [1000 % 32] + [32] * (1000 // 32)


def test_seed_and_epoch_determine_the_batches():
    options = BatchOptions(32)
    first = training_batches(LENGTHS, options, seed=1, epoch=0)
    again = training_batches(LENGTHS, options, seed=1, epoch=0)
    assert as_lists(first) == as_lists(again)
    for other in ((1, 1), (2, 0)):
        changed = training_batches(LENGTHS, options, *other)
        assert as_lists(first) != as_lists(changed)


def test_lengths_are_alike_within_batches_but_mixed_over_the_epoch():
    shuffled = training_batches(LENGTHS, BatchOptions(8, window=1), 1, 0)
    grouped = training_batches(LENGTHS, BatchOptions(8), 1, 0)
    assert padded_tokens(shuffled) > 1.7 * LENGTHS.sum()
    assert padded_tokens(grouped) < 1.1 * LENGTHS.sum()
    lengths = [batch.length for batch in grouped]
    assert abs(np.corrcoef(lengths, np.arange(len(lengths)))[0, 1]) < 0.5
    # Who comes together differs from epoch to epoch.
    short = BatchOptions(32, window=4)
    one, two = (
        {
            tuple(sorted(b.indices))
            for b in training_batches(LENGTHS, short, 1, e)
        }
        for e in (0, 1)
    )
    assert not one & two


@pytest.mark.parametrize(
    "options", [BatchOptions(10), BatchOptions(None, max_tokens=400)]
)
def test_few_examples_of_one_text_do_not_always_come_together(options):
    # Five of each, as questions on a paragraph, which have about one length.
    lengths = np.repeat(np.arange(20, 60), 5)
    batches = training_batches(lengths, options, seed=1, epoch=0)
    texts = [len({*lengths[batch.indices]}) for batch in batches]
    # All sorted together, ten examples were of two texts.
    assert np.mean(texts) > 5
    assert padded_tokens(batches) < 1.2 * lengths.sum()


def test_examples_of_several_rows_fill_the_budget_by_their_rows():
    rows = np.where(np.arange(1000) % 10 == 0, 5, 1)
    options = BatchOptions(None, max_tokens=256)
    batches = training_batches(LENGTHS, options, 1, 0, rows=rows)
    counts = [
        (rows[batch.indices].sum() * batch.length, len(batch.indices))
        for batch in batches
    ]
    # An example that is larger than the budget comes alone.
    assert all(tokens <= 256 or size == 1 for tokens, size in counts)
    assert any(tokens > 256 for tokens, _ in counts)
    assert sum(size for _, size in counts) == 1000


def test_sample_in_place_of_all():
    order = np.array([3, 3, 7, 3])
    batches = training_batches(LENGTHS, BatchOptions(2), 1, 0, order=order)
    indices = np.concatenate([batch.indices for batch in batches])
    assert sorted(indices) == [3, 3, 3, 7]


def test_prediction_starts_with_the_longest_and_can_be_put_in_order():
    batches = prediction_batches(LENGTHS, BatchOptions(None, max_tokens=1024))
    lengths = [batch.length for batch in batches]
    assert lengths == sorted(lengths, reverse=True)
    assert lengths[0] == LENGTHS.max()
    results = np.full(1000, -1)
    for batch in batches:
        results[batch.indices] = LENGTHS[batch.indices]
    np.testing.assert_array_equal(results, LENGTHS)


def test_nothing_gives_no_batches():
    nothing = np.zeros(0, np.int64)
    for options in OPTIONS:
        assert training_batches(nothing, options, 1, 0) == []
        assert prediction_batches(nothing, options) == []


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"batch_size": None}, "Give batch_size or max_tokens"),
        ({"batch_size": 0}, "batch_size must be positive. Received: 0"),
        ({"max_tokens": -1}, "max_tokens must be positive. Received: -1"),
        ({"buckets": (64, 32)}, r"lengths that ascend.* Received: \[64, 32\]"),
        ({"buckets": ()}, r"lengths that ascend.* Received: \[\]"),
    ],
)
def test_bad_options(options, message):
    with pytest.raises(UserError, match=message):
        BatchOptions(**options)


def test_row_longer_than_every_bucket():
    options = BatchOptions(8, buckets=(16, 32))
    with pytest.raises(UserError, match=r"A row has \d+ tokens, more than the"):
        training_batches(LENGTHS, options, 1, 0)
