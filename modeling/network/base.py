"""What every public model shares: it is rebuilt from its config."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import keras

from modeling.config import BertConfig


class ConfiguredModel(keras.Model):
    """A Keras model defined by a `BertConfig` and a few options.

    Subclasses make their variables in `__init__`, so that weights exist at
    once, outside any caller's name scope: paths are Google's names wherever
    the model is nested, and a `.keras` file loads without a first call.

    Args:
      config: a `BertConfig`, or its fields as a dictionary.
      options: the subclass's own constructor arguments, by name.
    """

    def __init__(
        self,
        config: BertConfig | Mapping[str, Any],
        options: Mapping[str, Any],
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if not isinstance(config, BertConfig):
            config = BertConfig(**config)
        self.config = config
        self._options = tuple(options.items())

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "config": dataclasses.asdict(self.config),
            **dict(self._options),
        }
