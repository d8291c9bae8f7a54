"""What the loop does when, and how it ends and goes on."""

import collections
import contextlib
import math

import numpy as np
import pytest
import tensorflow as tf

from modeling.errors import UserError
from modeling.training.evaluation import Evaluator
from modeling.training.loop import Hooks, LoopOptions, Trainer
from modeling.training.schedules import Schedule
from modeling.training.state import TrainingState
from modeling.training.stop import StopRequest
from tests.training.harness import Layout, Line, Training

_SCHEDULE = Schedule(0.1, 10, 2)


class Recorder:
    """A run log that keeps what it is told."""

    def __init__(self, directory="."):
        self.directory = directory
        self.calls = collections.defaultdict(list)

    def __getattr__(self, name):
        def record(*args, **kwargs):
            self.calls[name].append((args, kwargs))

        return record

    @contextlib.contextmanager
    def pause(self, what):
        yield

    def steps(self, name):
        return [args[0] for args, _ in self.calls[name]]


class Run:
    """A trainer of `Line`, its files and its log."""

    def __init__(
        self,
        directory,
        options,
        stop=None,
        data=None,
        give_up_at=math.inf,
        **step,
    ):
        self.give_up_at = give_up_at
        self.training = Training(Line(), {}, _SCHEDULE, Layout(), **step)
        variables = {
            **{v.path: v for v in self.training.model.weights},
            **self.training.optimizer.variables,
            **self.training.step.variables,
        }
        self.state = TrainingState(str(directory), variables)
        self.restored = self.state.restore()
        self.log = Recorder(str(directory))
        self.done = collections.defaultdict(list)
        trainer = Trainer(
            self.training.step,
            self.state,
            self.training.strategy,
            Line().metrics,
            options,
            self.log,
            stop if stop is not None else StopRequest(),
            Hooks(self._evaluate, self.done["export"].append),
        )
        position = np.zeros(3, np.int64)
        if self.restored is not None:
            position = self.restored.positions[0]
        self.end = trainer.train((data or _data)(position), position)

    def _evaluate(self, step):
        self.done["evaluate"].append(step)
        return step >= self.give_up_at

    @property
    def weight(self):
        return self.training.weights["line/w"]


def _data(position):
    """Endless batches, each a function of its number."""

    def batch(number):
        x = tf.random.stateless_normal([4], [number, 1])
        return (
            {"x": x, "y": 3.0 * x},
            tf.stack([tf.zeros([], tf.int64), number + 1, 0]),
        )

    return tf.data.Dataset.counter(position[1]).map(batch)


def _spoilt_in(step, change):
    """The same data, of which one step's features are changed."""

    def data(position):
        def spoil(features, place):
            is_due = place[1] == step
            spoilt = change(features)
            return {
                name: tf.where(is_due, spoilt[name], values)
                for name, values in features.items()
            }, place

        return _data(position).map(spoil)

    return data


def _huge(features):
    return {name: 1e17 * values for name, values in features.items()}


def test_everything_when_it_is_due(tmp_path):
    options = LoopOptions(
        num_train_steps=10,
        save_checkpoints_steps=4,
        log_steps=3,
        eval_every=5,
        export_every=6,
    )
    run = Run(tmp_path, options)
    assert run.end == 10
    # Each save reports first, so that no bad step is saved.
    assert run.log.steps("train") == [3, 4, 5, 6, 8, 9, 10]
    assert [p.rpartition("-")[2] for p in run.state.checkpoints()] == [
        "4",
        "8",
        "10",
    ]
    assert run.done == {"evaluate": [5, 10], "export": [6]}
    assert run.log.steps("compiled") == [1]
    (step, metrics), told = run.log.calls["train"][0]
    assert set(metrics) == {"loss", "error", "learning_rate", "gradient_norm"}
    assert told["steps"] == 3 and told["sequences"] == 12
    assert told["flops"] == 12
    assert metrics["loss"] == pytest.approx(metrics["error"] ** 2, rel=0.3)


class AfterThree:
    """Asks to stop after three steps."""

    asked = 0

    def __bool__(self):
        self.asked += 1
        return self.asked >= 3


