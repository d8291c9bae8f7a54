"""Masking in the input pipeline."""

import numpy as np
import pytest
import tensorflow as tf

from modeling.errors import UserError
from modeling.pretraining import (
    MaskingOptions,
    MaskingVocabulary,
    mask_dataset,
)
from modeling.records import (
    masked_features,
    parse_spec,
    read_metadata,
    unmasked_features,
)


@pytest.fixture
def records(run_job):
    """Batches of unmasked records, and the vocabulary beside them."""
    job, _ = run_job(method="none", dupe_factor=1, sentence_pairs="none")
    metadata = read_metadata(job.output_files)
    dataset = tf.data.TFRecordDataset(job.output_files).batch(16)
    spec = parse_spec(unmasked_features(32))
    dataset = dataset.map(lambda r: tf.io.parse_example(r, spec))
    return dataset, MaskingVocabulary.from_json(metadata.vocabulary)


def masked_batches(records, seed=1, first_batch=0, passes=1, **options):
    dataset, vocabulary = records
    values = {"max_predictions_per_seq": 5, **options}
    masked = mask_dataset(
        dataset.repeat(passes),
        MaskingOptions(**values),
        vocabulary,
        seed,
        first_batch,
    )
    return list(masked.as_numpy_iterator()), masked.element_spec


def same(one, other):
    return all(
        np.array_equal(a[name], b[name])
        for a, b in zip(one, other, strict=True)
        for name in a
    )


@pytest.mark.parametrize("method", ["token", "whole_word", "ngram"])
def test_features_are_those_of_masked_records(method, records, tokenizer):
    batches, spec = masked_batches(records, method=method)
    expected = masked_features(32, 5)
    assert set(spec) == {f.name for f in expected}
    for feature in expected:
        assert spec[feature.name].dtype == tf.as_dtype(feature.dtype)
        assert spec[feature.name].shape[-1] == feature.length
    for batch, original in zip(batches, records[0], strict=True):
        ids = original["input_ids"].numpy()
        rows, columns = np.nonzero(batch["masked_lm_weights"])
        positions = batch["masked_lm_positions"][rows, columns]
        restored = batch["input_ids"].copy()
        restored[rows, positions] = batch["masked_lm_ids"][rows, columns]
        np.testing.assert_array_equal(restored, ids)
        assert (batch["input_ids"] == tokenizer.mask_id).any()


def test_every_pass_and_every_batch_has_other_masks(records):
    once, _ = masked_batches(records)
    twice, _ = masked_batches(records, passes=2)
    number = len(once)
    assert same(once, twice[:number])
    assert not same(twice[:number], twice[number:])
    again, _ = masked_batches(records, seed=2)
    assert not same(once, again)


def test_a_resumed_training_has_the_masks_it_would_have_had(records):
    twice, _ = masked_batches(records, passes=2)
    number = len(twice) // 2
    second, _ = masked_batches(records, first_batch=number)
    assert same(twice[number:], second)


def test_what_cannot_be_masked(records):
    with pytest.raises(UserError, match="not masked yet: choose"):
        masked_batches(records, method="none")
    with pytest.raises(UserError, match="=31 do not fit in records of 32"):
        masked_batches(records, max_predictions_per_seq=31)
