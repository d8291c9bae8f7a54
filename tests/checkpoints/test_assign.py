import dataclasses
import logging

import keras
import numpy as np
import pytest

from modeling.checkpoints import initialize_model, open_checkpoint
from modeling.checkpoints.google import write_google_checkpoint
from modeling.checkpoints.huggingface import write_huggingface_directory
from modeling.checkpoints.report import compare
from modeling.errors import UserError
from modeling.network import BertClassifier, BertModel, BertPretrainer
from tests.checkpoints.conftest import CONFIG


def resized(**sizes):
    return BertModel(dataclasses.replace(CONFIG, **sizes))


def values(model):
    return {v.path: v.numpy() for v in model.weights}


def test_every_variable_gets_its_array(tiny_checkpoint, arrays):
    model = BertPretrainer(CONFIG)
    report = initialize_model(model, tiny_checkpoint, vocab_size=20)
    assert set(report.matched) == set(arrays)
    assert not (report.missing or report.unexpected or report.shape_clash)
    for name, value in values(model).items():
        np.testing.assert_array_equal(value, arrays[name])


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_numbers_that_are_not_finite_are_told(value, arrays, tmp_path):
    name = "bert/encoder/layer_0/output/dense/bias"
    spoilt = arrays[name].copy()
    spoilt[1] = value
    path = str(tmp_path / "bert_model.ckpt")
    write_google_checkpoint(path, {**arrays, name: spoilt})
    with pytest.raises(UserError, match=f"1 of .* numbers of {name} are not"):
        initialize_model(BertPretrainer(CONFIG), path)


@pytest.mark.golden
def test_golden_encoder_output(golden_dir):
    if not (golden_dir / "encoder").is_dir():
        pytest.skip("this set has no encoder outputs")
    reader = open_checkpoint(golden_dir / "bert_model.ckpt")
    model = BertModel(reader.config)
    initialize_model(model, reader.path)
    inputs = np.load(golden_dir / "encoder" / "inputs.npz")
    expected = np.load(golden_dir / "encoder" / "outputs.npz")
    outputs = model(
        {k: inputs[k] for k in ("input_ids", "input_mask", "segment_ids")}
    )
    np.testing.assert_allclose(
        outputs["pooled_output"], expected["pooled_output"], atol=1e-5
    )


def test_new_head_is_reported(tiny_checkpoint, arrays, caplog):
    model = BertClassifier(CONFIG, num_labels=3)
    before = values(model)
    with caplog.at_level(logging.INFO, "absl"):
        report = initialize_model(model, tiny_checkpoint)
    assert report.missing == ("output_weights", "output_bias")
    assert len(report.unexpected) == 7  # the pre-training heads
    after = values(model)
    for name in report.missing:
        np.testing.assert_array_equal(after[name], before[name])
    np.testing.assert_array_equal(
        after["bert/pooler/dense/kernel"], arrays["bert/pooler/dense/kernel"]
    )
    (record,) = caplog.records
    assert record.levelname == "WARNING"
    assert "2 not in the checkpoint, left as initialized" in record.message


def test_expected_head_is_no_warning(tiny_checkpoint, caplog):
    model = BertClassifier(CONFIG, num_labels=3)
    new = ["output_weights", "output_bias"]
    with caplog.at_level(logging.INFO, "absl"):
        report = initialize_model(model, tiny_checkpoint, expected_new=new)
    assert report.missing == tuple(new)
    assert [record.levelname for record in caplog.records] == ["INFO"]


def test_optimizer_is_left_alone(tmp_path, arrays):
    slots = {f"{name}/adam_m": np.ones_like(a) for name, a in arrays.items()}
    state = {**slots, "global_step": np.int64(100)}
    write_google_checkpoint(tmp_path / "model.ckpt-100", {**arrays, **state})
    model = BertPretrainer(CONFIG)
    model.compile("adam", "mse")
    model.optimizer.build(model.trainable_variables)
    report = initialize_model(model, tmp_path)
    assert set(report.ignored) == set(state)
    assert not report.unexpected
    assert all(not np.any(v) for v in model.optimizer.variables[2:])
    assert f"{len(state)} of the optimizer's state" in report.summary()


def test_summary_shows_a_few_names():
    model = {f"v{i}": (2,) for i in range(12)} | {"a": (1, 2)}
    report = compare("x", model, {"a": (1, 3), "b": (4,)})
    assert report.summary().split("\n") == [
        "Checkpoint x:",
        "  0 variables read",
        "  12 not in the checkpoint, left as initialized: v0, v1, v2, v3, v4, "
        "v5, v6, v7 and 4 more",
        "  1 in the checkpoint only, not used: b",
        "  1 of another shape: a: model [1, 2], checkpoint [1, 3]",
    ]


def test_missing_pooler_is_no_error(tmp_path, arrays):
    encoder = {n: a for n, a in arrays.items() if "pooler" not in n}
    write_google_checkpoint(tmp_path / "bert_model.ckpt", encoder)
    report = initialize_model(BertModel(CONFIG), tmp_path)
    assert all(name.startswith("bert/pooler/") for name in report.missing)


# Mistakes. In none does a variable change.


@pytest.fixture
def assert_refused(tiny_checkpoint):
    def check(model, pattern, checkpoint=tiny_checkpoint, **kwargs):
        before = values(model)
        with pytest.raises(UserError, match=pattern):
            initialize_model(model, checkpoint, **kwargs)
        for name, value in values(model).items():
            np.testing.assert_array_equal(value, before[name])

    return check