def test_an_interrupted_run_goes_on_exactly(tmp_path):
    options = LoopOptions(num_train_steps=10, save_checkpoints_steps=100)
    whole = Run(tmp_path / "whole", options)

    cut = Run(tmp_path / "cut", options, stop=AfterThree())
    assert cut.end == 3 and len(cut.state.checkpoints()) == 1
    rest = Run(tmp_path / "cut", options)
    assert rest.restored.step == 3 and rest.end == 10
    assert rest.weight == whole.weight
    slots, expected = rest.training.slots, whole.training.slots
    assert {k: v.tobytes() for k, v in slots.items()} == {
        k: v.tobytes() for k, v in expected.items()
    }


def test_an_evaluation_may_end_it(tmp_path):
    options = LoopOptions(10, eval_every=2)
    run = Run(tmp_path, options, give_up_at=4)
    assert run.end == 4 and run.state.checkpoints()[-1].endswith("-4")


def test_steps_without_the_host_are_the_same(tmp_path):
    one = Run(tmp_path / "one", LoopOptions(10, 4, log_steps=5))
    many = Run(tmp_path / "many", LoopOptions(10, 4, 5, steps_per_call=3))
    assert many.weight == one.weight
    assert many.state.checkpoints()[-1].endswith("-10")
    assert many.log.steps("train") == one.log.steps("train")
    assert many.log.steps("advance") == [3, 1, 1, 3, 2]
    flops = [told["flops"] for _, told in many.log.calls["train"]]
    assert flops == [told["flops"] for _, told in one.log.calls["train"]]
    assert sum(flops) == 10 * 4


def test_operations_are_those_of_all_replicas():
    training = Training(Line(), {}, _SCHEDULE, Layout(replicas=2))
    x = np.ones(6, np.float32)
    assert training.step.flops(training.spread({"x": x, "y": x})) == 6


def test_a_loss_that_is_not_finite_ends_with_the_step(tmp_path):
    data = _spoilt_in(6, lambda f: {**f, "x": f["x"] * math.nan})
    options = LoopOptions(10, save_checkpoints_steps=4, log_steps=100)
    with pytest.raises(UserError) as error:
        Run(tmp_path, options, data=data)
    message = str(error.value)
    assert "loss of step 6 is nan" in message
    assert "model.ckpt-4" in message and "--learning_rate" in message
    # Nothing spoilt was saved.
    state = TrainingState(str(tmp_path), {})
    assert [p[-2:] for p in state.checkpoints()] == ["-4"]


def test_gradients_that_are_not_finite_end_it_before_they_are_saved(tmp_path):
    # The loss is finite, the square of its gradient is not.
    data = _spoilt_in(4, _huge)
    options = LoopOptions(4, save_checkpoints_steps=2)
    with pytest.raises(UserError, match="norm of its gradients inf .*ckpt-2"):
        Run(tmp_path, options, data=data)
    state = TrainingState(str(tmp_path), {})
    assert [p[-2:] for p in state.checkpoints()] == ["-2"]


def test_float16_skips_what_overflows(tmp_path):
    # The loss is finite, its scaled gradient is not.
    data = _spoilt_in(3, _huge)
    options = LoopOptions(2)
    before = Run(tmp_path / "a", options, data=data, loss_scale="dynamic")
    assert before.training.step.variables["loss_scale"].numpy() == 2.0**15
    run = Run(tmp_path / "b", LoopOptions(3), data=data, loss_scale="dynamic")
    assert run.weight == before.weight
    assert run.training.step.variables["loss_scale"].numpy() == 2.0**14
    # Scaling changes nothing else.
    plain = Run(tmp_path / "c", options, data=data)
    assert plain.weight == pytest.approx(before.weight, rel=1e-6)


def test_profile(tmp_path):
    Run(tmp_path, LoopOptions(6, profile_steps=(2, 3)))
    assert list(tmp_path.rglob("*.xplane.pb"))


def test_a_profile_is_written_though_the_run_ends_within_it(tmp_path):
    Run(tmp_path, LoopOptions(6, profile_steps=(2, 6)), stop=AfterThree())
    assert list(tmp_path.rglob("*.xplane.pb"))


def test_evaluation_weighs_batches_by_their_sequences():
    training = Training(Line(), {}, _SCHEDULE, Layout())
    evaluator = Evaluator(Line(), training.model, training.strategy)
    x = np.float32([1, 2, 3, 4, 5])
    batches = [{"x": x[:4], "y": 2 * x[:4]}, {"x": x[4:], "y": 2 * x[4:]}]
    counts = []
    metrics = evaluator.evaluate(batches, counts.append)
    assert counts == [4, 1]
    assert metrics["loss"] == pytest.approx((30 + 25) / 5)
    assert metrics["error"] == pytest.approx(11**0.5)
