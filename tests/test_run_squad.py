"""run_squad.py as its users run it."""

import io
import json
import os
import random
import sys

import numpy as np
import pytest
from absl import flags
from absl.testing import flagsaver

from modeling.checkpoints.google import write_google_checkpoint
from modeling.errors import UserError
from modeling.tasks.squad import (
    AnswerOptions,
    FeatureSet,
    WindowOptions,
    WindowScores,
    answer_questions,
    read_paragraphs,
)
from modeling.tokenization import load_tokenizer
from tests.scripts import (
    caller,
    events_of,
    load_script,
    results_of,
    run_script,
    weights_of,
    write_tiny_model,
)

_NAMES = ("ann", "bob", "eve", "kim")
_OTHER = ("the", "a", "cat", "saw", "it", "was", "very", "and", "of", "house")
_CHINESE = "小猫看见了房子和河"
_SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "who", "?", "谁")


@pytest.fixture(scope="module")
def model_dir(tmp_path_factory):
    """A config of a tiny model, with a vocabulary of whole words."""
    directory = tmp_path_factory.mktemp("tiny")
    words = [*_SPECIAL, *_NAMES, *_OTHER, *_CHINESE, *"甲乙丙丁"]
    return write_tiny_model(directory, words)


def paragraph(rng, key, kind):
    """A context with one name, which is the answer, or without."""
    words = rng.choices(_CHINESE if kind == "chinese" else _OTHER, k=20)
    names = "甲乙丙丁" if kind == "chinese" else _NAMES
    joint = "" if kind == "chinese" else " "
    place, name = rng.randrange(20), rng.choice(names)
    impossible = kind == "version 2" and rng.random() < 0.4
    if not impossible:
        words[place] = name
    start = len(joint.join(words[:place])) + (len(joint) if place else 0)
    answers = [] if impossible else [{"text": name, "answer_start": start}]
    question = {
        "id": key,
        "question": "谁 ?" if kind == "chinese" else "who ?",
        "answers": answers,
    }
    if kind == "version 2":
        question["is_impossible"] = impossible
    # What it becomes when it is normalised has more characters: the original
    # then gives all between two spaces.
    end = "각" if kind == "chinese" else ""
    return {"context": joint.join(words) + end, "qas": [question]}


def write_data(path, count, seed, kind="version 1"):
    rng = random.Random(seed)
    paragraphs = [paragraph(rng, f"q{n}", kind) for n in range(count)]
    data = [{"title": "t", "paragraphs": paragraphs}]
    path.write_text(json.dumps({"data": data}), encoding="utf-8")
    return str(path)


@pytest.fixture
def call(model_dir, tmp_path):
    return caller(
        "run_squad",
        model_dir,
        tmp_path / "out",
        # Contexts of two windows.
        max_seq_length=20,
        doc_stride=8,
        max_query_length=4,
        learning_rate=1e-2,
        train_batch_size=16,
    )


def read(path):
    return json.loads(path.read_text(encoding="utf-8"))


def answers_in(path):
    return {
        question["id"]: [answer["text"] for answer in question["answers"]]
        for article in read(path)["data"]
        for part in article["paragraphs"]
        for question in part["qas"]
    }


def share_of_right(predictions, path):
    right = answers_in(path)
    assert list(predictions) == list(right)
    return np.mean([predictions[k] in (a or [""]) for k, a in right.items()])


def test_flags_and_defaults_of_the_original():
    load_script("run_squad")
    expected = {
        "bert_config_file": None,
        "vocab_file": None,
        "output_dir": None,
        "train_file": None,
        "predict_file": None,
        "init_checkpoint": None,
        "do_lower_case": True,
        "max_seq_length": 384,
        "doc_stride": 128,
        "max_query_length": 64,
        "do_train": False,
        "do_predict": False,
        "train_batch_size": 32,
        "predict_batch_size": 8,
        "learning_rate": 5e-5,
        "num_train_epochs": 3.0,
        "warmup_proportion": 0.1,
        "save_checkpoints_steps": 1000,
        "iterations_per_loop": 1000,
        "n_best_size": 20,
        "max_answer_length": 30,
        "use_tpu": False,
        "tpu_name": None,
        "tpu_zone": None,
        "gcp_project": None,
        "master": None,
        "num_tpu_cores": 8,
        "verbose_logging": False,
        "version_2_with_negative": False,
        "null_score_diff_threshold": 0.0,
    }
    assert {name: flags.FLAGS[name].default for name in expected} == expected


