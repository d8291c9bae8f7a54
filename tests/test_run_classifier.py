"""run_classifier.py as its users run it."""

import io
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from absl import flags, logging
from absl.testing import flagsaver

from modeling.checkpoints import open_checkpoint
from modeling.checkpoints.google import write_google_checkpoint
from modeling.tasks.classification import DataProcessor, InputExample
from tests.conftest import ROOT
from tests.scripts import load_script

GOLDEN = ROOT / "tests" / "golden"
_TINY = {
    "vocab_size": 2371,
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 32,
    "max_position_embeddings": 64,
    "type_vocab_size": 2,
    "initializer_range": 0.1,
}
_GOOD = ("good", "great", "fine", "nice", "happy")
_BAD = ("bad", "awful", "poor", "sad", "ugly")
_OTHER = ("the", "a", "film", "it", "was", "very", "and", "of")


@pytest.fixture(autouse=True)
def _tell_everything():
    logging.set_verbosity(logging.INFO)


@pytest.fixture(scope="session")
def model_dir(tmp_path_factory):
    """A config of a tiny model, with a vocabulary of whole words."""
    directory = tmp_path_factory.mktemp("tiny")
    words = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
    words = [*words, *_GOOD, *_BAD, *_OTHER]
    (directory / "vocab.txt").write_text("\n".join(words) + "\n")
    config = {**_TINY, "vocab_size": len(words)}
    (directory / "bert_config.json").write_text(json.dumps(config))
    return directory


def sentences(count, seed):
    """(text, whether it is good): the longer ones have more to say."""
    rng = random.Random(seed)
    for _ in range(count):
        good = rng.random() < 0.5
        words = rng.choices(_OTHER, k=rng.randint(1, 9))
        words += rng.choices(_GOOD if good else _BAD, k=2)
        rng.shuffle(words)
        yield " ".join(words), good


@pytest.fixture(scope="session")
def data_dir(tmp_path_factory):
    """A data set that a tiny model learns in a few steps."""
    directory = tmp_path_factory.mktemp("data")
    for split, count in (("train", 160), ("dev", 40), ("test", 20)):
        lines = ["id\ttext\tlabel"] + [
            f"{split}{row}\t{text}\t{'good' if good else 'bad'}"
            for row, (text, good) in enumerate(sentences(count, split))
        ]
        (directory / f"{split}.tsv").write_text("\n".join(lines) + "\n")
    return directory


@pytest.fixture
def run(model_dir, data_dir, tmp_path):
    """Calls the script with a small run's flags and those given."""

    def call(**values):
        defaults = {
            "task_name": "auto",
            "data_dir": str(data_dir),
            "output_dir": str(tmp_path / "out"),
            "max_seq_length": 16,
            "learning_rate": 2e-3,
            "train_batch_size": 16,
        }
        if "bert_config_file" not in values and (
            values.get("do_train") or values.get("dry_run")
        ):
            defaults["bert_config_file"] = str(model_dir / "bert_config.json")
            defaults["vocab_file"] = str(model_dir / "vocab.txt")
        script = load_script("run_classifier")
        with flagsaver.flagsaver(**{**defaults, **values}):
            script.main([])
        return tmp_path / "out"

    return call


def results_of(directory):
    lines = (directory / "eval_results.txt").read_text().splitlines()
    return {k: float(v) for k, v in (line.split(" = ") for line in lines)}


def report_of(directory):
    return json.loads((directory / "eval_results.json").read_text())


def weights_of(directory, name="bert_model.ckpt"):
    reader = open_checkpoint(str(directory / name))
    return {name: reader.read(name) for name in reader.shapes}


def events_of(directory, event):
    lines = (directory / "run.jsonl").read_text().splitlines()
    events = map(json.loads, lines)
    return [values for values in events if values["event"] == event]


def rows_of(path):
    return [line.split("\t") for line in path.read_text().splitlines()]


def test_flags_and_defaults_of_the_original():
    load_script("run_classifier")
    expected = {
        "data_dir": None,
        "bert_config_file": None,
        "task_name": None,
        "vocab_file": None,
        "output_dir": None,
        "init_checkpoint": None,
        "do_lower_case": True,
        "max_seq_length": 128,
        "do_train": False,
        "do_eval": False,
        "do_predict": False,
        "train_batch_size": 32,
        "eval_batch_size": 8,
        "predict_batch_size": 8,
        "learning_rate": 5e-5,
        "num_train_epochs": 3.0,
        "warmup_proportion": 0.1,
        "save_checkpoints_steps": 1000,
        "iterations_per_loop": 1000,
        "use_tpu": False,
        "tpu_name": None,
        "tpu_zone": None,
        "gcp_project": None,
        "master": None,
        "num_tpu_cores": 8,
    }
    assert {name: flags.FLAGS[name].default for name in expected} == expected


