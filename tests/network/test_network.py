"""What the original's numbers do not show: options, shapes, saving."""

import keras
import numpy as np
import pytest
from keras import ops

from modeling.config import BertConfig
from modeling.network import (
    BertClassifier,
    BertModel,
    BertPretrainer,
    BertQuestionAnswerer,
)
from modeling.network.activations import activation
from modeling.network.dropout import Dropout
from modeling.network.embeddings import sinusoids
from tests.network.conftest import spread

IDS = np.array([[2, 7, 9, 3, 0], [2, 11, 3, 0, 0]], np.int32)
MASK = np.array([[1, 1, 1, 1, 0], [1, 1, 1, 0, 0]], np.int32)


def to_numpy(x):
    return ops.convert_to_numpy(x)


def test_padding_changes_nothing(tiny_model):
    alone = tiny_model({"input_ids": IDS[1:, :3]})
    padded = tiny_model({"input_ids": IDS, "input_mask": MASK})
    np.testing.assert_allclose(
        to_numpy(padded["sequence_output"])[1, :3],
        to_numpy(alone["sequence_output"])[0],
        atol=1e-6,
    )


def test_packed_sequences_do_not_see_each_other(tiny_model):
    first, second = [2, 7, 9, 3], [2, 11, 3]
    packed = tiny_model(
        {
            "input_ids": np.array([first + second + [0]]),
            "input_mask": np.array([[1] * 7 + [0]]),
            "position_ids": np.array([[0, 1, 2, 3, 0, 1, 2, 0]]),
            "block_ids": np.array([[0, 0, 0, 0, 1, 1, 1, 1]]),
        }
    )["sequence_output"]
    for ids, rows in ((first, slice(0, 4)), (second, slice(4, 7))):
        alone = tiny_model({"input_ids": np.array([ids])})["sequence_output"]
        np.testing.assert_allclose(
            to_numpy(packed)[0, rows], to_numpy(alone)[0], atol=1e-6
        )


def test_attention_probs_on_request(tiny_model):
    inputs = {"input_ids": IDS, "input_mask": MASK}
    assert "attention_probs" not in tiny_model(inputs)
    maps = tiny_model(inputs, return_attention_probs=True)["attention_probs"]
    assert len(maps) == 2
    for probs in map(to_numpy, maps):
        assert probs.shape == (2, 4, 5, 5)
        np.testing.assert_allclose(probs.sum(-1), 1, atol=1e-6)
        assert probs[0, :, :, 4].max() == 0
        assert probs[1, :, :, 3:].max() == 0


def test_sinusoids():
    table = to_numpy(sinusoids(ops.arange(3), 4, "float32"))
    angles = np.array([0.0, 1.0, 2.0])
    np.testing.assert_allclose(table[:, 0], np.sin(angles), atol=1e-6)
    np.testing.assert_allclose(table[:, 1], np.cos(angles), atol=1e-6)
    np.testing.assert_allclose(table[:, 2], np.sin(angles / 100), atol=1e-6)
    np.testing.assert_allclose(table[:, 3], np.cos(angles / 100), atol=1e-6)


def test_sinusoidal_model_has_no_table_and_no_limit(tiny_config):
    config = BertConfig(
        **{
            **{k: getattr(tiny_config, k) for k in ("vocab_size",)},
            "hidden_size": 16,
            "num_hidden_layers": 1,
            "num_attention_heads": 4,
            "intermediate_size": 24,
            "max_position_embeddings": 4,
            "type_vocab_size": 2,
            "position_embedding_type": "sinusoidal",
        }
    )
    model = BertModel(config)
    assert not any("position" in v.path for v in model.weights)
    long = model({"input_ids": np.ones((1, 9), np.int32)})
    assert long["sequence_output"].shape == (1, 9, 16)
    given = model(
        {
            "input_ids": np.ones((1, 3), np.int32),
            "position_ids": np.array([[6, 7, 8]]),
        }
    )
    np.testing.assert_allclose(
        to_numpy(given["embedding_output"])[0],
        to_numpy(long["embedding_output"])[0, 6:],
        atol=1e-6,
    )


def test_too_long_an_input_is_named(tiny_model):
    with pytest.raises(ValueError, match="21 tokens long.*only 20 rows"):
        tiny_model({"input_ids": np.ones((1, 21), np.int32)})


def test_the_two_gelus_differ():
    x = np.array([-2.0, -0.5, 0.0, 1.0, 3.0], np.float32)
    exact = [-0.04550026, -0.15426877, 0.0, 0.84134475, 2.9959502]
    np.testing.assert_allclose(
        to_numpy(activation("gelu_erf")(x)), exact, atol=1e-6
    )
    difference = np.abs(to_numpy(activation("gelu")(x)) - exact).max()
    assert 1e-4 < difference < 5e-4


