import dataclasses
import json
import stat

import ml_dtypes
import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from modeling.checkpoints import open_checkpoint
from modeling.checkpoints.huggingface import (
    architecture,
    has_capitals,
    write_huggingface_directory,
)
from modeling.checkpoints.huggingface_names import (
    google_name,
    huggingface_key,
)
from modeling.errors import UserError

HEADS = {
    "cls/squad/output_weights": "qa_outputs.weight",
    "output_weights": "classifier.weight",
    "output_bias": "classifier.bias",
}


@pytest.fixture
def directory(tmp_path, arrays, config):
    """The tiny pre-training model as a Hugging Face directory."""
    write_huggingface_directory(tmp_path / "hf", arrays, config)
    return tmp_path / "hf"


def assert_reads(directory, arrays, **tolerance):
    reader = open_checkpoint(directory)
    assert reader.shapes == {n: a.shape for n, a in arrays.items()}
    for name, array in arrays.items():
        read = reader.read(name)
        assert read.dtype == np.float32 and read.flags["C_CONTIGUOUS"]
        np.testing.assert_allclose(read, array, **tolerance)


def rewrite(directory, change):
    """Replaces a directory's tensors by `change` of them."""
    file = directory / "model.safetensors"
    save_file(change(load_file(file)), file)


def test_every_name_has_a_key_and_returns(arrays):
    for name in [*arrays, *HEADS]:
        assert google_name(huggingface_key(name)) == name
    for name, key in HEADS.items():
        assert huggingface_key(name) == key


@pytest.mark.parametrize(
    "name, key",
    [
        (
            "bert/encoder/layer_11/attention/self/query/kernel",
            "bert.encoder.layer.11.attention.self.query.weight",
        ),
        (
            "bert/encoder/layer_0/attention/output/LayerNorm/gamma",
            "bert.encoder.layer.0.attention.output.LayerNorm.weight",
        ),
        (
            "bert/embeddings/word_embeddings",
            "bert.embeddings.word_embeddings.weight",
        ),
        ("bert/pooler/dense/bias", "bert.pooler.dense.bias"),
        (
            "cls/predictions/transform/LayerNorm/beta",
            "cls.predictions.transform.LayerNorm.bias",
        ),
        ("cls/predictions/output_bias", "cls.predictions.bias"),
        ("crf/transitions", None),
    ],
)
def test_keys(name, key):
    assert huggingface_key(name) == key


def test_what_is_written_is_read(directory, arrays, config):
    assert_reads(directory, arrays, rtol=0)
    reader = open_checkpoint(directory)
    assert reader.format == "huggingface"
    assert reader.config.hidden_act == config.hidden_act == "gelu"
    assert reader.vocab_file is None


def test_directory_or_file_may_be_named(directory):
    reader = open_checkpoint(directory / "model.safetensors")
    assert len(reader.shapes) == 46 and reader.config is not None


def test_without_prefix_and_with_old_layer_norm_keys(directory, arrays):
    def change(tensors):
        renamed = {}
        for key, value in tensors.items():
            key = key.removeprefix("bert.")
            key = key.replace("LayerNorm.weight", "LayerNorm.gamma")
            renamed[key.replace("LayerNorm.bias", "LayerNorm.beta")] = value
        return renamed

    rewrite(directory, change)
    assert_reads(directory, arrays, rtol=0)


def test_buffers_and_the_tied_decoder_are_no_variables(directory, arrays):
    def change(tensors):
        words = tensors["bert.embeddings.word_embeddings.weight"]
        return tensors | {
            "bert.embeddings.position_ids": np.arange(16)[None],
            "cls.predictions.decoder.weight": words,
            "cls.predictions.decoder.bias": tensors["cls.predictions.bias"],
        }

    rewrite(directory, change)
    assert_reads(directory, arrays, rtol=0)


def test_only_the_decoder_has_the_bias(directory, arrays):
    def change(tensors):
        bias = tensors.pop("cls.predictions.bias")
        return tensors | {"cls.predictions.decoder.bias": bias}

    rewrite(directory, change)
    assert_reads(directory, arrays, rtol=0)


def test_unknown_keys_keep_their_names(directory):
    rewrite(directory, lambda t: t | {"crf.transitions": np.zeros([2, 3])})
    assert open_checkpoint(directory).shapes["crf.transitions"] == (2, 3)


