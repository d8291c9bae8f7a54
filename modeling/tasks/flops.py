"""Floating-point operations of a training step, counted from its batch.

Counted are matrix products, a multiplication and an addition apart, over all
positions, padding included. The backward pass has two products for one of the
forward pass (Kaplan et al. 2020, section 2.1; attention as in Chowdhery et al.
2022, appendix B): one for the gradient of what is multiplied, where anything
below is trained, and one for that of the weights, where they are trained. What
recomputation repeats is not counted: it is the model's arithmetic, not the
machine's. Nor are look-ups by a matrix product.

D is the hidden size, I the intermediate size, F the length of a row.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from modeling.config import BertConfig

# Of a batch's features, by name.
Shapes = Mapping[str, Sequence[int]]


class Part(NamedTuple):
    """Matrix products of a part of a network, in the forward pass.

    Attributes:
      scope: what the paths of its variables begin with.
      weights: operations of the products with its variables.
      lowest: of these, of those that take what the parts below give.
      others: of products of two activations.
    """

    scope: str
    weights: int
    lowest: int
    others: int = 0


def training_flops(
    parts: Sequence[Part], is_trained: Callable[[str], bool]
) -> int:
    """Operations of one forward and backward pass.

    Args:
      parts: of the network, from below.
      is_trained: told a part's scope, whether any variable in it is trained.
    """
    total, trained_below = 0, False
    for part in parts:
        total += part.weights + part.others
        trained = is_trained(part.scope)
        if trained:
            total += part.weights
        if trained or trained_below:
            total += part.weights - part.lowest + 2 * part.others
        if trained_below:
            total += part.lowest
        trained_below |= trained
    return total


def encoder_parts(config: BertConfig, rows: int, length: int) -> list[Part]:
    """The embeddings, which have no products, and the blocks.

    A block has for each token 2 (4 D^2 + 2 D I) for its six dense layers, and
    4 F D for the two products of attention.

    Args:
      config: sizes.
      rows: of a batch.
      length: of a row.
    """
    size, tokens = config.hidden_size, rows * length
    dense = 2 * (4 * size**2 + 2 * size * config.intermediate_size)
    # Query, key and value.
    lowest = 2 * 3 * size**2
    blocks = [
        Part(
            f"bert/encoder/layer_{number}/",
            tokens * dense,
            tokens * lowest,
            tokens * length * 4 * size,
        )
        for number in range(config.num_hidden_layers)
    ]
    return [Part("bert/embeddings/", 0, 0), *blocks]


def dense_part(scope: str, vectors: int, *sizes: int) -> Part:
    """Dense layers on one another, each from one of the sizes to the next."""
    pairs = zip(sizes[:-1], sizes[1:], strict=True)
    products = [vectors * 2 * first * second for first, second in pairs]
    return Part(scope, sum(products), products[0])


def pooler_part(config: BertConfig, vectors: int) -> Part:
    """The dense layer on a sequence's first token."""
    size = config.hidden_size
    return dense_part("bert/pooler/", vectors, size, size)


def lstm_part(tokens: int, input_size: int, size: int, num_layers: int) -> Part:
    """A stack of bidirectional LSTMs.

    A layer has for each token, with two directions of four gates of S / 2, 8 S
    for every number of its input and for every one of a direction's own state.

    Args:
      tokens: steps of all sequences.
      input_size: of the lowest layer.
      size: S, of the outputs.
      num_layers: how many.
    """
    lowest = tokens * 8 * size * input_size
    between = tokens * 8 * size * size * (num_layers - 1)
    states = tokens * 8 * size * (size // 2) * num_layers
    return Part("bilstm/", lowest + between + states, lowest)


def count_rows(shapes: Shapes) -> tuple[int, int]:
    """Rows of a batch, those that fill it up included, and their length."""
    *rows, length = shapes["input_ids"]
    return math.prod(rows), length
