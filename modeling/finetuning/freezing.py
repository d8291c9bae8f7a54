"""Parts of a model that training leaves as they are."""

from __future__ import annotations

import re
from collections.abc import Callable

from modeling.errors import UserError

_LAYERS = re.compile(r"layers:(\d+)(?:-(\d+))?")
_PARTS = {
    "embeddings": ("bert/embeddings/",),
    "pooler": ("bert/pooler/",),
    "encoder": ("bert/",),
}


def parse_freeze(
    parts: list[str], num_hidden_layers: int
) -> Callable[[str], bool]:
    """Which variables are trained.

    Args:
      parts: "embeddings", "layers:3", "layers:0-8", "pooler", or "encoder" for
        all of them.
      num_hidden_layers: blocks of the encoder.

    Returns:
      Told the path of a variable, whether it is trained.

    Raises:
      UserError: another part, or layers that the encoder does not have.
    """
    frozen: list[str] = []
    for part in parts:
        if part in _PARTS:
            frozen += _PARTS[part]
            continue
        match = _LAYERS.fullmatch(part)
        if match is None:
            raise UserError(
                f"--freeze takes {', '.join(_PARTS)} and layers as in "
                f"layers:0-8. Received: {part!r}"
            )
        first, last = int(match[1]), int(match[2] or match[1])
        if not first <= last < num_hidden_layers:
            raise UserError(
                f"--freeze={part}: the encoder has {num_hidden_layers} layers, "
                f"0 to {num_hidden_layers - 1}."
            )
        frozen += [
            f"bert/encoder/layer_{layer}/" for layer in range(first, last + 1)
        ]
    prefixes = tuple(frozen)
    return lambda path: not path.startswith(prefixes) if prefixes else True


def frozen_parts(
    trainable: Callable[[str], bool] | None, num_hidden_layers: int
) -> list[str]:
    """Names of the parts of the encoder that are not trained.

    Args:
      trainable: told the path of a variable, whether it is; None: all are.
      num_hidden_layers: blocks of the encoder.
    """
    if trainable is None:
        return []
    parts = ["embeddings", "pooler"] + [
        f"encoder/layer_{layer}" for layer in range(num_hidden_layers)
    ]
    return [part for part in parts if not trainable(f"bert/{part}/")]
