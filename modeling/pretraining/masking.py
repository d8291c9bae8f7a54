"""Masked instances, a batch at a time: which tokens, and what replaces them.

The same functions mask when records are written and, in the input pipeline,
when they are read. All they draw comes from one key for each row.
"""

from __future__ import annotations

import dataclasses
from typing import NamedTuple

import numpy as np

from modeling.pretraining.options import MaskingOptions
from modeling.pretraining.random_streams import below, draw, happens
from modeling.pretraining.vocabulary import MaskingVocabulary
from modeling.records import JOINS_SPAN, JOINS_WORD

# What the numbers under a row's key are for: each has one for every position.
_ORDER, _NGRAM, _DECISION, _REPLACEMENT = range(4)


class Masked(NamedTuple):
    """A batch with its predictions, P in a row, by position.

    Attributes:
      input_ids: int32 [B, L]
      positions: int32 [B, P], 0 where there are no more, as in what follows.
      label_ids: int32 [B, P]
      weights: 1 for a prediction: float32 [B, P]
    """

    input_ids: np.ndarray
    positions: np.ndarray
    label_ids: np.ndarray
    weights: np.ndarray


def mask_batch(
    input_ids: np.ndarray,
    lengths: np.ndarray,
    joins: np.ndarray,
    keys: np.ndarray,
    options: MaskingOptions,
    vocabulary: MaskingVocabulary,
) -> Masked:
    """Chooses the tokens to predict and replaces them.

    Units (tokens, words, spans or n-grams of words) are taken in random order;
    one that is longer than what is left to predict is passed over.

    Args:
      input_ids: int [B, L], with special tokens.
      lengths: tokens without padding: int [B]
      joins: bits JOINS_WORD and JOINS_SPAN of every token: uint8 [B, L]
      keys: of the random numbers: uint64 [B]
      options: what is predicted; a method other than "none".
      vocabulary: what replaces it.

    Source: `create_pretraining_data.create_masked_lm_predictions`, and ALBERT's
    for n-grams.
    """
    units = _Units.find(input_ids, lengths, joins, options.method, vocabulary)
    # Rounds half to even and counts special tokens, as the original does.
    quotas = np.minimum(
        options.max_predictions_per_seq,
        np.maximum(1, np.round(lengths * options.masked_lm_prob)),
    ).astype(np.int64)
    if options.method == "ngram":
        taken = _take_ngrams(units, quotas, keys, options.max_ngram)
    else:
        taken = _take_units(units, quotas, keys)
    chosen = np.take_along_axis(taken, units.start_of, axis=1) & units.maskable
    return _replace(input_ids, chosen, units, keys, options, vocabulary)


@dataclasses.dataclass(frozen=True, eq=False)
class _Units:
    """What is masked together.

    Attributes:
      maskable: tokens of the text: bool [B, L]
      starts: the first token of every unit: bool [B, L]
      start_of: for every token of a unit where the unit starts: int64 [B, L]
    """

    maskable: np.ndarray
    starts: np.ndarray
    start_of: np.ndarray

    @classmethod
    def find(
        cls,
        input_ids: np.ndarray,
        lengths: np.ndarray,
        joins: np.ndarray,
        method: str,
        vocabulary: MaskingVocabulary,
    ) -> _Units:
        positions = np.arange(input_ids.shape[1])
        maskable = positions < lengths[:, None]
        for special_id in vocabulary.never_masked:
            maskable &= input_ids != special_id
        # The text begins a unit even where it begins in the middle of a word.
        # A second segment that does so goes on with the last word of the first,
        # across [SEP], as in the original.
        starts = maskable & (joins & _JOINED_BY[method] == 0)
        starts[:, 1] = maskable[:, 1]
        start_of = np.maximum.accumulate(np.where(starts, positions, 0), axis=1)
        return cls(maskable, starts, start_of)

    def shuffled(self, keys: np.ndarray) -> np.ndarray:
        """Starts of units in random order, then other numbers: int64 [B, L]"""
        positions = np.arange(self.starts.shape[1], dtype=np.uint64)
        numbers = draw(draw(keys, _ORDER)[:, None], positions)
        # Sorting numbers that carry positions is faster than an argsort.
        numbers = numbers & ~_POSITION_BITS | positions
        numbers[~self.starts] = ~np.uint64(0)
        numbers.sort(axis=1)
        return (numbers & _POSITION_BITS).astype(np.int64)

    def sizes(self) -> np.ndarray:
        """Tokens of every unit, at its start: int64 [B, L]"""
        rows, length = self.starts.shape
        flat = self.start_of + length * np.arange(rows)[:, None]
        sizes = np.bincount(flat[self.maskable], minlength=rows * length)
        return sizes.reshape(rows, length)


_POSITION_BITS = np.uint64(0xFFFF)
_JOINED_BY = {
    "token": 0,
    "whole_word": JOINS_WORD,
    "ngram": JOINS_WORD,
    "span": JOINS_WORD | JOINS_SPAN,
}


