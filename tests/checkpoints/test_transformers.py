"""What we write for Hugging Face, loaded and run by transformers itself."""

import dataclasses
import sys

import numpy as np
import pytest

from modeling.checkpoints import initialize_model, open_checkpoint
from modeling.checkpoints.convert import ConversionOptions, convert_checkpoint
from modeling.checkpoints.huggingface import write_huggingface_directory
from modeling.network import (
    BertClassifier,
    BertModel,
    BertMultipleChoice,
    BertPretrainer,
)
from tests.checkpoints.conftest import random_like

pytestmark = [pytest.mark.slow, pytest.mark.golden]


@pytest.fixture(scope="module")
def transformers():
    # Loaded beside TensorFlow it ends the process; only GPUs need it.
    sys.modules.setdefault("triton", None)
    pytest.importorskip("torch")
    return pytest.importorskip("transformers")


@pytest.fixture(scope="module")
def inputs(golden_dir):
    words = open_checkpoint(golden_dir / "bert_model.ckpt").config.vocab_size
    rng = np.random.default_rng(0)
    lengths = np.array([[24], [17], [5]])
    mask = (np.arange(24) < lengths).astype(np.int32)
    return {
        "input_ids": rng.integers(0, words, [3, 24]).astype(np.int32) * mask,
        "input_mask": mask,
        "segment_ids": ((np.arange(24) > 9) * mask).astype(np.int32),
    }


def load(transformers, directory, architecture):
    """Loads with transformers, which must find all keys and no others."""
    model, info = getattr(transformers, architecture).from_pretrained(
        directory, output_loading_info=True
    )
    assert not info["missing_keys"]
    assert not info["unexpected_keys"]
    assert not info["mismatched_keys"]
    return model.eval()


def run(model, inputs):
    import torch

    with torch.no_grad():
        return model(
            input_ids=torch.tensor(inputs["input_ids"]),
            attention_mask=torch.tensor(inputs["input_mask"]),
            token_type_ids=torch.tensor(inputs["segment_ids"]),
        )


@pytest.mark.parametrize("act", ["gelu", "gelu_erf"])
def test_encoder(transformers, golden_dir, tmp_path, inputs, act):
    reader = open_checkpoint(golden_dir / "bert_model.ckpt")
    config = dataclasses.replace(reader.config, hidden_act=act)
    names = [name for name in reader.shapes if name.startswith("bert/")]
    write_huggingface_directory(tmp_path, reader.arrays(names), config)
    theirs = run(load(transformers, tmp_path, "BertModel"), inputs)
    ours = BertModel(config)
    initialize_model(ours, tmp_path)
    ours = ours(inputs)
    np.testing.assert_allclose(
        ours["sequence_output"], theirs.last_hidden_state, atol=1e-5
    )
    np.testing.assert_allclose(
        ours["pooled_output"], theirs.pooler_output, atol=1e-5
    )


def test_pretraining(transformers, golden_dir, tmp_path, inputs):
    source = golden_dir / "bert_model.ckpt"
    convert_checkpoint(source, tmp_path, ConversionOptions("huggingface"))
    model = load(transformers, tmp_path, "BertForPreTraining")
    assert model.config.hidden_act == "gelu_new"
    theirs = run(model, inputs)
    ours = BertPretrainer(open_checkpoint(source).config)
    initialize_model(ours, source)
    positions = np.tile(np.arange(24, dtype=np.int32), [3, 1])
    ours = ours({**inputs, "masked_lm_positions": positions})
    np.testing.assert_allclose(
        ours["masked_lm_logits"], theirs.prediction_logits, atol=1e-5
    )
    np.testing.assert_allclose(
        ours["next_sentence_logits"], theirs.seq_relationship_logits, atol=1e-5
    )


def test_classifier(transformers, golden_dir, tmp_path, inputs):
    config = open_checkpoint(golden_dir / "bert_model.ckpt").config
    ours = BertClassifier(config, num_labels=3)
    write_huggingface_directory(tmp_path, random_like(ours), config)
    initialize_model(ours, tmp_path)
    model = load(transformers, tmp_path, "BertForSequenceClassification")
    assert model.config.num_labels == 3
    logits = run(model, inputs).logits
    np.testing.assert_allclose(ours(inputs), logits, atol=1e-3, rtol=1e-5)


