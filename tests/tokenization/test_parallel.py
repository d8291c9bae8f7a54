"""Tokenizing in several processes."""

import itertools
import multiprocessing
import os
import time

import pytest

from modeling.errors import UserError
from modeling.tokenization import FastTokenizer
from modeling.tokenization.parallel import encode_stream

_TEXTS = [f"the {'a ' * (n % 7)}cafe {n % 2}" for n in range(103)]


class _FailingTokenizer:
    def encode_batch(self, texts):
        raise KeyError("text of process", os.getpid())


@pytest.fixture
def tokenizer(vocab_file) -> FastTokenizer:
    return FastTokenizer.from_vocab_file(vocab_file)


@pytest.mark.parametrize("num_workers", [0, 1])
def test_one_process_encodes_as_it_goes(tokenizer, num_workers):
    endless = itertools.cycle(_TEXTS)
    stream = encode_stream(tokenizer, endless, num_workers)
    first = list(itertools.islice(stream, 103))
    assert first == tokenizer.encode_batch(_TEXTS)


def test_workers_keep_order_read_little_and_end(tokenizer):
    taken = 0

    def endless():
        nonlocal taken
        for text in itertools.cycle(_TEXTS):
            taken += 1
            yield text

    stream = encode_stream(tokenizer, endless(), num_workers=2, chunk_size=10)
    first = list(itertools.islice(stream, 206))
    assert first == tokenizer.encode_batch(_TEXTS * 2)
    assert taken <= 206 + 2 * 2 * 10
    assert multiprocessing.active_children()
    stream.close()
    deadline = time.monotonic() + 10
    while multiprocessing.active_children() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not multiprocessing.active_children()


def test_error_in_a_worker_reaches_the_caller():
    with pytest.raises(KeyError, match="text of process") as caught:
        list(encode_stream(_FailingTokenizer(), _TEXTS, num_workers=2))
    assert caught.value.args[1] != os.getpid()
    assert not multiprocessing.active_children()


def test_chunk_size_is_checked_at_once(tokenizer):
    with pytest.raises(UserError, match="chunk_size .* Received: 0"):
        encode_stream(tokenizer, _TEXTS, num_workers=2, chunk_size=0)
