"""Every data set of the table from its official files to what GLUE takes."""

import pytest

from modeling.tasks.classification import DATA_SET_NAMES, find_data_set
from tests.run_classifier.runs import report_of, rows_of
from tests.scripts import results_of
from tests.tasks.classification.test_data_sets import LAYOUTS

# Of each data set, the files for GLUE's server and the id of their row.
SUBMISSIONS = {
    "cola": {"CoLA.tsv": "0"},
    "sst-2": {"SST-2.tsv": "0"},
    "mrpc": {"MRPC.tsv": "0"},
    "sts-b": {"STS-B.tsv": "0"},
    "qqp": {"QQP.tsv": "0"},
    "mnli": {"MNLI-m.tsv": "9", "test_mismatched/MNLI-mm.tsv": "8"},
    "qnli": {"QNLI.tsv": "0"},
    "rte": {"RTE.tsv": "0"},
    "wnli": {"WNLI.tsv": "0"},
    "ax": {"AX.tsv": "0"},
}
_FAST = ("mnli", "sts-b", "thucnews")


@pytest.fixture
def write_layout(tmp_path):
    def write(name):
        for file, content in LAYOUTS[name].items():
            path = tmp_path / name / file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content)
        return str(tmp_path / name)

    return write


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=() if name in _FAST else pytest.mark.slow)
        for name in DATA_SET_NAMES
    ],
)
def test_evaluation_and_files_to_submit(name, write_layout, run, model_dir):
    data_set = find_data_set(name)
    out = run(
        task_name=name,
        data_dir=write_layout(name),
        do_eval=True,
        do_predict=True,
        bert_config_file=str(model_dir / "bert_config.json"),
        vocab_file=str(model_dir / "vocab.txt"),
    )
    for split in ("dev", "dev_mismatched"):
        directory = out if split == "dev" else out / split
        assert (directory / "eval_results.txt").exists() == (
            split in data_set.files
        )
    for metric in data_set.metrics:
        assert f"eval_{metric}" in report_of(out)
    found = {
        str(path.relative_to(out)): rows_of(path)
        for path in out.rglob("*.tsv")
        if path.name not in ("test_results.tsv", "predictions.tsv")
    }
    submissions = SUBMISSIONS.get(name, {})
    assert found.keys() == submissions.keys()
    for file, row_id in submissions.items():
        header, (index, prediction) = found[file]
        assert header == ["index", "prediction"]
        assert index == row_id
        if data_set.kind == "regression":
            assert 0 <= float(prediction) <= 5
        else:
            assert prediction in data_set.labels


def test_a_model_of_mnli_is_diagnosed(write_layout, run, tmp_path):
    run(
        task_name="MNLI",
        data_dir=write_layout("mnli"),
        do_train=True,
        train_batch_size=2,
        num_train_epochs=1.0,
    )
    run(
        task_name="AX",
        data_dir=write_layout("ax"),
        do_eval=True,
        do_predict=True,
        prediction_dir=str(tmp_path / "ax_predictions"),
    )
    (row,) = rows_of(tmp_path / "ax_predictions" / "AX.tsv")[1:]
    assert row[0] == "0"
    assert row[1] in ("contradiction", "entailment", "neutral")


def test_xnli_is_evaluated_in_its_language(write_layout, run):
    """Trained in one, asked in another: zero-shot."""
    values = {
        "task_name": "XNLI",
        "data_dir": write_layout("xnli"),
        "train_language": "zh",
        "language": "de",
        "train_batch_size": 2,
        "num_train_epochs": 1.0,
    }
    out = run(**values, do_train=True, do_eval=True)
    # The German example of the dev set is neutral, the Chinese entailment.
    assert report_of(out)["per_class"]["neutral"]["examples"] == 1
    assert results_of(out)["global_step"] == 1