@pytest.mark.parametrize(
    "architecture, dropped",
    [
        ("BertForMaskedLM", ("bert/pooler", "cls/seq_relationship")),
        ("BertForNextSentencePrediction", ("cls/predictions",)),
    ],
)
def test_single_heads(
    transformers, golden_dir, tmp_path, architecture, dropped
):
    reader = open_checkpoint(golden_dir / "bert_model.ckpt")
    names = [n for n in reader.shapes if not n.startswith(dropped)]
    write_huggingface_directory(tmp_path, reader.arrays(names), reader.config)
    load(transformers, tmp_path, architecture)


@pytest.mark.parametrize(
    "architecture, scope, rows",
    [
        ("BertForQuestionAnswering", "cls/squad/", 2),
        ("BertForTokenClassification", "", 9),
    ],
)
def test_heads_without_pooler(
    transformers, golden_dir, tmp_path, architecture, scope, rows
):
    reader = open_checkpoint(golden_dir / "bert_model.ckpt")
    arrays = {
        name: reader.read(name)
        for name in reader.shapes
        if name.startswith("bert/") and "pooler" not in name
    }
    arrays[f"{scope}output_weights"] = np.ones([rows, 64], np.float32)
    arrays[f"{scope}output_bias"] = np.ones([rows], np.float32)
    write_huggingface_directory(tmp_path, arrays, reader.config)
    load(transformers, tmp_path, architecture)


def test_choices_score_alike(transformers, golden_dir, tmp_path, inputs):
    reader = open_checkpoint(golden_dir / "bert_model.ckpt")
    names = [name for name in reader.shapes if name.startswith("bert/")]
    model = BertMultipleChoice(reader.config)
    initialize_model(
        model, golden_dir / "bert_model.ckpt", expected_new=["output_weights"]
    )
    model.output_weights.assign(np.ones([1, 64], np.float32))
    arrays = dict(reader.arrays(names))
    arrays["output_weights"] = model.output_weights.numpy()
    write_huggingface_directory(tmp_path, arrays, reader.config)
    theirs = load(transformers, tmp_path, "BertForMultipleChoice")
    # One question with three choices.
    inputs = {name: values[None] for name, values in inputs.items()}
    logits = run(theirs, inputs).logits
    np.testing.assert_allclose(model(inputs), logits, atol=1e-4)
    # Read again, their bias is left out.
    again = BertMultipleChoice(reader.config)
    report = initialize_model(again, tmp_path)
    assert not report.missing
    assert report.unexpected == ("output_bias",)
    np.testing.assert_allclose(again(inputs), logits, atol=1e-4)


def test_saved_by_transformers(transformers, tmp_path, inputs):
    config = transformers.BertConfig(
        vocab_size=2371,
        hidden_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=96,
        max_position_embeddings=32,
    )
    theirs = transformers.BertForPreTraining(config).eval()
    theirs.save_pretrained(tmp_path, max_shard_size="200KB")
    assert (tmp_path / "model.safetensors.index.json").is_file()
    reader = open_checkpoint(tmp_path)
    assert reader.config.hidden_act == "gelu_erf"
    ours = BertPretrainer(reader.config)
    report = initialize_model(ours, tmp_path)
    assert not (report.missing or report.unexpected)
    positions = np.tile(np.arange(24, dtype=np.int32), [3, 1])
    ours = ours({**inputs, "masked_lm_positions": positions})
    np.testing.assert_allclose(
        ours["masked_lm_logits"],
        run(theirs, inputs).prediction_logits,
        atol=1e-5,
    )


def test_tokenizer(transformers, golden_dir, tmp_path):
    if not (golden_dir / "vocab.txt").is_file():
        pytest.skip("this set has no vocabulary")
    source = golden_dir / "bert_model.ckpt"
    for do_lower_case in (True, False):
        directory = tmp_path / str(do_lower_case)
        options = ConversionOptions(
            "huggingface",
            vocab_file=str(golden_dir / "vocab.txt"),
            do_lower_case=do_lower_case,
        )
        convert_checkpoint(source, directory, options)
        tokenizer = transformers.AutoTokenizer.from_pretrained(directory)
        assert len(tokenizer) == 2371
        assert tokenizer.model_max_length == 128
        lowered = tokenizer.tokenize("The") == tokenizer.tokenize("the")
        assert lowered == do_lower_case
