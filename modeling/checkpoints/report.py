"""LoadReport: what of a checkpoint went into a model, and what did not."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from modeling.checkpoints.reader import is_training_state

_NAMES_SHOWN = 8


class ShapeClash(NamedTuple):
    """A variable whose two shapes differ."""

    name: str
    model_shape: tuple[int, ...]
    checkpoint_shape: tuple[int, ...]

    def __str__(self) -> str:
        return (
            f"{self.name}: model {list(self.model_shape)}, "
            f"checkpoint {list(self.checkpoint_shape)}"
        )


@dataclasses.dataclass(frozen=True)
class LoadReport:
    """How a model's variables and a checkpoint's arrays pair up by name.

    Attributes:
      checkpoint: path of the checkpoint.
      matched: in both, with one shape.
      missing: in the model only; these keep their initial values.
      unexpected: in the checkpoint only.
      shape_clash: in both, with different shapes.
      ignored: optimizer slots and step counters of the checkpoint.
    """

    checkpoint: str
    matched: tuple[str, ...]
    missing: tuple[str, ...]
    unexpected: tuple[str, ...]
    shape_clash: tuple[ShapeClash, ...]
    ignored: tuple[str, ...]

    def summary(self) -> str:
        """A line for each kind that occurs, with its first few names."""
        lines = [
            f"Checkpoint {self.checkpoint}:",
            f"  {len(self.matched)} variables read",
        ]
        for kind, items in (
            ("not in the checkpoint, left as initialized", self.missing),
            ("in the checkpoint only, not used", self.unexpected),
            ("of another shape", self.shape_clash),
        ):
            if items:
                lines.append(f"  {len(items)} {kind}: {listed(items)}")
        if self.ignored:
            lines.append(
                f"  {len(self.ignored)} of the optimizer's state, not used"
            )
        return "\n".join(lines)


def compare(
    checkpoint: str,
    model_shapes: Mapping[str, tuple[int, ...]],
    checkpoint_shapes: Mapping[str, tuple[int, ...]],
) -> LoadReport:
    """Pairs a model's variables with a checkpoint's by name."""
    both = [name for name in model_shapes if name in checkpoint_shapes]
    clashes = [
        ShapeClash(name, model_shapes[name], checkpoint_shapes[name])
        for name in both
        if model_shapes[name] != checkpoint_shapes[name]
    ]
    clashing = {clash.name for clash in clashes}
    others = [name for name in checkpoint_shapes if name not in model_shapes]
    ignored = [n for n in others if is_training_state(n, checkpoint_shapes)]
    return LoadReport(
        checkpoint=checkpoint,
        matched=tuple(name for name in both if name not in clashing),
        missing=tuple(n for n in model_shapes if n not in checkpoint_shapes),
        unexpected=tuple(n for n in others if n not in set(ignored)),
        shape_clash=tuple(clashes),
        ignored=tuple(ignored),
    )


def listed(items: Sequence[object], limit: int = _NAMES_SHOWN) -> str:
    """The first few of a list in words: "a, b and 3 more"."""
    text = ", ".join(map(str, items[:limit]))
    more = len(items) - limit
    return f"{text} and {more} more" if more > 0 else text
