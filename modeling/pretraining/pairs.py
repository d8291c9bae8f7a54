"""Documents -> sentences -> pairs of segments, many documents at a time.

A segment is a run of tokens of the corpus, so an instance is told by where its
segments start, how long they are and the key of what remains to be drawn.

Every document goes through the original's loop, in step with the others: one
turn makes one instance of every document that is not used up.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np

from modeling.pretraining.corpus import Corpus
from modeling.pretraining.options import InstanceOptions
from modeling.pretraining.random_streams import (
    below,
    document_streams,
    draw,
    happens,
    heads,
)

INSTANCE = np.dtype(
    [
        # Of the global order, and of all numbers that masking draws.
        ("key", "<u8"),
        ("a_start", "<i8"),
        ("b_start", "<i8"),
        ("a_length", "<u2"),
        ("b_length", "<u2"),
        # 1 for a random, or a swapped, next segment.
        ("label", "<u4"),
    ]
)

# What the numbers of a document's stream are for; the rest are keys of turns.
_IS_SHORT, _SHORT_TARGET, _PART, _FIRST_TURN = range(4)
# What the numbers of a turn's stream are for.
_SPLIT, _COIN, _DOCUMENT, _SENTENCE, _CUT_A, _CUT_B, FIRST_FREE = range(7)


# A longer document is gone through in parts, so that no part is too much for
# memory or for one worker.
_LONGEST_PART = 1 << 22


class Run(NamedTuple):
    """Documents first to last - 1, or a part of a very long one.

    Attributes:
      first: a document.
      last: the document after the last.
      start: the first sentence.
      end: the sentence after the last.
    """

    first: int
    last: int
    start: int
    end: int


def cut_in_runs(corpus: Corpus, tokens: int) -> Iterator[Run]:
    """Yields the whole corpus in runs of up to about so many tokens.

    What instances are made of it does not depend on the number.
    """
    documents, sentences = corpus.documents, corpus.sentences
    first = 0
    while first < corpus.num_documents:
        start = int(documents[first])
        beyond = np.searchsorted(
            sentences, sentences[start] + min(tokens, _LONGEST_PART), "right"
        )
        last = int(np.searchsorted(documents, beyond - 1, "right")) - 1
        last = max(last, first + 1)
        end = int(documents[last])
        while sentences[end] - sentences[start] > _LONGEST_PART:
            cut = int(
                np.searchsorted(sentences, sentences[start] + _LONGEST_PART)
            )
            if cut >= end:
                break
            yield Run(first, last, start, cut)
            start = cut
        yield Run(first, last, start, end)
        first = last


def make_instances(
    corpus: Corpus, run: Run, options: InstanceOptions
) -> np.ndarray:
    """The instances of a run, over all duplicates.

    Args:
      corpus: of at least two documents, unless there are no pairs.
      run: of the corpus.
      options: lengths, kind of pairs, seed.

    Returns:
      INSTANCE [number of instances]

    Source: `create_pretraining_data.create_instances_from_document`, and
    ALBERT's for sentence order.
    """
    block = _Block(corpus, run, options)
    take_turn = _TURNS[options.sentence_pairs]
    made = []
    number = _FIRST_TURN
    while len(block.starts):
        keys = draw(block.streams, number)
        turn = take_turn(block, keys)
        made.append(_truncate(turn, keys, options.room))
        block.go_on(turn.next_starts)
        # Random segments come from all over the corpus.
        corpus.release()
        number += 1
    return np.concatenate(made)


class _Span(NamedTuple):
    """A run of tokens of the corpus for each document: int64 [B] each."""

    start: np.ndarray
    end: np.ndarray

    @property
    def length(self) -> np.ndarray:
        return self.end - self.start


class _Turn(NamedTuple):
    """What a turn gives to each document, and the sentence it goes on at."""

    a: _Span
    b: _Span
    label: np.ndarray
    next_starts: np.ndarray


class _Block:
    """Documents that are not used up, each once for every duplicate: B.

    Attributes:
      corpus: where random segments come from.
      documents: numbers in the corpus: int64 [B]
      streams: keys of their random numbers: uint64 [B]
      targets: tokens that a pair should have: int64 [B]
      starts: the first sentence not used yet: int64 [B]
      ends: the sentence after the document's last: int64 [B]
    """

    def __init__(
        self, corpus: Corpus, run: Run, options: InstanceOptions
    ) -> None:
        self.corpus = corpus
        numbers = np.arange(run.first, run.last)
        duplicates = np.arange(options.dupe_factor)
        self.documents = np.tile(numbers, len(duplicates))
        self.streams = document_streams(
            options.random_seed,
            self.documents,
            np.repeat(duplicates, len(numbers)),
        )
        bounds = np.array(corpus.documents[run.first : run.last + 1])
        if run.start > bounds[0]:
            self.streams = draw(draw(self.streams, _PART), run.start)
        bounds[0], bounds[-1] = run.start, run.end
        self.starts = bounds[self.documents - run.first]
        self.ends = bounds[self.documents - run.first + 1]
        self._origin = run.start
        self._offsets = corpus.sentences[run.start : run.end + 1]
        # Mostly a full sequence, as padding is wasted computation; sometimes a
        # shorter one, which fine-tuning will meet. The target is rough,
        # max_seq_length is a hard limit.
        self.targets = np.where(
            happens(draw(self.streams, _IS_SHORT), options.short_seq_prob),
            2 + below(draw(self.streams, _SHORT_TARGET), options.room - 1),
            options.room,
        )

    def go_on(self, starts: np.ndarray) -> None:
        """Moves every document on and drops those that are used up."""
        left = starts < self.ends
        self.starts = starts[left]
        self.ends = self.ends[left]
        self.documents = self.documents[left]
        self.streams = self.streams[left]
        self.targets = self.targets[left]

    def chunk_ends(self) -> np.ndarray:
        """The sentence after the one in which each target is reached."""
        reached = np.searchsorted(
            self._offsets, self.offset(self.starts) + self.targets
        )
        return np.minimum(reached + self._origin, self.ends)

    def whole_ends(self) -> np.ndarray:
        """The sentence after the last that each target holds, at least one."""
        beyond = np.searchsorted(
            self._offsets, self.offset(self.starts) + self.targets, "right"
        )
        last = np.maximum(beyond - 1 + self._origin, self.starts + 1)
        return np.minimum(last, self.ends)

    def offset(self, sentences: np.ndarray) -> np.ndarray:
        """The first token of each sentence."""
        return self._offsets[sentences - self._origin]

    def span(self, first: np.ndarray, last: np.ndarray) -> _Span:
        """The tokens of sentences first to last - 1."""
        return _Span(self.offset(first), self.offset(last))


def _take_nsp_turn(block: _Block, keys: np.ndarray) -> _Turn:
    """Two runs of sentences, the second half the time from elsewhere."""
    ends = block.chunk_ends()
    splits = _split(block.starts, ends, keys)
    is_random = (ends - block.starts == 1) | happens(draw(keys, _COIN), 0.5)
    a = block.span(block.starts, splits)
    b = block.span(splits, ends)
    _put_random(b, is_random, block, keys, block.targets - a.length)
    return _Turn(
        a,
        b,
        is_random,
        # What a random segment stands for is put back and used later.
        np.where(is_random, splits, ends),
    )


def _take_sop_turn(block: _Block, keys: np.ndarray) -> _Turn:
    """Two runs of sentences, swapped half the time.

    A sentence that is alone has no order: it gets a random neighbour, as in
    ALBERT's code.
    """
    ends = block.chunk_ends()
    splits = _split(block.starts, ends, keys)
    is_alone = ends - block.starts == 1
    is_swapped = ~is_alone & happens(draw(keys, _COIN), 0.5)
    first, second = block.span(block.starts, splits), block.span(splits, ends)
    _put_random(second, is_alone, block, keys, block.targets - first.length)
    return _Turn(
        _where(is_swapped, second, first),
        _where(is_swapped, first, second),
        is_alone | is_swapped,
        ends,
    )


def _take_single_turn(block: _Block, keys: np.ndarray) -> _Turn:
    """One run of whole sentences, as in RoBERTa's DOC-SENTENCES."""
    del keys
    ends = block.whole_ends()
    a = block.span(block.starts, ends)
    nothing = _Span(a.end, a.end)
    return _Turn(a, nothing, np.zeros(len(ends), bool), ends)


