"""export_model.py as its users run it."""

import dataclasses
import json
import os
import pathlib
import shutil
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

from modeling.errors import UserError
from modeling.export import Refused, answering, graph_rows, parity
from modeling.export.answering import TextAnswerer
from modeling.export.classification import TextClassifier
from modeling.export.exported import TOKENS, Exported
from modeling.export.tagging import TextTagger
from modeling.features import FeatureExtractor, FeatureOptions
from modeling.network import (
    BertModel,
    FeatureClassifier,
)
from modeling.tasks.classification import Labels
from modeling.tasks.tagging import TagSet
from modeling.tokenization import FastTokenizer
from tests.conftest import ROOT
from tests.export.models import (
    CONFIG,
    ENCODER_FLAGS,
    LABEL_NAMES,
    READING,
    VOCAB,
    answerer,
    chooser,
    classifier,
    export,
    load,
    record,
    tagger,
    write_model,
)
from tests.tokenization.test_sentencepiece_tokenizer import (  # noqa: F401
    model_file,
)


def rows_of(texts, max_seq_length=32, lower=True):
    tokenizer = FastTokenizer.from_vocab_file(VOCAB, lower)
    ids = [
        [101, *tokenizer.encode(text)[: max_seq_length - 2], 102]
        for text in texts
    ]
    padded = tf.ragged.constant(ids, tf.int32).to_tensor()
    mask = tf.sequence_mask(list(map(len, ids)), dtype=tf.int32)
    return {
        "input_ids": padded,
        "input_mask": mask,
        "segment_ids": tf.zeros_like(padded),
    }


def plain_tagger(directory):
    return tagger(directory, TagSet(("DT", "NN"), "plain", "plain"))


_TEXTS = ["The cat, Café!", "", "今天，天气很好", "a " * 50]


@pytest.mark.parametrize("kind", ["classification", "multi_label"])
def test_classifier(tmp_path, kind):
    model_dir = classifier(tmp_path / "model", kind, pooling="mean")
    export(model_dir, tmp_path / "models", name="reviews")
    version = tmp_path / "models" / "reviews" / "1"
    signatures, info = load(version)
    assert set(signatures) == {"serving_default", "token_ids", "examples"}
    assert info["task"] == kind
    assert info["labels"] == list(LABEL_NAMES)
    assert info["inputs"] == ["text"]
    assert info["signatures"]["examples"]["inputs"] == ["examples"]
    assert info["max_seq_length"] == 32
    assert info["do_lower_case"] is True
    said = signatures["serving_default"](text=tf.constant(_TEXTS))
    shares = said["probabilities"].numpy()
    assert shares.shape == (4, 3)
    # Random weights, but texts that differ.
    assert np.ptp(shares, axis=0).max() > 0.01
    if kind == "classification":
        best = [LABEL_NAMES[i].encode() for i in shares.argmax(axis=1)]
        assert said["label"].numpy().tolist() == best
    else:
        assert said["labels"].numpy().tolist() == (shares >= 0.5).tolist()
    rows = rows_of(_TEXTS)
    again = signatures["token_ids"](**rows)
    np.testing.assert_allclose(again["probabilities"], shares, atol=1e-5)
    padded = {
        n: tf.pad(v, [[0, 0], [0, 32 - v.shape[1]]]).numpy()
        for n, v in rows.items()
    }
    examples = [
        record(**{name: padded[name][i] for name in TOKENS})
        for i in range(len(_TEXTS))
    ]
    again = signatures["examples"](examples=tf.constant(examples))
    np.testing.assert_allclose(again["probabilities"], shares, atol=1e-5)


def test_regression_of_cased_pairs(tmp_path):
    model_dir = classifier(tmp_path / "model", "regression", lower=False)
    export(model_dir, tmp_path, pairs=True)
    signatures, info = load(tmp_path / "model" / "1")
    assert info["inputs"] == ["text", "text_b"]
    assert info["do_lower_case"] is False
    said = signatures["serving_default"](
        text=tf.constant(["The Cat", "the cat"]),
        text_b=tf.constant(["a", ""]),
    )
    assert said["score"].shape == (2,)
    alone = signatures["token_ids"](**rows_of(["the cat"], lower=False))
    np.testing.assert_allclose(said["score"][1:], alone["score"], atol=1e-5)


