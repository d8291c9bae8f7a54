import dataclasses
import json
import zipfile

import keras
import numpy as np
import pytest

from modeling.checkpoints import open_checkpoint
from modeling.checkpoints.keras_files import write_keras_weights
from modeling.errors import UserError
from modeling.network import (
    BertClassifier,
    BertModel,
    BertMultipleChoice,
    BertPretrainer,
    BertQuestionAnswerer,
)
from tests.checkpoints.conftest import CONFIG, random_like

SINUSOIDAL = dataclasses.replace(CONFIG, position_embedding_type="sinusoidal")
MODELS = {
    "encoder": lambda: BertModel(CONFIG),
    "renamed encoder": lambda: BertModel(CONFIG, name="my_bert"),
    "without positions": lambda: BertModel(SINUSOIDAL),
    "pretrainer": lambda: BertPretrainer(CONFIG),
    "classifier": lambda: BertClassifier(CONFIG, num_labels=3),
    "question answerer": lambda: BertQuestionAnswerer(CONFIG),
    "eleven layers": lambda: BertModel(
        dataclasses.replace(CONFIG, num_hidden_layers=11)
    ),
}
INPUTS = {"input_ids": np.array([[2, 7, 9, 3]], np.int32)}


def google_path(model, variable):
    # A renamed encoder's file holds an encoder all the same.
    return variable.path.replace("my_bert/", "bert/")


@pytest.mark.parametrize("suffix", [".weights.h5", ".keras"])
@pytest.mark.parametrize("kind", MODELS)
def test_every_variable_under_its_path(tmp_path, kind, suffix):
    model = MODELS[kind]()
    for name, array in random_like(model).items():
        variable = next(v for v in model.weights if v.path == name)
        variable.assign(array)
    file = tmp_path / f"model{suffix}"
    model(INPUTS | {"masked_lm_positions": np.array([[1]], np.int32)})
    if suffix == ".keras":
        model.save(file)
    else:
        model.save_weights(file)
        text = model.config.to_json_string()
        (tmp_path / "bert_config.json").write_text(text)
    reader = open_checkpoint(file)
    assert reader.config == model.config
    assert reader.shapes == {
        google_path(model, v): tuple(v.shape) for v in model.weights
    }
    for variable in model.weights:
        read = reader.read(google_path(model, variable))
        np.testing.assert_array_equal(read, variable.numpy())


def test_optimizer_of_a_trained_model_is_left_out(tmp_path):
    model = BertClassifier(CONFIG, num_labels=2)
    model.compile("adam", "mse", metrics=["mae"], run_eagerly=True)
    model.fit(INPUTS, np.zeros([1, 2]), verbose=0)
    model.save(tmp_path / "model.keras")
    shapes = open_checkpoint(tmp_path / "model.keras").shapes
    assert set(shapes) == {variable.path for variable in model.weights}


def test_bfloat16_variables(tmp_path):
    model = BertModel(CONFIG, dtype="bfloat16")
    model.save_weights(tmp_path / "model.weights.h5")
    reader = open_checkpoint(tmp_path / "model.weights.h5")
    for variable in model.weights:
        read = reader.read(variable.path)
        assert read.dtype == np.float32
        expected = keras.ops.convert_to_numpy(
            keras.ops.cast(variable, "float32")
        )
        np.testing.assert_array_equal(read, expected)


def test_unknown_layers_keep_their_numbers(tmp_path):
    dense = keras.Sequential(
        [keras.Input((2,)), keras.layers.Dense(3, name="mine")]
    )
    dense.save_weights(tmp_path / "model.weights.h5")
    reader = open_checkpoint(tmp_path / "model.weights.h5")
    assert reader.shapes == {"mine/0": (2, 3), "mine/1": (3,)}


@pytest.mark.parametrize(
    "prefixes, model",
    [
        (("bert/",), BertModel),
        (("bert/", "cls/"), BertPretrainer),
    ],
)
def test_what_is_written_keras_loads(tmp_path, arrays, prefixes, model):
    chosen = {n: a for n, a in arrays.items() if n.startswith(prefixes)}
    write_keras_weights(tmp_path / "a.weights.h5", chosen, CONFIG)
    assert {p.name for p in tmp_path.iterdir()} == {
        "a.weights.h5",
        "bert_config.json",
    }
    loaded = model(CONFIG)
    loaded.load_weights(tmp_path / "a.weights.h5")
    for variable in loaded.weights:
        expected = arrays[variable.path]
        np.testing.assert_array_equal(variable.numpy(), expected)
    # A directory with one such file names it.
    assert open_checkpoint(tmp_path).config == CONFIG