def build(name, config):
    if name == "model":
        return BertModel(config), {"input_ids": IDS, "input_mask": MASK}
    if name == "one_hot":
        model = BertModel(config, use_one_hot_embeddings=True)
        return model, {"input_ids": IDS, "segment_ids": MASK}
    if name == "pretrainer":
        positions = np.array([[1, 2], [1, 0]], np.int32)
        inputs = {"input_ids": IDS, "masked_lm_positions": positions}
        return BertPretrainer(config), inputs
    if name == "question_answerer":
        return BertQuestionAnswerer(config), {"input_ids": IDS}
    return BertClassifier(config, 3), {"input_ids": IDS}


@pytest.mark.parametrize(
    "name",
    ["model", "one_hot", "pretrainer", "question_answerer", "classifier"],
)
def test_saved_and_loaded_it_computes_the_same(name, tiny_config, tmp_path):
    model, inputs = build(name, tiny_config)
    spread(model)
    path = tmp_path / "model.keras"
    model.save(path)
    loaded = keras.saving.load_model(path)
    assert type(loaded) is type(model)
    assert loaded.config == model.config
    assert loaded.get_config() == model.get_config()
    assert [v.path for v in loaded.weights] == [v.path for v in model.weights]
    for actual, expected in zip(
        keras.tree.flatten(loaded(inputs)),
        keras.tree.flatten(model(inputs)),
        strict=True,
    ):
        np.testing.assert_array_equal(to_numpy(actual), to_numpy(expected))


def test_embedding_table_is_the_decoder(tiny_config):
    model = spread(BertPretrainer(tiny_config))
    inputs = {
        "input_ids": IDS,
        "masked_lm_positions": np.array([[1], [1]], np.int32),
    }
    before = to_numpy(model(inputs)["masked_lm_logits"])
    table = to_numpy(model.bert.embedding_table)
    assert table.shape == (50, 16)
    # Word 40 is in no input: only its score can change.
    changed = table.copy()
    changed[40] += 1.0
    model.bert.embedding_table.assign(changed)
    moved = np.abs(to_numpy(model(inputs)["masked_lm_logits"]) - before)
    assert moved[:, :, 40].min() > 1e-3
    assert np.delete(moved, 40, axis=-1).max() == 0


def test_dropout_depends_on_its_seed_and_site():
    x = np.ones((1000, 100), np.float32)
    first = to_numpy(Dropout(0.1, site=1)(x, seed=(3, 4)))
    np.testing.assert_array_equal(
        first, to_numpy(Dropout(0.1, site=1)(x, seed=(3, 4)))
    )
    for site, seed in ((2, (3, 4)), (1, (3, 5)), (1, (4, 4))):
        other = to_numpy(Dropout(0.1, site=site)(x, seed=seed))
        # Independent masks agree in 0.9 * 0.9 + 0.1 * 0.1 = 0.82.
        assert abs((first == other).mean() - 0.82) < 0.01
    assert abs((first == 0).mean() - 0.1) < 0.005
    # Shares of zeroes are multiples of 2^-16.
    np.testing.assert_allclose(first[first > 0], 1 / 0.9, rtol=1e-5)
    np.testing.assert_array_equal(to_numpy(Dropout(0.1, site=1)(x)), x)


def test_training_repeats_with_its_seed_alone(tiny_model):
    def run(**arguments):
        outputs = tiny_model({"input_ids": IDS}, **arguments)
        return to_numpy(outputs["sequence_output"])

    first = run(training=True, dropout_seed=(1, 2))
    np.testing.assert_array_equal(
        first, run(training=True, dropout_seed=(1, 2))
    )
    assert np.abs(first - run(training=True, dropout_seed=(1, 3))).max() > 0.01
    # Without one, the model's own generator moves on.
    assert np.abs(run(training=True) - run(training=True)).max() > 0.01
    np.testing.assert_array_equal(run(), run(dropout_seed=(1, 2)))


def test_bfloat16_computes_nearly_the_same(tiny_config, tiny_model):
    model = BertModel(tiny_config, dtype="mixed_bfloat16")
    for variable, source in zip(model.weights, tiny_model.weights, strict=True):
        assert variable.dtype == "float32"
        variable.assign(source)
    inputs = {"input_ids": IDS, "input_mask": MASK}
    actual = model(inputs)["sequence_output"]
    assert actual.dtype == "bfloat16" or "bfloat16" in str(actual.dtype)
    difference = np.abs(
        to_numpy(ops.cast(actual, "float32"))
        - to_numpy(tiny_model(inputs)["sequence_output"])
    )
    assert 0 < difference.max() < 0.15