def test_a_feature_based_classifier_with_windows(tmp_path):
    # The parity check compares with training's windows.
    layers = {"layers": (0, "embeddings"), "lstm_layers": 1, "lstm_size": 8}
    network = FeatureClassifier(CONFIG, 3, pooling="max", **layers)
    kept = {
        **READING,
        **ENCODER_FLAGS,
        **layers,
        "layers": "0,embeddings",
        "feature_based": True,
        "pooling": "max",
        "doc_stride": 9,
    }
    labels = Labels("classification", LABEL_NAMES)
    model_dir = write_model(tmp_path / "model", network, kept, labels)
    export(model_dir, tmp_path / "models")
    _, info = load(tmp_path / "models" / "model" / "1")
    assert info["doc_stride"] == 9


def test_a_task_file_tells_of_pairs(tmp_path):
    model_dir = classifier(tmp_path / "model")
    (model_dir / "task.json").write_text(
        json.dumps({"text_a": "one", "text_b": "two", "label": "label"})
    )
    export(model_dir, tmp_path / "models")
    _, info = load(tmp_path / "models" / "model" / "1")
    assert info["inputs"] == ["text", "text_b"]


def test_classifier_with_windows(tmp_path):
    # The parity check compares with training's windows.
    model_dir = classifier(tmp_path / "model", doc_stride=9)
    export(model_dir, tmp_path / "models", pairs=True)
    signatures, info = load(tmp_path / "models" / "model" / "1")
    assert info["doc_stride"] == 9
    ask = signatures["serving_default"]
    long = "a cat " * 50
    said = ask(text=tf.constant([long, long]), text_b=tf.constant(["", "b"]))
    other = ask(text=tf.constant([long + "dog"]), text_b=tf.constant([""]))
    # The last word is read.
    difference = said["probabilities"][0] - other["probabilities"][0]
    assert np.abs(difference).max() > 1e-4


