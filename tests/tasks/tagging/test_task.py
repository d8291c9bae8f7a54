"""TaggingTask: its loss by hand, however a batch is split, and its tags."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from modeling.config import BertConfig
from modeling.errors import UserError
from modeling.network.tag_chains import Layout, log_likelihood
from modeling.tasks.feature_based import ChosenLayers
from modeling.tasks.tagging import (
    SentenceEncoder,
    TaggingOptions,
    TagSet,
    encode_sentences,
)
from modeling.tasks.tagging.batches import TaggingExamples
from modeling.tasks.tagging.task import TaggingHead, TaggingTask
from modeling.training.schedules import Schedule
from tests.training.harness import Layout as Devices
from tests.training.harness import Training

CONFIG = BertConfig(
    vocab_size=14,
    hidden_size=8,
    num_hidden_layers=1,
    num_attention_heads=2,
    intermediate_size=16,
    max_position_embeddings=32,
    type_vocab_size=2,
    initializer_range=0.5,
)
TAGS = TagSet(("O", "B-X", "I-X"), "BIO", "BIO")
HEADS = {
    "softmax": TaggingHead(),
    "crf": TaggingHead(crf=True),
    "bilstm_crf": TaggingHead(crf=True, lstm_layers=1, lstm_size=6),
}


def make_task(head="softmax", **values):
    return TaggingTask(CONFIG, TAGS, HEADS[head], **values)


def make_model(task):
    """With weights that are not small, those of the CRF among them."""
    model = task.build_model()
    rng = np.random.default_rng(3)
    for variable in model.weights:
        if not variable.path.endswith("gamma"):
            variable.assign(rng.normal(0, 0.3, variable.shape))
    return model


@pytest.fixture
def examples(tokenizer, sentence):
    """Rows of several sentences, of windows, and of one that has no tags."""
    data = [
        sentence("ab c", "B-X I-X", 0),
        sentence("d a", "O B-X", 0),
        sentence("a b c d a ab c d", "O B-X O B-X I-X I-X O O", 1),
        sentence("a abc b", None, 2),
        sentence("d", "B-X", 3),
    ]
    encoder = SentenceEncoder(tokenizer, TAGS, TaggingOptions(8, 3, True))
    return TaggingExamples(encode_sentences(encoder, data))


def all_rows(examples, size=None):
    rows = np.arange(len(examples))
    return examples.arrays(rows, 9, size or len(rows))


def loss_of(task, model, features):
    weights = task.weights(features)
    return float(task.loss(task.sums(model, features), weights))


def test_the_loss_of_a_softmax_is_the_mean_over_tagged_words(examples):
    task = make_task()
    model, features = make_model(task), all_rows(examples)
    scores = task.outputs(model, features)["scores"].numpy()
    shares = np.exp(scores) / np.exp(scores).sum(-1, keepdims=True)
    weights = features["word_weights"] > 0
    assert weights.sum() == 13
    targets = features["targets"][weights]
    right = shares[weights][np.arange(13), targets]
    expected = -np.log(right).mean()
    assert loss_of(task, model, features) == pytest.approx(expected, rel=1e-5)
    sums = {k: float(v) for k, v in task.sums(model, features).items()}
    counts = {k: float(v) for k, v in task.weights(features).items()}
    assert counts["words"] == 13
    assert counts["sequences"] == len(examples)
    assert counts["tokens"] == examples.lengths().sum()
    best = scores[weights].argmax(-1)
    assert task.metrics(sums, counts) == {
        "accuracy": pytest.approx((best == targets).mean())
    }


@pytest.mark.parametrize("head", ["crf", "bilstm_crf"])
def test_the_loss_of_a_crf_is_that_of_all_sentences_by_words(head, examples):
    task = make_task(head)
    model, features = make_model(task), all_rows(examples)
    scores = task.outputs(model, features)["scores"].numpy()
    total = 0.0
    for row in range(len(examples)):
        words = np.flatnonzero(features["word_weights"][row])
        # Cut before every word that begins a sentence.
        begins = np.flatnonzero(features["word_begins"][row][words])
        for part in np.split(words, begins):
            if not len(part):
                continue
            flags = [
                features[name][row][part][None]
                for name in ("word_begins", "word_closes")
            ]
            total -= float(
                log_likelihood(
                    scores[row, part][None],
                    features["targets"][row, part][None],
                    Layout(np.ones((1, len(part))), *flags),
                    model.crf.scores,
                )[0]
            )
    expected = total / 13
    assert loss_of(task, model, features) == pytest.approx(expected, rel=1e-5)
    losses = task.outputs(model, features)["losses"]
    assert losses.shape == (len(examples),)
    assert float(tf.reduce_sum(losses)) == pytest.approx(total, rel=1e-5)
    # Nothing is said of words one by one.
    assert task.metrics({"loss": total}, {"words": 13.0}) == {}


@pytest.mark.parametrize("head", HEADS)
def test_rows_that_fill_and_words_without_tags_add_nothing(head, examples):
    task = make_task(head)
    model = make_model(task)
    expected = loss_of(task, model, all_rows(examples))
    filled = all_rows(examples, len(examples) + 3)
    assert loss_of(task, model, filled) == pytest.approx(expected, rel=1e-5)
    assert float(task.weights(filled)["sequences"]) == len(examples)
    # The tags of words that other rows own make no difference.
    others = {k: v.copy() for k, v in filled.items()}
    others["targets"][filled["word_weights"] == 0] = 2
    assert loss_of(task, model, others) == pytest.approx(expected, rel=1e-5)
    others["targets"] = (others["targets"] + 1) % 3
    assert abs(loss_of(task, model, others) - expected) > 1e-3


@pytest.mark.parametrize(
    "head", ["crf", pytest.param("bilstm_crf", marks=pytest.mark.slow)]
)
def test_a_step_does_not_depend_on_micro_batches(head, examples):
    config = dataclasses.replace(
        CONFIG, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0
    )
    task = dataclasses.replace(make_task(head), config=config)
    weights = {v.path: v.numpy() for v in make_model(task).weights}
    batch = all_rows(examples, 6)
    trained = []
    for micro_batches in (1, 3):
        training = Training(
            task,
            weights,
            Schedule(1e-2, 10, 1),
            Devices(micro_batches=micro_batches),
        )
        # The head's dropout is not the same over parts.
        training.model.dropout.rate = 0.0
        losses = [result.loss for result in training.run([batch] * 2)]
        trained.append((losses, training.weights))
    (first, one), (second, three) = trained
    np.testing.assert_allclose(first, second, rtol=1e-5)
    for name, values in one.items():
        np.testing.assert_allclose(three[name], values, 0, 1e-5, err_msg=name)
    moved = one["output_weights"] - weights["output_weights"]
    assert np.abs(moved).max() > 1e-4


def test_a_step_with_a_crf_compiles(examples):
    task = make_task("crf")
    weights = {v.path: v.numpy() for v in make_model(task).weights}
    plain, compiled = (
        Training(task, weights, Schedule(1e-2, 10, 1), Devices(), seed=3)
        for _ in range(2)
    )

    @tf.function(jit_compile=True)
    def step(batch):
        return compiled.step(batch, stop=False)

    for _ in range(2):
        batch = plain.spread(all_rows(examples))
        expected = plain.step(batch, stop=False)
        np.testing.assert_allclose(step(batch), expected, 1e-4, 1e-6)
    for name, values in plain.weights.items():
        np.testing.assert_allclose(
            compiled.weights[name], values, 0, 1e-4, err_msg=name
        )
    moved = plain.weights["crf/transitions"] - weights["crf/transitions"]
    assert np.abs(moved).max() > 1e-4


@pytest.mark.parametrize("head", ["softmax", "crf"])
def test_tags_are_the_best_that_may_be(head):
    task = make_task(head)
    model = make_model(task)
    scores = np.zeros((2, 4, 3), np.float32)
    scores[..., 2] = 1.0  # I-X, which no sentence begins with.
    mask = np.array([[1, 1, 1, 1], [1, 1, 0, 0]], np.int32)
    if head == "crf":
        model.crf.weights[0].assign(np.zeros((3, 3)))
        model.crf.weights[1].assign(np.zeros(3))
        model.crf.weights[2].assign(np.zeros(3))
    tags = task.decoder(model)(scores, mask)
    assert tags.tolist() == [[1, 2, 2, 2], [1, 2, 0, 0]]
    if head == "crf":
        # What it has learned of neighbours counts.
        model.crf.weights[0].assign([[0, 0, 0], [9, 0, 0], [0, 0, 0]])
        tags = task.decoder(model)(scores, mask)
        assert tags.tolist() == [[1, 0, 1, 0], [1, 0, 0, 0]]


def test_a_frozen_encoder_has_the_same_scores_from_what_is_kept(examples):
    task = make_task("crf", chosen_layers=ChosenLayers(("all",), "weighted"))
    model, features = make_model(task), all_rows(examples)
    assert task.encoding() == {"layers": ("embeddings", 0)}
    hidden = task.encode(model, features)
    kept = {k: v for k, v in features.items() if k != "input_ids"}
    np.testing.assert_allclose(
        task.outputs(model, {**kept, "hidden": hidden})["scores"],
        task.outputs(model, features)["scores"],
        atol=1e-5,
    )


@pytest.mark.parametrize("values", [{"lstm_size": 5}, {"lstm_layers": -1}])
def test_heads_that_cannot_be(values):
    with pytest.raises(UserError, match=str(next(iter(values.values())))):
        TaggingHead(**values)
