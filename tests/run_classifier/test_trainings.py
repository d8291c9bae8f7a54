"""Which of many weights is kept, and trainings that are interrupted."""

import json
import random
import signal
import subprocess
import time

import numpy as np
import pytest

from modeling.errors import UserError
from tests.run_classifier.runs import run_script, weights_of
from tests.scripts import events_of, results_of


@pytest.mark.parametrize("name", ["model_flags.json", "best.json"])
def test_a_file_that_cannot_be_written_is_told(name, run, tmp_path):
    # A directory in its place stands for a full disk.
    (tmp_path / "full" / name).mkdir(parents=True)
    with pytest.raises(UserError, match=f"Cannot write .*{name}"):
        run(
            do_train=True,
            num_train_epochs=1.0,
            eval_each_epoch=True,
            output_dir=str(tmp_path / "full"),
        )


def test_the_best_weights_are_kept_and_training_ends_early(run):
    out = run(
        do_train=True,
        do_eval=True,
        num_train_epochs=40.0,
        eval_each_epoch=True,
        early_stopping_patience=2,
        save_checkpoints_steps=8,
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

    # Nor where it was killed before the last step was saved.
    for path in out.glob(f"model.ckpt-{steps[-1]}.*"):
        path.unlink()
    run(
        do_train=True,
        num_train_epochs=40.0,
        eval_each_epoch=True,
        early_stopping_patience=2,
    )
    assert len(events_of(out, "evaluation")) == len(steps)
    for name, value in weights_of(out).items():
        np.testing.assert_array_equal(value, kept[name], name)


def test_a_constant_rate_goes_on_to_more_epochs(run, tmp_path):
    values = {
        "do_train": True,
        "lr_schedule": "constant",
        "warmup_proportion": 0.0,
    }
    run(**values, num_train_epochs=2.0, output_dir=str(tmp_path / "whole"))
    whole = weights_of(tmp_path / "whole")
    out = run(**values, num_train_epochs=1.0)
    run(**values, num_train_epochs=2.0)
    assert [event["step"] for event in events_of(out, "started")] == [0, 10]
    for name, value in weights_of(out).items():
        np.testing.assert_array_equal(value, whole[name], name)
    with pytest.raises(ValueError, match="num_train_epochs: 2.0 before, 1.0"):
        run(**values, num_train_epochs=1.0)


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
            "--eval_each_epoch",
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
    expected = weights_of(whole, "best_model.ckpt")
    for name, value in weights_of(cut, "best_model.ckpt").items():
        np.testing.assert_array_equal(value, expected[name], name)
    best = json.loads((whole / "best.json").read_text())
    assert json.loads((cut / "best.json").read_text()) == best
