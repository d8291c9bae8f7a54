"""Answers of a model that is trained already."""

import io
import sys

import numpy as np
import pytest
from absl import flags
from absl.testing import flagsaver

from tests.run_classifier.runs import run_script, sentences
from tests.scripts import load_script


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
