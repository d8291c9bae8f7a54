"""What evaluation and prediction leave, beside the original's."""

import json
import shutil

import numpy as np
import pytest
from absl import flags

from modeling.checkpoints.google import write_google_checkpoint
from modeling.tasks.classification import DataProcessor, InputExample
from tests.run_classifier.runs import report_of, rows_of, sentences, weights_of
from tests.scripts import events_of, load_script, results_of


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


def test_operations_are_counted_by_the_shapes_of_batches(run, tmp_path):
    def of_a_step(name, **values):
        out = tmp_path / name
        run(do_train=True, num_train_epochs=1.0, output_dir=str(out), **values)
        (event,) = events_of(out, "train")
        # So short a run measures nothing to compare with.
        assert "model_flops_utilization" not in event
        flops = event.get("model_flops_per_second")
        return flops and flops / event["steps_per_second"]

    # A token of one of two blocks: dense layers, attention to 16 tokens.
    blocks = 2 * (2 * (4 * 16**2 + 2 * 16 * 32) + 4 * 16 * 16)
    head = 2 * 16**2 + 2 * 16 * 2
    padded = of_a_step("padded", length_batching=False)
    assert padded == pytest.approx(3 * 16 * (16 * blocks + head), rel=1e-6)
    frozen = of_a_step("frozen", length_batching=False, freeze=["encoder"])
    assert frozen == pytest.approx(
        16 * (16 * blocks + head + 2 * 16 * 2), rel=1e-6
    )
    # Of 4 to 13 tokens.
    assert padded / 4 < of_a_step("by_length") < padded * 0.8
    assert of_a_step("features", feature_based=True, layers="-1") is None


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


def test_a_processor_of_ones_own(run):
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

    out = run(
        {"mine": Processor},
        task_name="Mine",
        do_train=True,
        do_eval=True,
        num_train_epochs=1.0,
    )
    assert sum(map(sum, report_of(out)["confusion_matrix"])) == 9
