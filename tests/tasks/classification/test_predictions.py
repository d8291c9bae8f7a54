"""Files of predictions."""

import json
import os

import numpy as np
import pytest

from modeling.tasks.classification import (
    InputExample,
    Labels,
    PredictionWriter,
    find_data_set,
    submission_name,
)


def predict(directory, labels, outputs, row_ids=None, submission=None):
    outputs = np.asarray(outputs, np.float32)
    row_ids = row_ids or [None] * len(outputs)
    examples = [InputExample("", "", row_id=row_id) for row_id in row_ids]
    with PredictionWriter(str(directory), labels, submission) as writer:
        # In parts, as they come.
        writer.write(examples[:1], outputs[:1])
        writer.write(examples[1:], outputs[1:])
    return {
        name: (directory / name).read_text().splitlines()
        for name in os.listdir(directory)
    }


@pytest.mark.golden
def test_probability_lines_are_the_originals(classifier_dir, tmp_path):
    outputs = np.load(classifier_dir / "model_outputs.npz")[
        "mnli/probabilities"
    ]
    mnli = find_data_set("mnli")
    labels = Labels(mnli.kind, mnli.labels)
    predict(tmp_path, labels, outputs)
    ours = (tmp_path / "test_results.tsv").read_bytes()
    assert ours == (classifier_dir / "probability_lines.tsv").read_bytes()


def test_classes(tmp_path):
    labels = Labels("classification", ("no", "yes"))
    files = predict(
        tmp_path, labels, [[0.9, 0.1], [0.25, 0.75]], ["a7", "x\ty"], "RTE.tsv"
    )
    assert files == {
        "test_results.tsv": ["0.9\t0.1", "0.25\t0.75"],
        "predictions.tsv": [
            "id\tprediction\tp(no)\tp(yes)",
            "a7\tno\t0.9\t0.1",
            "x y\tyes\t0.25\t0.75",
        ],
        "predictions.jsonl": [
            '{"id":"a7","prediction":"no","probabilities":{"no":0.9,"yes":0.1}}',
            '{"id":"x\\ty","prediction":"yes",'
            '"probabilities":{"no":0.25,"yes":0.75}}',
        ],
        "RTE.tsv": ["index\tprediction", "a7\tno", "x y\tyes"],
    }


def test_several_labels(tmp_path):
    labels = Labels("multi_label", ("a", "b", "c"))
    files = predict(tmp_path, labels, [[0.5, 0.2, 0.9], [0.1, 0.2, 0.3]])
    assert files["predictions.tsv"][1:] == [
        "0\ta,c\t0.5\t0.2\t0.9",
        "1\t\t0.1\t0.2\t0.3",
    ]
    rows = [json.loads(line) for line in files["predictions.jsonl"]]
    assert [row["prediction"] for row in rows] == [["a", "c"], []]


def test_numbers(tmp_path):
    files = predict(
        tmp_path, Labels("regression"), [2.5, 5.25], None, "STS-B.tsv"
    )
    assert files == {
        "test_results.tsv": ["2.5", "5.25"],
        "predictions.tsv": ["id\tprediction", "0\t2.5", "1\t5.25"],
        "predictions.jsonl": [
            '{"id":"0","prediction":2.5}',
            '{"id":"1","prediction":5.25}',
        ],
        # No score of the set is beyond 5.
        "STS-B.tsv": ["index\tprediction", "0\t2.500", "1\t5.000"],
    }


def test_what_is_not_whole_is_not_there(tmp_path):
    labels = Labels("classification", ("no", "yes"))
    predict(tmp_path, labels, [[0.9, 0.1], [0.3, 0.7]])
    before = {path: path.read_text() for path in tmp_path.iterdir()}
    with (
        pytest.raises(RuntimeError, match="out of memory"),
        PredictionWriter(str(tmp_path), labels, "RTE.tsv") as writer,
    ):
        writer.write([InputExample("", "")], np.ones((1, 2)))
        raise RuntimeError("out of memory")
    assert {path: path.read_text() for path in tmp_path.iterdir()} == before


@pytest.mark.parametrize(
    ("task", "split", "name"),
    [
        ("mnli", "test", "MNLI-m.tsv"),
        ("mnli", "test_mismatched", "MNLI-mm.tsv"),
        ("sst-2", "test", "SST-2.tsv"),
        ("cola", "test", "CoLA.tsv"),
        ("ax", "test", "AX.tsv"),
        ("sst-2", "dev", None),
        ("lcqmc", "test", None),
    ],
)
def test_names_of_submissions(task, split, name):
    assert submission_name(find_data_set(task), split) == name
