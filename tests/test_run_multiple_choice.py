"""run_multiple_choice.py as its users run it."""

import csv
import io
import json
import random
import sys

import numpy as np
import pytest
from absl import flags
from absl.testing import flagsaver

from modeling.errors import UserError
from tests.scripts import (
    caller,
    events_of,
    load_script,
    results_of,
    run_script,
    weights_of,
    write_tiny_model,
)

_GOOD = ("good", "great", "fine", "nice", "happy")
_BAD = ("bad", "awful", "poor", "sad", "ugly")
_OTHER = ("the", "a", "film", "it", "was", "very", "and", "of")
_SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "how", "?")


@pytest.fixture(scope="module")
def model_dir(tmp_path_factory):
    """A config of a tiny model, with a vocabulary of whole words."""
    directory = tmp_path_factory.mktemp("tiny")
    words = [*_SPECIAL, *_GOOD, *_BAD, *_OTHER]
    return write_tiny_model(directory, words)


def text(rng, words=()):
    chosen = [*rng.choices(_OTHER, k=rng.randint(1, 4)), *words]
    rng.shuffle(chosen)
    return " ".join(chosen)


def questions(count, seed, most_choices=4):
    """Objects of which the one good choice is right."""
    rng = random.Random(seed)
    for number in range(count):
        choices = rng.randint(2, most_choices)
        answer = rng.randrange(choices)
        yield {
            "id": f"q{number}",
            "context": text(rng) + " " + text(rng),
            "question": "how ?",
            "choices": [
                text(rng, rng.choices(_GOOD if n == answer else _BAD, k=2))
                for n in range(choices)
            ],
            "answer": answer,
        }


def write_jsonl(path, examples):
    path.write_text("".join(json.dumps(e) + "\n" for e in examples))
    return str(path)


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory):
    """A data set that a tiny model learns in a few steps."""
    directory = tmp_path_factory.mktemp("data")
    for split, count in (("train", 160), ("val", 40)):
        write_jsonl(directory / f"{split}.jsonl", questions(count, split))
    test = [dict(question) for question in questions(30, "test")]
    for question in test:
        del question["answer"]
    write_jsonl(directory / "test.jsonl", test)
    return directory


@pytest.fixture
def call(model_dir, data_dir, tmp_path):
    return caller(
        "run_multiple_choice",
        model_dir,
        tmp_path / "out",
        data_dir=str(data_dir),
        max_seq_length=20,
        learning_rate=5e-3,
        train_batch_size=16,
    )