@pytest.mark.golden
@pytest.mark.parametrize("length_batching", [False, True])
def test_answers_of_a_checkpoint_of_the_original(
    length_batching, golden_dir, tmp_path, call
):
    """From its files alone, the answers that the original's scores make."""
    with np.load(golden_dir / "squad" / "model_outputs.npz") as arrays:
        golden = dict(arrays)
    head = {
        f"cls/squad/{name}": golden[name]
        for name in ("output_weights", "output_bias")
    }
    checkpoint = str(tmp_path / "bert_model.ckpt")
    encoder = weights_of(golden_dir / "bert_model.ckpt")
    write_google_checkpoint(checkpoint, {**encoder, **head})
    # The numbers are those of the first windows, whose questions are these.
    article = read(golden_dir / "squad" / "train-v1.1.json")["data"][0]
    part = article["paragraphs"][0]
    path = tmp_path / "questions.json"
    path.write_text(json.dumps({"data": [{"paragraphs": [part]}]}))
    paragraphs = list(read_paragraphs(str(path)))
    vocab = golden_dir / "vocab.txt"
    tokenizer = load_tokenizer(vocab, do_lower_case=True)
    features = FeatureSet.of(paragraphs, tokenizer, WindowOptions(64, 16, 12))
    count = len(features)
    assert len(part["qas"]) < count <= len(golden["unique_ids"])
    starts, ends = golden["start_logits"][:count], golden["end_logits"][:count]
    if length_batching:
        padding = golden["input_mask"][:count] == 0
        starts[padding] = ends[padding] = -np.inf
    scores = WindowScores(count, 20)
    scores.put(np.arange(count), starts, ends)
    expected = answer_questions(
        paragraphs, features, scores, tokenizer, AnswerOptions()
    )
    out = call(
        bert_config_file=str(golden_dir / "bert_config.json"),
        vocab_file=str(vocab),
        init_checkpoint=checkpoint,
        predict_file=str(path),
        max_seq_length=64,
        doc_stride=16,
        max_query_length=12,
        length_batching=length_batching,
        do_predict=True,
    )
    # Nothing was trained, and yet the answers are judged.
    assert results_of(out)["total"] == len(part["qas"])
    found = read(out / "nbest_predictions.json")
    for question in expected:
        texts = [entry.text for entry in question.n_best]
        assert [entry["text"] for entry in found[question.id]] == texts
        for entry, mine in zip(
            question.n_best, found[question.id], strict=True
        ):
            for name in ("start_logit", "end_logit", "probability"):
                wanted = getattr(entry, name)
                assert mine[name] == pytest.approx(wanted, abs=1e-4)


def test_everything_in_one_call(call, tmp_path, monkeypatch, capsys):
    train = write_data(tmp_path / "train.json", 160, 1)
    dev = write_data(tmp_path / "dev.json", 40, 2)
    out = call(
        do_train=True,
        do_predict=True,
        train_file=train,
        predict_file=dev,
        num_train_epochs=8.0,
    )
    # As many steps, and of warm-up, as in the original: questions count, not
    # windows, of which there are twice as many.
    steps = int(160 / 16 * 8)
    results = results_of(out)
    assert results["global_step"] == steps
    assert events_of(out, "train")[-1]["model_flops_per_second"] > 0
    settings = read(out / "training_settings.json")
    assert settings["schedule.num_warmup_steps"] == int(0.1 * steps)
    assert {"exact", "f1", "total", "missing"} < set(results)
    assert results["exact"] > 90
    predictions = read(out / "predictions.json")
    assert share_of_right(predictions, tmp_path / "dev.json") > 0.9
    assert results["exact"] == pytest.approx(
        100 * share_of_right(predictions, tmp_path / "dev.json")
    )
    nbest = read(out / "nbest_predictions.json")
    for key, entries in nbest.items():
        assert entries[0]["text"] == predictions[key]
        assert set(entries[0]) == {
            "text",
            "probability",
            "start_logit",
            "end_logit",
        }
        assert sum(e["probability"] for e in entries) == pytest.approx(1.0)
    assert not (out / "null_odds.json").exists()
    assert read(out / "eval_results.json")["score"] == results["f1"]

    # The pooler takes no part: it stays as it began.
    trained = weights_of(out / "bert_model.ckpt")
    assert not trained["bert/pooler/dense/bias"].any()
    slots = weights_of(out / f"model.ckpt-{steps}")
    assert "bert/pooler/dense/kernel/adam_m" not in slots
    assert "cls/squad/output_weights/adam_m" in slots

    # Without training, the model and what reads with it come from there; and
    # the answers do not depend on how they are batched.
    again = tmp_path / "again"
    for size in (1, 7):
        call(
            do_predict=True,
            predict_file=dev,
            predict_batch_size=size,
            prediction_dir=str(again),
        )
        assert results_of(out)["global_step"] == steps
        assert read(again / "predictions.json") == predictions
        for key, entries in read(again / "nbest_predictions.json").items():
            texts = [entry["text"] for entry in nbest[key]]
            assert [entry["text"] for entry in entries] == texts

    # A test set has no answers: it is answered, not judged. Where there is
    # nothing to answer from, the answer is the original's.
    data = read(tmp_path / "dev.json")
    for part in data["data"][0]["paragraphs"]:
        part["qas"][0]["answers"] = []
    data["data"][0]["paragraphs"][3]["context"] = " \n"
    predictions["q3"] = "empty"
    (tmp_path / "test.json").write_text(json.dumps(data))
    os.remove(out / "eval_results.txt")
    call(do_predict=True, predict_file=str(tmp_path / "test.json"))
    assert not (out / "eval_results.txt").exists()
    assert read(out / "predictions.json") == predictions
    with pytest.raises(ValueError, match="--predict_file with answers"):
        call(do_eval=True, predict_file=str(tmp_path / "test.json"))

    monkeypatch.setattr(sys, "stdin", io.StringIO("who ?\t\n"))
    capsys.readouterr()
    call(interactive=True)
    assert capsys.readouterr().out == "-\t1.0000\n"