def _take_units(
    units: _Units, quotas: np.ndarray, keys: np.ndarray
) -> np.ndarray:
    """Starts of the units that are masked: bool [B, L]"""
    order = units.shuffled(keys)
    counts = units.starts.sum(axis=1)
    sizes = units.sizes()
    taken = np.zeros(units.starts.shape, bool)
    left = quotas.copy()
    rows = np.arange(len(left))
    for rank in range(counts.max(initial=0)):
        start = order[:, rank] * (rank < counts)
        size = sizes[rows, start]
        fits = (rank < counts) & (size <= left)
        taken[rows[fits], start[fits]] = True
        left -= size * fits
        if not left.any():
            break
    return taken


def _take_ngrams(
    units: _Units, quotas: np.ndarray, keys: np.ndarray, max_ngram: int
) -> np.ndarray:
    """Starts of the words that are masked: bool [B, L]

    An n-gram has n words with a probability in proportion to 1/n. It ends with
    its segment, is cut to what is left to predict, and is passed over where it
    meets another.
    """
    order = units.shuffled(keys)
    words = _Words.find(units, max_ngram)
    lengths = _draw_ngram_lengths(keys, units.starts.shape[1], max_ngram)
    counts = units.starts.sum(axis=1)
    covered = np.zeros(words.tokens_before.shape, bool)
    left = quotas.copy()
    rows = np.arange(len(left))
    for rank in range(counts.max(initial=0)):
        start = order[:, rank] * (rank < counts)
        word, end = words.number[rows, start], words.segment_end[rows, start]
        before = words.tokens_before[rows, word]
        size = np.zeros(len(left), np.int64)
        count = np.zeros(len(left), np.int64)
        for n in range(1, max_ngram + 1):
            longer = words.tokens_before[rows, np.minimum(word + n, end)]
            fits = (n <= lengths[rows, start]) & (longer - before <= left)
            size = np.where(fits, longer - before, size)
            count += fits & (word + n <= end)
        is_free = (rank < counts) & (count > 0)
        for n in range(max_ngram):
            is_free &= (n >= count) | ~covered[rows, word + n]
        for n in range(max_ngram):
            hit = is_free & (n < count)
            covered[rows[hit], word[hit] + n] = True
        left -= size * is_free
        if not left.any():
            break
    return np.take_along_axis(covered, words.number, axis=1) & units.starts


@dataclasses.dataclass(frozen=True, eq=False)
class _Words:
    """Words by number, W at most.

    Attributes:
      number: of the word that each token belongs to: int64 [B, L]
      segment_end: for every token the word after its segment's last [B, L]
      tokens_before: of each word, and of those after the last: int64 [B, W]
    """

    number: np.ndarray
    segment_end: np.ndarray
    tokens_before: np.ndarray

    @classmethod
    def find(cls, units: _Units, max_ngram: int) -> _Words:
        rows, length = units.starts.shape
        words = np.cumsum(units.starts, axis=1)
        after = np.where(units.maskable, length, words)[:, ::-1]
        segment_end = np.minimum.accumulate(after, axis=1)[:, ::-1]
        number = np.maximum(words - 1, 0)
        width = length + max_ngram + 1
        flat = number + width * np.arange(rows)[:, None]
        sizes = np.bincount(flat[units.maskable], minlength=rows * width)
        sizes = sizes.reshape(rows, width)
        tokens_before = np.cumsum(sizes, axis=1) - sizes
        return cls(
            number, np.minimum(segment_end, words[:, -1:]), tokens_before
        )


def _draw_ngram_lengths(
    keys: np.ndarray, length: int, max_ngram: int
) -> np.ndarray:
    """Words of the n-gram at every position: int64 [B, L]"""
    numbers = draw(draw(keys, _NGRAM)[:, None], np.arange(length))
    weights = 1 / np.arange(1, max_ngram + 1)
    bounds = np.cumsum(weights[:-1]) / weights.sum()
    return 1 + sum(
        (~happens(numbers, bound) for bound in bounds),
        np.zeros(numbers.shape, np.int64),
    )


def _replace(
    input_ids: np.ndarray,
    chosen: np.ndarray,
    units: _Units,
    keys: np.ndarray,
    options: MaskingOptions,
    vocabulary: MaskingVocabulary,
) -> Masked:
    rows, positions = np.nonzero(chosen)
    labels = input_ids[rows, positions]
    decided_at = positions
    if options.one_decision_per_word:
        decided_at = units.start_of[rows, positions]
    decision = draw(draw(keys, _DECISION)[rows], decided_at)
    random = draw(draw(keys, _REPLACEMENT)[rows], positions)
    replacements = vocabulary.replacements
    masked = options.replace_with_mask_prob
    output = input_ids.astype(np.int32)
    output[rows, positions] = np.where(
        happens(decision, masked),
        vocabulary.mask_id,
        np.where(
            happens(decision, masked + options.replace_with_random_prob),
            replacements[below(random, len(replacements))],
            labels,
        ),
    )
    counts = chosen.sum(axis=1)
    ranks = np.arange(len(rows)) - np.repeat(np.cumsum(counts) - counts, counts)
    shape = (len(input_ids), options.max_predictions_per_seq)
    masked_positions = np.zeros(shape, np.int32)
    masked_positions[rows, ranks] = positions
    label_ids = np.zeros(shape, np.int32)
    label_ids[rows, ranks] = labels
    weights = np.zeros(shape, np.float32)
    weights[rows, ranks] = 1
    return Masked(output, masked_positions, label_ids, weights)