@pytest.mark.golden
@pytest.mark.parametrize("task", ["mrpc", "mnli"])
def test_evaluation_and_prediction_are_the_originals(
    task, golden_dir, tmp_path, run
):
    directory = golden_dir / "classifier"
    settings = json.loads((directory / "settings.json").read_text())
    with np.load(directory / "model_outputs.npz") as arrays:
        golden = {
            name.removeprefix(f"{task}/"): arrays[name]
            for name in arrays.files
            if name.startswith(f"{task}/")
        }
    head = {n: golden[n] for n in ("output_weights", "output_bias")}
    encoder = weights_of(golden_dir)
    checkpoint = str(tmp_path / "bert_model.ckpt")
    write_google_checkpoint(checkpoint, {**encoder, **head})
    # What is predicted is the test set: here, a copy of the dev set.
    data = tmp_path / "data"
    shutil.copytree(directory / task, data)
    suffix = "_matched" if task == "mnli" else ""
    rows = (data / f"dev{suffix}.tsv").read_text()
    if task == "mrpc":
        rows = rows.replace("Quality", "index")
    (data / f"test{suffix}.tsv").write_text(rows)
    out = run(
        task_name=task.upper(),
        data_dir=str(data),
        bert_config_file=str(golden_dir / "bert_config.json"),
        vocab_file=str(golden_dir / "vocab.txt"),
        init_checkpoint=checkpoint,
        do_lower_case=settings["do_lower_case"][task],
        max_seq_length=settings["max_seq_length"],
        do_eval=True,
        do_predict=True,
    )
    results = results_of(out)
    assert list(results) == [
        "eval_accuracy",
        "eval_loss",
        "global_step",
        "loss",
    ]
    assert results["eval_accuracy"] == golden["eval_accuracy"]
    assert results["eval_loss"] == pytest.approx(golden["loss"], rel=1e-5)
    assert results["loss"] == pytest.approx(golden["loss"], rel=1e-5)
    probabilities = np.loadtxt(out / "test_results.tsv")
    np.testing.assert_allclose(
        probabilities, golden["probabilities"], atol=1e-5
    )
    if task == "mnli":
        lines = rows_of(directory / "probability_lines.tsv")
        expected = np.array(lines, np.float64)
        np.testing.assert_allclose(probabilities, expected, atol=1e-5)
        names = ["contradiction", "entailment", "neutral"]
        submission = rows_of(out / "MNLI-m.tsv")
        assert submission[0] == ["index", "prediction"]
        best = golden["probabilities"].argmax(axis=1)
        assert [row[1] for row in submission[1:]] == [names[b] for b in best]


def test_everything_in_one_call(run):
    out = run(
        do_train=True, do_eval=True, do_predict=True, num_train_epochs=6.0
    )
    # As many steps, and of warm-up, as in the original.
    steps = int(160 / 16 * 6)
    assert results_of(out)["global_step"] == steps
    assert results_of(out)["eval_accuracy"] > 0.9
    settings = json.loads((out / "training_settings.json").read_text())
    assert settings["schedule.num_warmup_steps"] == int(0.1 * steps)
    labels = json.loads((out / "label_map.json").read_text())["labels"]
    assert labels == {"bad": 0, "good": 1}

    report = report_of(out)
    matrix = np.array(report["confusion_matrix"])
    assert matrix.sum() == 40
    accuracy = np.trace(matrix) / 40
    assert accuracy == pytest.approx(report["eval_accuracy"])
    assert report["per_class"]["good"]["examples"] == matrix[1].sum()

    header, *rows = rows_of(out / "predictions.tsv")
    assert header == ["id", "prediction", "p(bad)", "p(good)"]
    assert [row[0] for row in rows] == [f"test{n}" for n in range(20)]
    truth = ["good" if good else "bad" for _, good in sentences(20, "test")]
    right = sum(row[1] == t for row, t in zip(rows, truth, strict=True))
    assert right >= 18
    probabilities = np.loadtxt(out / "test_results.tsv")
    np.testing.assert_allclose(probabilities.sum(axis=1), 1.0, atol=1e-5)
    (ended,) = events_of(out, "ended")
    assert {"tokenization", "training", "evaluation", "prediction"} <= set(
        ended["seconds"]
    )

    # Without training, the model and all that belongs to it come from there.
    before = (out / "test_results.tsv").read_text()
    again = run(do_eval=True, do_predict=True)
    assert results_of(again)["global_step"] == steps
    assert (out / "test_results.tsv").read_text() == before