def read(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_everything_in_one_call(
    call, data_dir, tmp_path, monkeypatch, capsys, caplog
):
    out = call(
        do_train=True, do_eval=True, do_predict=True, num_train_epochs=5.0
    )
    results = results_of(out)
    assert set(results) == {
        "global_step",
        "loss",
        "eval_loss",
        "eval_accuracy",
        *(f"eval_accuracy_{count}_choices" for count in (2, 3, 4)),
    }
    assert results["eval_accuracy"] > 0.9
    assert results["global_step"] == 50
    assert events_of(out, "train")[-1]["model_flops_per_second"] > 0
    report = json.loads((out / "eval_results.json").read_text())
    assert report["score"] == report["eval_accuracy"]
    trained = weights_of(out / "bert_model.ckpt")
    assert trained["output_weights"].shape == (1, 16)
    assert "output_bias" not in trained

    # Every choice of the test set has its share, in the file's order.
    predicted = read(out / "predictions.jsonl")
    asked = list(questions(30, "test"))
    assert [row["id"] for row in predicted] == [q["id"] for q in asked]
    for row, question in zip(predicted, asked, strict=True):
        shares = row["probabilities"]
        assert len(shares) == len(question["choices"])
        assert sum(shares) == pytest.approx(1.0, abs=1e-5)
        assert row["choice"] == question["choices"][row["prediction"]]
        assert shares[row["prediction"]] == max(shares)
    right = [
        row["prediction"] == question["answer"]
        for row, question in zip(predicted, asked, strict=True)
    ]
    assert np.mean(right) > 0.9
    lines = (out / "predictions.tsv").read_text().splitlines()
    assert lines[0] == "id\tprediction\tprobabilities"
    shares = predicted[0]["probabilities"]
    name, prediction, numbers = lines[1].split("\t")
    assert (name, int(prediction)) == ("q0", predicted[0]["prediction"])
    assert [float(n) for n in numbers.split()] == pytest.approx(shares)

    # Without training, the model and what it reads with come from there, and
    # the answers do not depend on how they are batched.
    again = tmp_path / "again"
    with open(data_dir / "test.jsonl", "rb") as file:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(file))
        call(
            data_dir=None,
            do_predict=True,
            predict_file="-",
            predict_batch_size=1,
            prediction_dir=str(again),
        )
    for row, before in zip(
        read(again / "predictions.jsonl"), predicted, strict=True
    ):
        assert row["prediction"] == before["prediction"]
        np.testing.assert_allclose(
            row["probabilities"], before["probabilities"], atol=1e-5
        )

    blocked = tmp_path / "blocked" / "predictions.jsonl"
    blocked.mkdir(parents=True)
    with pytest.raises(UserError, match=f"Cannot write {blocked}: Is a dir"):
        call(do_predict=True, prediction_dir=str(blocked.parent))

    good, bad = asked[0]["context"], "it was bad"
    typed = [
        f"{good}\thow ?\t{bad}\tit was good\tsad",
        f"{good}\thow ?\tit was good",
        f"{good}\t\t{bad}\tit was great",
        f"{good}\twas it _ ?\t{'sad ' * 18}\tgood",
    ]
    monkeypatch.setattr(sys, "stdin", io.StringIO("\n".join(typed) + "\n"))
    capsys.readouterr()
    script = load_script("run_multiple_choice")
    with flagsaver.flagsaver(output_dir=str(out), interactive=True):
        script.main([])
        assert flags.FLAGS.max_seq_length == 20
    chosen, one, unasked, long = capsys.readouterr().out.splitlines()
    answer, share = chosen.split("\t")
    assert answer == "it was good" and 1 / 3 < float(share) <= 1
    assert one.startswith("error: A line is a context, a question and two")
    assert unasked.startswith("it was great\t")
    assert long.startswith("error: The line: choice 1 has 18 tokens")