@pytest.mark.parametrize("dtype", [np.float16, ml_dtypes.bfloat16, np.float64])
def test_other_floating_point(directory, arrays, dtype):
    rewrite(directory, lambda t: {k: v.astype(dtype) for k, v in t.items()})
    rounded = {n: a.astype(dtype) for n, a in arrays.items()}
    rounded = {n: a.astype(np.float32) for n, a in rounded.items()}
    assert_reads(directory, rounded, rtol=0)


def test_integers_are_refused(directory):
    rewrite(directory, lambda t: {k: v.astype(np.int8) for k, v in t.items()})
    reader = open_checkpoint(directory)
    with pytest.raises(UserError, match="holds I8 numbers.*quantized"):
        reader.read("bert/pooler/dense/kernel")


def shard(directory):
    """Spreads the tensors over two files and an index."""
    tensors = load_file(directory / "model.safetensors")
    (directory / "model.safetensors").unlink()
    weight_map = {}
    for i, keys in enumerate((sorted(tensors)[:20], sorted(tensors)[20:])):
        name = f"model-{i + 1:05}-of-00002.safetensors"
        save_file({key: tensors[key] for key in keys}, directory / name)
        weight_map |= dict.fromkeys(keys, name)
    index = directory / "model.safetensors.index.json"
    index.write_text(json.dumps({"metadata": {}, "weight_map": weight_map}))


def test_shards(directory, arrays):
    shard(directory)
    assert_reads(directory, arrays, rtol=0)


def test_missing_shard(directory):
    shard(directory)
    (directory / "model-00002-of-00002.safetensors").unlink()
    with pytest.raises(UserError, match="names model-00002-of-00002.*is not"):
        open_checkpoint(directory)
    index = directory / "model.safetensors.index.json"
    index.write_text('{"weight_map": {"pooler.dense.bias": 5}}')
    with pytest.raises(UserError, match="names 5, which is not in"):
        open_checkpoint(directory)


@pytest.mark.parametrize("content", ["", "[]", '{"weight_map": 3}'])
def test_index_that_is_none(directory, content):
    shard(directory)
    (directory / "model.safetensors.index.json").write_text(content)
    with pytest.raises(UserError, match="not the index of a sharded model"):
        open_checkpoint(directory)


@pytest.mark.parametrize("kept", [0, 5, 100, -1])
def test_cut_file(directory, kept):
    file = directory / "model.safetensors"
    file.write_bytes(file.read_bytes()[:kept])
    with pytest.raises(UserError, match="model.safetensors is cut short"):
        open_checkpoint(directory)


def test_pointer_of_git_lfs(directory):
    pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:0\n"
    (directory / "model.safetensors").write_text(pointer)
    with pytest.raises(UserError, match="Git LFS holds only a pointer"):
        open_checkpoint(directory)


def test_pickle_alone(directory):
    file = directory / "model.safetensors"
    pickle = file.rename(directory / "pytorch_model.bin")
    for named in (directory, pickle):
        with pytest.raises(UserError, match="Convert it to safetensors"):
            open_checkpoint(named)


def test_config_of_another_kind_of_model(directory):
    config = json.loads((directory / "config.json").read_text())
    (directory / "config.json").write_text(
        json.dumps(config | {"model_type": "roberta"})
    )
    with pytest.raises(UserError, match="config.json: Only BERT.*'roberta'"):
        assert open_checkpoint(directory).config


# Writing.


def test_activation_keeps_its_function(tmp_path, arrays, config):
    write_huggingface_directory(tmp_path, arrays, config)
    values = json.loads((tmp_path / "config.json").read_text())
    assert values["hidden_act"] == "gelu_new"  # theirs for the tanh form
    assert values["architectures"] == ["BertForPreTraining"]