def test_written_classifier_has_its_labels(tmp_path):
    arrays = random_like(BertClassifier(CONFIG, num_labels=5))
    write_keras_weights(tmp_path / "a.weights.h5", arrays, CONFIG)
    reader = open_checkpoint(tmp_path)
    assert reader.shapes["output_weights"] == (5, CONFIG.hidden_size)


@pytest.mark.parametrize("model", [BertQuestionAnswerer, BertMultipleChoice])
def test_what_is_written_is_a_model_with_this_head(model, tmp_path):
    arrays = random_like(model(CONFIG))
    write_keras_weights(tmp_path / "a.weights.h5", arrays, CONFIG)
    loaded = model(CONFIG)
    loaded.load_weights(tmp_path / "a.weights.h5")
    for variable in loaded.weights:
        np.testing.assert_array_equal(variable.numpy(), arrays[variable.path])


def test_only_whole_models_are_written(tmp_path, arrays):
    some = dict(arrays)
    del some["bert/pooler/dense/kernel"]
    some["crf/transitions"] = np.zeros([2, 2])
    with pytest.raises(
        UserError,
        match="BertPretrainer .*lacks bert/pooler/dense/kernel and also has "
        "crf/transitions",
    ):
        write_keras_weights(tmp_path / "new" / "a.weights.h5", some, CONFIG)
    assert not (tmp_path / "new").exists()


# What can be wrong with the files.


@pytest.mark.parametrize("suffix", [".weights.h5", ".keras"])
@pytest.mark.parametrize("content", [b"", b"garbage" * 300])
def test_garbage(tmp_path, suffix, content):
    file = tmp_path / f"model{suffix}"
    file.write_bytes(content)
    with pytest.raises(UserError, match=f"{file.name} is cut short, damaged"):
        open_checkpoint(file)


@pytest.mark.parametrize("suffix", [".weights.h5", ".keras"])
def test_cut_file(tmp_path, suffix):
    file = tmp_path / f"model{suffix}"
    model = BertModel(CONFIG)
    model.save(file) if suffix == ".keras" else model.save_weights(file)
    file.write_bytes(file.read_bytes()[:-5000])
    with pytest.raises(UserError, match=f"{file.name} is cut short, damaged"):
        open_checkpoint(file)


def test_missing_file(tmp_path):
    with pytest.raises(UserError, match="There is no file .*a.weights.h5"):
        open_checkpoint(tmp_path / "a.weights.h5")


def test_h5_of_something_else(tmp_path):
    import h5py

    with h5py.File(tmp_path / "a.weights.h5", "w") as file:
        file["dense/kernel:0"] = np.zeros([2, 2])  # as Keras 2 wrote them
    with pytest.raises(UserError, match="no variables in the layout of Keras"):
        open_checkpoint(tmp_path / "a.weights.h5")


def test_several_files_in_a_directory(tmp_path):
    for name in ("a.weights.h5", "b.keras"):
        (tmp_path / name).write_bytes(b"")
    with pytest.raises(UserError, match="a.weights.h5, b.keras. Name one"):
        open_checkpoint(tmp_path)


def test_archive_without_our_config(tmp_path, arrays):
    layer = keras.layers.Dense(3, name="dense")
    model = keras.Sequential([keras.Input((2,)), layer])
    model.save(tmp_path / "other.keras")
    (tmp_path / "bert_config.json").write_text(
        json.dumps({"vocab_size": 20, "hidden_size": 24})
    )
    reader = open_checkpoint(tmp_path / "other.keras")
    assert reader.config.hidden_size == 24


@pytest.mark.parametrize("content", ["[]", '{"config": []}'])
def test_archive_whose_config_is_no_models(tmp_path, content):
    with zipfile.ZipFile(tmp_path / "a.keras", "w") as archive:
        archive.writestr("config.json", content)
        archive.writestr("model.weights.h5", b"")
    with pytest.raises(UserError, match="a.keras is cut short, damaged or not"):
        open_checkpoint(tmp_path / "a.keras")