@pytest.fixture(scope="module")
def trained(model_dir, data_dir, tmp_path_factory):
    """A trained model that tests may copy, not change."""
    out = tmp_path_factory.mktemp("trained")
    script = load_script("run_classifier")
    with flagsaver.flagsaver(
        task_name="auto",
        data_dir=str(data_dir),
        output_dir=str(out),
        bert_config_file=str(model_dir / "bert_config.json"),
        vocab_file=str(model_dir / "vocab.txt"),
        max_seq_length=12,
        pooling="mean",
        learning_rate=2e-3,
        train_batch_size=16,
        num_train_epochs=4.0,
        do_train=True,
    ):
        script.main([])
    return out


def test_lines_of_any_number_are_predicted_from_standard_input(
    trained, tmp_path
):
    # More than are taken together.
    lines = [text for text, _ in sentences(4100, 1)]
    path = tmp_path / "lines.txt"
    path.write_text("\n".join(lines) + "\n")
    predictions = tmp_path / "predictions"
    script = load_script("run_classifier")
    with flagsaver.flagsaver(
        task_name="auto",
        output_dir=str(trained),
        prediction_dir=str(predictions),
        predict_file=str(path),
        do_predict=True,
    ):
        script.main([])
        # Flags of the training that are not given again.
        assert flags.FLAGS.max_seq_length == 12
        assert flags.FLAGS.pooling == "mean"
    from_file = (predictions / "predictions.tsv").read_text()
    header, *rows = from_file.splitlines()
    assert [row.split("\t")[0] for row in rows] == [str(n) for n in range(4100)]
    truth = ["good" if good else "bad" for _, good in sentences(4100, 1)]
    right = [r.split("\t")[1] == t for r, t in zip(rows, truth, strict=True)]
    assert np.mean(right) > 0.8

    result = run_script(
        "--task_name=auto",
        f"--output_dir={trained}",
        f"--prediction_dir={tmp_path / 'piped'}",
        "--do_predict",
        "--predict_file=-",
        input=path.read_text(),
    )
    assert result.returncode == 0, result.stderr
    assert (tmp_path / "piped" / "predictions.tsv").read_text() == from_file


def test_lines_are_answered_as_they_are_typed(trained, monkeypatch, capsys):
    monkeypatch.setattr(sys, "stdin", io.StringIO("it was great fine\n\n\n"))
    script = load_script("run_classifier")
    with flagsaver.flagsaver(
        task_name="auto", output_dir=str(trained), interactive=True
    ):
        script.main([])
    (line,) = capsys.readouterr().out.splitlines()
    label, probability = line.split("\t")
    assert label == "good"
    assert 0.5 < float(probability) <= 1


def test_a_model_is_not_read_as_another(trained, run):
    with pytest.raises(ValueError, match="trained with --pooling=mean"):
        run(output_dir=str(trained), do_eval=True, pooling="max")


def test_the_best_weights_are_kept_and_training_ends_early(run):
    out = run(
        do_train=True,
        do_eval=True,
        num_train_epochs=40.0,
        eval_each_epoch=True,
        early_stopping_patience=2,
    )
    evaluations = events_of(out, "evaluation")
    scores = [e["metrics"]["score"] for e in evaluations]
    steps = [e["step"] for e in evaluations]
    assert steps == [10 * n for n in range(1, len(steps) + 1)]
    assert len(steps) < 40
    best = int(np.argmax(scores))
    assert len(scores) == best + 3
    assert results_of(out)["global_step"] == steps[best]
    assert results_of(out)["eval_accuracy"] == pytest.approx(scores[best])
    kept = weights_of(out, "best_model.ckpt")
    for name, value in weights_of(out).items():
        np.testing.assert_array_equal(value, kept[name], name)
    last = weights_of(out, f"model.ckpt-{steps[-1]}")
    assert not np.array_equal(last["output_weights"], kept["output_weights"])

    # The same call trains no more, and evaluation alone takes the best.
    run(
        do_train=True,
        num_train_epochs=40.0,
        eval_each_epoch=True,
        early_stopping_patience=2,
    )
    assert len(events_of(out, "evaluation")) == len(steps)
    run(do_eval=True)
    assert results_of(out)["global_step"] == steps[best]


