"""Masking in the input pipeline."""

import numpy as np
import pytest
import tensorflow as tf

from modeling.errors import UserError
from modeling.pretraining import (
    DynamicMasking,
    MaskingOptions,
    MaskingVocabulary,
)
from modeling.records import (
    Packing,
    masked_features,
    open_source,
    read_metadata,
)
from modeling.records.reading import (
    Position,
    evaluation_dataset,
    training_dataset,
)

VOCAB_SIZE = 30522


@pytest.fixture
def records(run_job):
    """Unmasked records, and the vocabulary beside them."""
    job, _ = run_job(method="none", dupe_factor=1, sentence_pairs="none")
    source = open_source(job.output_files, vocab_size=VOCAB_SIZE)
    metadata = read_metadata(job.output_files)
    return source, MaskingVocabulary.from_json(metadata.vocabulary)


def make_mask(records, seed=1, **options):
    options = MaskingOptions(**{"max_predictions_per_seq": 5, **options})
    return DynamicMasking(options, records[1], seed)


def evaluate(records, batch_size=16, mask=None):
    """The features of all records, masked as in epoch 0, or as they are."""
    dataset = evaluation_dataset(
        records[0], batch_size=batch_size, mask=mask or _leave
    )
    batches = list(dataset.as_numpy_iterator())
    joined = {n: np.concatenate([b[n] for b in batches]) for n in batches[0]}
    real = joined["row_weights"] > 0
    return {name: values[real] for name, values in joined.items()}


def _leave(features, epochs, indices):
    return dict(features)


def train(records, number, batch_size=8, mask=None, **changes):
    dataset = training_dataset(
        records[0],
        batch_size=batch_size,
        seed=3,
        shuffle_buffer=50,
        mask=mask or make_mask(records),
        **changes,
    )
    return list(dataset.take(number).as_numpy_iterator())


def rows_of(batches):
    return {
        name: np.concatenate([features[name] for features, _ in batches])
        for name in batches[0][0]
    }


def same(one, other):
    return all(np.array_equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize("method", ["token", "whole_word", "ngram"])
def test_features_are_those_of_masked_records(method, records, tokenizer):
    mask = make_mask(records, method=method)
    masked, original = evaluate(records, mask=mask), evaluate(records)
    for feature in masked_features(32, 5):
        values = masked[feature.name]
        assert values.shape[1] == feature.length
        is_integer = feature.dtype == "int64"
        assert values.dtype == (np.int32 if is_integer else np.float32)
    assert "joins" not in masked
    rows, columns = np.nonzero(masked["masked_lm_weights"])
    positions = masked["masked_lm_positions"][rows, columns]
    restored = masked["input_ids"].copy()
    restored[rows, positions] = masked["masked_lm_ids"][rows, columns]
    np.testing.assert_array_equal(restored, original["input_ids"])
    assert (masked["input_ids"] == tokenizer.mask_id).any()


def test_masks_are_the_options_shares(records, tokenizer):
    options = {
        "max_predictions_per_seq": 20,
        "masked_lm_prob": 0.3,
        "replace_with_mask_prob": 0.5,
        "replace_with_random_prob": 0.3,
    }
    number = len(evaluate(records)["input_ids"])
    mask = make_mask(records, **options)
    rows = rows_of(train(records, 40, batch_size=number, mask=mask))
    weights = rows["masked_lm_weights"]
    counts, lengths = weights.sum(axis=1), rows["input_mask"].sum(axis=1)
    expected = np.maximum(1, np.round(lengths * 0.3))
    assert (counts == np.minimum(expected, lengths - 2)).all()

    real, columns = np.nonzero(weights)
    positions = rows["masked_lm_positions"][real, columns]
    labels = rows["masked_lm_ids"][real, columns]
    found = rows["input_ids"][real, positions]
    total = len(labels)
    assert total > 5000
    shares = [
        np.mean(found == tokenizer.mask_id),
        np.mean((found != tokenizer.mask_id) & (found != labels)),
        np.mean(found == labels),
    ]
    for share, probability in zip(shares, (0.5, 0.3, 0.2), strict=True):
        deviation = np.sqrt(probability * (1 - probability) / total)
        assert abs(share - probability) < 4 * deviation
    # Every place of the text is as likely as any other.
    full = lengths[real] == np.bincount(lengths).argmax()
    length = np.bincount(lengths).argmax()
    places = np.bincount(positions[full] - 1, minlength=length - 2)
    expected = full.sum() / (length - 2)
    assert abs(places - expected).max() < 5 * np.sqrt(expected)


def test_masks_follow_from_epoch_and_number_alone(records):
    """Not from batches, blocks, or what else is read with a record."""
    mask = make_mask(records)
    whole = rows_of(train(records, 60, batch_size=8, mask=mask))
    for batch_size in (16, 24, 160):
        number = 480 // batch_size
        other = train(records, number, batch_size=batch_size, mask=mask)
        assert same(rows_of(other), whole)
    assert same(evaluate(records, 16, mask), evaluate(records, 7, mask))
    features = evaluate(records)
    features = {n: tf.constant(v) for n, v in features.items()}
    numbers = np.arange(len(features["input_ids"]))
    together = mask(features, 0 * numbers + 2, numbers)
    for row in (0, 5, 11):
        one = {name: values[row : row + 1] for name, values in features.items()}
        alone = mask(one, np.array([2]), np.array([row]))
        for name, values in alone.items():
            np.testing.assert_array_equal(values[0], together[name][row])


def test_every_epoch_and_every_seed_has_other_masks(records):
    features = evaluate(records)
    features = {n: tf.constant(v) for n, v in features.items()}
    numbers = np.arange(len(features["input_ids"]))

    def ids(epoch, seed=1, first=0):
        mask = make_mask(records, seed)
        masked = mask(features, 0 * numbers + epoch, first + numbers)
        return masked["input_ids"].numpy()

    base = ids(0)
    np.testing.assert_array_equal(base, ids(0))
    for other in (ids(1), ids(0, seed=2), ids(0, first=1)):
        differ = (base != other).any(axis=1).mean()
        assert differ > 0.8


@pytest.mark.parametrize("packing", [None, Packing(16, 4)])
def test_a_resumed_training_has_the_masks_it_would_have_had(packing, records):
    whole = train(records, 24, packing=packing)
    for done in (3, 10, 20):
        position = Position(*(int(n) for n in whole[done - 1][1]))
        rest = train(records, 3, packing=packing, position=position)
        assert same(rows_of(rest), rows_of(whole[done : done + 3]))


def test_no_instance_is_masked_on_nothing(records):
    features = evaluate(records)
    empty = {n: tf.constant(v[:0]) for n, v in features.items()}
    masked = make_mask(records)(empty, np.zeros(0, int), np.zeros(0, int))
    assert masked["masked_lm_ids"].shape == (0, 5)


def test_what_cannot_be_masked(records):
    with pytest.raises(UserError, match="not masked yet: choose"):
        make_mask(records, method="none")
    mask = make_mask(records, max_predictions_per_seq=31)
    with pytest.raises(UserError) as error:
        train(records, 1, mask=mask)
    assert str(error.value).startswith("max_predictions_per_seq=31 do not fit")
