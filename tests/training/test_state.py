"""Checkpoints to go on from: what is kept, and what damage does."""

import os
import signal

import numpy as np
import pytest
import tensorflow as tf

from modeling.errors import UserError
from modeling.training.schedules import SCHEDULES, UNUSED, Schedule
from modeling.training.settings import check_settings, write_settings
from modeling.training.sole_training import sole_training
from modeling.training.state import TrainingState
from modeling.training.stop import StopRequest

_POSITIONS = np.array([[3, 4, 5]])


@pytest.fixture
def variables():
    return {
        "bert/w": tf.Variable([1.0, 2.0]),
        "bert/w/adam_m": tf.Variable([0.5, 0.25]),
        "global_step": tf.Variable(0, dtype=tf.int64),
    }


def _save(state, variables, step):
    variables["global_step"].assign(step)
    variables["bert/w"].assign([float(step), -1.0])
    return state.save(_POSITIONS)


def test_what_is_saved_is_restored(variables, tmp_path):
    state = TrainingState(str(tmp_path), variables)
    assert state.restore() is None
    prefix = _save(state, variables, 7)
    for variable in variables.values():
        variable.assign(tf.zeros_like(variable))
    restored = state.restore()
    assert restored.prefix == prefix and restored.step == 7
    np.testing.assert_array_equal(restored.positions, _POSITIONS)
    np.testing.assert_array_equal(variables["bert/w"], [7.0, -1.0])
    np.testing.assert_array_equal(variables["bert/w/adam_m"], [0.5, 0.25])


def test_the_newest_are_kept_and_named(variables, tmp_path):
    state = TrainingState(str(tmp_path), variables, keep=2)
    for step in (5, 10, 100):
        _save(state, variables, step)
    names = [os.path.basename(prefix) for prefix in state.checkpoints()]
    assert names == ["model.ckpt-10", "model.ckpt-100"]
    assert not list(tmp_path.glob("model.ckpt-5.*"))
    newest = tf.train.latest_checkpoint(str(tmp_path))
    assert os.path.basename(newest) == "model.ckpt-100"


def test_all_are_kept_on_request(variables, tmp_path):
    state = TrainingState(str(tmp_path), variables, keep=0)
    for step in range(7):
        _save(state, variables, step)
    assert len(state.checkpoints()) == 7


@pytest.mark.parametrize("damage", ["cut", "flipped", "missing", "index"])
def test_damage_falls_back_to_the_one_before(
    damage, variables, tmp_path, caplog
):
    state = TrainingState(str(tmp_path), variables)
    _save(state, variables, 1)
    _save(state, variables, 2)
    data = tmp_path / "model.ckpt-2.data-00000-of-00001"
    index = tmp_path / "model.ckpt-2.index"
    content = data.read_bytes()
    if damage == "cut":
        data.write_bytes(content[:-3])
    elif damage == "flipped":
        data.write_bytes(bytes([content[0] ^ 1]) + content[1:])
    elif damage == "missing":
        data.unlink()
    else:
        index.write_bytes(index.read_bytes()[:20])
    assert state.restore().step == 1
    np.testing.assert_array_equal(variables["bert/w"], [1.0, -1.0])
    assert "model.ckpt-2" in caplog.text
    # The next save replaces what is damaged.
    _save(state, variables, 2)
    assert state.restore().step == 2


def test_nothing_whole_is_an_error(variables, tmp_path):
    state = TrainingState(str(tmp_path), variables)
    _save(state, variables, 1)
    (tmp_path / "model.ckpt-1.data-00000-of-00001").write_bytes(b"")
    with pytest.raises(UserError, match="No checkpoint to go on from is whole"):
        state.restore()


def test_another_model_is_an_error(variables, tmp_path):
    _save(TrainingState(str(tmp_path), variables), variables, 1)
    variables["bert/v"] = tf.Variable(1.0)
    with pytest.raises(UserError, match="lacks bert/v"):
        TrainingState(str(tmp_path), variables).restore()


def test_checkpoints_of_the_original_begin_the_data_anew(variables, tmp_path):
    """They know nothing of positions."""
    variables["global_step"].assign(9)
    with tf.compat.v1.Graph().as_default(), tf.compat.v1.Session() as session:
        saved = [
            tf.compat.v1.get_variable(name, initializer=value)
            for name, value in {
                "bert/w": np.float32([7, 8]),
                "bert/w/adam_m": np.float32([1, 2]),
                "global_step": np.int64(9),
            }.items()
        ]
        session.run(tf.compat.v1.global_variables_initializer())
        saver = tf.compat.v1.train.Saver(saved)
        saver.save(session, str(tmp_path / "model.ckpt"), global_step=9)
    restored = TrainingState(str(tmp_path), variables).restore()
    assert restored.step == 9
    np.testing.assert_array_equal(restored.positions, [[0, 0, 0]])
    np.testing.assert_array_equal(variables["bert/w"], [7.0, 8.0])


def test_a_failed_save_leaves_everything(variables, tmp_path, monkeypatch):
    state = TrainingState(str(tmp_path), variables)
    _save(state, variables, 1)
    before = {p.name: p.read_bytes() for p in tmp_path.iterdir()}

    def full_disk(**_):
        (tmp_path / "model.ckpt-2.tmp-0.data").write_bytes(b"half")
        raise tf.errors.ResourceExhaustedError(None, None, "No space left")

    monkeypatch.setattr(tf.raw_ops, "SaveV2", full_disk)
    with pytest.raises(UserError, match=r"model\.ckpt-2: No space left"):
        _save(state, variables, 2)
    (tmp_path / "model.ckpt-2.tmp-0.data").unlink()
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == before


