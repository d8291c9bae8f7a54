"""The feature-based way: what stands on an encoder that is not trained."""

from __future__ import annotations

import dataclasses
from typing import TypeVar

from modeling.errors import UserError
from modeling.network.layer_choice import resolve_layers
from modeling.network.layer_mix import COMBINE

ChosenT = TypeVar("ChosenT", bound="ChosenLayers")


@dataclasses.dataclass(frozen=True)
class ChosenLayers:
    """Layers of a frozen encoder that become one vector (paper, section 5.3).

    Attributes:
      layers: the encoder's blocks, 0 the first and -1 the last; "embeddings"
        for what is below them; or "all" alone.
      combine: "concat", "sum", or "weighted" by learned weights.

    Raises:
      UserError: a value out of range.
    """

    layers: tuple[int | str, ...] = (-1, -2, -3, -4)
    combine: str = "concat"

    def __post_init__(self) -> None:
        if self.combine not in COMBINE:
            raise UserError(
                f"combine must be one of {', '.join(COMBINE)}. Received: "
                f"{self.combine!r}"
            )
        if not self.layers:
            raise UserError("layers is empty: name at least one layer.")

    def resolve(self: ChosenT, num_hidden_layers: int) -> ChosenT:
        """The same for an encoder of so many blocks: "all" spelt out.

        Raises:
          UserError: a layer that the encoder does not have.
        """
        layers = resolve_layers(self.layers, num_hidden_layers)
        return dataclasses.replace(self, layers=layers)


@dataclasses.dataclass(frozen=True)
class FeatureBased(ChosenLayers):
    """Chosen layers under a small network.

    Attributes:
      lstm_layers: of a BiLSTM; 0: none.
      lstm_size: of its outputs; 0: the encoder's.

    Raises:
      UserError: a value out of range.
    """

    lstm_layers: int = 0
    lstm_size: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_lstm(self.lstm_layers, self.lstm_size)


def check_lstm(layers: int, size: int) -> None:
    """Checks the options of a BiLSTM.

    Raises:
      UserError: a value out of range.
    """
    if layers < 0 or size < 0 or size % 2:
        raise UserError(
            "A BiLSTM has layers, or 0 for none, and an even size, half for "
            f"each direction. Received: lstm_layers={layers}, lstm_size={size}"
        )