@pytest.mark.parametrize(
    ("trained", "computes"),
    [
        (answerer, (TextAnswerer, "of_rows")),
        pytest.param(
            plain_tagger,
            (TextTagger, "_scores_of_rows"),
            marks=pytest.mark.slow,
        ),
        pytest.param(
            lambda path: classifier(path, doc_stride=9),
            (TextClassifier, "_vectors_of_rows"),
            marks=pytest.mark.slow,
        ),
    ],
)
def test_windows_are_computed_in_batches(
    tmp_path, monkeypatch, trained, computes
):
    """Of small batches the parity check demands the same answers."""
    monkeypatch.setattr(graph_rows, "WINDOW_TOKENS", 70)
    original = getattr(*computes)

    def counting(self, rows):
        shape = tf.shape(rows["input_ids"])
        tf.debugging.assert_less_equal(shape[0], tf.maximum(70 // shape[1], 1))
        return original(self, rows)

    monkeypatch.setattr(*computes, counting)
    export(trained(tmp_path / "model"), tmp_path / "models")


def test_feature_based_classifier_is_cut(tmp_path):
    network = FeatureClassifier(CONFIG, 3, layers=(0, "embeddings"))
    kept = {
        **READING,
        **ENCODER_FLAGS,
        "feature_based": True,
        "layers": "-2,embeddings",
        "pooling": "cls",
    }
    labels = Labels("classification", LABEL_NAMES)
    model_dir = write_model(tmp_path / "model", network, kept, labels)
    export(model_dir, tmp_path / "models")
    version = tmp_path / "models" / "model" / "1"
    names = [
        name
        for name, _ in tf.train.list_variables(
            str(version / "variables" / "variables")
        )
    ]
    kernels = BertModel(dataclasses.replace(CONFIG, num_hidden_layers=1))
    # The head's two, and TensorFlow's own entry.
    assert len(names) == len(kernels.weights) + 2 + 1


@pytest.mark.parametrize(
    ("with_negative", "max_seq_length"), [(True, 16), (False, 32)]
)
def test_question_answerer(tmp_path, with_negative, max_seq_length):
    model_dir = answerer(
        tmp_path / "model",
        version_2_with_negative=with_negative,
        max_seq_length=max_seq_length,
    )
    export(model_dir, tmp_path / "models", null_score_diff_threshold=1.0)
    signatures, info = load(tmp_path / "models" / "model" / "1")
    assert info["inputs"] == ["question", "context"]
    contexts = [
        "Later, the Café in the town was closed. " * 8,
        "今天，天气很好。我们去公园。",
        "",
    ]
    said = signatures["serving_default"](
        question=tf.constant(["What was closed?", "哪里", "a"]),
        context=tf.constant(contexts),
    )
    starts, ends = said["start"].numpy(), said["end"].numpy()
    answers = [a.decode() for a in said["answer"].numpy()]
    for context, answer, start, end in zip(
        contexts, answers, starts, ends, strict=True
    ):
        if start >= 0:
            assert context[start:end] == answer != ""
        else:
            assert (answer, end) == ("", -1)
    assert answers[-1] == ""
    if not with_negative:
        assert all(answers[:2])
    assert set(signatures["token_ids"].structured_outputs) == {
        "start_logits",
        "end_logits",
    }


@pytest.mark.parametrize(
    "lower", [True, pytest.param(False, marks=pytest.mark.slow)]
)
def test_question_answerer_with_sentencepiece(tmp_path, model_file, lower):  # noqa: F811
    # The parity check compares answers with those of training.
    model_dir = answerer(tmp_path / "model")
    (model_dir / "vocab.txt").unlink()
    shutil.copy(model_file, model_dir / "spiece.model")
    settings = json.dumps({"do_lower_case": lower})
    (model_dir / "tokenizer_config.json").write_text(settings)
    export(model_dir, tmp_path / "models")
    signatures, info = load(tmp_path / "models" / "model" / "1")
    assert info["vocabulary"] == ["spiece.model"]
    context = (
        "  The Mo\u0301del  sold  ``2,000 units'', in 1957, \u00bd \u0130 "
    )
    said = signatures["serving_default"](
        question=tf.constant(["the model"]), context=tf.constant([context])
    )
    (start,), (end,) = said["start"].numpy(), said["end"].numpy()
    assert said["answer"].numpy()[0].decode() == context[start:end] != ""


_SLOW = pytest.mark.slow


@pytest.mark.parametrize(
    "pooling",
    [
        "none",
        "mean",
        *(pytest.param(p, marks=_SLOW) for p in ("cls", "pooled", "max")),
    ],
)
def test_encoder(tmp_path, pooling):
    model_dir = write_model(tmp_path / "model", BertModel(CONFIG))
    given = {"layers": "embeddings,0", "combine": "sum"}
    if pooling == "pooled":
        given = {}
    export(model_dir, tmp_path / "models", pooling=pooling, **given)
    signatures, info = load(tmp_path / "models" / "model" / "1")
    assert info["task"] == ("features" if pooling == "none" else "embedding")
    assert info["blocks"] == (2 if pooling == "pooled" else 1)
    said = signatures["serving_default"](text=tf.constant(_TEXTS))
    network = BertModel(CONFIG)
    reader = tf.train.load_checkpoint(str(model_dir / "bert_model.ckpt"))
    for variable in network.weights:
        variable.assign(reader.get_tensor(variable.path))
    options = FeatureOptions(
        layers=("embeddings", 0) if given else (-1,),
        combine=given.get("combine", "none"),
        pooling=pooling,
        max_seq_length=64,
    )
    tokenizer = FastTokenizer.from_vocab_file(VOCAB)
    extractor = FeatureExtractor(network, tokenizer, options)
    for i, line in enumerate(extractor.extract(_TEXTS)):
        if pooling == "none":
            length = said["lengths"][i]
            assert length == len(line.tokens)
            got, expected = said["vectors"][i, :length], line.values[:, 0]
        else:
            got, expected = said["embedding"][i], line.values[0]
        np.testing.assert_allclose(got, expected, atol=2e-5)


def test_the_encoder_of_a_classifier(tmp_path):
    model_dir = classifier(tmp_path / "model")
    export(model_dir, tmp_path / "models", task="features", layers="all")
    signatures, info = load(tmp_path / "models" / "model" / "1")
    assert info["layers"] == ["embeddings", 0, 1]
    said = signatures["serving_default"](text=tf.constant(["a cat"]))
    assert said["embedding"].shape == (1, 3, 16)


@pytest.mark.parametrize(
    "precision", ["bfloat16", pytest.param("float16", marks=_SLOW)]
)
def test_lower_precision_is_half_the_size(tmp_path, precision):
    model_dir = classifier(tmp_path / "model")
    sizes = {}
    for wanted in ("float32", precision):
        export(model_dir, tmp_path / "models", name=wanted, precision=wanted)
        version = tmp_path / "models" / wanted / "1"
        data = version / "variables" / "variables.data-00000-of-00001"
        sizes[wanted] = data.stat().st_size
        assert load(version)[1]["precision"] == wanted
    assert sizes[precision] < 0.52 * sizes["float32"]


def test_versions_count_up_and_are_never_replaced(tmp_path):
    model_dir = write_model(tmp_path / "model", BertModel(CONFIG))
    models = tmp_path / "models"
    export(model_dir, models, layers="embeddings")
    export(model_dir, models, layers="embeddings", version=7)
    export(model_dir, models, layers="embeddings")
    assert sorted(p.name for p in (models / "model").iterdir()) == [
        *("1", "7", "8")
    ]
    assert [p.name for p in models.iterdir()] == ["model"]
    with pytest.raises(UserError, match="7 is there already"):
        export(model_dir, models, version=7)


@pytest.mark.parametrize(
    ("there", "asked", "advice"),
    [
        ("saved_model.pb", "tflite", "--name=model-tflite"),
        ("saved_model.pb", "onnx", "--name=model-onnx"),
        ("model.tflite", "saved_model", "--name=model-saved_model"),
        ("model.onnx", "tflite", "--name=model-tflite"),
    ],
)
def test_versions_have_one_format(tmp_path, there, asked, advice):
    model_dir = write_model(tmp_path / "model", BertModel(CONFIG))
    models = tmp_path / "models"
    first = models / "model" / "1"
    first.mkdir(parents=True)
    (first / there).write_bytes(b"")
    with pytest.raises(UserError, match=f"has versions in .*{advice}"):
        export(model_dir, models, format=asked)
    assert [path.name for path in first.parent.iterdir()] == ["1"]


_TOKENS, _RECORDS = "tokens", "a tf.train.Example"


@pytest.mark.parametrize(
    ("trained", "form"),
    [
        (lambda path: classifier(path, doc_stride=9), _TOKENS),
        (answerer, _RECORDS),
        *(
            pytest.param(trained, form, marks=pytest.mark.slow)
            for trained, form in (
                (classifier, _TOKENS),
                (classifier, _RECORDS),
                (lambda path: classifier(path, doc_stride=9), _RECORDS),
                (answerer, _TOKENS),
                (plain_tagger, _TOKENS),
                (plain_tagger, _RECORDS),
                (chooser, _TOKENS),
                (chooser, _RECORDS),
            )
        ),
    ],
)
def test_every_signature_is_compared(tmp_path, monkeypatch, trained, form):
    model_dir = trained(tmp_path / "model")

    def check_rows(self, rows):
        # What was read as token 5 would be another one.
        is_record = rows["input_ids"].dtype == tf.int64
        if is_record == (form == _RECORDS):
            rows["input_ids"] = rows["input_ids"] // 2

    monkeypatch.setattr(Exported, "check_rows", check_rows)
    with pytest.raises(Refused, match=f"given as {form}: .* Nothing was"):
        export(model_dir, tmp_path / "models")
    assert list((tmp_path / "models").iterdir()) == []


def test_an_export_that_differs_is_refused(tmp_path, monkeypatch):
    model_dir = classifier(tmp_path / "model")
    monkeypatch.setitem(parity.TOLERANCE, "bfloat16", 1e-9)
    with pytest.raises(Refused, match="probabilities is .* Nothing was"):
        export(model_dir, tmp_path / "models", precision="bfloat16")
    assert list((tmp_path / "models").iterdir()) == []


def test_another_tokenization_is_refused(tmp_path, monkeypatch):
    model_dir = answerer(tmp_path / "model")

    def lay_out(tokenizer, first, second):
        return original(tokenizer, second, first)

    original = answering.lay_out
    monkeypatch.setattr(answering, "lay_out", lay_out)
    with pytest.raises(Refused):
        export(model_dir, tmp_path / "models")
    assert list((tmp_path / "models").iterdir()) == []


def test_a_version_that_comes_meanwhile_stays(tmp_path, monkeypatch):
    model_dir = write_model(tmp_path / "model", BertModel(CONFIG))
    models = tmp_path / "models"
    other = models / "model" / "1" / "saved_model.pb"

    def save(*arguments):
        original(*arguments)
        other.parent.mkdir(parents=True)
        other.write_bytes(b"another export")

    original = tf.saved_model.save
    monkeypatch.setattr(tf.saved_model, "save", save)
    with pytest.raises(UserError, match="model/1 cannot be written: .*empty"):
        export(model_dir, models, layers="embeddings")
    assert other.read_bytes() == b"another export"
    assert [p.name for p in models.iterdir()] == ["model"]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"model_dir": "/nowhere"}, "no directory /nowhere"),
        ({"name": "a/b"}, "Received: 'a/b'"),
        ({"max_seq_length": 65}, "from 3 to 64.*Received: 65"),
        ({"precision": "int8"}, "saved_model has weights of .*'int8'"),
        ({"task": "question_answering"}, "no model for --task=question_ans"),
        ({"task": "features", "layers": "2"}, "2 is out of range"),
        ({"export_dir": "gs://bucket/x"}, "local directory"),
        ({"export_dir": "/dev/null"}, "/dev/null/model/1 cannot be written"),
        ({"pooling": "cls"}, "--task=features alone: .*--pooling"),
        ({"max_answer_length": 9}, "--task=question_answering alone"),
        ({"task": "features", "pairs": True}, "classification alone: --pairs"),
    ],
)
def test_mistakes_are_told(tmp_path, given, message):
    model_dir = classifier(tmp_path / "model")
    given = {"export_dir": str(tmp_path / "models"), **given}
    with pytest.raises(UserError, match=message):
        export(given.pop("model_dir", model_dir), **given)
    assert not (tmp_path / "models").exists() or not list(
        (tmp_path / "models").iterdir()
    )


