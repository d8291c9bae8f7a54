"""How much of an encoder is needed."""

from __future__ import annotations

from collections.abc import Sequence

from modeling.network.layer_choice import EMBEDDINGS, resolve_layers


def count_blocks(
    layers: Sequence[int | str], num_hidden_layers: int
) -> tuple[tuple[int | str, ...], int]:
    """Layers counted from the first, and the number of blocks below their
    highest.

    Raises:
      UserError: a layer that the encoder does not have.
    """
    counted = tuple(
        layer if layer == EMBEDDINGS else layer % num_hidden_layers
        for layer in resolve_layers(layers, num_hidden_layers)
    )
    blocks = [layer + 1 for layer in counted if layer != EMBEDDINGS]
    return counted, max(blocks, default=0)