def test_questions_without_answer(call, tmp_path, monkeypatch, capsys):
    train = write_data(tmp_path / "train.json", 160, 3, "version 2")
    dev = write_data(tmp_path / "dev.json", 40, 4, "version 2")
    out = call(
        do_train=True,
        do_eval=True,
        do_predict=True,
        train_file=train,
        predict_file=dev,
        version_2_with_negative=True,
        num_train_epochs=8.0,
        eval_each_epoch=True,
    )
    results = results_of(out)
    assert {"HasAns_f1", "NoAns_f1", "best_f1_thresh"} < set(results)
    assert results["best_f1"] > 90
    full = read(out / "eval_results.json")
    assert full["score"] == full["best_f1"] >= full["f1"]
    odds = read(out / "null_odds.json")
    predictions = read(out / "predictions.json")
    assert list(odds) == list(predictions)
    assert all((odds[k] > 0.0) == (not t) for k, t in predictions.items())

    # The threshold that is reported gives what it promises.
    again = call(
        do_eval=True,
        predict_file=dev,
        null_score_diff_threshold=full["best_f1_thresh"],
    )
    assert results_of(again)["f1"] == pytest.approx(full["best_f1"])

    # Read as in training, which nobody says again.
    lines = "who ?\tthe cat saw ann and it was\nwho ?\tthe house\nwho ?\n"
    monkeypatch.setattr(sys, "stdin", io.StringIO(lines + "who ?\t\n"))
    script = load_script("run_squad")
    with flagsaver.flagsaver(output_dir=str(out), interactive=True):
        script.main([])
        assert flags.FLAGS.version_2_with_negative
        assert flags.FLAGS.doc_stride == 8
    said, none, error, empty = capsys.readouterr().out.splitlines()
    answer, probability = said.split("\t")
    assert answer == "ann"
    assert 0.3 < float(probability) <= 1
    assert none.startswith("-\t")
    assert error.startswith("error: A line is a question, a tab")
    assert empty.startswith("-\t")


def test_chinese_is_answered_and_judged_by_character(call, tmp_path):
    train = write_data(tmp_path / "train.json", 160, 5, "chinese")
    dev = write_data(tmp_path / "dev.json", 40, 6, "chinese")
    out = call(
        do_train=True,
        do_predict=True,
        train_file=train,
        predict_file=dev,
        num_train_epochs=8.0,
    )
    results = results_of(out)
    assert results["exact"] > 90
    mean = (results["exact"] + results["f1"]) / 2
    assert results["average"] == pytest.approx(mean)
    for values in ({"metric": "squad"}, {"version_2_with_negative": True}):
        call(do_eval=True, predict_file=dev, **values)
        assert "average" not in results_of(out)
    call(do_eval=True, predict_file=dev, answer_text="original")
    assert results_of(out)["exact"] == 0