@pytest.mark.slow
def test_trials_and_grid(run, caplog):
    values = {
        "do_train": True,
        "do_eval": True,
        "num_trials": 2,
        "grid": True,
        "grid_batch_sizes": ["16"],
        "grid_learning_rates": ["2e-3", "1e-6"],
        "grid_epochs": ["2"],
    }
    out = run(**values)
    summary = json.loads((out / "trials.json").read_text())
    assert set(summary["settings"]) == {"lr0.002_bs16_ep2", "lr1e-06_bs16_ep2"}
    assert summary["best_setting"] == "lr0.002_bs16_ep2"
    setting = summary["settings"][summary["best_setting"]]
    scores = [trial["score"] for trial in setting["trials"].values()]
    assert setting["mean"]["score"] == pytest.approx(np.mean(scores))
    assert setting["deviation"]["score"] == pytest.approx(
        np.std(scores, ddof=1)
    )
    best = out / "trials" / summary["best_trial"]
    chosen = weights_of(best)
    for name, value in weights_of(out).items():
        np.testing.assert_array_equal(value, chosen[name], name)
    assert results_of(out)["eval_accuracy"] == pytest.approx(max(scores))
    # Slots of the trials would fill the disk.
    assert not list(best.glob("model.ckpt*"))
    # What has ended is not run again, nor mixed with other settings.
    caplog.clear()
    run(**values)
    assert "first step took" not in caplog.text
    with pytest.raises(ValueError, match="clip_norm: 1.0 before, 2.0 now"):
        run(**values, clip_norm=2.0)


WAYS = {
    "tokens": {"batch_tokens": 256},
    "padded": {"length_batching": False, "class_weights": ["1", "2"]},
    "windows": {"doc_stride": 3, "max_seq_length": 6, "pooling": "max"},
    "xla": {"xla": "on", "class_weights": ["balanced"]},
    "accumulated": {"gradient_accumulation_steps": 4},
    "replicas": {
        "distribution": "mirrored",
        "doc_stride": 3,
        "max_seq_length": 6,
        "gradient_accumulation_steps": 2,
    },
    "half": {"precision": "bfloat16", "layer_decay": 0.9},
    "features": {"feature_based": True, "layers": "-1", "pooling": "mean"},
    "weighted": {
        "feature_based": True,
        "layers": "all",
        "combine": "weighted",
        "eval_each_epoch": True,
    },
    "lstm": {
        "feature_based": True,
        "layers": "embeddings,-1",
        "lstm_layers": 1,
        "lstm_size": 8,
        "pooling": "mean",
        "doc_stride": 3,
        "max_seq_length": 6,
    },
}


_SLOW_WAYS = ("accumulated", "replicas", "half", "weighted")


@pytest.mark.parametrize(
    "values",
    [
        pytest.param(
            values,
            id=name,
            marks=pytest.mark.slow if name in _SLOW_WAYS else (),
        )
        for name, values in WAYS.items()
    ],
)
def test_ways_of_training(values, run):
    out = run(
        **values,
        do_train=True,
        do_eval=True,
        do_predict=True,
        num_train_epochs=2.0,
    )
    assert len(rows_of(out / "test_results.tsv")) == 20
    # In batches of other sizes, alone, and from what was kept: the same.
    before = report_of(out)
    run(do_eval=True, eval_batch_size=3, **_without_training(values))
    after = report_of(out)
    tolerance = 2e-2 if "precision" in values else 2e-3
    assert after["eval_loss"] == pytest.approx(
        before["eval_loss"], rel=tolerance
    )


def _without_training(values):
    kept = ("xla", "distribution", "precision", "max_seq_length", "doc_stride")
    return {name: values[name] for name in kept if name in values}


def test_frozen_parts_stay_and_others_learn(run, model_dir, tmp_path):
    start = run(do_train=True, num_train_epochs=0.1)
    init = tmp_path / "init"
    shutil.copytree(start, init)
    shutil.rmtree(start)
    before = weights_of(init)
    out = run(
        do_train=True,
        num_train_epochs=1.0,
        init_checkpoint=str(init / "bert_model.ckpt"),
        freeze=["embeddings", "layers:0-0"],
    )
    changed = {
        name
        for name, value in weights_of(out).items()
        if not np.array_equal(value, before[name])
    }
    frozen = ("bert/embeddings/", "bert/encoder/layer_0/")
    assert changed == {n for n in before if not n.startswith(frozen)}


