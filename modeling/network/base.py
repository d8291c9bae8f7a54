"""What every public model shares: it is rebuilt from its config."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import keras
from keras import ops

from modeling.config import BertConfig

# What Hugging Face calls two of the inputs. Not knowing them, a model would
# attend to padding and read one segment.
_OTHER_NAMES = {"attention_mask": "input_mask", "token_type_ids": "segment_ids"}


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

    def __call__(
        self, inputs: Mapping[str, Any], *args: Any, **kwargs: Any
    ) -> Any:
        """As any Keras model, and takes lists of numbers for arrays.

        Raises:
          ValueError: the inputs are no dictionary, or have a name that
            Hugging Face gives to one of them.
        """
        if not isinstance(inputs, Mapping):
            raise ValueError(
                f"{type(self).__name__} takes a dictionary, such as "
                f'{{"input_ids": ...}}. Received: {type(inputs).__name__}'
            )
        for name in _OTHER_NAMES.keys() & inputs.keys():
            raise ValueError(
                f"{type(self).__name__}: the input {name!r} is called "
                f"{_OTHER_NAMES[name]!r} here."
            )
        tensors = {
            name: ops.convert_to_tensor(values)
            if isinstance(values, list | tuple)
            else values
            for name, values in inputs.items()
        }
        return super().__call__(tensors, *args, **kwargs)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "config": dataclasses.asdict(self.config),
            **dict(self._options),
        }
