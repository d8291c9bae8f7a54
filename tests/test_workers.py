"""Functions in several processes."""

import os
import signal

import pytest

from modeling.errors import UserError
from modeling.workers import Workers


def _square(number):
    return number * number


def _die(number):
    os.kill(os.getpid(), signal.SIGKILL)


def _interrupt(number):
    os.kill(os.getpid(), signal.SIGINT)
    return number


def _fail(number):
    raise ValueError(f"no {number}")


@pytest.mark.parametrize("num_workers", [1, 2])
def test_results_come_in_order(num_workers):
    with Workers({"square": _square}, num_workers) as workers:
        results = list(workers.map("square", range(9)))
    assert results == [(number, number**2) for number in range(9)]


def test_an_exception_is_raised_here():
    with Workers({"fail": _fail}, 2) as workers:
        with pytest.raises(ValueError, match="no 0"):
            list(workers.map("fail", range(9)))


def test_ctrl_c_is_the_parents_to_take():
    with Workers({"interrupt": _interrupt}, 2) as workers:
        results = list(workers.map("interrupt", range(3)))
    assert results == [(number, number) for number in range(3)]


def test_a_killed_process_is_told():
    with Workers({"die": _die}, 2) as workers:
        with pytest.raises(UserError, match="worker process was killed"):
            list(workers.map("die", range(9)))