def test_other_tasks_are_refused(tmp_path):
    kept = {"num_choices": 4}
    model_dir = write_model(tmp_path / "model", BertModel(CONFIG), kept)
    with pytest.raises(UserError, match="task that cannot be exported"):
        export(model_dir, tmp_path / "models")


@pytest.mark.parametrize(
    "precision",
    ["int8", *(pytest.param(p, marks=_SLOW) for p in ("float32", "float16"))],
)
def test_tflite(tmp_path, precision, capsys):
    model_dir = classifier(tmp_path / "model")
    export(model_dir, tmp_path / "models", format="tflite", precision=precision)
    version = tmp_path / "models" / "model" / "1"
    assert "rows/s" in capsys.readouterr().out
    info = json.loads(
        (version / "assets.extra" / "model_info.json").read_text()
    )
    assert info["signatures"]["token_ids"]["outputs"] == ["probabilities"]
    assert (version / "assets.extra" / "vocab.txt").exists()
    assert (version / "model.tflite").stat().st_size > 1000


def test_tflite_tells_what_it_has_not(tmp_path):
    model_dir = write_model(tmp_path / "model", BertModel(CONFIG))
    config = dataclasses.replace(CONFIG, hidden_act="gelu_erf")
    (model_dir / "bert_config.json").write_text(config.to_json_string())
    with pytest.raises(UserError, match="no operation Erf.*--format=onnx"):
        export(model_dir, tmp_path / "models", format="tflite")


