"""Pooling, windows, layer mixes and BiLSTMs of the classifiers."""

import keras
import numpy as np
import pytest
from keras import ops

from modeling.config import BertConfig
from modeling.network import BertClassifier, FeatureClassifier
from modeling.network.bilstm import BiLstm
from modeling.network.layer_mix import LayerMix, stack_layers
from modeling.network.pooling import masked_max, masked_mean

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


def inputs(lengths, length=6):
    """Rows of so many tokens; 0 for a row without."""
    lengths = np.array(lengths)
    mask = np.arange(length) < lengths[..., None]
    ids = RNG.integers(5, 50, mask.shape) * mask
    return {
        "input_ids": ids.astype(np.int32),
        "input_mask": mask.astype(np.int32),
        "segment_ids": np.zeros_like(ids, np.int32),
    }


def run(model, features, **options):
    return ops.convert_to_numpy(model(features, **options))


def test_masked_pooling_by_hand():
    values = np.array([[[1.0, -5.0], [3.0, -7.0], [9.0, 9.0]]], np.float32)
    mask = np.array([[1, 1, 0]])
    np.testing.assert_allclose(masked_mean(values, mask), [[2.0, -6.0]])
    np.testing.assert_allclose(masked_max(values, mask), [[3.0, -5.0]])
    np.testing.assert_allclose(masked_mean(values, mask * 0), [[0.0, 0.0]])


@pytest.mark.parametrize("pooling", ["cls", "mean", "max"])
def test_padding_changes_nothing(pooling):
    model = BertClassifier(CONFIG, 3, pooling=pooling)
    long = inputs([4, 6], length=9)
    short = {name: values[:, :6] for name, values in long.items()}
    expected = run(model, short)
    np.testing.assert_allclose(run(model, long), expected, atol=1e-5)
    assert expected.shape == (2, 3)


@pytest.mark.parametrize("pooling", ["cls", "mean", "max"])
def test_windows_are_pooled_and_empty_ones_do_not_count(pooling):
    model = BertClassifier(CONFIG, 3, pooling=pooling)
    # Without the bias, logits are linear in what is pooled.
    model.output_bias.assign([0.0, 0.0, 0.0])
    windows = inputs([[6, 3], [5, 0]])
    logits = run(model, windows)
    second = {name: values[1, :1] for name, values in windows.items()}
    np.testing.assert_allclose(logits[1:], run(model, second), atol=1e-5)
    if pooling != "max":
        rows = {name: values[0] for name, values in windows.items()}
        mean = run(model, rows).mean(axis=0)
        np.testing.assert_allclose(logits[0], mean, atol=1e-5)


def test_layer_mixes_by_hand():
    stack = RNG.normal(size=(2, 3, 2, 4)).astype(np.float32)
    first, second = stack[..., 0, :], stack[..., 1, :]
    for combine, expected in (
        ("concat", np.concatenate([first, second], -1)),
        ("sum", first + second),
        ("weighted", 0.5 * (0.25 * first + 0.75 * second)),
    ):
        mix = LayerMix(2, combine)
        mix.build()
        if combine == "weighted":
            mix.scores.assign([0.0, np.log(3.0)])
            mix.factor.assign(0.5)
        np.testing.assert_allclose(
            ops.convert_to_numpy(mix(stack)), expected, atol=1e-6
        )
        assert mix.output_size(4) == expected.shape[-1]


def test_layers_are_the_encoders():
    outputs = {
        "embedding_output": np.zeros((1, 1, 1)),
        "all_encoder_layers": [np.ones((1, 1, 1)), np.full((1, 1, 1), 2.0)],
    }
    stack = stack_layers(outputs, ["embeddings", 0, -1])
    assert ops.convert_to_numpy(stack).tolist() == [[[[0.0], [1.0], [2.0]]]]


def test_bilstm_skips_padding_in_both_directions():
    lstm = BiLstm(6, num_layers=2)
    lstm.build((None, None, 4))
    x = RNG.normal(size=(1, 5, 4)).astype(np.float32)
    mask = np.array([[1, 1, 1, 0, 0]])
    padded = ops.convert_to_numpy(lstm(x, mask))
    short = ops.convert_to_numpy(lstm(x[:, :3], mask[:, :3]))
    np.testing.assert_allclose(padded[:, :3], short, atol=1e-6)
    assert not padded[:, 3:].any()
    # The first output knows of the last token through the second direction.
    x[:, 2] += 1.0
    changed = ops.convert_to_numpy(lstm(x, mask))
    assert np.abs(changed[0, 0, 3:] - padded[0, 0, 3:]).max() > 1e-4


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"combine": "weighted", "pooling": "mean", "layers": (0, "embeddings")},
        {"combine": "sum", "lstm_layers": 2, "lstm_size": 6},
        {"lstm_layers": 1, "pooling": "max"},
    ],
    ids=lambda options: "-".join(options),
)
@pytest.mark.parametrize("lengths", [[4, 6], [[6, 3], [5, 0]]])
def test_kept_features_give_the_same_logits(options, lengths):
    model = FeatureClassifier(CONFIG, 3, **{"layers": (-1, -2), **options})
    features = inputs(lengths)
    expected = run(model, features)
    hidden = ops.convert_to_numpy(model.encode(features))
    kept = {"hidden": hidden, "input_mask": features["input_mask"]}
    np.testing.assert_allclose(run(model, kept), expected, atol=1e-5)
    assert expected.shape == (2, 3)
    trained = {v.path for v in model.weights if not v.path.startswith("bert/")}
    assert {"output_weights", "output_bias"} <= trained
    # In training, the head alone drops out.
    dropped = run(model, features, training=True, dropout_seed=[1, 2])
    again = run(model, kept, training=True, dropout_seed=[1, 2])
    np.testing.assert_allclose(again, dropped, atol=1e-5)
    assert np.abs(dropped - expected).max() > 1e-3


def test_variables_have_fixed_names():
    model = FeatureClassifier(CONFIG, 2, combine="weighted", lstm_layers=1)
    names = {v.path for v in model.weights if not v.path.startswith("bert/")}
    assert names == {
        "layer_mix/scores",
        "layer_mix/factor",
        *(
            f"bilstm/{direction}_0/lstm_cell/{name}"
            for direction in ("forward", "backward")
            for name in ("kernel", "recurrent_kernel", "bias")
        ),
        "output_weights",
        "output_bias",
    }


@pytest.mark.parametrize(
    "make",
    [
        lambda: BertClassifier(CONFIG, 2, pooling="mean"),
        lambda: FeatureClassifier(CONFIG, 2, (0, 1), "sum", lstm_layers=1),
    ],
    ids=["fine_tuned", "features"],
)
def test_models_are_saved_and_loaded(make, tmp_path):
    model, features = make(), inputs([3, 6])
    expected = run(model, features)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(run(loaded, features), expected, atol=1e-6)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: BertClassifier(CONFIG, 2, pooling="first"), "'first'"),
        (lambda: FeatureClassifier(CONFIG, 2, combine="product"), "'product'"),
        (lambda: BiLstm(5), "size=5"),
    ],
)
def test_unknown_options(make, message):
    with pytest.raises(ValueError, match=message):
        make()