def test_fit_works_on_one_device(tiny_config):
    model = BertClassifier(tiny_config, 2)
    model.compile(
        optimizer=keras.optimizers.Adam(1e-2),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    )
    inputs = {"input_ids": np.repeat(IDS, 8, axis=0)}
    labels = np.repeat([0, 1], 8)
    history = model.fit(inputs, labels, batch_size=8, epochs=20, verbose=0)
    losses = history.history["loss"]
    assert losses[-1] < losses[0] / 2


def test_part_of_a_functional_model(tiny_config, tmp_path):
    inputs = {
        name: keras.Input((None,), dtype="int32", name=name)
        for name in ("input_ids", "input_mask", "segment_ids")
    }
    bert = spread(BertModel(tiny_config))
    outputs = bert(inputs)
    assert outputs["sequence_output"].shape == (None, None, 16)
    logits = keras.layers.Dense(2)(outputs["pooled_output"])
    model = keras.Model(inputs, logits)
    batch = {"input_ids": IDS, "input_mask": MASK, "segment_ids": 0 * IDS}
    np.testing.assert_allclose(
        to_numpy(bert(batch)["pooled_output"]) @ model.layers[-1].kernel
        + model.layers[-1].bias,
        to_numpy(model(batch)),
        atol=1e-5,
    )
    assert {v.path.partition("/")[0] for v in bert.weights} == {"bert"}
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(
        to_numpy(loaded(batch)), to_numpy(model(batch))
    )


def test_two_models_do_not_share_names_or_weights(tiny_config):
    first, second = BertModel(tiny_config), BertModel(tiny_config)
    assert [v.path for v in first.weights] == [v.path for v in second.weights]
    kernels = [
        to_numpy(model.encoder.blocks[i].intermediate.dense.kernel)
        for model in (first, second)
        for i in (0, 1)
    ]
    for i, kernel in enumerate(kernels):
        # A truncated normal of standard deviation 0.02, and no two alike.
        assert 0.01 < kernel.std() < 0.03
        assert np.abs(kernel).max() <= 0.0401
        for other in kernels[i + 1 :]:
            assert np.abs(kernel - other).max() > 0.01


@pytest.mark.parametrize("dtype", ["float32", "mixed_bfloat16"])
def test_padding_can_be_left_out(tiny_config, dtype):
    if keras.backend.backend() == "jax":
        pytest.skip("shapes cannot depend on numbers")
    model = spread(BertModel(tiny_config, dtype=dtype))
    mask = np.array([[1, 1, 1, 0, 0], [1, 0, 1, 1, 1], [0, 0, 0, 0, 0]])
    inputs = {
        "input_ids": np.array([[2, 7, 3, 0, 0], [2, 8, 9, 4, 3], [0] * 5]),
        "input_mask": mask,
    }
    expected = model(inputs)
    model.skip_padding = True
    actual = model(inputs)
    # The last row has no token to pool.
    np.testing.assert_allclose(
        ops.convert_to_numpy(ops.cast(actual["pooled_output"][:2], "float32")),
        ops.convert_to_numpy(
            ops.cast(expected["pooled_output"][:2], "float32")
        ),
        atol=1e-6 if dtype == "float32" else 2e-2,
    )
    for a, e in zip(
        actual["all_encoder_layers"],
        expected["all_encoder_layers"],
        strict=True,
    ):
        a, e = (ops.convert_to_numpy(ops.cast(x, "float32")) for x in (a, e))
        np.testing.assert_allclose(
            a,
            e * mask[..., None],
            atol=2e-6 if dtype == "float32" else 5e-2,
        )


def test_lists_stand_for_arrays(tiny_model):
    lists = tiny_model({"input_ids": IDS.tolist(), "input_mask": MASK.tolist()})
    arrays = tiny_model({"input_ids": IDS, "input_mask": MASK})
    np.testing.assert_array_equal(
        to_numpy(lists["pooled_output"]), to_numpy(arrays["pooled_output"])
    )


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        (IDS, "takes a dictionary"),
        (
            {"input_ids": IDS, "attention_mask": MASK},
            "'attention_mask' is called 'input_mask'",
        ),
        (
            {"input_ids": IDS, "token_type_ids": MASK},
            "'token_type_ids' is called 'segment_ids'",
        ),
    ],
)
def test_inputs_of_other_models_are_told(inputs, message, tiny_model):
    with pytest.raises(ValueError, match=message):
        tiny_model(inputs)
