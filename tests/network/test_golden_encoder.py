"""The network against the original's numbers.

The same file also runs under Keras' JAX back end (KERAS_BACKEND=jax).
"""

import keras
import numpy as np
import pytest
from keras import ops

from modeling.network import BertClassifier, BertModel, BertPretrainer
from modeling.network import losses as network_losses
from modeling.network.activations import activation
from tests.network.conftest import assign

pytestmark = pytest.mark.golden

# Two kernels of the same product were seen to differ by 2e-6.
TOLERANCE = 1e-5


@pytest.fixture(scope="module")
def inputs(golden_dir):
    return dict(np.load(golden_dir / "encoder" / "inputs.npz"))


@pytest.fixture(scope="module")
def outputs(golden_dir):
    return dict(np.load(golden_dir / "encoder" / "outputs.npz"))


@pytest.fixture(scope="module")
def edge_cases(golden_dir):
    return dict(np.load(golden_dir / "encoder" / "edge_cases.npz"))


def encoder_with(config, weights, **options):
    encoder_weights = {k: v for k, v in weights.items() if k[:5] == "bert/"}
    return assign(BertModel(config, **options), encoder_weights)


def total_loss(logits, inputs):
    return network_losses.masked_lm_loss(
        logits["masked_lm_logits"],
        inputs["masked_lm_ids"],
        inputs["masked_lm_weights"],
    ) + network_losses.next_sentence_loss(
        logits["next_sentence_logits"], inputs["next_sentence_labels"]
    )


def assert_close(actual, expected, tolerance=TOLERANCE):
    np.testing.assert_allclose(
        ops.convert_to_numpy(actual), expected, rtol=0, atol=tolerance
    )


def test_variables_are_googles(golden_pretrainer, golden_weights):
    ours = {v.path: tuple(v.shape) for v in golden_pretrainer.weights}
    assert ours == {k: v.shape for k, v in golden_weights.items()}


def test_every_layer(golden_pretrainer, inputs, outputs):
    actual = golden_pretrainer.bert(inputs)
    assert_close(actual["embedding_output"], outputs["embedding_output"])
    assert_close(actual["pooled_output"], outputs["pooled_output"])
    assert len(actual["all_encoder_layers"]) == sum(
        name.startswith("encoder_layer_") for name in outputs
    )
    for i, layer in enumerate(actual["all_encoder_layers"]):
        assert_close(layer, outputs[f"encoder_layer_{i}"])
    assert_close(actual["sequence_output"], outputs[f"encoder_layer_{i}"])


def test_losses_and_log_probabilities(golden_pretrainer, inputs, outputs):
    logits = golden_pretrainer(inputs)
    words = logits["masked_lm_logits"]
    log_probs = ops.log_softmax(ops.reshape(words, (-1, words.shape[-1])))
    # The small set has only the first rows.
    expected = outputs["masked_lm_log_probs"]
    assert_close(log_probs[: len(expected)], expected)
    assert_close(
        ops.log_softmax(logits["next_sentence_logits"]),
        outputs["next_sentence_log_probs"],
    )
    assert_close(
        ops.reshape(
            network_losses.cross_entropy(words, inputs["masked_lm_ids"]), (-1,)
        ),
        outputs["masked_lm_example_loss"],
    )
    assert_close(
        network_losses.masked_lm_loss(
            words, inputs["masked_lm_ids"], inputs["masked_lm_weights"]
        ),
        outputs["masked_lm_loss"],
    )
    assert_close(
        network_losses.next_sentence_loss(
            logits["next_sentence_logits"], inputs["next_sentence_labels"]
        ),
        outputs["next_sentence_loss"],
    )
    assert_close(total_loss(logits, inputs), outputs["total_loss"])