def test_features_are_computed_once(run, caplog):
    values = {"feature_based": True, "layers": "-1", "do_train": True}
    out = run(**values, num_train_epochs=1.0)
    (kept,) = (out / "cache").glob("hidden.*")
    before = os.stat(kept / "hidden.bin").st_mtime_ns
    initial = weights_of(out)
    caplog.clear()
    run(
        **values,
        num_train_epochs=2.0,
        allow_changed_settings=True,
        init_checkpoint=str(out / "bert_model.ckpt"),
    )
    assert "computed already" in caplog.text
    assert os.stat(kept / "hidden.bin").st_mtime_ns == before
    assert len(list((out / "cache").glob("hidden.*"))) == 1
    final = weights_of(out)
    for name, value in initial.items():
        same = np.array_equal(value, final[name])
        assert same == name.startswith("bert/"), name


def test_labels_that_are_rare_are_sampled_as_often(run, data_dir, tmp_path):
    skewed = tmp_path / "skewed"
    shutil.copytree(data_dir, skewed)
    header, *rows = (skewed / "train.tsv").read_text().splitlines()
    rare = [row for row in rows if row.endswith("good")][:8]
    rows = [row for row in rows if row.endswith("bad")][:72] + rare
    (skewed / "train.tsv").write_text("\n".join([header, *rows]) + "\n")
    values = {
        "data_dir": str(skewed),
        "do_train": True,
        "do_eval": True,
        "num_train_epochs": 3.0,
        "learning_rate": 2e-3,
    }
    recalls = []
    for balanced in (False, True):
        shutil.rmtree(tmp_path / "out", ignore_errors=True)
        out = run(**values, balanced_sampling=balanced)
        recalls.append(report_of(out)["per_class"]["good"]["recall"])
    assert recalls[0] < 0.2 < recalls[1]


def test_regression_and_several_labels(run, tmp_path):
    numbers, tags = tmp_path / "numbers", tmp_path / "tags"
    numbers.mkdir(), tags.mkdir()
    for split, count in (("train", 160), ("dev", 40)):
        rows = list(sentences(count, split))
        with open(numbers / f"{split}.csv", "w") as file:
            file.write("text,score\n")
            for text, good in rows:
                file.write(f"{text},{1.0 if good else -1.0}\n")
        with open(tags / f"{split}.jsonl", "w") as file:
            for text, good in rows:
                labels = ["good"] if good else []
                labels += ["film"] if "film" in text.split() else []
                line = {"text": text, "labels": labels}
                file.write(json.dumps(line) + "\n")
    shared = {"do_train": True, "do_eval": True, "num_train_epochs": 8.0}
    out = run(**shared, data_dir=str(numbers), kind="regression")
    results = results_of(out)
    assert results["eval_pearson"] > 0.8
    assert results["eval_mse"] == pytest.approx(results["eval_loss"], rel=1e-4)

    shutil.rmtree(out)
    run(**shared, data_dir=str(tags), kind="multi_label")
    assert results_of(out)["eval_micro_f1"] > 0.5
    per_class = report_of(out)["per_class"]
    assert per_class.keys() == {"film", "good"}
    assert per_class["good"]["f1"] > 0.9


def test_a_processor_of_ones_own(run, monkeypatch):
    class Processor(DataProcessor):
        def get_train_examples(self, data_dir):
            return [
                InputExample(str(n), text, label="yes" if good else "no")
                for n, (text, good) in enumerate(sentences(32, 5))
            ]

        def get_dev_examples(self, data_dir):
            return self.get_train_examples(data_dir)[:9]

        def get_labels(self):
            return ["no", "yes"]

    script = load_script("run_classifier")
    monkeypatch.setitem(script.PROCESSORS, "mine", Processor)
    monkeypatch.setattr(
        "tests.test_run_classifier.load_script", lambda name: script
    )
    out = run(
        task_name="Mine", do_train=True, do_eval=True, num_train_epochs=1.0
    )
    assert sum(map(sum, report_of(out)["confusion_matrix"])) == 9


def test_a_model_of_other_labels_begins_anew_at_its_head(run, caplog, tmp_path):
    first = run(do_train=True, num_train_epochs=0.1)
    shutil.move(first, tmp_path / "first")
    data = tmp_path / "three"
    data.mkdir()
    lines = [f"{text}\t{n % 3}" for n, (text, _) in enumerate(sentences(48, 2))]
    (data / "train.tsv").write_text("text\tlabel\n" + "\n".join(lines) + "\n")
    out = run(
        do_train=True,
        data_dir=str(data),
        num_train_epochs=1.0,
        init_checkpoint=str(tmp_path / "first" / "bert_model.ckpt"),
    )
    assert weights_of(out)["output_weights"].shape == (3, 16)
    assert "output_weights for another task" in caplog.text


