import dataclasses
import json
import shutil

import numpy as np
import pytest

from modeling.checkpoints import open_checkpoint
from modeling.checkpoints.convert import (
    FORMATS,
    ConversionOptions,
    convert_checkpoint,
)
from modeling.checkpoints.google import write_google_checkpoint
from modeling.checkpoints.sizes import encoder_shapes
from modeling.config import BertConfig
from modeling.errors import UserError
from modeling.network import BertClassifier, BertModel
from tests.checkpoints.conftest import CONFIG, PREFIX, random_like

DATA = f"{PREFIX}.data-00000-of-00001"


def convert(source, output, to, **options):
    return convert_checkpoint(source, output, ConversionOptions(to, **options))


def core(config):
    return dataclasses.replace(config, extra={})


@pytest.mark.golden
@pytest.mark.parametrize("through", FORMATS)
def test_golden_weights_return_byte_for_byte(golden_dir, tmp_path, through):
    convert(golden_dir / PREFIX, tmp_path / "there", through)
    convert(tmp_path / "there", tmp_path / "back", "google")
    for file in (DATA, f"{PREFIX}.index"):
        expected = (golden_dir / file).read_bytes()
        assert (tmp_path / "back" / file).read_bytes() == expected
    config = BertConfig.from_json_file(tmp_path / "back" / "bert_config.json")
    original = BertConfig.from_json_file(golden_dir / "bert_config.json")
    assert core(config) == original


def test_report_and_files(tiny_checkpoint, tmp_path, arrays):
    report = convert(tiny_checkpoint, tmp_path / "out", "google")
    assert {p.name for p in (tmp_path / "out").iterdir()} == {
        DATA,
        f"{PREFIX}.index",
        "bert_config.json",
        "vocab.txt",
    }
    assert set(report.files) == set((tmp_path / "out").iterdir())
    assert report.variables == len(arrays)
    parameters = sum(array.size for array in arrays.values())
    assert report.parameters == parameters == 1582
    assert report.size == sum(p.stat().st_size for p in report.files)
    assert "46 variables, 1,582 parameters" in report.summary()
    for name in ("bert_config.json", "vocab.txt"):
        expected = (tiny_checkpoint.parent / name).read_text()
        assert (tmp_path / "out" / name).read_text() == expected


@pytest.mark.parametrize(
    "to, output, expected",
    [
        ("google", "model.ckpt", "model.ckpt.index"),
        ("keras", "tiny.weights.h5", "tiny.weights.h5"),
        ("huggingface", "model.ckpt", "model.ckpt/model.safetensors"),
    ],
)
def test_output_may_name_the_file(
    tiny_checkpoint, tmp_path, to, output, expected
):
    convert(tiny_checkpoint, tmp_path / "out" / output, to)
    assert (tmp_path / "out" / expected).is_file()


@pytest.mark.parametrize("act", ["gelu", "gelu_erf", "relu"])
def test_activation_is_the_same_function_everywhere(tmp_path, arrays, act):
    config = dataclasses.replace(CONFIG, hidden_act=act)
    source = tmp_path / "source"
    write_google_checkpoint(source / PREFIX, arrays)
    (source / "bert_config.json").write_text(config.to_json_string())
    for step, to in enumerate(["huggingface", "keras", "google"]):
        convert(source, tmp_path / str(step), to)
        source = tmp_path / str(step)
        assert open_checkpoint(source).config.hidden_act == act


def test_activation_said_by_the_user(tiny_checkpoint, tmp_path):
    report = convert(
        tiny_checkpoint, tmp_path / "hf", "huggingface", hidden_act="gelu_erf"
    )
    values = json.loads((tmp_path / "hf" / "config.json").read_text())
    assert values["hidden_act"] == "gelu"  # theirs is the erf form
    assert report.hidden_act == "gelu_erf"
    with pytest.raises(UserError, match="hidden_act must be one of"):
        convert(tiny_checkpoint, tmp_path / "x", "google", hidden_act="swish")


def test_case_of_the_tokenizer_is_carried(tiny_checkpoint, tmp_path):
    convert(
        tiny_checkpoint, tmp_path / "hf", "huggingface", do_lower_case=False
    )
    convert(tmp_path / "hf", tmp_path / "google", "google")
    text = (tmp_path / "google" / "bert_config.json").read_text()
    assert json.loads(text)["do_lower_case"] is False
    convert(tmp_path / "google", tmp_path / "hf2", "huggingface")
    text = (tmp_path / "hf2" / "tokenizer_config.json").read_text()
    assert json.loads(text)["do_lower_case"] is False


