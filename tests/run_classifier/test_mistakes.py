"""Mistakes of users, told before anything is written."""

import pytest

from tests.run_classifier.runs import run_script


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"do_train": False}, "--do_train, --do_eval, --do_predict, --inter"),
        ({"data_dir": None}, "need --data_dir"),
        ({"data_dir": "/nowhere"}, "/nowhere has no train.tsv"),
        ({"task_name": "mrcp"}, "Task not found: 'mrcp'"),
        ({"task_name": "/nowhere.json"}, "Cannot read the task file"),
        ({"output_dir": __file__}, "--output_dir"),
        ({"do_predict": True, "prediction_dir": __file__}, "--prediction_dir"),
        ({"max_seq_length": 65}, "max_seq_length 65"),
        ({"num_train_epochs": 0.01}, "no step at all"),
        ({"num_train_epochs": float("nan")}, "must be finite. Received: nan"),
        ({"grid": True, "grid_batch_sizes": ["8", "0"]}, "above 0"),
        ({"grid": True, "grid_batch_sizes": ["16.5"]}, "whole numbers"),
        ({"grid": True, "grid_epochs": []}, "Received: none"),
        ({"warmup_proportion": 1.5}, "warmup_proportion"),
        ({"freeze": ["layers:1-2"]}, "0 to 1"),
        ({"freeze": ["head"]}, "'head'"),
        ({"class_weights": ["1"]}, "a weight for each of bad, good"),
        ({"class_weights": ["nan", "1"]}, "a weight for each of bad, good"),
        ({"feature_based": True, "layers": "7"}, "7 is out of range"),
        ({"train_batch_size": 5, "gradient_accumulation_steps": 2}, "multiple"),
        ({"label": "id", "row_id": "id"}, "two meanings"),
        ({"init_checkpoint": "/nowhere/bert_model.ckpt"}, "no checkpoint"),
        ({"bert_config_file": None}, "--bert_config_file"),
        ({"pack_sequences": True, "doc_stride": 4}, "--pack_sequences puts"),
        ({"pack_sequences": True, "feature_based": True}, "nor with"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else "",
)
def test_users_mistakes_are_told(values, message, run, tmp_path):
    with pytest.raises(ValueError) as error:
        run(**{"do_train": True, **values})
    assert message in str(error.value)
    assert not list(tmp_path.glob("out/bert*"))


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


_HEADER = "text\tlabel\n"
_ROWS = "film a\tgood\nfilm the\tbad\n" * 8


@pytest.mark.parametrize(
    ("files", "values", "message"),
    [
        ({"dev": None}, {"do_eval": True}, "The dev set of The data is not in"),
        (
            {"dev": _HEADER + _ROWS + "a\tugly\n"},
            {"do_eval": True},
            "dev.tsv, line 18, column 'label': unknown label 'ugly'",
        ),
        (
            {"dev": "label\ntext\n"},
            {"eval_each_epoch": True},
            "dev.tsv, line 1: no column 'text' in the header",
        ),
        ({"dev": None}, {"eval_each_epoch": True}, "The dev set of The data"),
        ({"dev": None}, {"eval_every": 1}, "needs a dev set"),
        ({"dev": None}, {"num_trials": 2}, "need a dev set"),
        ({}, {"do_predict": True}, "file to predict (--predict_file)."),
        (
            {},
            {"do_predict": True, "predict_file": "/nowhere.tsv"},
            "Cannot read /nowhere.tsv: No such file",
        ),
        (
            {"test": _HEADER + _ROWS + "a\tbad\tfilm\n"},
            {"do_predict": True},
            "test.tsv, line 18: 3 columns, where line 1 has 2",
        ),
        (
            {"test": "words\tlabel\nfilm\tbad\n"},
            {"do_predict": True},
            "test.tsv, line 1: no column 'text' in the header",
        ),
    ],
)
def test_what_comes_after_training_is_checked_before(
    files, values, message, run, tmp_path
):
    data = tmp_path / "data"
    data.mkdir()
    files = {"train": _HEADER + _ROWS, "dev": _HEADER + _ROWS, **files}
    for split, content in files.items():
        if content is not None:
            (data / f"{split}.tsv").write_text(content)
    with pytest.raises(ValueError) as error:
        run(data_dir=str(data), do_train=True, **values)
    assert message in str(error.value)
    written = {path.name for path in (tmp_path / "out").glob("*")}
    assert written <= {"cache"}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "file.tsv is empty: expected the columns of test.tsv, dev.tsv or"),
        ("film\na\tfilm\n", "file.tsv, line 2: 2 columns, where line 1 has 1"),
        ("film\tgood\n", "line 1: this is not how SST-2 is laid out"),
    ],
)
def test_a_file_for_a_data_set_is_checked_before_training(
    content, message, run, tmp_path
):
    (tmp_path / "train.tsv").write_text("sentence\tlabel\na\t0\nfilm\t1\n")
    path = tmp_path / "file.tsv"
    path.write_text(content)
    with pytest.raises(ValueError) as error:
        run(
            task_name="sst-2",
            data_dir=str(tmp_path),
            do_train=True,
            do_predict=True,
            predict_file=str(path),
        )
    assert message in str(error.value)
    # Of own data alone.
    assert "task.json" not in str(error.value)
    assert "--label" not in str(error.value)
    assert not list(tmp_path.glob("out/*.ckpt*"))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"pooling"', "model_flags.json is not JSON"),
        ("[]", "model_flags.json holds no flags by name"),
    ],
)
def test_damaged_flags_of_a_model_are_told(run, tmp_path, content, message):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "model_flags.json").write_text(content)
    with pytest.raises(ValueError, match=message):
        run(do_eval=True)


def test_a_model_is_not_changed_by_a_call_with_other_settings(run):
    out = run(do_train=True, num_train_epochs=1.0)
    before = {
        path.name: path.read_text()
        for path in (out / "model_flags.json", out / "label_map.json")
    }
    with pytest.raises(ValueError, match="pooling: 'cls' before, 'max' now"):
        run(do_train=True, num_train_epochs=1.0, pooling="max")
    for name, content in before.items():
        assert (out / name).read_text() == content