def test_half_written_files_of_killed_runs_are_removed(variables, tmp_path):
    state = TrainingState(str(tmp_path), variables)
    _save(state, variables, 1)
    half = tmp_path / f"model.ckpt-2.tmp-{'0' * 32}.data-00000-of-00001"
    half.write_bytes(b"half")
    users = tmp_path / "model.ckpt-notes.txt"
    users.write_text("mine")
    state.remove_unfinished()
    assert not half.exists() and users.exists()
    assert state.restore().step == 1


def test_changed_settings_are_refused_by_name(tmp_path):
    check_settings(str(tmp_path), {"seed": 1}, allow_changes=False)
    write_settings(str(tmp_path), {"seed": 1, "files": ("a", "b")})
    check_settings(
        str(tmp_path), {"files": ["a", "b"], "seed": 1}, allow_changes=False
    )
    with pytest.raises(UserError, match="seed: 1 before, 2 now"):
        check_settings(str(tmp_path), {"seed": 2, "files": ["a", "b"]}, False)
    check_settings(str(tmp_path), {"seed": 2}, allow_changes=True)


def test_a_directory_is_trained_in_by_one_at_a_time(tmp_path):
    directory = tmp_path / "new"
    with sole_training(str(directory)):
        with (
            pytest.raises(UserError, match="Another process is training in"),
            sole_training(str(directory)),
        ):
            pass
        (directory / "file").write_text("")
    with sole_training(str(directory)):
        pass
    assert directory.exists()
    with sole_training(str(tmp_path / "unused")):
        pass
    assert not (tmp_path / "unused").exists()


def test_settings_that_cannot_be_read_are_told(tmp_path):
    for text in ("", "{", "[1]"):
        (tmp_path / "training_settings.json").write_text(text)
        with pytest.raises(UserError, match=r"Cannot read .*settings\.json"):
            check_settings(str(tmp_path), {"seed": 1}, allow_changes=False)


def _settings(kind, **changes):
    return {
        "schedule.kind": kind,
        "schedule.learning_rate": 1e-3,
        "schedule.num_train_steps": 100,
        "schedule.num_warmup_steps": 10,
        "schedule.num_decay_steps": 10,
        "schedule.power": 2.0,
        "num_train_epochs": 2.0,
        **changes,
    }


_LONGER = {
    "schedule.num_train_steps": 200,
    "schedule.num_decay_steps": 20,
    "num_train_epochs": 4.0,
}


@pytest.mark.parametrize(
    ("kind", "changes"),
    [
        ("constant", _LONGER),
        ("constant", {"schedule.power": 1.0}),
        ("linear", {"schedule.power": 1.0, "schedule.num_decay_steps": 5}),
        ("cosine", {"schedule.power": 1.0, "schedule.num_decay_steps": 5}),
        ("polynomial", {"schedule.num_decay_steps": 5}),
        ("wsd", {"schedule.power": 1.0}),
    ],
)
def test_settings_that_change_nothing_may_differ(tmp_path, kind, changes):
    write_settings(str(tmp_path), _settings(kind))
    check_settings(str(tmp_path), _settings(kind, **changes), False)
    # The same fields of schedules that use them, and others of this one.
    for different in (
        {"schedule.learning_rate": 2e-3},
        {"schedule.num_warmup_steps": 20},
        {"schedule.kind": "constant" if kind != "constant" else "linear"},
    ):
        with pytest.raises(UserError, match=next(iter(different))):
            now = _settings(kind, **{**changes, **different})
            check_settings(str(tmp_path), now, False)


@pytest.mark.parametrize(
    ("kind", "changes"),
    [
        # There may be weights of a later step than these.
        ("constant", {"schedule.num_train_steps": 99}),
        ("constant", {"num_train_epochs": 1.0, "schedule.num_train_steps": 50}),
        ("linear", _LONGER),
        ("cosine", _LONGER),
        ("polynomial", {"schedule.power": 1.0}),
        ("wsd", {"schedule.num_decay_steps": 20}),
    ],
)
def test_settings_that_change_the_rates_are_refused(tmp_path, kind, changes):
    write_settings(str(tmp_path), _settings(kind))
    with pytest.raises(UserError) as error:
        check_settings(str(tmp_path), _settings(kind, **changes), False)
    for name in changes.keys() - {"schedule.num_decay_steps"} or changes:
        assert name in str(error.value)


@pytest.mark.parametrize("kind", SCHEDULES)
def test_rates_do_not_depend_on_what_is_called_unused(kind):
    steps = np.arange(0, 120, 7)
    values = {"num_train_steps": 100, "num_decay_steps": 10, "power": 2.0}
    others = {"num_train_steps": 170, "num_decay_steps": 30, "power": 3.0}
    rates = Schedule(1e-3, num_warmup_steps=10, kind=kind, **values)(steps)
    for name, other in others.items():
        changed = {**values, name: other}
        found = Schedule(1e-3, num_warmup_steps=10, kind=kind, **changed)(steps)
        assert np.array_equal(found, rates) == (name in UNUSED[kind]), name


def test_a_signal_asks_to_stop_once():
    before = signal.getsignal(signal.SIGTERM)
    with StopRequest() as stop:
        assert not stop
        os.kill(os.getpid(), signal.SIGTERM)
        assert stop and stop.signal == signal.SIGTERM
        # A second one has its usual effect.
        assert signal.getsignal(signal.SIGTERM) == before
    with StopRequest() as stop:
        os.kill(os.getpid(), signal.SIGINT)
        assert stop.signal == signal.SIGINT


def test_the_time_allowed():
    with StopRequest(max_seconds=1000) as stop:
        assert not stop
    with StopRequest(max_seconds=0) as stop:
        assert stop and stop.signal is None
