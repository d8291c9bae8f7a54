"""A linear-chain conditional random field over sequences of tags.

B rows, T positions, K tags. A row may hold several sentences one after the
other, or a part of one: flags tell where sentences begin and end. No tag
depends on that of another sentence, so a row's likelihood is the product of its
sentences', exactly.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import keras
import numpy as np
from keras import ops

Tensor = Any

# A score that is added for what may not be: its share is 0 in float32.
_FORBIDDEN = -1e9


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
        return cls(*(np.where(part, 0.0, _FORBIDDEN) for part in allowed))


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


class Crf(keras.layers.Layer):
    """Learns scores of tags beside one another.

    Args:
      allowed: what may follow what; the rest is never predicted and takes no
        part in the likelihood.

    Example:
      >>> crf = Crf(Allowed.everything(3))
      >>> crf.build()
      >>> loss = -crf.log_likelihood(emissions, tags, Layout(mask))
      >>> tags = crf.decode(emissions, Layout(mask))
    """

    def __init__(self, allowed: Allowed, **kwargs: Any) -> None:
        super().__init__(**{"name": "crf", **kwargs})
        self.allowed = allowed

    def build(self, input_shape: Any = None) -> None:
        self._weights = [
            self.add_weight(
                shape=part.shape,
                initializer="zeros",
                name=name,
                dtype="float32",
                autocast=False,
            )
            for name, part in self.allowed._asdict().items()
        ]
        self.built = True

    @property
    def scores(self) -> Scores:
        """As they have been learned."""
        return Scores(
            *(
                ops.where(part, ops.convert_to_tensor(weight), _FORBIDDEN)
                for part, weight in zip(
                    self.allowed, self._weights, strict=True
                )
            )
        )

    def log_likelihood(
        self, emissions: Tensor, tags: Tensor, layout: Layout
    ) -> Tensor:
        """See `log_likelihood`."""
        return log_likelihood(emissions, tags, layout, self.scores)

    def decode(self, emissions: Tensor, layout: Layout) -> Tensor:
        """See `viterbi`."""
        return viterbi(emissions, layout, self.scores)

    def call(self, emissions: Tensor, layout: Layout) -> Tensor:
        """The same as `decode`."""
        return self.decode(emissions, layout)


def log_likelihood(
    emissions: Tensor, tags: Tensor, layout: Layout, scores: Scores
) -> Tensor:
    """Logarithm of the probability of tags.

    Args:
      emissions: scores of every tag at every position: [B, T, K]
      tags: integers; any where the mask is 0: [B, T]
      layout: words and sentences.
      scores: of tags beside one another.

    Returns:
      float32 [B]; 0 for rows without a word.
    """
    emissions = ops.cast(emissions, "float32")
    scores = _float32(scores)
    chosen = ops.one_hot(tags, emissions.shape[-1], dtype="float32")

    # Both the tags' own score and that of all tags are sums over paths: the
    # first over one path only.
    def step(carry: tuple, x: tuple) -> tuple[tuple, tuple]:
        alpha, path, before, seen = carry
        emission, here, is_word, begins = x
        begins = _begins(layout, begins, seen)
        within = ops.logsumexp(alpha[:, :, None] + scores.transitions, axis=1)
        across = ops.logsumexp(alpha + scores.ends, axis=1, keepdims=True)
        moved = ops.where(begins, across + scores.starts, within)
        first = ops.where(begins, scores.starts, 0.0)
        moved = ops.where(seen, moved, first) + emission

        row = ops.matmul(before, scores.transitions)
        end = ops.sum(before * scores.ends, axis=1, keepdims=True)
        added = ops.where(begins, end + scores.starts, row)
        added = ops.where(seen, added, first) + emission
        added = ops.sum(added * here, axis=1)

        carry = (
            ops.where(is_word, moved, alpha),
            ops.where(is_word[:, 0], path + added, path),
            ops.where(is_word, here, before),
            ops.logical_or(seen, is_word),
        )
        return carry, carry

    nothing = ops.zeros_like(emissions[:, 0, :])
    initial = (nothing, nothing[:, 0], nothing, _none_seen(emissions))
    xs = (_by_time(emissions), _by_time(chosen), *_flags(layout))
    (alpha, path, last, seen), _ = ops.scan(step, initial, xs)
    ends = ops.where(_is_closed(layout), scores.ends, 0.0)
    path = path + ops.sum(last * ends, axis=1)
    total = ops.logsumexp(alpha + ends, axis=1)
    return ops.where(seen[:, 0], path - total, 0.0)


def viterbi(emissions: Tensor, layout: Layout, scores: Scores) -> Tensor:
    """The most probable tags.

    Args:
      emissions: scores of every tag at every position: [B, T, K]
      layout: words and sentences.
      scores: of tags beside one another.

    Returns:
      int32 [B, T]; 0 where the mask is 0.
    """
    emissions = ops.cast(emissions, "float32")
    scores = _float32(scores)
    num_tags = emissions.shape[-1]
    stay = ops.zeros_like(emissions[:, 0, :], dtype="int32")
    stay = stay + ops.arange(num_tags, dtype="int32")

    def forward(carry: tuple, x: tuple) -> tuple[tuple, tuple]:
        best, _, seen = carry
        emission, is_word, begins = x
        begins = _begins(layout, begins, seen)
        steps = ops.where(
            begins[:, :, None],
            (best + scores.ends)[:, :, None] + scores.starts,
            best[:, :, None] + scores.transitions,
        )
        first = ops.where(begins, scores.starts, 0.0)
        moved = ops.where(seen, ops.max(steps, axis=1), first) + emission
        before = ops.cast(ops.argmax(steps, axis=1), "int32")
        before = ops.where(ops.logical_and(seen, is_word), before, stay)
        carry = (
            ops.where(is_word, moved, best),
            before,
            ops.logical_or(seen, is_word),
        )
        return carry, carry

    def backward(carry: tuple, x: tuple) -> tuple[tuple, tuple]:
        tag, _ = carry
        (before,) = x
        previous = ops.take_along_axis(before, tag[:, None], axis=1)[:, 0]
        return (previous, tag), (previous, tag)

    initial = (ops.zeros_like(emissions[:, 0, :]), stay, _none_seen(emissions))
    xs = (_by_time(emissions), *_flags(layout))
    (best, _, _), (_, before, _) = ops.scan(forward, initial, xs)
    best = best + ops.where(_is_closed(layout), scores.ends, 0.0)
    last = ops.cast(ops.argmax(best, axis=1), "int32")
    _, (_, tags) = ops.scan(backward, (last, last), (before,), reverse=True)
    return _by_time(tags) * ops.cast(layout.mask, "int32")


def _float32(scores: Scores) -> Scores:
    return Scores(*(ops.cast(part, "float32") for part in scores))


def _by_time(x: Tensor) -> Tensor:
    """[B, T, ...] -> [T, B, ...] and back."""
    return ops.swapaxes(x, 0, 1)


def _flags(layout: Layout) -> tuple[Tensor, Tensor]:
    """Which positions are words, and which begin a sentence: bool [T, B, 1]"""
    mask = _by_time(ops.cast(layout.mask, "bool"))[:, :, None]
    if layout.begins is None:
        return mask, mask
    return mask, _by_time(ops.cast(layout.begins, "bool"))[:, :, None]


def _begins(layout: Layout, begins: Tensor, seen: Tensor) -> Tensor:
    """Whether a sentence begins here, for rows that have shown words or not."""
    return ops.logical_not(seen) if layout.begins is None else begins


def _is_closed(layout: Layout) -> Tensor:
    """Whether each row's last word ends a sentence: bool [B, 1]"""
    mask = ops.cast(layout.mask, "int32")
    if layout.closes is None:
        return ops.ones_like(mask[:, :1], dtype="bool")
    number = mask * (ops.arange(ops.shape(mask)[1], dtype="int32") + 1)
    is_last = ops.equal(number, ops.max(number, axis=1, keepdims=True))
    is_last = ops.logical_and(is_last, ops.cast(mask, "bool"))
    closes = ops.logical_and(is_last, ops.cast(layout.closes, "bool"))
    return ops.any(closes, axis=1, keepdims=True)


def _none_seen(emissions: Tensor) -> Tensor:
    return ops.zeros_like(emissions[:, 0, :1], dtype="bool")