_TURNS: dict[str, Callable[[_Block, np.ndarray], _Turn]] = {
    "nsp": _take_nsp_turn,
    "sop": _take_sop_turn,
    "none": _take_single_turn,
}


def _split(
    starts: np.ndarray, ends: np.ndarray, keys: np.ndarray
) -> np.ndarray:
    """A sentence after the first, at random; the end where there is none."""
    return (
        starts + 1 + below(draw(keys, _SPLIT), np.maximum(ends - starts - 1, 1))
    )


def _where(condition: np.ndarray, one: _Span, other: _Span) -> _Span:
    return _Span(
        np.where(condition, one.start, other.start),
        np.where(condition, one.end, other.end),
    )


def _put_random(
    spans: _Span,
    chosen: np.ndarray,
    block: _Block,
    keys: np.ndarray,
    targets: np.ndarray,
) -> None:
    """Makes chosen spans sentences of another document, up to the targets."""
    keys, targets = keys[chosen], targets[chosen]
    offsets, bounds = block.corpus.sentences, block.corpus.documents
    other = below(draw(keys, _DOCUMENT), block.corpus.num_documents - 1)
    other += other >= block.documents[chosen]
    lowest, highest = bounds[other], bounds[other + 1]
    first = lowest + below(draw(keys, _SENTENCE), highest - lowest)
    starts = offsets[first]
    # The end by bisection. At least one sentence; and no more than there are
    # tokens to reach, as every sentence has one.
    low = first + 1
    high = np.minimum(highest, first + np.maximum(targets, 1))
    while np.any(low < high):
        middle = (low + high) // 2
        reached = offsets[middle] >= starts + targets
        high = np.where(reached, middle, high)
        low = np.where(reached, low, np.minimum(middle + 1, high))
    spans.start[chosen] = starts
    spans.end[chosen] = offsets[high]


def _truncate(turn: _Turn, keys: np.ndarray, room: int) -> np.ndarray:
    """Cuts the longer segment, token by token, at either end, as it comes.

    How many tokens each loses follows from the lengths; how many of those at
    the front is drawn.
    """
    half = -(-room // 2)
    a_length = np.minimum(turn.a.length, np.maximum(half, room - turn.b.length))
    b_length = np.minimum(turn.b.length, room - a_length)
    instances = np.empty(len(keys), INSTANCE)
    instances["key"] = keys
    instances["a_length"] = a_length
    instances["b_length"] = b_length
    instances["a_start"] = turn.a.start + heads(
        draw(keys, _CUT_A), turn.a.length - a_length
    )
    instances["b_start"] = turn.b.start + heads(
        draw(keys, _CUT_B), turn.b.length - b_length
    )
    instances["label"] = turn.label
    return instances
