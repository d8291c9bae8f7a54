"""Scores of words: their first tokens, heads, and frozen encoders."""

import keras
import numpy as np
import pytest
from keras import ops

from modeling.config import BertConfig
from modeling.network import BertTagger, FeatureTagger
from modeling.network.tag_chains import Allowed, Layout

CONFIG = BertConfig(
    vocab_size=50,
    hidden_size=8,
    num_hidden_layers=2,
    num_attention_heads=2,
    intermediate_size=16,
    max_position_embeddings=16,
    type_vocab_size=2,
    initializer_range=0.5,
)
RNG = np.random.default_rng(0)
# The third tag may only follow the second.
ALLOWED = Allowed(
    np.array([[1, 1, 0], [1, 1, 1], [1, 1, 1]], bool),
    np.array([1, 1, 0], bool),
    np.ones(3, bool),
)


def inputs(length=7, num_words=5):
    """Two rows: words of one to three tokens, and padding."""
    positions = np.zeros((2, num_words), np.int32)
    positions[0, :4], positions[1, :2] = [1, 2, 4, 5], [1, 2]
    word_mask = np.zeros((2, num_words), np.int32)
    word_mask[0, :4] = word_mask[1, :2] = 1
    mask = np.zeros((2, length), np.int32)
    mask[0, :7] = mask[1, :4] = 1
    return {
        "input_ids": RNG.integers(5, 50, mask.shape).astype(np.int32) * mask,
        "input_mask": mask,
        "segment_ids": np.zeros_like(mask),
        "word_positions": positions,
        "word_mask": word_mask,
    }


def run(model, features, **options):
    return ops.convert_to_numpy(model(features, **options))


def test_a_word_is_scored_at_its_first_token():
    model, features = BertTagger(CONFIG, 3), inputs()
    tokens = {k: v for k, v in features.items() if "word" not in k}
    hidden = ops.convert_to_numpy(model.bert(tokens)["sequence_output"])
    weights, bias = map(
        ops.convert_to_numpy, (model.output_weights, model.output_bias)
    )
    scores = run(model, features)
    assert scores.shape == (2, 5, 3)
    for row, word, token in ((0, 0, 1), (0, 2, 4), (0, 3, 5), (1, 1, 2)):
        expected = hidden[row, token] @ weights.T + bias
        np.testing.assert_allclose(scores[row, word], expected, atol=1e-5)
    dropped = run(model, features, training=True, dropout_seed=[1, 2])
    assert np.abs(dropped - scores).max() > 1e-3


@pytest.mark.parametrize("lstm_layers", [0, 2])
def test_padding_changes_nothing(lstm_layers):
    model = BertTagger(CONFIG, 3, lstm_layers=lstm_layers, lstm_size=6)
    long = inputs(length=11, num_words=9)
    short = {
        name: values[:, : 5 if "word" in name else 7]
        for name, values in long.items()
    }
    found, expected = run(model, long)[:, :5], run(model, short)
    is_word = short["word_mask"] == 1
    np.testing.assert_allclose(found[is_word], expected[is_word], atol=1e-5)


def test_a_bilstm_sees_words_on_both_sides():
    model, features = BertTagger(CONFIG, 3, lstm_layers=1), inputs()
    before = run(model, features)
    features["word_positions"][0, 3] = 6
    changed = np.abs(run(model, features) - before).max(axis=-1)
    assert changed[0, 0] > 1e-5
    assert not changed[1].any()


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"layers": ("embeddings",)},
        {"combine": "weighted", "layers": (0, "embeddings", 1)},
        {"combine": "sum", "lstm_layers": 2, "lstm_size": 6},
        {"allowed": ALLOWED, "lstm_layers": 1},
    ],
    ids=lambda options: "-".join(options),
)
def test_kept_features_give_the_same_scores(options):
    model = FeatureTagger(CONFIG, 3, **{"layers": (-1, -2), **options})
    features = inputs()
    expected = run(model, features)
    kept = {k: v for k, v in features.items() if k != "input_ids"}
    kept["hidden"] = ops.convert_to_numpy(model.encode(features))
    np.testing.assert_allclose(run(model, kept), expected, atol=1e-5)
    assert expected.shape == (2, 5, 3)
    # In training, the head alone drops out.
    dropped = run(model, features, training=True, dropout_seed=[1, 2])
    again = run(model, kept, training=True, dropout_seed=[1, 2])
    np.testing.assert_allclose(again, dropped, atol=1e-5)
    assert np.abs(dropped - expected).max() > 1e-3


def test_variables_have_fixed_names():
    model = BertTagger(CONFIG, 3, ALLOWED, lstm_layers=1)
    names = {v.path for v in model.weights if not v.path.startswith("bert/")}
    lstm = {name for name in names if name.startswith("bilstm/")}
    assert len(lstm) == 6
    assert names - lstm == {
        "output_weights",
        "output_bias",
        "crf/transitions",
        "crf/starts",
        "crf/ends",
    }


@pytest.mark.parametrize(
    "make",
    [
        lambda: BertTagger(CONFIG, 3, ALLOWED, lstm_layers=1),
        lambda: FeatureTagger(CONFIG, 3, ALLOWED, (0, 1), "weighted"),
        lambda: FeatureTagger(CONFIG, 3, layers=(-1,)),
    ],
    ids=["fine_tuned", "features", "softmax"],
)
def test_models_are_saved_and_loaded(make, tmp_path):
    model, features = make(), inputs()
    expected = run(model, features)
    if model.crf is not None:
        transitions = model.crf.weights[0]
        transitions.assign(RNG.normal(size=transitions.shape))
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(run(loaded, features), expected, atol=1e-6)
    if model.crf is None:
        assert loaded.crf is None
        return
    layout = Layout(features["word_mask"])
    tags = ops.convert_to_numpy(loaded.crf.decode(expected, layout))
    np.testing.assert_array_equal(tags, model.crf.decode(expected, layout))
    for row in tags:
        assert row[0] != 2
        assert not any(
            a == 0 and b == 2 for a, b in zip(row, row[1:], strict=False)
        )
