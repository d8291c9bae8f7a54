"""Half precision: close to float32 forwards and backwards, and finite."""

import keras
import numpy as np
import pytest
from keras import ops

from modeling.config import BertConfig
from modeling.network import BertClassifier, BertPretrainer
from modeling.network.activations import activation
from modeling.network.layers import (
    SelfAttention,
    attention_bias,
    layer_norm,
)
from modeling.network.losses import masked_lm_loss, next_sentence_loss

POLICIES = ["mixed_bfloat16", "mixed_float16"]
# So that gradients stay above float16's smallest number; a power of two.
SCALE = 1024.0
# Relative errors of whole gradients; a number's rounding is 1/256, 1/2048.
TOLERANCE = {"mixed_bfloat16": 0.03, "mixed_float16": 0.005}

on_tensorflow = pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="of TensorFlow alone"
)


@pytest.fixture(scope="module")
def config():
    return BertConfig(
        vocab_size=100,
        hidden_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=128,
        max_position_embeddings=128,
        type_vocab_size=2,
    )


@pytest.fixture(scope="module")
def batch():
    rng = np.random.default_rng(0)
    ids = rng.integers(5, 100, (16, 128))
    # A frequent token: its gradient is a sum of hundreds.
    ids[:, ::3] = 7
    mask = np.ones((16, 128))
    mask[8:, 100:] = 0
    return {
        "input_ids": ids,
        "input_mask": mask,
        "masked_lm_positions": rng.integers(0, 100, (16, 10)),
        "masked_lm_ids": rng.integers(0, 100, (16, 10)),
        "masked_lm_weights": np.ones((16, 10)),
        "next_sentence_labels": rng.integers(0, 2, 16),
    }


def pretrainer(config, policy):
    model = BertPretrainer(config, dtype=policy)
    rng = np.random.default_rng(1)
    for variable in model.trainable_variables:
        values = rng.normal(0, 0.05, variable.shape)
        variable.assign(values + ("gamma" in variable.path))
    return model


def loss_and_gradients(model, batch):
    import tensorflow as tf

    with tf.GradientTape() as tape:
        logits = model(batch)
        loss = masked_lm_loss(
            logits["masked_lm_logits"],
            batch["masked_lm_ids"],
            batch["masked_lm_weights"],
        ) + next_sentence_loss(
            logits["next_sentence_logits"], batch["next_sentence_labels"]
        )
        scaled = loss * SCALE
    variables = model.trainable_variables
    gradients = tape.gradient(scaled, [v.value for v in variables])
    return float(loss), {
        v.path: np.asarray(tf.convert_to_tensor(g)) / SCALE
        for v, g in zip(variables, gradients, strict=True)
    }


@on_tensorflow
@pytest.mark.parametrize("policy", POLICIES)
def test_every_gradient_is_close(config, batch, policy):
    """Biases' and embeddings' among them, the sums over all tokens."""
    loss, expected = loss_and_gradients(pretrainer(config, "float32"), batch)
    half_loss, actual = loss_and_gradients(pretrainer(config, policy), batch)
    assert half_loss == pytest.approx(loss, rel=1e-2)
    for path, gradient in expected.items():
        assert actual[path].dtype == np.float32
        # A key's bias has no gradient but rounding.
        if not path.endswith("key/bias"):
            error = np.linalg.norm(actual[path] - gradient)
            share = error / np.linalg.norm(gradient)
            assert share < TOLERANCE[policy], (path, share)


@on_tensorflow
@pytest.mark.parametrize("name", ["gelu", "gelu_erf"])
@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_gelu_of_any_number(name, dtype):
    import tensorflow as tf

    x = tf.constant([-60000.0, -300, -41, -3, 0, 3, 41, 300, 60000], dtype)
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = activation(name)(x)
    slope = tf.cast(tape.gradient(y, x), tf.float32).numpy()
    np.testing.assert_array_equal(slope[[0, 1, 2, 6, 7, 8]], [0] * 3 + [1] * 3)
    numbers = tf.cast(x, tf.float32).numpy()
    np.testing.assert_allclose(
        tf.cast(y, tf.float32).numpy(),
        np.maximum(numbers, 0),
        atol=0.01,
        rtol=1e-3,
    )
    np.testing.assert_allclose(slope[[3, 5]], [-0.0119, 1.0119], atol=0.015)


@pytest.mark.parametrize("policy", POLICIES)
def test_attention_with_large_scores(config, policy):
    """Products beyond float16's largest number, 65504, and masked keys."""
    layer = SelfAttention(config, 0, dtype=policy)
    layer.build()
    identity = np.eye(64)
    for part in (layer.query, layer.key, layer.value):
        part.set_weights([identity, np.zeros(64)])
    # Rows of 16 numbers a head: 16 * 80^2 = 102,400, a quarter of it scaled.
    hidden = np.full((3, 64), 80.0)
    hidden[1] = -80.0
    bias = attention_bias(np.array([[1, 1, 0]]))
    context, probs = layer(ops.convert_to_tensor(hidden), bias)
    expected = np.array([[1, 0, 0], [0, 1, 0], [1, 0, 0]], np.float32)
    probs = ops.convert_to_numpy(ops.cast(probs, "float32"))
    np.testing.assert_allclose(probs[0], [expected] * 4)
    context = ops.convert_to_numpy(ops.cast(context, "float32"))
    np.testing.assert_allclose(context, hidden * [[1], [1], [1]])


def test_layer_norm_keeps_its_scale(config):
    """A step of bfloat16 above 1 is 2^-7: 1.003 must not become 1."""
    norm = layer_norm(config, keras.DTypePolicy("mixed_bfloat16"))
    norm.build((None, 64))
    rows = np.random.default_rng(0).normal(0, 1, (2000, 64))
    sizes = []
    for gamma in (1.0, 1.003):
        norm.gamma.assign(np.full(64, gamma))
        rounded = ops.cast(norm(ops.cast(rows, "bfloat16")), "float32")
        sizes.append(np.abs(ops.convert_to_numpy(rounded)).mean())
    assert sizes[1] / sizes[0] == pytest.approx(1.003, abs=5e-4)


@pytest.mark.parametrize("policy", POLICIES)
def test_logits_are_float32(config, batch, policy):
    logits = pretrainer(config, policy)(batch)
    classified = BertClassifier(config, 3, dtype=policy)(batch)
    for tensor in (*logits.values(), classified):
        assert "float32" in str(tensor.dtype)
