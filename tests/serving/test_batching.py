"""Which rows are computed together, and when."""

import asyncio
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
import tensorflow as tf

from modeling.serving.batching import Batcher, BatchOptions, Waiting, choose
from modeling.serving.limits import RequestRefused


class Work:
    """Doubles numbers, while it is allowed to."""

    def __init__(self):
        self.allowed = threading.Event()
        self.allowed.set()
        self.batches = []

    def __call__(self, rows):
        assert self.allowed.wait(10)
        self.batches.append(rows)
        if "wrong" in rows:
            raise tf.errors.InvalidArgumentError(None, None, "in it\n\t [[x]]")
        if "defect" in rows:
            raise RuntimeError("a defect")
        return [{"y": 2 * row} for row in rows]


def run(test, work=None, reports=None, **options):
    """Runs a coroutine with a batcher."""
    work = work or Work()

    async def main():
        observe = (lambda report: None) if reports is None else reports.append
        with ThreadPoolExecutor(1) as executor:
            options_ = BatchOptions(**{"wait_seconds": 0.01, **options})
            batcher = Batcher(work, options_, executor, observe)
            try:
                await asyncio.wait_for(test(batcher, work), 10)
            finally:
                work.allowed.set()
                await asyncio.wait_for(batcher.drain(), 10)

    asyncio.run(main())


async def started(work, batches):
    while len(work.batches) < batches:
        await asyncio.sleep(0.001)


def test_rows_that_come_together_are_computed_together():
    reports = []

    async def test(batcher, work):
        one = batcher.submit([1, 2], [5, 5])
        two = batcher.submit([3], [10])
        assert await one.answers == [{"y": 2}, {"y": 4}]
        assert await two.answers == [{"y": 6}]
        assert work.batches == [[1, 2, 3]]

    run(test, reports=reports)
    (report,) = reports
    assert report.rows == 3
    assert report.padding == pytest.approx(1 - 20 / 30)
    assert all(0 <= waited < 5 for waited in report.waited)


def test_a_lonely_client_does_not_wait():
    async def test(batcher, work):
        for _ in range(3):
            await asyncio.wait_for(batcher.submit([1], [5]).answers, 5)

    run(test, wait_seconds=1000)


def test_a_row_waits_for_as_many_as_came_before():
    async def test(batcher, work):
        await batcher.submit([1, 2], [5, 5]).answers
        one = batcher.submit([3], [5])
        await asyncio.sleep(0.01)
        assert work.batches == [[1, 2]]
        two = batcher.submit([4], [5])
        await asyncio.wait_for(asyncio.gather(one.answers, two.answers), 5)
        assert work.batches == [[1, 2], [3, 4]]

    run(test, wait_seconds=1000)


def test_but_no_longer_than_it_should():
    async def test(batcher, work):
        await batcher.submit([1, 2], [5, 5]).answers
        began = time.monotonic()
        await batcher.submit([3], [5]).answers
        assert 0.09 < time.monotonic() - began < 2

    run(test, wait_seconds=0.1)


def test_a_full_batch_does_not_wait():
    async def test(batcher, work):
        await batcher.submit([1] * 4, [25] * 4).answers
        one = batcher.submit([1], [50])
        await asyncio.sleep(0.01)
        two = batcher.submit([2], [50])
        await asyncio.wait_for(asyncio.gather(one.answers, two.answers), 5)

    run(test, wait_seconds=1000, tokens=100)


def test_what_comes_during_a_batch_is_the_next():
    async def test(batcher, work):
        work.allowed.clear()
        first = batcher.submit([1], [5])
        await asyncio.sleep(0.03)
        others = [batcher.submit([n], [5]) for n in (2, 3, 4)]
        await asyncio.sleep(0.03)
        assert batcher.queue == 3
        work.allowed.set()
        await asyncio.gather(*(p.answers for p in (first, *others)))
        assert work.batches == [[1], [2, 3, 4]]

    run(test)


def test_past_the_queue_requests_are_refused():
    async def test(batcher, work):
        kept = batcher.submit([1, 2], [5, 5])
        with pytest.raises(RequestRefused, match="2 texts are waiting") as e:
            batcher.submit([3, 4], [5, 5])
        assert e.value.status == 429
        assert e.value.retry_after == 1
        await kept.answers
        # There is room again.
        await batcher.submit([3, 4], [5, 5]).answers

    run(test, queue=3)


def test_rows_of_a_cancelled_request_are_not_computed():
    async def test(batcher, work):
        work.allowed.clear()
        first = batcher.submit([1], [5])
        await asyncio.sleep(0.03)
        gone, stays = batcher.submit([2, 3], [5, 5]), batcher.submit([4], [5])
        gone.cancel()
        # Too late to be spared, but not in the way.
        first.cancel()
        assert batcher.queue == 1
        work.allowed.set()
        assert await stays.answers == [{"y": 8}]
        assert work.batches == [[1], [4]]

    run(test)


@pytest.mark.parametrize(
    ("row", "status", "reason"),
    [
        ("wrong", 400, "cannot take this input: in it$"),
        ("defect", 500, "server's log says why"),
    ],
)
def test_a_bad_request_spoils_no_other(row, status, reason):
    async def test(batcher, work):
        good = batcher.submit([1, 2], [5, 5])
        bad = batcher.submit([3, row], [5, 5])
        also_good = batcher.submit([4], [5])
        with pytest.raises(RequestRefused, match=reason) as error:
            await bad.answers
        assert error.value.status == status
        assert await good.answers == [{"y": 2}, {"y": 4}]
        assert await also_good.answers == [{"y": 8}]
        # And it goes on.
        assert await batcher.submit([5], [5]).answers == [{"y": 10}]

    run(test)


def test_a_long_request_is_split_and_put_together():
    async def test(batcher, work):
        pending = batcher.submit(list(range(100)), [10] * 100)
        answers = await pending.answers
        assert answers == [{"y": 2 * n} for n in range(100)]
        assert [len(batch) for batch in work.batches] == [30, 30, 30, 10]

    run(test, tokens=300)


def test_drained_means_answered():
    async def test(batcher, work):
        pending = [batcher.submit([n], [200]) for n in range(20)]
        await batcher.drain()
        assert all(p.is_over for p in pending)
        assert len(work.batches) == 2

    run(test)


def chosen(lengths, tokens=2048):
    waiting = [Waiting(None, n, None, i, 0.0) for i, n in enumerate(lengths)]
    return sorted(row.index for row in choose(waiting, tokens))


def test_the_oldest_is_always_chosen():
    assert chosen([5000, 10, 10]) == [0]
    assert chosen([10, 5000, 10]) == [0, 2]
    assert chosen([]) == []


def test_neighbours_in_length_are_chosen():
    # 4 x 100 are the budget; 300 would not fit beside 100.
    assert chosen([100, 300, 90, 10, 95, 80], tokens=400) == [0, 2, 4, 5]


def test_padding_is_no_reason_for_another_batch():
    assert chosen([200, 10]) == [0, 1]
    assert chosen([200, 10], tokens=399) == [0]


def test_one_token_means_one_row():
    assert chosen([1, 1, 1], tokens=1) == [0]