def test_classifier_through_every_format(tmp_path):
    arrays = random_like(BertClassifier(CONFIG, num_labels=3))
    source = tmp_path / "source"
    write_google_checkpoint(source / "model.ckpt-5", arrays)
    (source / "bert_config.json").write_text(CONFIG.to_json_string())
    for step, to in enumerate(["keras", "huggingface", "google"]):
        convert(source, tmp_path / str(step), to)
        source = tmp_path / str(step)
    reader = open_checkpoint(source)
    assert set(reader.shapes) == set(arrays)
    for name, array in arrays.items():
        np.testing.assert_array_equal(reader.read(name), array)


@pytest.fixture
def training_checkpoint(tmp_path, arrays):
    """As a training run leaves it: weights, two slots each, the step."""
    directory = tmp_path / "training"
    slots = {
        f"{name}/{slot}": array * scale
        for name, array in arrays.items()
        for slot, scale in (("adam_m", 0.1), ("adam_v", 0.01))
    }
    write_google_checkpoint(
        directory / "model.ckpt-1000",
        {**arrays, **slots, "global_step": np.int64(1000)},
    )
    (directory / "bert_config.json").write_text(CONFIG.to_json_string())
    return directory / "model.ckpt-1000"


@pytest.mark.parametrize("to", FORMATS)
def test_slots_are_stripped(training_checkpoint, tmp_path, arrays, to):
    convert(training_checkpoint, tmp_path / "out", to)
    assert set(open_checkpoint(tmp_path / "out").shapes) == set(arrays)


def test_stripped_checkpoint_is_a_third(training_checkpoint, tmp_path):
    report = convert(training_checkpoint, tmp_path / "out", "google")
    before = training_checkpoint.with_name(
        "model.ckpt-1000.data-00000-of-00001"
    )
    after = report.files[0]
    assert before.stat().st_size == 3 * after.stat().st_size + 8


def test_slots_are_kept(training_checkpoint, tmp_path):
    convert(
        training_checkpoint, tmp_path / "out", "google", keep_optimizer=True
    )
    old, new = map(open_checkpoint, (training_checkpoint, tmp_path / "out"))
    assert new.shapes == old.shapes
    for name in old.shapes:
        np.testing.assert_array_equal(new.read(name), old.read(name))


def test_slots_have_no_place_elsewhere(training_checkpoint, tmp_path):
    with pytest.raises(UserError, match="only from google to google.*to keras"):
        convert(training_checkpoint, tmp_path, "keras", keep_optimizer=True)


def test_what_has_no_place_is_named(tmp_path, arrays):
    extra = {"crf/transitions": np.zeros([2, 2])}
    write_google_checkpoint(tmp_path / "in" / PREFIX, {**arrays, **extra})
    (tmp_path / "in" / "bert_config.json").write_text(CONFIG.to_json_string())
    report = convert(tmp_path / "in", tmp_path / "out", "huggingface")
    assert report.left_out == ("crf/transitions",)
    assert "Left out" in report.summary()
    assert set(open_checkpoint(tmp_path / "out").shapes) == set(arrays)


def test_sentencepiece_model_goes_along(tiny_checkpoint, tmp_path):
    (tiny_checkpoint.parent / "spm.model").write_bytes(b"pieces")
    convert(tiny_checkpoint, tmp_path / "out", "huggingface")
    assert (tmp_path / "out" / "spm.model").read_bytes() == b"pieces"


# Overwriting and failing.


def snapshot(directory):
    return {
        path: path.read_bytes() if path.is_file() else None
        for path in directory.rglob("*")
    }


def test_existing_files_stay(tiny_checkpoint):
    before = snapshot(tiny_checkpoint.parent)
    with pytest.raises(UserError, match=f"already has {DATA}.*--overwrite"):
        convert(tiny_checkpoint, tiny_checkpoint.parent, "google")
    assert snapshot(tiny_checkpoint.parent) == before


def test_in_place_with_overwrite(training_checkpoint, arrays):
    convert(
        training_checkpoint,
        training_checkpoint.parent,
        "google",
        overwrite=True,
    )
    released = open_checkpoint(training_checkpoint.with_name(PREFIX))
    assert set(released.shapes) == set(arrays)


