"""Random numbers: even, independent and the same for ever."""

import numpy as np

from modeling.pretraining.random_streams import (
    below,
    document_streams,
    draw,
    happens,
    heads,
)

KEYS = np.arange(200_000, dtype=np.uint64)


def test_values_are_pinned():
    # The records of a seed must stay the same from version to version.
    # Key 0 gives SplitMix64 seeded with 0.
    zero = np.zeros(1, np.uint64)
    assert [hex(draw(zero, i)[0]) for i in range(3)] == [
        "0xe220a8397b1dcdaf",
        "0x6e789e6aa1b965f4",
        "0x06c45d188009454f".replace("0x0", "0x"),
    ]
    streams = document_streams(12345, np.array([0, 1]), np.array([0, 0]))
    assert len(set(streams.tolist())) == 2


def test_counters_may_be_arrays():
    counters = np.arange(5)
    together = draw(KEYS[:3, None], counters)
    for i in counters.tolist():
        np.testing.assert_array_equal(together[:, i], draw(KEYS[:3], i))


def test_below_is_even():
    counts = np.bincount(below(draw(KEYS, 0), 7))
    expected = len(KEYS) / 7
    assert len(counts) == 7
    assert ((counts - expected) ** 2 / expected).sum() < 25  # p < 0.001
    limits = np.arange(1, 1001)
    drawn = below(draw(KEYS[:1000], 1), limits)
    assert (drawn >= 0).all() and (drawn < limits).all()


def test_happens_with_its_probability():
    for probability in (0.0, 0.1, 0.5, 1.0):
        share = happens(draw(KEYS, 2), probability).mean()
        spread = (probability * (1 - probability) / len(KEYS)) ** 0.5
        assert abs(share - probability) <= 4 * spread


def test_heads_are_binomial():
    for tosses in (1, 2, 63, 64, 65, 200):
        drawn = heads(draw(KEYS, 3), np.full(len(KEYS), tosses))
        assert drawn.min() >= 0 and drawn.max() <= tosses
        spread = (tosses / 4) ** 0.5
        assert abs(drawn.mean() - tosses / 2) < 4 * spread / len(KEYS) ** 0.5
        assert abs(drawn.std() / spread - 1) < 0.01
    mixed = heads(draw(KEYS[:4], 3), np.array([0, 1, 64, 130]))
    assert mixed[0] == 0
    alone = [
        heads(draw(KEYS[i : i + 1], 3), np.array([n]))[0]
        for i, n in enumerate([0, 1, 64, 130])
    ]
    assert mixed.tolist() == alone


def test_streams_of_a_document_differ_by_seed_document_and_duplicate():
    seeds = [
        document_streams(seed, np.arange(50), np.full(50, duplicate))
        for seed in (0, 1, -1)
        for duplicate in range(3)
    ]
    assert len(np.unique(np.concatenate(seeds))) == 50 * 9