def test_nothing_in_common(assert_refused):
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(3)])
    assert_refused(model, "has no variable of the model. It has bert/")


@pytest.mark.parametrize("vocab_size", [19, 21, 30522])
def test_vocabulary_of_another_size(assert_refused, vocab_size):
    assert_refused(
        BertModel(CONFIG),
        f"vocabulary of {vocab_size} entries against a table of 20 words",
        vocab_size=vocab_size,
    )


def test_a_table_with_rows_to_spare_is_thought_of(assert_refused):
    remedy = r"a copy with \[unused...\] lines added"
    assert_refused(BertModel(CONFIG), remedy, vocab_size=19)


def test_smaller_vocabulary_on_purpose(tiny_checkpoint):
    initialize_model(
        BertModel(CONFIG), tiny_checkpoint, vocab_size=19, allow_partial=True
    )


def test_word_table_of_another_size(assert_refused):
    model = resized(vocab_size=25)
    assert_refused(
        model, "(?s)vocab_size 25.*has 20.*a vocabulary of 25 against"
    )
    assert_refused(
        model, r"word_embeddings: model \[25, 8\], checkpoint \[20, 8\]"
    )


@pytest.mark.parametrize(
    "size, value, found",
    [
        ("hidden_size", 16, 8),
        ("intermediate_size", 32, 12),
        ("max_position_embeddings", 8, 16),
        ("type_vocab_size", 16, 2),
    ],
)
def test_encoder_of_another_size(assert_refused, size, value, found):
    assert_refused(
        resized(**{size: value}),
        f"(?s)The config says {size} {value}, the checkpoint has {found}.*"
        "model .*, checkpoint ",
    )


@pytest.mark.parametrize("shape", [(8, 4), ()])
@pytest.mark.parametrize(
    "name",
    [
        "bert/encoder/layer_1/attention/self/query/kernel",
        "bert/embeddings/word_embeddings",
    ],
)
def test_a_part_of_an_odd_shape(name, shape, tmp_path, assert_refused, arrays):
    odd = {**arrays, name: np.zeros(shape)}
    write_google_checkpoint(tmp_path / "model.ckpt", odd)
    checkpoint = tmp_path / "model.ckpt"
    assert_refused(BertModel(CONFIG), f"{name}: model", checkpoint=checkpoint)
    if name.endswith("kernel") or not shape:
        remedy = "Its encoder is damaged"
        assert_refused(BertModel(CONFIG), remedy, checkpoint=checkpoint)


def test_head_of_another_size(tmp_path, assert_refused, arrays):
    head = {"output_weights": np.zeros([3, 8]), "output_bias": np.zeros([3])}
    write_google_checkpoint(tmp_path / "model.ckpt", {**arrays, **head})
    assert_refused(
        BertClassifier(CONFIG, num_labels=2),
        r"(?s)another task.*_weights: model \[2, 8\], checkpoint \[3, 8\]",
        checkpoint=tmp_path / "model.ckpt",
    )


def test_fewer_layers_than_the_checkpoint(assert_refused, tiny_checkpoint):
    model = resized(num_hidden_layers=1)
    assert_refused(
        model,
        "(?s)num_hidden_layers 1, the checkpoint has 2.*allow_partial.*"
        "bert/encoder/layer_1/",
    )
    report = initialize_model(model, tiny_checkpoint, allow_partial=True)
    assert len(report.matched) == len(model.weights)


def test_more_layers_than_the_checkpoint(assert_refused, tiny_checkpoint):
    model = resized(num_hidden_layers=3)
    assert_refused(
        model,
        "(?s)lacks a part of the encoder.*num_hidden_layers 3, the checkpoint "
        "has 2.*bert/encoder/layer_2/",
        allow_partial=True,
    )
    new = ["bert/encoder/layer_2"]
    report = initialize_model(model, tiny_checkpoint, expected_new=new)
    assert len(report.missing) == 16


def test_heads_of_another_number(assert_refused):
    assert_refused(
        resized(num_attention_heads=4),
        "num_attention_heads 4, the config of .* says 2",
    )


def test_positions_of_another_kind(assert_refused):
    assert_refused(
        resized(position_embedding_type="sinusoidal"),
        "position_embedding_type sinusoidal, the config of .* says learned",
    )


def test_damage_found_while_reading(golden_copy):
    data = golden_copy.with_name("bert_model.ckpt.data-00000-of-00001")
    data.write_bytes(data.read_bytes()[:1000])
    reader = open_checkpoint(golden_copy)
    with pytest.raises(UserError, match="cut short or damaged"):
        initialize_model(BertModel(reader.config), golden_copy)


@pytest.mark.parametrize(
    "ours, theirs", [("gelu", "gelu_erf"), ("gelu_erf", "gelu")]
)
def test_other_activation_is_a_warning(tmp_path, arrays, caplog, ours, theirs):
    trained = dataclasses.replace(CONFIG, hidden_act=theirs)
    write_huggingface_directory(tmp_path, arrays, trained)
    initialize_model(
        resized(hidden_act=ours), tmp_path, expected_new=["bert/pooler"]
    )
    (warning,) = [r for r in caplog.records if r.levelname == "WARNING"]
    assert f"hidden_act {ours}, but" in warning.getMessage()
    assert f"says {theirs}." in warning.getMessage()