def test_a_dry_run_writes_no_model(run, caplog):
    out = run(dry_run=True)
    assert "peak_memory_bytes" in caplog.text
    assert {path.name for path in out.iterdir()} == {"cache"}


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"do_train": False}, "--do_train, --do_eval, --do_predict, --inter"),
        ({"data_dir": None}, "need --data_dir"),
        ({"data_dir": "/nowhere"}, "/nowhere has no train.tsv"),
        ({"task_name": "mrcp"}, "Task not found: 'mrcp'"),
        ({"task_name": "/nowhere.json"}, "Cannot read the task file"),
        ({"max_seq_length": 65}, "max_seq_length 65"),
        ({"num_train_epochs": 0.01}, "no step at all"),
        ({"warmup_proportion": 1.5}, "warmup_proportion"),
        ({"freeze": ["layers:1-2"]}, "0 to 1"),
        ({"freeze": ["head"]}, "'head'"),
        ({"class_weights": ["1"]}, "a weight for each of bad, good"),
        ({"feature_based": True, "layers": "7"}, "7 is out of range"),
        ({"train_batch_size": 5, "gradient_accumulation_steps": 2}, "multiple"),
        ({"label": "id", "row_id": "id"}, "two meanings"),
        ({"init_checkpoint": "/nowhere/bert_model.ckpt"}, "no checkpoint"),
        ({"bert_config_file": None}, "--bert_config_file"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else "",
)
def test_users_mistakes_are_told(values, message, run, tmp_path):
    with pytest.raises(ValueError) as error:
        run(**{"do_train": True, **values})
    assert message in str(error.value)
    assert not list(tmp_path.glob("out/bert*"))


def run_script(*arguments, start=subprocess.run, **options):
    if start is subprocess.run:
        options = {"capture_output": True, "check": False, **options}
    return start(
        [sys.executable, str(ROOT / "run_classifier.py"), *arguments],
        text=True,
        **options,
    )


def test_mistakes_end_with_status_1_and_no_traceback(tmp_path):
    result = run_script(
        "--task_name=x", f"--output_dir={tmp_path}", "--do_eval"
    )
    assert result.returncode == 1
    assert result.stderr.splitlines()[-1].startswith("error: ")
    assert "Traceback" not in result.stderr


def test_help():
    result = run_script("--help")
    assert result.returncode == 0
    for name in ("--num_train_epochs", "feature_based", "--distribution"):
        assert name in result.stdout


@pytest.mark.slow
def test_killed_runs_end_with_the_weights_of_a_whole_one(
    model_dir, data_dir, tmp_path
):
    def command(out):
        return (
            "--task_name=auto",
            f"--data_dir={data_dir}",
            f"--output_dir={out}",
            f"--bert_config_file={model_dir / 'bert_config.json'}",
            f"--vocab_file={model_dir / 'vocab.txt'}",
            "--do_train",
            "--max_seq_length=16",
            "--train_batch_size=16",
            "--num_train_epochs=100",
            "--learning_rate=1e-3",
            "--save_checkpoints_steps=70",
            "--eval_every=100",
        )

    whole, cut = tmp_path / "whole", tmp_path / "cut"
    result = run_script(*command(whole))
    assert result.returncode == 0, result.stderr
    for number in (signal.SIGKILL, signal.SIGKILL, signal.SIGTERM):
        process = run_script(
            *command(cut), start=subprocess.Popen, stderr=subprocess.PIPE
        )
        before = set(cut.glob("model.ckpt*.index"))
        while process.poll() is None:
            if set(cut.glob("model.ckpt*.index")) - before:
                break
            time.sleep(0.02)
        time.sleep(random.random() / 2)
        process.send_signal(number)
        process.communicate()
        expected = -number if number == signal.SIGKILL else 128 + number
        assert process.returncode in (expected, 0)
    result = run_script(*command(cut))
    assert result.returncode == 0, result.stderr
    expected = weights_of(whole)
    for name, value in weights_of(cut).items():
        np.testing.assert_array_equal(value, expected[name], name)
    best = json.loads((whole / "best.json").read_text())
    assert json.loads((cut / "best.json").read_text()) == best
