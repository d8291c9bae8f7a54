"""Tokenizing a stream of texts in several processes."""

import collections
import itertools
import multiprocessing
import os
import threading
from collections.abc import Iterable, Iterator
from concurrent import futures

from modeling.errors import UserError
from modeling.tokenization.interface import Tokenizer


def encode_stream(
    tokenizer: Tokenizer,
    texts: Iterable[str],
    num_workers: int,
    chunk_size: int = 1000,
) -> Iterator[list[int]]:
    """Yields the ids of every text, in order, as they come.

    The texts are read only as far as the workers need: memory holds about
    2 x num_workers x chunk_size of them. An exception in a worker is raised
    here. The workers end with the iterator, be it used up, closed or dropped.

    Args:
      tokenizer: sent to every worker once.
      texts: anything that can be iterated once.
      num_workers: processes; up to 1 means this one.
      chunk_size: texts that a worker gets at once.

    Raises:
      UserError: a chunk_size below 1.

    As everywhere with processes that are spawned (a fork of a process in which
    TensorFlow runs may hang), a script that calls this must keep its work under
    `if __name__ == "__main__":`.
    """
    if chunk_size < 1:
        raise UserError(f"chunk_size must be positive. Received: {chunk_size}")
    if num_workers <= 1:
        return map(tokenizer.encode, texts)
    return _encode_in_workers(tokenizer, iter(texts), num_workers, chunk_size)


def _encode_in_workers(
    tokenizer: Tokenizer,
    texts: Iterator[str],
    num_workers: int,
    chunk_size: int,
) -> Iterator[list[int]]:
    chunks = iter(lambda: list(itertools.islice(texts, chunk_size)), [])
    executor = futures.ProcessPoolExecutor(
        num_workers,
        mp_context=multiprocessing.get_context("spawn"),
        initializer=_start_worker,
        initargs=(tokenizer,),
    )
    pending: collections.deque[futures.Future] = collections.deque()
    try:
        for chunk in chunks:
            pending.append(executor.submit(_encode_chunk, chunk))
            # One chunk in work and one waiting for every worker.
            if len(pending) >= 2 * num_workers:
                yield from pending.popleft().result()
        while pending:
            yield from pending.popleft().result()
    finally:
        executor.shutdown(wait=True, cancel_futures=True)


_tokenizer: Tokenizer


def _start_worker(tokenizer: Tokenizer) -> None:
    global _tokenizer
    _tokenizer = tokenizer
    threading.Thread(target=_exit_with_parent, daemon=True).start()


def _exit_with_parent() -> None:
    # A parent that was killed cannot shut its workers down.
    multiprocessing.parent_process().join()
    os._exit(1)


def _encode_chunk(texts: list[str]) -> list[list[int]]:
    return _tokenizer.encode_batch(texts)
