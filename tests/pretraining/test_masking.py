"""Masks: what is chosen together and what replaces it."""

import numpy as np
import pytest

from modeling.pretraining import (
    MaskingOptions,
    MaskingVocabulary,
    mask_batch,
)
from modeling.pretraining.random_streams import draw
from modeling.records import JOINS_SPAN, JOINS_WORD

PAD, CLS, SEP, MASK = 0, 2, 3, 4
VOCABULARY = MaskingVocabulary(MASK, (CLS, SEP), np.arange(5, 1000, dtype="i4"))
L = 64


def batch_of(rows=2000, seed=0, joined=0.4, bit=JOINS_WORD):
    """Rows [CLS] a [SEP] b [SEP], with tokens that go on with a word."""
    rng = np.random.default_rng(seed)
    lengths = rng.integers(8, L + 1, rows)
    positions = np.arange(L)
    ids = rng.integers(1000, 2000, (rows, L))
    ids[:, 0] = CLS
    ids[np.arange(rows), lengths // 2] = SEP
    ids[np.arange(rows), lengths - 1] = SEP
    ids[positions >= lengths[:, None]] = PAD
    joins = bit * (rng.random((rows, L)) < joined).astype(np.uint8)
    joins[:, 1:][ids[:, :-1] == SEP] = 0
    joins[:, 1] = 0
    joins[ids < 5] = 0
    keys = draw(np.arange(rows, dtype=np.uint64), 0)
    return ids, lengths, joins, keys


def options_of(**changes):
    return MaskingOptions(**{"max_predictions_per_seq": 9, **changes})


def chosen_of(masked):
    chosen = np.zeros((len(masked.positions), L), bool)
    rows, columns = np.nonzero(masked.weights)
    chosen[rows, masked.positions[rows, columns]] = True
    return chosen


def units_of(joins, row):
    """Runs of positions, one starting wherever nothing is joined."""
    starts = np.flatnonzero(joins[row] == 0)
    return np.split(np.arange(L), starts[1:])


@pytest.mark.parametrize("method", ["token", "whole_word", "ngram", "span"])
def test_predictions_are_what_was_there(method):
    ids, lengths, joins, keys = batch_of()
    masked = mask_batch(
        ids, lengths, joins, keys, options_of(method=method), VOCABULARY
    )
    chosen = chosen_of(masked)
    counts = chosen.sum(axis=1)
    # Rounded half to even, special tokens counted.
    quotas = [min(9, max(1, round(n * 0.15))) for n in lengths.tolist()]
    assert (counts <= quotas).all()
    if method == "token":
        assert counts.tolist() == quotas
    else:
        assert np.mean(counts == quotas) > 0.97
    assert not chosen[ids < 5].any()
    np.testing.assert_array_equal(masked.input_ids[~chosen], ids[~chosen])
    for row in range(50):
        n = counts[row]
        positions = masked.positions[row]
        assert (np.diff(positions[:n]) > 0).all()
        assert not positions[n:].any() and not masked.label_ids[row, n:].any()
        assert masked.weights[row].tolist() == [1] * n + [0] * (9 - n)
        expected = ids[row, positions[:n]]
        assert masked.label_ids[row, :n].tolist() == expected.tolist()


def test_shares_on_100_000_tokens():
    ids, lengths, joins, keys = batch_of(rows=20_000)
    for mask, random in ((0.8, 0.1), (1.0, 0.0), (0.5, 0.3)):
        options = options_of(
            replace_with_mask_prob=mask, replace_with_random_prob=random
        )
        masked = mask_batch(ids, lengths, joins, keys, options, VOCABULARY)
        chosen = chosen_of(masked)
        assert chosen.sum() > 100_000
        output, labels = masked.input_ids[chosen], ids[chosen]
        spread = 4 * 0.5 / chosen.sum() ** 0.5
        assert abs(np.mean(output == MASK) - mask) < spread
        assert abs(np.mean(output == labels) - (1 - mask - random)) < spread
        drawn = output[(output != MASK) & (output != labels)]
        assert np.isin(drawn, VOCABULARY.replacements).all()
        if random:
            middle = (drawn < np.median(VOCABULARY.replacements)).mean()
            assert abs(middle - 0.5) < 0.02


def test_every_position_is_as_likely():
    ids = np.full((40_000, L), 1500)
    ids[:, 0], ids[:, -1] = CLS, SEP
    keys = draw(np.arange(len(ids), dtype=np.uint64), 1)
    masked = mask_batch(
        ids,
        np.full(len(ids), L),
        np.zeros(ids.shape, np.uint8),
        keys,
        options_of(),
        VOCABULARY,
    )
    shares = chosen_of(masked).mean(axis=0)
    assert shares[0] == shares[-1] == 0
    expected = 9 / (L - 2)
    spread = (expected * (1 - expected) / len(ids)) ** 0.5
    assert np.abs(shares[1:-1] - expected).max() < 4.5 * spread


@pytest.mark.parametrize(
    ("method", "bit"),
    [
        ("whole_word", JOINS_WORD),
        ("ngram", JOINS_WORD),
        ("span", JOINS_WORD),
        ("span", JOINS_SPAN),
    ],
)
def test_units_are_masked_as_a_whole(method, bit):
    ids, lengths, joins, keys = batch_of(rows=300, bit=bit)
    masked = mask_batch(
        ids, lengths, joins, keys, options_of(method=method), VOCABULARY
    )
    chosen = chosen_of(masked)
    for row in range(len(ids)):
        for unit in units_of(joins, row):
            assert len(set(chosen[row, unit])) == 1


@pytest.mark.parametrize("method", ["token", "whole_word"])
def test_other_methods_do_not_see_spans(method):
    ids, lengths, joins, keys = batch_of(rows=300, bit=JOINS_SPAN)
    options = options_of(method=method)
    masked = mask_batch(ids, lengths, joins, keys, options, VOCABULARY)
    without = mask_batch(ids, lengths, 0 * joins, keys, options, VOCABULARY)
    np.testing.assert_array_equal(masked.positions, without.positions)


def test_a_word_across_the_separator_as_in_the_original():
    ids = np.array([[CLS, 1001, 1002, SEP, 1003, 1004, SEP]])
    joins = np.array([[0, 0, 0, 0, JOINS_WORD, 0, 0]], np.uint8)
    together = set()
    for seed in range(50):
        masked = mask_batch(
            ids,
            np.array([7]),
            joins,
            draw(np.array([seed], np.uint64), 0),
            options_of(method="whole_word", masked_lm_prob=0.3),
            VOCABULARY,
        )
        together.add(tuple(masked.positions[0][masked.weights[0] > 0]))
    assert together == {(1, 5), (2, 4)}


def test_a_unit_longer_than_what_is_left_is_passed_over():
    ids = np.array([[CLS, 1001, 1002, 1003, 1004, 1005, SEP]])
    joins = np.array([[0, 0, 1, 1, 1, 0, 0]], np.uint8)
    for seed in range(20):
        masked = mask_batch(
            ids,
            np.array([7]),
            joins,
            draw(np.array([seed], np.uint64), 0),
            options_of(method="whole_word"),
            VOCABULARY,
        )
        assert masked.positions[0][masked.weights[0] > 0].tolist() == [5]
    # Nothing fits: nothing is masked, as in the original.
    masked = mask_batch(
        ids[:, [0, 1, 2, 3, 6]],
        np.array([5]),
        joins[:, [0, 1, 2, 3, 6]],
        draw(np.zeros(1, np.uint64), 0),
        options_of(method="whole_word"),
        VOCABULARY,
    )
    assert not masked.weights.any()


@pytest.mark.parametrize("method", ["whole_word", "ngram", "span"])
def test_one_decision_per_word(method):
    ids, lengths, joins, keys = batch_of(rows=4000)
    kinds = {}
    for shared in (False, True):
        options = options_of(method=method, one_decision_per_word=shared)
        masked = mask_batch(ids, lengths, joins, keys, options, VOCABULARY)
        chosen = chosen_of(masked)
        output = masked.input_ids
        kind = np.where(output == MASK, 0, np.where(output == ids, 1, 2))
        kinds[shared] = [
            len(set(kind[row, unit]))
            for row in range(500)
            for unit in units_of(joins, row)
            if len(unit) > 1 and chosen[row, unit].all()
        ]
        share = np.mean(kind[chosen] == 0)
        assert abs(share - 0.8) < 0.02
    assert set(kinds[True]) == {1}
    assert max(kinds[False]) > 1


def test_ngram_lengths_are_in_proportion_to_1_over_n():
    rows = 20_000
    ids = np.full((rows, L), 1500)
    ids[:, 0], ids[:, -1] = CLS, SEP
    masked = mask_batch(
        ids,
        np.full(rows, L),
        np.zeros(ids.shape, np.uint8),
        draw(np.arange(rows, dtype=np.uint64), 0),
        options_of(method="ngram", masked_lm_prob=3 / L),
        VOCABULARY,
    )
    assert (masked.weights.sum(axis=1) == 3).all()
    gaps = np.diff(masked.positions[:, :3], axis=1) == 1
    # Three in a row are one n-gram of three, or shorter ones that touch; three
    # apart are two of one, as a longer second one is cut to two.
    three, two, one = 2 / 11, 3 / 11, 6 / 11
    assert abs(np.mean(gaps.all(axis=1)) - three) < 0.05
    assert abs(np.mean(~gaps.any(axis=1)) - one**2) < 0.05
    assert abs(np.mean(gaps.sum(axis=1) == 1) - two - one * (1 - one)) < 0.05


def test_ngrams_end_with_their_segment():
    ids = np.array([[CLS, 1001, SEP, 1002, SEP]] * 500)
    keys = draw(np.arange(500, dtype=np.uint64), 0)
    masked = mask_batch(
        ids,
        np.full(500, 5),
        np.zeros(ids.shape, np.uint8),
        keys,
        options_of(method="ngram", max_ngram=3, masked_lm_prob=0.4),
        VOCABULARY,
    )
    assert (masked.weights.sum(axis=1) == 2).all()
    assert set(masked.positions[:, :2].ravel().tolist()) == {1, 3}


def test_the_longest_ngram():
    ids, lengths, _, keys = batch_of(rows=1000)
    joins = np.zeros(ids.shape, np.uint8)
    one = mask_batch(
        ids,
        lengths,
        joins,
        keys,
        options_of(method="ngram", max_ngram=1),
        VOCABULARY,
    )
    neighbours = {}
    for name, masked in {
        "1": one,
        "3": mask_batch(
            ids, lengths, joins, keys, options_of(method="ngram"), VOCABULARY
        ),
    }.items():
        chosen = chosen_of(masked)
        neighbours[name] = (chosen[:, 1:] & chosen[:, :-1]).sum()
    assert neighbours["3"] > 2 * neighbours["1"]
    token = mask_batch(ids, lengths, joins, keys, options_of(), VOCABULARY)
    np.testing.assert_array_equal(one.positions, token.positions)


def test_rows_do_not_depend_on_their_batch():
    ids, lengths, joins, keys = batch_of(rows=64)
    for method in ("token", "whole_word", "ngram"):
        options = options_of(method=method)
        whole = mask_batch(ids, lengths, joins, keys, options, VOCABULARY)
        rows = [5, 3, 60]
        part = mask_batch(
            ids[rows],
            lengths[rows],
            joins[rows],
            keys[rows],
            options,
            VOCABULARY,
        )
        for a, b in zip(whole, part, strict=True):
            np.testing.assert_array_equal(a[rows], b)


def test_vocabulary_survives_the_metadata():
    vocabulary = MaskingVocabulary(
        4, (2, 3), np.array([5, 6, 7, 9, 20, 21], np.int32)
    )
    values = vocabulary.as_json()
    assert values["replacements"] == [[5, 7], [9, 9], [20, 21]]
    again = MaskingVocabulary.from_json({**values, "size": 30})
    assert again.never_masked == (2, 3) and again.mask_id == 4
    np.testing.assert_array_equal(again.replacements, vocabulary.replacements)
