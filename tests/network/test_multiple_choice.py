"""Scores of choices: the paper's product, and questions with few of them."""

import keras
import numpy as np
from keras import ops

from modeling.config import BertConfig
from modeling.network import BertMultipleChoice

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
# Tokens of the choices of two questions, of which the second has two.
LENGTHS = np.array([[4, 6, 3], [5, 2, 0]])


def inputs(length=6, seed=0):
    rng = np.random.default_rng(seed)
    mask = np.arange(length) < LENGTHS[..., None]
    ids = rng.integers(5, 50, (*LENGTHS.shape, 9))[..., :length]
    return {
        "input_ids": ids.astype(np.int32),
        "input_mask": mask.astype(np.int32),
        "segment_ids": (mask & (np.arange(length) > 1)).astype(np.int32),
    }


def run(model, features, **options):
    return ops.convert_to_numpy(model(features, **options))


def test_a_score_is_the_product_of_one_vector_and_the_pooled_row():
    model = BertMultipleChoice(CONFIG)
    head = [v.path for v in model.weights if not v.path.startswith("bert/")]
    assert head == ["output_weights"]
    assert model.output_weights.shape == (1, 8)
    features = inputs()
    logits = run(model, features)
    assert logits.shape == (2, 3)
    rows = {name: v.reshape(6, -1) for name, v in features.items()}
    pooled = ops.convert_to_numpy(model.bert(rows)["pooled_output"])
    vector = ops.convert_to_numpy(model.output_weights)[0]
    present = LENGTHS > 0
    expected = (pooled @ vector).reshape(2, 3)
    np.testing.assert_allclose(logits[present], expected[present], atol=1e-5)


def test_what_is_no_choice_gets_nothing_and_changes_nothing():
    model = BertMultipleChoice(CONFIG)
    features = inputs()
    logits = run(model, features)
    shares = ops.convert_to_numpy(ops.softmax(logits))
    assert shares[1, 2] == 0 and shares[1, :2].min() > 0
    alone = {name: v[1:, :2] for name, v in features.items()}
    np.testing.assert_allclose(run(model, alone), logits[1:, :2], atol=1e-5)
    # Nor does padding.
    longer = inputs(9)
    np.testing.assert_allclose(run(model, longer), logits, atol=1e-5)
    # Examples that only fill a batch have no choices at all.
    nothing = {name: np.zeros_like(v) for name, v in features.items()}
    assert np.isfinite(run(model, nothing)).all()


def test_without_a_mask_every_row_is_a_choice():
    model = BertMultipleChoice(CONFIG)
    features = inputs()
    given = {**features, "input_mask": np.ones_like(features["input_mask"])}
    expected = run(model, given)
    del features["input_mask"]
    np.testing.assert_allclose(run(model, features), expected, atol=1e-5)


def test_training_drops_out():
    model = BertMultipleChoice(CONFIG)
    features = inputs()
    once = run(model, features, training=True, dropout_seed=[1, 2])
    again = run(model, features, training=True, dropout_seed=[1, 2])
    np.testing.assert_array_equal(once, again)
    assert np.abs(once - run(model, features))[0].max() > 1e-3


def test_a_model_is_saved_and_loaded(tmp_path):
    model, features = BertMultipleChoice(CONFIG), inputs()
    expected = run(model, features)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(run(loaded, features), expected, atol=1e-6)
