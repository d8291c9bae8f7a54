"""Tokenizing a stream of texts in several processes."""

import itertools
from collections.abc import Iterable, Iterator

from modeling.errors import UserError
from modeling.tokenization.interface import Tokenizer
from modeling.workers import Workers


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
      num_workers: processes, see `Workers`; up to 1 means this one.
      chunk_size: texts that a worker gets at once.

    Raises:
      UserError: a chunk_size below 1.
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
    with Workers({"encode": tokenizer.encode_batch}, num_workers) as workers:
        for _, encoded in workers.map("encode", chunks):
            yield from encoded