def test_swag_and_race(call, tmp_path):
    examples = list(questions(48, "swag", most_choices=2))
    columns = ("", "sent1", "sent2", "ending0", "ending1", "label")
    with open(tmp_path / "train.csv", "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        for number, e in enumerate(examples):
            cells = (number, e["context"], "it was", *e["choices"], e["answer"])
            writer.writerow(cells)
    for number, example in enumerate(examples):
        path = tmp_path / "race" / ("high" if number % 2 else "middle")
        path.mkdir(parents=True, exist_ok=True)
        article = {
            "id": f"{number}.txt",
            "article": example["context"],
            "questions": ["it was _ ."],
            "options": [example["choices"]],
            "answers": ["AB"[example["answer"]]],
        }
        (path / f"{number}.txt").write_text(json.dumps(article))
    out = call(
        do_train=True,
        do_eval=True,
        train_file=str(tmp_path / "train.csv"),
        dev_file=str(tmp_path / "race"),
        num_choices=2,
        num_train_epochs=10.0,
    )
    results = results_of(out)
    assert results["eval_accuracy"] > 0.9
    # All have as many choices: one number says all.
    assert not any(name.endswith("choices") for name in results)


def test_a_training_goes_on_where_it_ended(call, tmp_path, caplog):
    values = {"do_train": True, "num_train_epochs": 2.0, "do_eval": True}
    call(**values, output_dir=str(tmp_path / "whole"))
    out = call(**values, max_train_seconds=1e-6)
    assert not (out / "bert_model.ckpt.index").exists()
    assert not (out / "eval_results.txt").exists()
    call(**values)
    expected = weights_of(tmp_path / "whole" / "bert_model.ckpt")
    found = weights_of(out / "bert_model.ckpt")
    assert found.keys() == expected.keys()
    for name, value in found.items():
        np.testing.assert_array_equal(value, expected[name], name)
    assert results_of(out) == results_of(tmp_path / "whole")
    call(**values)
    # The script has no --num_train_steps.
    assert "Skipping training" in caplog.text
    assert "--num_train_steps" not in caplog.text


@pytest.mark.parametrize(
    "values",
    [
        {"batch_tokens": 512, "precision": "bfloat16"},
        {"distribution": "mirrored", "gradient_accumulation_steps": 2},
        {"xla": "on", "length_batching": False, "num_workers": 2},
    ],
    ids="tokens replicas xla".split(),
)
def test_ways_of_training(values, call):
    out = call(
        **values,
        do_train=True,
        do_eval=True,
        do_predict=True,
        num_train_epochs=1.0,
    )
    assert np.isfinite(results_of(out)["eval_loss"])
    assert len(read(out / "predictions.jsonl")) == 30


def test_the_best_of_several_trainings(call):
    out = call(
        do_train=True,
        do_eval=True,
        num_trials=2,
        eval_each_epoch=True,
        num_train_epochs=2.0,
    )
    trials = json.loads((out / "trials.json").read_text())
    (setting,) = trials["settings"].values()
    best = setting["trials"][trials["best_trial"]]
    assert len(setting["trials"]) == 2
    assert results_of(out)["eval_accuracy"] == pytest.approx(best["score"])


def test_a_dry_run_writes_no_model(call, caplog):
    out = call(dry_run=True)
    assert "peak_memory_bytes" in caplog.text
    assert {path.name for path in out.iterdir()} == {"cache"}


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"do_train": False}, "--do_train, --do_eval, --do_predict, --inter"),
        ({"data_dir": None}, "Training needs --train_file"),
        ({"data_dir": "/nowhere"}, "no directory --data_dir=/nowhere"),
        ({"train_file": "/no.jsonl"}, "no file --train_file=/no.jsonl"),
        ({"dev_file": "/no.jsonl"}, "no file --dev_file=/no.jsonl"),
        ({"dev_file": "open.jsonl"}, "open.jsonl, line 2: no answer"),
        ({"train_file": "broken.jsonl"}, "broken.jsonl, line 2: not JSON"),
        ({"train_file": "train.xml"}, "expected a file that ends in .csv"),
        ({"train_file": "open.jsonl"}, "open.jsonl, line 2: no answer"),
        ({"train_file": "one.jsonl"}, "one.jsonl, line 1: expected two or"),
        ({"train_file": "far.jsonl"}, "far.jsonl, line 1: the answer must be"),
        ({"do_predict": True, "predict_file": "one.jsonl"}, "one.jsonl, line"),
        ({"num_choices": 3}, "expected 3 choices"),
        ({"max_seq_length": 5}, "A choice is never cut"),
        ({"max_seq_length": 65}, "max_seq_length 65"),
        ({"eval_each_epoch": True, "no_dev": True}, "a dev set"),
        ({"do_eval": True, "no_dev": True}, "Evaluation needs --dev_file"),
        ({"do_predict": True, "no_dev": True}, "Prediction needs --predict"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else "",
)
def test_users_mistakes_are_told(
    values, message, call, data_dir, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "broken.jsonl").write_text(
        '{"context": "a", "choices": ["a", "b"], "answer": 1}\n{"context": \n'
    )
    (tmp_path / "train.xml").touch()
    some = {"context": "a", "choices": ["a", "b"], "answer": 1}
    write_jsonl(tmp_path / "open.jsonl", [some, {**some, "answer": None}])
    write_jsonl(tmp_path / "one.jsonl", [{**some, "choices": ["a"]}])
    write_jsonl(tmp_path / "far.jsonl", [{**some, "answer": 2}])
    values = {"do_train": True, "num_train_epochs": 0.3, **values}
    if values.pop("no_dev", False):
        values["data_dir"] = None
        values["train_file"] = str(data_dir / "train.jsonl")
    with pytest.raises(ValueError) as error:
        call(**values)
    assert message in str(error.value)
    assert not list(tmp_path.glob("out/bert_model*"))


def test_mistakes_end_with_status_1_and_no_traceback(tmp_path):
    result = run_script(
        "run_multiple_choice",
        f"--output_dir={tmp_path}",
        "--data_dir=/nowhere",
        "--do_train",
    )
    assert result.returncode == 1
    assert result.stderr.splitlines()[-1].startswith("error: There is no dir")
    assert "Traceback" not in result.stderr