@pytest.mark.golden
@pytest.mark.parametrize("to", FORMATS)
def test_damaged_source_writes_nothing(golden_copy, tmp_path, to):
    data = golden_copy.with_name(DATA)
    data.write_bytes(data.read_bytes()[:-1000])
    with pytest.raises(UserError, match="cut short or damaged"):
        convert(golden_copy, tmp_path / "new" / "out", to)
    assert not (tmp_path / "new" / "out").exists()

    existing = tmp_path / "existing"
    existing.mkdir()
    (existing / "config.json").write_text("{}")
    before = snapshot(existing)
    with pytest.raises(UserError, match="cut short or damaged"):
        convert(golden_copy, existing, to, overwrite=True)
    assert snapshot(existing) == before


def test_no_config(tiny_checkpoint, tmp_path):
    config = tiny_checkpoint.with_name("bert_config.json")
    elsewhere = config.rename(tmp_path / "my_config.json")
    with pytest.raises(UserError, match="no config beside.*bert_config_file"):
        convert(tiny_checkpoint, tmp_path / "out", "google")
    convert(
        tiny_checkpoint, tmp_path / "out", "google", config_file=str(elsewhere)
    )
    assert open_checkpoint(tmp_path / "out").config == CONFIG


@pytest.mark.parametrize(
    "change, message",
    [
        ({"num_hidden_layers": 12}, "num_hidden_layers 12, the .* has 2"),
        ({"vocab_size": 30522}, "vocab_size 30522, the checkpoint has 20"),
        (
            {"position_embedding_type": "sinusoidal"},
            "Only one of them has a max_position_embeddings",
        ),
    ],
)
def test_config_that_contradicts(tiny_checkpoint, tmp_path, change, message):
    config = dataclasses.replace(CONFIG, **change)
    (tmp_path / "wrong.json").write_text(config.to_json_string())
    with pytest.raises(UserError, match=f"(?s)config contradicts.*{message}"):
        convert(
            tiny_checkpoint,
            tmp_path / "out",
            "google",
            config_file=str(tmp_path / "wrong.json"),
        )
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("to", FORMATS)
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"bert/encoder/layer_0/output/dense/bias": None},
            "lacks .*dense/bias",
        ),
        (
            {"bert/encoder/layer_1/attention/self/key/kernel": [8, 4]},
            r"key/kernel: model \[8, 8\], checkpoint \[8, 4\]",
        ),
    ],
)
def test_encoder_that_is_not_whole(tmp_path, arrays, to, change, message):
    changed = {
        name: array if name not in change else np.zeros(change[name])
        for name, array in arrays.items()
        if change.get(name, ()) is not None
    }
    write_google_checkpoint(tmp_path / "in" / PREFIX, changed)
    (tmp_path / "in" / "bert_config.json").write_text(CONFIG.to_json_string())
    with pytest.raises(UserError, match=f"(?s)is damaged.*{message}"):
        convert(tmp_path / "in", tmp_path / "out", to)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("positions", ["learned", "sinusoidal"])
def test_the_encoder_that_is_checked_is_the_models(positions):
    config = dataclasses.replace(CONFIG, position_embedding_type=positions)
    shapes = {v.path: tuple(v.shape) for v in BertModel(config).weights}
    checked = encoder_shapes(config)
    assert checked == {k: v for k, v in shapes.items() if "pooler" not in k}


@pytest.mark.parametrize("to", FORMATS)
def test_a_full_disk_is_told_at_once(
    tiny_checkpoint, tmp_path, monkeypatch, to
):
    usage = type(shutil.disk_usage(tmp_path))
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(9, 9, 6327))
    with pytest.raises(UserError, match="take 6,328 bytes.* has 6,327 left"):
        convert(tiny_checkpoint, tmp_path / "new" / "out", to)
    assert not (tmp_path / "new").exists()
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(9, 9, 6328))
    convert(tiny_checkpoint, tmp_path / "new" / "out", to)


def test_not_bert(tmp_path):
    weights = {"electra/embeddings/word_embeddings": np.zeros([3, 2])}
    write_google_checkpoint(tmp_path / PREFIX, weights)
    (tmp_path / "bert_config.json").write_text(CONFIG.to_json_string())
    with pytest.raises(UserError, match="no checkpoint of BERT.*but electra"):
        convert(tmp_path, tmp_path / "out", "huggingface")


def test_output_that_is_a_file(tiny_checkpoint, tmp_path):
    (tmp_path / "out").write_text("in the way")
    with pytest.raises(UserError, match="Cannot write to .*out"):
        convert(tiny_checkpoint, tmp_path / "out", "google")


def test_unknown_format_and_missing_vocabulary():
    with pytest.raises(UserError, match="one of google, huggingface, keras"):
        ConversionOptions("pytorch")
    with pytest.raises(UserError, match="There is no vocabulary nowhere"):
        ConversionOptions("google", vocab_file="nowhere")
