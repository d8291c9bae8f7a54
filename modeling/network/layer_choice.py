"""Layers of an encoder as users name them: numbers, "embeddings", "all"."""

from __future__ import annotations

from collections.abc import Sequence

from modeling.errors import UserError

# The layer below the first block, which the original cannot reach.
EMBEDDINGS = "embeddings"
# It and every block, in order.
ALL = "all"


def parse_layers(text: str) -> tuple[int | str, ...]:
    """Reads `--layers`: numbers and "embeddings", or "all".

    Raises:
      UserError: anything else.
    """
    names = [name.strip() for name in text.split(",")]
    if names == [ALL]:
        return (ALL,)
    layers: list[int | str] = []
    for name in names:
        if name == EMBEDDINGS:
            layers.append(name)
            continue
        try:
            layers.append(int(name))
        except ValueError:
            raise UserError(
                f'layers: {name!r} is neither a number nor "{EMBEDDINGS}"; '
                f'"{ALL}" stands alone. Received: {text!r}'
            ) from None
    return tuple(layers)


def resolve_layers(
    layers: Sequence[int | str], num_hidden_layers: int
) -> tuple[int | str, ...]:
    """The same for an encoder of so many blocks: "all" spelt out.

    Raises:
      UserError: a layer that the encoder does not have.
    """
    if tuple(layers) == (ALL,):
        return (EMBEDDINGS, *range(num_hidden_layers))
    for layer in layers:
        if layer == EMBEDDINGS:
            continue
        if not -num_hidden_layers <= layer < num_hidden_layers:
            raise UserError(
                f"layers: {layer} is out of range: the encoder has "
                f"{num_hidden_layers} blocks, numbered 0 to "
                f"{num_hidden_layers - 1} or -{num_hidden_layers} to -1."
            )
    return tuple(layers)