@pytest.mark.parametrize("recompute", [False, True])
def test_every_gradient(
    golden_config, golden_weights, inputs, golden_dir, recompute
):
    expected = dict(np.load(golden_dir / "encoder" / "gradients.npz"))
    model = BertPretrainer(golden_config, recompute=recompute)
    actual = gradients(assign(model, golden_weights), inputs)
    # The small set has no word embeddings, and not every layer.
    assert set(actual) >= set(expected)
    for name, array in expected.items():
        # A key's bias shifts all scores of a row alike, which a softmax does
        # not see: its gradient is nothing but rounding, on the query's scale.
        scale = np.abs(expected[name.replace("key/bias", "query/bias")]).max()
        difference = np.abs(actual[name] - array).max()
        assert difference <= TOLERANCE * scale, (name, difference, scale)


def gradients(model, inputs):
    paths = [v.path for v in model.trainable_variables]
    if keras.backend.backend() == "jax":
        import jax

        def loss_of(values):
            logits, _ = model.stateless_call(
                values, [v.value for v in model.non_trainable_variables], inputs
            )
            return total_loss(logits, inputs)

        values = [v.value for v in model.trainable_variables]
        return dict(zip(paths, jax.grad(loss_of)(values), strict=True))
    import tensorflow as tf

    with tf.GradientTape() as tape:
        loss = total_loss(model(inputs), inputs)
    values = [v.value for v in model.trainable_variables]
    grads = map(tf.convert_to_tensor, tape.gradient(loss, values))
    return {k: v.numpy() for k, v in zip(paths, grads, strict=True)}


def test_longest_input(golden_config, golden_weights, edge_cases):
    model = encoder_with(golden_config, golden_weights)
    actual = model({"input_ids": edge_cases["long_input_ids"]})
    assert_close(actual["sequence_output"], edge_cases["long_sequence_output"])
    assert_close(actual["pooled_output"], edge_cases["long_pooled_output"])


@pytest.mark.parametrize("one_hot", [False, True])
def test_defaults_of_mask_and_segments(
    golden_config, golden_weights, edge_cases, one_hot
):
    model = encoder_with(
        golden_config, golden_weights, use_one_hot_embeddings=one_hot
    )
    actual = model({"input_ids": edge_cases["small_input_ids"]})
    assert_close(actual["sequence_output"], edge_cases["small_sequence_output"])
    name = "small_one_hot_pooled_output" if one_hot else "small_pooled_output"
    assert_close(actual["pooled_output"], edge_cases[name])


def test_row_that_may_attend_to_nothing(
    golden_config, golden_weights, edge_cases
):
    model = encoder_with(golden_config, golden_weights)
    mask = edge_cases["zero_mask_input_mask"]
    actual = model(
        {"input_ids": edge_cases["small_input_ids"], "input_mask": mask}
    )
    expected = edge_cases["zero_mask_sequence_output"]
    empty = ~mask.any(axis=1)
    assert empty.any()
    output = ops.convert_to_numpy(actual["sequence_output"])
    assert_close(output[~empty], expected[~empty])
    # Scores near 10,000 have no more than three decimal places.
    assert_close(output[empty], expected[empty], 1e-2)


@pytest.mark.parametrize("name", ["relu", "tanh", "linear"])
def test_other_activations(golden_config, golden_weights, edge_cases, name):
    config = type(golden_config).from_dict(
        {**golden_config.to_dict(), "hidden_act": name}
    )
    model = encoder_with(config, golden_weights)
    actual = model({"input_ids": edge_cases["small_input_ids"]})
    assert_close(
        actual["sequence_output"], edge_cases[f"act_{name}_sequence_output"]
    )


def test_gelu(edge_cases):
    assert_close(
        activation("gelu")(edge_cases["gelu_x"]), edge_cases["gelu_y"], 1e-6
    )


def test_classifier(golden_config, golden_weights, golden_dir):
    expected = dict(np.load(golden_dir / "classifier" / "model_outputs.npz"))
    for task in ("mrpc", "mnli"):
        values = {
            name.split("/")[1]: array
            for name, array in expected.items()
            if name.startswith(f"{task}/")
        }
        model = BertClassifier(golden_config, len(values["output_bias"]))
        heads = {k: values[k] for k in ("output_weights", "output_bias")}
        assign(model, {**golden_weights, **heads})
        logits = model(values)
        assert_close(logits, values["logits"])
        example_loss = network_losses.cross_entropy(logits, values["label_ids"])
        assert_close(example_loss, values["per_example_loss"])
