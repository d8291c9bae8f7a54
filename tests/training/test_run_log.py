"""What a run tells, by a clock that tests turn."""

import glob
import json
import math

import numpy as np
import pytest
import tensorflow as tf
from absl import logging

from modeling import progress
from modeling.progress import Phases
from modeling.training.run_log import RunLog
from modeling.training.run_record import RunRecord
from modeling.training.scalars import Scalars


class Clock:
    """Seconds that pass when told to."""

    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now

    def passes(self, seconds):
        self.now += seconds


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def lines(monkeypatch):
    told = []
    monkeypatch.setattr(
        logging, "info", lambda text, *values: told.append(text % values)
    )
    monkeypatch.setattr(
        logging, "warning", lambda text, *values: told.append(text % values)
    )
    return told


def recorded(directory):
    with open(directory / "run.jsonl", encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def scalars(directory):
    """{tag: {step: value}} of the event files right in a directory."""
    found = {}
    for path in glob.glob(str(directory / "events.out.tfevents.*")):
        for record in tf.data.TFRecordDataset(path):
            event = tf.compat.v1.Event.FromString(record.numpy())
            for value in event.summary.value:
                assert value.metadata.plugin_data.plugin_name == "scalars"
                number = float(tf.make_ndarray(value.tensor))
                found.setdefault(value.tag, {})[event.step] = number
    return found


def begin(tmp_path, clock, **options):
    log = RunLog(str(tmp_path), total_steps=100, clock=clock, **options)
    log.start(10)
    clock.passes(60)
    log.compiled(11, 60.0)
    log.advance(1)
    return log


def report(log, step, steps, **changes):
    values = {
        "steps": steps,
        "sequences": 8.0 * steps,
        "tokens": 1000.0 * steps,
        "waited": 0.5,
        **changes,
    }
    log.train(step, {"loss": 6.25, "learning_rate": 1e-5}, **values)


def test_rates_leave_out_the_first_step_and_pauses(tmp_path, clock, lines):
    log = begin(tmp_path, clock, ceiling=lambda: 1e10)
    clock.passes(9 * 0.5)
    report(log, 20, 10, flops=3e10)
    with log.pause("saving"):
        clock.passes(30)
    clock.passes(10)
    with log.pause("evaluation"):
        clock.passes(50)
    with log.pause("saving"):
        clock.passes(5)
    report(log, 30, 10, waited=2.5, flops=4e10)

    first, second = [e for e in recorded(tmp_path) if e["event"] == "train"]
    assert first["steps_per_second"] == pytest.approx(2)
    assert first["sequences_per_second"] == pytest.approx(16)
    assert first["tokens_per_second"] == pytest.approx(2000)
    assert first["input_waiting"] == pytest.approx(0.5 / 4.5)
    assert first["model_flops_per_second"] == pytest.approx(6e9)
    assert "model_flops_utilization" not in first
    assert first["paused_seconds"] == {}
    assert second["steps_per_second"] == pytest.approx(1)
    assert second["input_waiting"] == pytest.approx(0.25)
    assert second["model_flops_per_second"] == pytest.approx(4e9)
    assert second["paused_seconds"] == {"saving": 35, "evaluation": 50}
    assert second["metrics"] == {"loss": 6.25, "learning_rate": 1e-5}
    assert lines[0] == "The first step took 60.0 s, compilation included."
    assert lines[1:] == [
        "Step 20/100, loss 6.25, learning_rate 1e-05, 16 sequences/s, "
        "2,000 tokens/s, 11.1% waiting for input, 00:40 left",
        "Step 30/100, loss 6.25, learning_rate 1e-05, 8 sequences/s, "
        "1,000 tokens/s, 25.0% waiting for input, "
        "40.0% of the device's arithmetic, 01:10 left",
    ]


def test_the_ceiling_is_measured_once_it_takes_little_beside_the_run(
    tmp_path, clock, lines
):
    measured = []

    def measure():
        clock.passes(1)
        measured.append(clock.now)
        return 1e10

    log = begin(tmp_path, clock, ceiling=measure)
    for step in (20, 30, 40, 50):
        clock.passes(2 if step == 20 else 2.5)
        report(log, step, 10, flops=1.5e10)
    reports = [e for e in recorded(tmp_path) if e["event"] == "train"]
    # 2, 4.5 and then 7 seconds of training; the first step took a minute.
    assert ["model_flops_utilization" in e for e in reports] == [
        False,
        False,
        True,
        True,
    ]
    assert len(measured) == 1
    # The second that it took is in no rate.
    for event in reports[2:]:
        assert event["steps_per_second"] == pytest.approx(4)
        assert event["model_flops_per_second"] == pytest.approx(6e9)
        assert event["model_flops_utilization"] == pytest.approx(0.6)
    assert reports[3]["paused_seconds"] == {"measuring": 1}
    assert "60.0% of the device's arithmetic, 00:15 left" in lines[-2]


def test_steps_that_are_not_counted_have_no_share(tmp_path, clock, lines):
    log = begin(tmp_path, clock, ceiling=lambda: pytest.fail("measured"))
    clock.passes(1000)
    report(log, 20, 10)
    assert not [name for name in recorded(tmp_path)[-1] if "flops" in name]
    assert "arithmetic" not in lines[-1]


def test_a_report_on_the_first_step_alone_has_no_rates(tmp_path, clock, lines):
    log = begin(tmp_path, clock)
    report(log, 11, 1)
    assert lines[-1] == "Step 11/100, loss 6.25, learning_rate 1e-05"
    assert "steps_per_second" not in recorded(tmp_path)[-1]


def test_everything_is_recorded_in_order(tmp_path, clock, lines):
    log = begin(tmp_path, clock)
    clock.passes(1)
    report(log, 20, 10)
    log.event("saved", 20, checkpoint="here/ckpt-20")
    log.evaluation(20, {"loss": np.float32(0.5), "accuracy": math.nan}, 2.0)
    phases = Phases()
    phases.seconds["training"] = 12.5
    log.end(phases)
    events = recorded(tmp_path)
    assert [(e["event"], e["step"]) for e in events] == [
        ("started", 10),
        ("compiled", 11),
        ("train", 20),
        ("saved", 20),
        ("evaluation", 20),
        ("ended", 20),
    ]
    assert all(e["time"] > 1.7e9 for e in events)
    assert events[1]["seconds"] == 60
    assert events[3]["checkpoint"] == "here/ckpt-20"
    # JSON has no such number.
    assert events[4]["metrics"] == {"loss": 0.5, "accuracy": "nan"}
    assert events[5]["seconds"] == {"training": 12.5}
    assert lines[-3:] == [
        "Step 20: saved, checkpoint here/ckpt-20",
        "Evaluation of step 20: loss 0.5, accuracy nan, 2.0 s",
        "Time: training 12.50 s",
    ]


def test_tensorboard_sees_training_and_evaluation_apart(tmp_path, clock):
    log = begin(tmp_path, clock)
    clock.passes(9)
    report(log, 20, 10)
    log.evaluation(20, {"loss": 0.5}, 2.0)
    training = scalars(tmp_path)
    assert training["loss"] == {20: 6.25}
    assert training["learning_rate"][20] == pytest.approx(1e-5)
    assert training["sequences_per_second"] == {20: 8.0}
    assert scalars(tmp_path / "eval") == {"loss": {20: 0.5}}


def test_other_hosts_are_silent(tmp_path, clock, lines):
    log = begin(tmp_path, clock, is_chief=False)
    clock.passes(1)
    report(log, 20, 10)
    with log.pause("evaluation"):
        log.evaluation(20, {"loss": 0.5}, 2.0)
    log.event("saved", 20)
    log.end(Phases())
    assert not lines
    assert not list(tmp_path.iterdir())


def test_evaluation_without_training(tmp_path, lines):
    log = RunLog(str(tmp_path), total_steps=100)
    log.evaluation(7, {"loss": 0.5}, 2.0)
    log.end(Phases())
    assert [e["event"] for e in recorded(tmp_path)] == ["evaluation", "ended"]
    assert lines[0] == "Evaluation of step 7: loss 0.5, 2.0 s"


def test_a_torn_line_is_cut_off(tmp_path):
    path = tmp_path / "run.jsonl"
    path.write_text('{"event": "a", "step": 1}\n{"event": "tra')
    RunRecord(str(path)).write("b", 2)
    assert [e["event"] for e in recorded(tmp_path)] == ["a", "b"]
    # A line that is nothing but torn.
    path.write_text('{"eve')
    record = RunRecord(str(path))
    record.write("c", 3)
    record.write("d", 4)
    assert [e["event"] for e in recorded(tmp_path)] == ["c", "d"]


def test_a_remote_record_grows_as_well(tmp_path):
    # TensorFlow's storage in memory stands in for a bucket.
    path = f"ram:/{tmp_path}/run.jsonl"
    tf.io.gfile.makedirs(f"ram:/{tmp_path}")
    RunRecord(path).write("a", 1)
    RunRecord(path).write("b", 2)
    with tf.io.gfile.GFile(path) as file:
        events = [json.loads(line)["event"] for line in file]
    assert events == ["a", "b"]


def test_what_cannot_be_written_ends_no_run(tmp_path, lines):
    record = RunRecord(str(tmp_path / "nowhere" / "run.jsonl"))
    record.write("saved", 5)
    assert "Not recorded in" in lines[0] and "the event saved" in lines[0]
    (tmp_path / "nowhere").mkdir()
    record.write("saved", 6)
    (event,) = recorded(tmp_path / "nowhere")
    assert event["step"] == 6
    (tmp_path / "file").write_text("")
    Scalars(str(tmp_path / "file")).write(5, {"loss": 1.0})
    assert "Not written for TensorBoard" in lines[1]


def test_a_terminal_gets_a_bar(tmp_path, clock, lines, capsys, monkeypatch):
    monkeypatch.setattr(progress.sys.stderr, "isatty", lambda: True)
    log = begin(tmp_path, clock)
    clock.passes(9)
    log.advance(9)
    report(log, 20, 10)
    log.event("saved", 20)
    log.end(Phases())
    shown = capsys.readouterr().err
    assert "loss 6.25" in shown
    assert "20/100" in shown
    assert "Step 20: saved\n" in shown
    assert lines == ["Time: "]
