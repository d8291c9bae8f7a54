"""Chains of tags: their probabilities, and the most probable one.

B rows, T positions, K tags. A row may hold several sentences one after the
other, or a part of one: flags tell where sentences begin and end. No tag
depends on that of another sentence, so a row's likelihood is the product of its
sentences', exactly.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from keras import ops

Tensor = Any

# A score that is added for what may not be: its share is 0 in float32.
FORBIDDEN = -1e9


class Allowed(NamedTuple):
    """What may follow what.

    Attributes:
      transitions: from a tag (row) to the next one (column): bool [K, K]
      starts: as a sentence's first tag: bool [K]
      ends: as its last one: bool [K]
    """

    transitions: np.ndarray
    starts: np.ndarray
    ends: np.ndarray

    @classmethod
    def everything(cls, num_tags: int) -> Allowed:
        """Any tag anywhere."""
        ones = np.ones(num_tags, bool)
        return cls(np.ones((num_tags, num_tags), bool), ones, ones)


class Scores(NamedTuple):
    """Scores of tags beside one another, as `Allowed`, in float32."""

    transitions: Tensor
    starts: Tensor
    ends: Tensor

    @classmethod
    def neutral(cls, allowed: Allowed) -> Scores:
        """0 for what is allowed; what is not never wins.

        With them, `viterbi` finds the best legal tags of any classifier.
        """
        return cls(*(np.where(part, 0.0, FORBIDDEN) for part in allowed))


class Layout(NamedTuple):
    """Where the words and sentences of a batch of rows stand.

    Attributes:
      mask: positions that count; others are passed over: [B, T]
      begins: words that begin a sentence, None where each row holds one whole
        sentence: [B, T]
      closes: words that end one; None likewise: [B, T]
    """

    mask: Tensor
    begins: Tensor | None = None
    closes: Tensor | None = None


def log_likelihood(
    emissions: Tensor, tags: Tensor, layout: Layout, scores: Scores
) -> Tensor:
    """Logarithm of the probability of tags.

    Its gradient is that of a linear form: how often the tags occur, less how
    often they are expected to. So no gradient is taken through a loop, which
    XLA cannot compile for lengths that are not in the graph.

    Args:
      emissions: scores of every tag at every position: [B, T, K]
      tags: integers; any where the mask is 0: [B, T]
      layout: words and sentences.
      scores: of tags beside one another.

    Returns:
      float32 [B]; 0 for rows without a word.
    """
    emissions = _by_time(ops.cast(emissions, "float32"))
    scores = _float32(scores)
    chosen = ops.one_hot(tags, emissions.shape[-1], dtype="float32")
    words = _words(layout)
    fixed = Scores(*map(ops.stop_gradient, scores))
    total, real, expected = _counts(
        ops.stop_gradient(emissions), _by_time(chosen), words, fixed
    )
    surplus = _Counts(*(a - b for a, b in zip(real, expected, strict=True)))
    form = _linear_form(surplus, emissions, scores)
    value = _linear_form(real, emissions, scores) - total
    return form + ops.stop_gradient(value - form)


def viterbi(emissions: Tensor, layout: Layout, scores: Scores) -> Tensor:
    """The most probable tags.

    Args:
      emissions: scores of every tag at every position: [B, T, K]
      layout: words and sentences.
      scores: of tags beside one another.

    Returns:
      int32 [B, T]; 0 where the mask is 0.
    """
    emissions = _by_time(ops.cast(emissions, "float32"))
    scores = _float32(scores)
    words = _words(layout)
    nothing = ops.zeros_like(emissions[0])
    stay = ops.cast(nothing, "int32")
    stay = stay + ops.arange(emissions.shape[-1], dtype="int32")

    def forward(carry: tuple, x: Tensor) -> tuple[tuple, tuple]:
        best, _ = carry
        emission, is_word, begins, follows = _unpack(x)
        steps = _steps(best, begins, scores)
        first = ops.where(begins, scores.starts, 0.0)
        moved = ops.where(follows, ops.max(steps, axis=1), first) + emission
        before = ops.cast(ops.argmax(steps, axis=1), "int32")
        before = ops.where(ops.logical_and(follows, is_word), before, stay)
        carry = ops.where(is_word, moved, best), before
        return carry, carry

    def backward(carry: tuple, before: Tensor) -> tuple[tuple, tuple]:
        tag, _ = carry
        previous = ops.take_along_axis(before, tag[:, None], axis=1)[:, 0]
        return (previous, tag), (previous, tag)

    xs = _pack(emissions, words)
    (best, _), (_, before) = _scan(forward, (nothing, stay), xs)
    best = best + ops.where(words.is_closed, scores.ends, 0.0)
    last = ops.cast(ops.argmax(best, axis=1), "int32")
    _, (_, tags) = _scan(backward, (last, last), before, reverse=True)
    return _by_time(tags) * ops.cast(layout.mask, "int32")


def marginals(emissions: Tensor, layout: Layout, scores: Scores) -> Tensor:
    """How probable each tag is at each word, whatever the others are.

    Args:
      emissions: scores of every tag at every position: [B, T, K]
      layout: words and sentences.
      scores: of tags beside one another.

    Returns:
      float32 [B, T, K]; 0 where the mask is 0.
    """
    emissions = _by_time(ops.cast(emissions, "float32"))
    scores = _float32(scores)
    words = _words(layout)
    xs = _pack(emissions, words)
    final = ops.where(words.is_closed, scores.ends, 0.0)
    # No tags are compared with: any will do.
    (alpha, _), (alphas, *_) = _forward(xs, emissions, scores)
    _, betas = _backward(xs, final, scores)
    total = ops.logsumexp(alpha + final, axis=1, keepdims=True)
    shares = ops.where(words.is_word, ops.exp(alphas + betas - total), 0.0)
    return _by_time(shares)


class _Words(NamedTuple):
    """`Layout`, by time.

    Attributes:
      is_word: bool [T, B, 1]
      begins: whether a word is a sentence's first: bool [T, B, 1]
      follows: whether a word has another one before it: bool [T, B, 1]
      is_closed: whether a row's last word ends a sentence: bool [B, 1]
    """

    is_word: Tensor
    begins: Tensor
    follows: Tensor
    is_closed: Tensor


def _words(layout: Layout) -> _Words:
    mask = ops.cast(layout.mask, "int32")
    is_word = ops.cast(mask, "bool")
    number = ops.cumsum(mask, axis=1)
    if layout.begins is None:
        begins = ops.equal(number, 1)
    else:
        begins = ops.cast(layout.begins, "bool")
    is_last = ops.equal(number, ops.sum(mask, axis=1, keepdims=True))
    closes = ops.logical_and(is_word, is_last)
    if layout.closes is not None:
        closes = ops.logical_and(closes, ops.cast(layout.closes, "bool"))
    flags = (is_word, ops.logical_and(is_word, begins), number - mask > 0)
    return _Words(
        *(_by_time(flag)[:, :, None] for flag in flags),
        ops.any(closes, axis=1, keepdims=True),
    )


class _Counts(NamedTuple):
    """How often tags occur in each row, or are expected to.

    Attributes:
      tags: at every position: [T, B, K]
      pairs: one after the other in a sentence: [B, K, K]
      starts: as a sentence's first: [B, K]
      ends: as its last: [B, K]
    """

    tags: Tensor
    pairs: Tensor
    starts: Tensor
    ends: Tensor


def _linear_form(counts: _Counts, emissions: Tensor, scores: Scores) -> Tensor:
    """[B]"""
    return (
        ops.sum(counts.tags * emissions, axis=(0, 2))
        + ops.sum(counts.pairs * scores.transitions, axis=(1, 2))
        + ops.sum(counts.starts * scores.starts, axis=1)
        + ops.sum(counts.ends * scores.ends, axis=1)
    )


def _counts(
    emissions: Tensor, chosen: Tensor, words: _Words, scores: Scores
) -> tuple[Tensor, _Counts, _Counts]:
    """Forward and backward algorithm.

    Args:
      emissions: [T, B, K]
      chosen: the tags: 0 and 1: [T, B, K]
      words: where they stand.
      scores: of tags beside one another.

    Returns:
      The logarithm of all paths' sum [B], counts of the tags, and the expected
      ones.
    """
    xs = _pack(emissions, words)
    final = ops.where(words.is_closed, scores.ends, 0.0)
    # The tag before each word, and the last one: 0 and 1.
    (alpha, last), (alphas, alphas_before, before) = _forward(
        xs, chosen, scores
    )
    betas_before, betas = _backward(xs, final, scores)
    total = ops.logsumexp(alpha + final, axis=1, keepdims=True)
    is_word, begins, follows, is_closed = (
        ops.cast(flag, "float32") for flag in words
    )
    is_pair = is_word * follows * (1 - begins)
    chosen = chosen * is_word
    real = _Counts(
        chosen,
        ops.einsum("tbi,tbj->bij", before * is_pair, chosen),
        ops.sum(chosen * begins, axis=0),
        ops.sum(before * begins * follows, axis=0) + last * is_closed,
    )
    # [T, B, K, K]
    pairs = (
        alphas_before[:, :, :, None]
        + scores.transitions
        + (emissions + betas - total)[:, :, None, :]
    )
    # Only where they count: elsewhere they may be anything.
    pairs = ops.where(is_pair[:, :, :, None] > 0, ops.exp(pairs), 0.0)
    borders = ops.exp(alphas_before + betas_before - total)
    borders = ops.where(begins * follows > 0, borders, 0.0)
    shares = ops.exp(alphas + betas - total) * is_word
    expected = _Counts(
        shares,
        ops.sum(pairs, axis=0),
        ops.sum(shares * begins, axis=0),
        ops.sum(borders, axis=0) + ops.exp(alpha + final - total) * is_closed,
    )
    has_words = ops.any(words.is_word, axis=0)[:, 0]
    return ops.where(has_words, total[:, 0], 0.0), real, expected


def _forward(
    xs: Tensor, chosen: Tensor, scores: Scores
) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor, Tensor]]:
    """Sums of all paths up to each position, and the tag before it.

    Returns:
      The sums and the tag at the end, [B, K] both; the sums with and without
      each position, and the tag of the word before, [T, B, K] each.
    """
    num_tags = chosen.shape[-1]

    def step(carry: tuple, x: Tensor) -> tuple[tuple, tuple]:
        alpha, tag, *_ = carry
        emission, is_word, begins, follows = _unpack(x[:, num_tags:])
        moved = ops.logsumexp(_steps(alpha, begins, scores), axis=1)
        first = ops.where(begins, scores.starts, 0.0)
        moved = ops.where(follows, moved, first) + emission
        carry = (
            ops.where(is_word, moved, alpha),
            ops.where(is_word, x[:, :num_tags], tag),
            alpha,
            tag,
        )
        return carry, carry

    nothing = ops.zeros_like(chosen[0])
    xs = ops.concatenate([chosen, xs], axis=-1)
    (alpha, last, *_), (alphas, _, *before) = _scan(step, (nothing,) * 4, xs)
    return (alpha, last), (alphas, *before)


def _backward(
    xs: Tensor, final: Tensor, scores: Scores
) -> tuple[Tensor, Tensor]:
    """Sums of all paths behind each position, with it and without it.

    Returns:
      [T, B, K] both, as functions of the tag before and of the tag there.
    """

    def step(carry: tuple, x: Tensor) -> tuple[tuple, tuple]:
        beta, _ = carry
        emission, is_word, begins, _ = _unpack(x)
        rest = ops.where(begins, scores.starts, 0.0) + emission + beta
        across = scores.ends + ops.logsumexp(rest, axis=1, keepdims=True)
        within = ops.logsumexp(scores.transitions + rest[:, None, :], axis=2)
        before = ops.where(begins, across, within)
        carry = ops.where(is_word, before, beta), beta
        return carry, carry

    _, (before, here) = _scan(step, (final,) * 2, xs, reverse=True)
    return before, here


def _steps(before: Tensor, begins: Tensor, scores: Scores) -> Tensor:
    """Scores of every tag after every other: [B, K, K]"""
    return ops.where(
        begins[:, :, None],
        (before + scores.ends)[:, :, None] + scores.starts,
        before[:, :, None] + scores.transitions,
    )


def _scan(
    step: Any, initial: tuple, xs: Tensor, reverse: bool = False
) -> tuple[tuple, list[Tensor]]:
    """`ops.scan`, whose outputs lose their shape where T is not in the graph.

    One tensor is read, as TensorFlow's form takes no more in that case.
    """
    final, history = ops.scan(step, initial, xs, reverse=reverse)
    length = ops.shape(xs)[0]
    return final, [
        ops.reshape(after, (length, *ops.shape(before)))
        for before, after in zip(initial, history, strict=True)
    ]


def _pack(emissions: Tensor, words: _Words) -> Tensor:
    """All that a step reads: float32 [T, B, K + 3]"""
    flags = [ops.cast(flag, "float32") for flag in words[:3]]
    return ops.concatenate([emissions, *flags], axis=-1)


def _unpack(x: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """[B, K + 3] -> emissions [B, K] and three flags, bool [B, 1]"""
    flags = ops.cast(x[:, -3:], "bool")
    return x[:, :-3], flags[:, :1], flags[:, 1:2], flags[:, 2:]


def _float32(scores: Scores) -> Scores:
    return Scores(*(ops.cast(part, "float32") for part in scores))


def _by_time(x: Tensor) -> Tensor:
    """[B, T, ...] -> [T, B, ...] and back."""
    return ops.swapaxes(x, 0, 1)