@pytest.mark.parametrize(
    "name, transposed",
    [
        ("bert/encoder/layer_1/attention/self/key/kernel", True),
        ("bert/encoder/layer_0/intermediate/dense/kernel", True),
        ("cls/predictions/transform/dense/kernel", True),
        ("bert/embeddings/token_type_embeddings", False),
        ("bert/encoder/layer_1/output/LayerNorm/gamma", False),
        ("bert/encoder/layer_1/output/LayerNorm/beta", False),
        ("cls/seq_relationship/output_weights", False),
    ],
)
def test_layout_of_what_is_written(directory, arrays, name, transposed):
    tensor = load_file(directory / "model.safetensors")[huggingface_key(name)]
    expected = arrays[name].T if transposed else arrays[name]
    np.testing.assert_array_equal(tensor, expected)


def test_plain_encoder_has_no_prefix(tmp_path, arrays, config):
    encoder = {n: a for n, a in arrays.items() if n.startswith("bert/")}
    write_huggingface_directory(tmp_path, encoder, config)
    tensors = load_file(tmp_path / "model.safetensors")
    assert "embeddings.word_embeddings.weight" in tensors
    assert not any(key.startswith("bert.") for key in tensors)
    assert_reads(tmp_path, encoder, rtol=0)


def test_labels_of_a_classifier(tmp_path, arrays, config):
    head = {
        "output_weights": np.ones([3, config.hidden_size], np.float32),
        "output_bias": np.zeros([3], np.float32),
    }
    encoder = {n: a for n, a in arrays.items() if n.startswith("bert/")}
    write_huggingface_directory(tmp_path, {**encoder, **head}, config)
    values = json.loads((tmp_path / "config.json").read_text())
    assert values["architectures"] == ["BertForSequenceClassification"]
    assert values["id2label"] == {
        "0": "LABEL_0",
        "1": "LABEL_1",
        "2": "LABEL_2",
    }
    assert values["label2id"]["LABEL_2"] == 2
    # Read and written again, the labels stay.
    again = open_checkpoint(tmp_path)
    assert again.shapes["output_weights"] == (3, config.hidden_size)
    assert again.config.extra["id2label"] == values["id2label"]


@pytest.mark.parametrize(
    "names, expected",
    [
        (["cls/predictions/output_bias"], "BertForMaskedLM"),
        (["cls/seq_relationship/output_bias"], "BertForNextSentencePrediction"),
        (["cls/squad/output_bias"], "BertForQuestionAnswering"),
        (["output_weights"], "BertForTokenClassification"),
        (
            ["output_weights", "bert/pooler/dense/kernel"],
            "BertForMultipleChoice",
        ),
        (["bert/pooler/dense/bias"], "BertModel"),
    ],
)
def test_architecture(names, expected):
    assert architecture(names) == expected


def test_names_without_a_place(tmp_path, arrays, config):
    crf = {"crf/transitions": np.zeros([2, 2])}
    with pytest.raises(UserError, match="no place for .* crf/transitions"):
        write_huggingface_directory(tmp_path / "new", arrays | crf, config)
    assert not (tmp_path / "new").exists()


def test_files_may_be_read_by_whom_the_config_may(directory):
    modes = {stat.S_IMODE(f.stat().st_mode) for f in directory.iterdir()}
    assert len(modes) == 1


@pytest.mark.parametrize(
    "words, expected",
    [
        (["[PAD]", "[MASK]", "<S>", "the", "##s"], False),
        (["[PAD]", "the", "The"], True),
        (["[PAD]", "##A"], True),
        (["[PAD]", "中", "ß"], False),
    ],
)
def test_capitals(tmp_path, words, expected):
    file = tmp_path / "vocab.txt"
    file.write_text("\n".join(words), encoding="utf-8")
    assert has_capitals(file) == expected


@pytest.mark.parametrize("said, written", [(None, True), (False, False)])
def test_tokenizer_as_config_says_or_vocabulary_shows(
    tmp_path, arrays, config, said, written
):
    (tmp_path / "v").write_text("[PAD]\nthe\n")
    if said is not None:
        config = dataclasses.replace(config, extra={"do_lower_case": said})
    directory = tmp_path / "hf"
    write_huggingface_directory(directory, arrays, config, tmp_path / "v")
    values = json.loads((directory / "tokenizer_config.json").read_text())
    assert values["do_lower_case"] is written
    assert values["model_max_length"] == config.max_position_embeddings
    assert (directory / "vocab.txt").read_text() == "[PAD]\nthe\n"
    assert "do_lower_case" not in (directory / "config.json").read_text()