@pytest.mark.parametrize("precision", ["float32", "int8"])
def test_onnx(tmp_path, precision):
    pytest.importorskip("tf2onnx")
    pytest.importorskip("onnxruntime")
    model_dir = classifier(tmp_path / "model")
    export(model_dir, tmp_path / "models", format="onnx", precision=precision)
    version = tmp_path / "models" / "model" / "1"
    assert sorted(p.name for p in version.iterdir()) == [
        "assets.extra",
        "model.onnx",
    ]


def test_onnx_tells_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "tf2onnx", None)
    model_dir = classifier(tmp_path / "model")
    with pytest.raises(UserError, match="pip install .*onnx"):
        export(model_dir, tmp_path / "models", format="onnx")


@pytest.mark.golden
@pytest.mark.slow
@pytest.mark.skipif(
    "MINILM_DIR" not in os.environ, reason="MINILM_DIR is not set"
)
def test_a_real_encoder(golden_dir, tmp_path):
    """Mean-pooled vectors against the numbers of the makers' code."""
    directory = pathlib.Path(
        os.environ.get("MINILM_GOLDEN_DIR", golden_dir.parent / "minilm")
    )
    export(os.environ["MINILM_DIR"], tmp_path, name="minilm")
    signatures, _ = load(tmp_path / "minilm" / "1")
    examples = json.loads((directory / "inputs.json").read_text())
    expected = np.load(directory / "outputs.npz")
    singles = [i for i, e in enumerate(examples) if e["text_b"] is None]
    assert singles
    texts = tf.constant([examples[i]["text_a"] for i in singles])
    said = signatures["serving_default"](text=texts)["embedding"].numpy()
    for got, i in zip(said, singles, strict=True):
        mean = expected[f"sequence_output_{i}"].mean(axis=0)
        np.testing.assert_allclose(got, mean, rtol=0, atol=1e-4)


def test_help_answers_without_tensorflow():
    result = subprocess.run(
        [sys.executable, "-X", "importtime", "export_model.py", "-h"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0
    assert "--export_dir" in result.stdout
    assert "tensorflow" not in result.stderr