@pytest.mark.parametrize(
    "values",
    [
        {"batch_tokens": 256, "precision": "bfloat16"},
        {"distribution": "mirrored"},
        {"xla": "on", "length_batching": False, "freeze": ["embeddings"]},
    ],
    ids="tokens replicas xla".split(),
)
def test_ways_of_training(values, call, tmp_path):
    train = write_data(tmp_path / "train.json", 64, 7)
    out = call(
        **values,
        do_train=True,
        do_predict=True,
        train_file=train,
        predict_file=train,
        num_train_epochs=1.0,
    )
    assert len(read(out / "predictions.json")) == 64
    assert np.isfinite(results_of(out)["f1"])


def test_questions_that_cannot_be_aligned_are_told(call, tmp_path, caplog):
    path = tmp_path / "train.json"
    write_data(path, 48, 8)
    data = read(path)
    for part in data["data"][0]["paragraphs"][:16]:
        part["qas"][0]["answers"][0]["text"] = "nowhere"
    path.write_text(json.dumps(data))
    out = call(
        do_train=True,
        train_file=str(path),
        num_train_epochs=1.0,
        verbose_logging=True,
    )
    assert "16 training questions are left out" in caplog.text
    assert caplog.text.count("Left out: ") == 16
    # As in the original, steps are those of the rest.
    assert (out / "model.ckpt-2.index").exists()


def test_a_dry_run_writes_no_model(call, tmp_path, caplog):
    train = write_data(tmp_path / "train.json", 20, 9)
    out = call(dry_run=True, train_file=train)
    assert "peak_memory_bytes" in caplog.text
    assert {path.name for path in out.iterdir()} == {"cache"}


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"do_train": False}, "--do_train, --do_eval, --do_predict, --inter"),
        ({"train_file": None}, "Training needs --train_file"),
        ({"do_predict": True}, "--do_predict needs --predict_file"),
        ({"do_eval": True}, "--do_eval needs --predict_file"),
        ({"train_file": "/nowhere.json"}, "/nowhere.json"),
        ({"train_file": "broken"}, "broken, line 1, column 11: not JSON"),
        ({"train_file": "unanswered"}, "no answer to train on"),
        ({"predict_file": "broken", "do_predict": True}, "not JSON"),
        ({"predict_file": "twice", "do_predict": True}, "stands in"),
        ({"predict_file": "open", "do_eval": True}, "needs a --predict_file w"),
        (
            {"predict_file": "blank", "do_predict": True},
            "blank: the contexts of all questions, 1, are empty. Is it the",
        ),
        ({"predict_file": "-", "do_predict": True}, "--predict_file cannot be"),
        ({"max_seq_length": 7}, "max_query_length + 3"),
        ({"max_seq_length": 65}, "max_seq_length 65"),
        ({"doc_stride": 0}, "doc_stride must be positive"),
        ({"n_best_size": 0}, "n_best_size must be positive"),
        ({"num_train_epochs": 0.01}, "no step at all"),
        ({"eval_each_epoch": True}, "a dev set"),
        (
            {"version_2_with_negative": True, "metric": "cmrc"},
            "--metric=cmrc knows no questions",
        ),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else "",
)
def test_users_mistakes_are_told(values, message, call, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    train = write_data(tmp_path / "train.json", 20, 1)
    (tmp_path / "broken").write_text('{"data": [}')
    data = read(tmp_path / "train.json")
    paragraphs = data["data"][0]["paragraphs"]
    twice = {"data": [{"paragraphs": paragraphs[:1] * 2}]}
    (tmp_path / "twice").write_text(json.dumps(twice))
    for name, context in ("open", "the"), ("blank", ""):
        qas = [{"id": "q", "question": "who"}]
        other = {"data": [{"context": context, "qas": qas}]}
        (tmp_path / name).write_text(json.dumps(other))
    paragraphs[3]["qas"][0]["answers"] = []
    (tmp_path / "unanswered").write_text(json.dumps(data))
    with pytest.raises(ValueError) as error:
        call(**{"do_train": True, "train_file": train, **values})
    assert message in str(error.value)
    assert not list(tmp_path.glob("out/bert_model*"))


def test_a_model_of_another_script_is_told(call, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    # A tagger reads long texts through windows only where it is told to.
    (out / "model_flags.json").write_text('{"doc_stride": null}')
    path = write_data(tmp_path / "dev.json", 1, 1)
    with pytest.raises(UserError, match="out was not trained by this script"):
        call(do_predict=True, predict_file=path)


def test_mistakes_end_with_status_1_and_no_traceback(tmp_path):
    result = run_script(
        "run_squad",
        f"--output_dir={tmp_path}",
        "--do_predict",
    )
    assert result.returncode == 1
    assert result.stderr.splitlines()[-1].startswith("error: --do_predict")
    assert "Traceback" not in result.stderr
