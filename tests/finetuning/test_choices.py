"""Frozen parts, steps, batches and trials."""

import dataclasses
import statistics

import numpy as np
import pytest

from modeling.errors import UserError
from modeling.finetuning import Grid, Recipe, Trial, parse_freeze, plan_trials
from modeling.finetuning.trials import summarize

TRIAL = Trial(5e-5, 32, 3.0, 7)


def test_frozen_parts():
    trained = parse_freeze(["embeddings", "layers:0-1", "layers:3"], 12)
    assert not trained("bert/embeddings/LayerNorm/gamma")
    assert not trained("bert/encoder/layer_1/output/dense/kernel")
    assert trained("bert/encoder/layer_2/output/dense/kernel")
    assert not trained("bert/encoder/layer_3/output/dense/kernel")
    # Not every number that begins alike.
    assert trained("bert/encoder/layer_11/output/dense/kernel")
    assert trained("bert/pooler/dense/kernel")
    assert trained("output_weights")
    assert not parse_freeze(["encoder"], 2)("bert/pooler/dense/bias")
    assert parse_freeze([], 2)("bert/embeddings/word_embeddings")


@pytest.mark.parametrize(
    ("part", "message"),
    [
        ("layers:0-12", "has 12 layers, 0 to 11"),
        ("layers:3-2", "0 to 11"),
        ("layer:1", "Received: 'layer:1'"),
        ("", "Received: ''"),
    ],
)
def test_parts_that_are_not_there(part, message):
    with pytest.raises(UserError, match=message):
        parse_freeze([part], 12)


def test_steps_of_the_original():
    recipe = Recipe()
    # The README's run on MRPC.
    steps = recipe.num_train_steps(3668, 32, 115, 3.0)
    assert steps == 343
    assert recipe.num_warmup_steps(steps) == 34
    by_tokens = Recipe(batch_tokens=2048)
    assert by_tokens.num_train_steps(3668, 32, 80, 2.5) == 200


def test_sizes_of_batches():
    by_length = Recipe(max_seq_length=100)
    assert by_length.training_batches(32).batch_size == 32
    assert by_length.training_batches(32).buckets is None
    assert by_length.prediction_batches(8).max_tokens == 800
    original = Recipe(max_seq_length=100, length_batching=False)
    assert original.training_batches(32).buckets == (100,)
    assert original.training_batches(32).window == 1
    few = Recipe(max_seq_length=100, static_shapes=True).training_batches(32)
    assert few.buckets == (16, 32, 64, 96, 100)
    assert few.window > 1
    tpu = Recipe(max_seq_length=100, static_shapes=True, single_shape=True)
    assert tpu.prediction_batches(8).buckets == (100,)
    assert tpu.prediction_batches(8).batch_size == 8
    tokens = Recipe(batch_tokens=2048).training_batches(32)
    assert (tokens.batch_size, tokens.max_tokens) == (None, 2048)


def test_the_papers_grid():
    trials = plan_trials(TRIAL, 2, Grid())
    assert len(trials) == 36
    assert len({trial.name for trial in trials}) == 36
    assert len({trial.setting for trial in trials}) == 18
    assert {trial.seed for trial in trials} == {7, 8}
    assert {trial.batch_size for trial in trials} == {16, 32}
    assert plan_trials(TRIAL) == [TRIAL]


def test_the_best_setting_has_the_best_mean():
    other = dataclasses.replace(TRIAL, learning_rate=2e-5)
    trials = plan_trials(TRIAL, 2) + plan_trials(other, 2)
    scores = [0.95, 0.5, 0.8, 0.9]
    results = [{"score": score, "steps": 9.0} for score in scores]
    summary = summarize(trials, results)
    assert summary["best_setting"] == "lr2e-05_bs32_ep3"
    assert summary["best_trial"] == "lr2e-05_bs32_ep3_seed8"
    setting = summary["settings"]["lr5e-05_bs32_ep3"]
    assert setting["mean"]["score"] == pytest.approx(np.mean(scores[:2]))
    assert setting["deviation"]["score"] == statistics.stdev(scores[:2])
    single = summarize(trials[:1], results[:1])["settings"]
    assert single["lr5e-05_bs32_ep3"]["deviation"]["score"] is None
