"""A version of an exported model, loaded."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from typing import Any

import numpy as np

from modeling.serving.padding import cut, stack
from modeling.serving.signatures import (
    DEFAULT_SIGNATURE,
    Outputs,
    Row,
    Signature,
    Tensor,
)

# Beside the model, as `export_model.py` writes them.
_INFO = "assets.extra/model_info.json"
_VOCABULARY = "assets.extra/vocab.txt"
# English has 4.3 bytes a token, spaces included; Chinese has 3.
_BYTES_A_TOKEN = 4
_WARM_UP = b"warm up"


class Model:
    """A loaded SavedModel.

    Args:
      directory: the version's.
      signatures: by name.
      info: what `export_model.py` tells of the model; {} of another.
      owner: kept as long as the model: its signatures do not own it.
    """

    def __init__(
        self,
        directory: str,
        signatures: dict[str, Signature],
        info: dict[str, Any],
        owner: Any = None,
    ) -> None:
        self.directory = directory
        self.signatures = signatures
        self.info = info
        self._owner = owner

    @classmethod
    def load(cls, directory: str) -> Model:
        """Loads a version and asks it once, so that no client waits for what
        the first request costs.
        """
        import tensorflow as tf
        import tensorflow_text  # noqa: F401  (operations that models have)

        loaded = tf.saved_model.load(directory)
        info: dict[str, Any] = {}
        path = os.path.join(directory, _INFO)
        if os.path.exists(path):
            with open(path, encoding="utf-8") as file:
                info = json.load(file)
        signatures = {
            name: Signature.of(name, function)
            for name, function in loaded.signatures.items()
        }
        model = cls(directory, signatures, info, loaded)
        model._warm_up()
        return model

    @property
    def task(self) -> str | None:
        """What it was exported for."""
        return self.info.get("task")

    @property
    def vocabulary_file(self) -> str | None:
        """Pieces, one a line; None where the model has none such."""
        path = os.path.join(self.directory, _VOCABULARY)
        return path if os.path.exists(path) else None

    def compute(self, signature: str, rows: Sequence[Row]) -> list[Outputs]:
        """What the model says of each row, whatever rows stand beside it."""
        asked = self.signatures[signature]
        inputs = {
            name: _column([row[i] for row in rows], name, tensor)
            for i, (name, tensor) in enumerate(asked.inputs.items())
        }
        columns = {
            name: _values(values)
            for name, values in asked.function(**inputs).items()
        }
        columns = cut(asked, rows, columns)
        answers = zip(*columns.values(), strict=True)
        return [
            dict(zip(columns, values, strict=True))
            for _, values in zip(rows, answers, strict=True)
        ]

    def length(self, signature: str, row: Row) -> int:
        """About how many tokens a row will have, special ones included.

        Texts are not tokenized for that: it only says what goes well together.
        """
        longest = self.info.get("max_seq_length")
        tokens, choices = 0, 1
        for value, tensor in zip(
            row, self.signatures[signature].inputs.values(), strict=True
        ):
            if not tensor.is_string:
                return value.size if tensor.is_ragged else 1
            if tensor.is_choices:
                # Each has a row with what else is said, as long as the longest.
                choices = len(value)
                value = max(value, key=len)
            tokens += 2 + len(value) // _BYTES_A_TOKEN
        if longest is not None and tokens > longest:
            stride = self.info.get("doc_stride")
            # Read through windows, which overlap, or cut.
            tokens = tokens * longest // stride if stride else longest
        return tokens * choices

    def _warm_up(self) -> None:
        asked = self.signatures.get(DEFAULT_SIGNATURE)
        if asked and asked.takes_texts:
            row = tuple(
                np.array([_WARM_UP] * 2, object)
                if tensor.is_choices
                else _WARM_UP
                for tensor in asked.inputs.values()
            )
            self.compute(DEFAULT_SIGNATURE, [row, row])


def _column(values: Sequence[Any], name: str, tensor: Tensor) -> Any:
    """Values of all rows as a tensor."""
    import tensorflow as tf

    if tensor.is_string and not tensor.is_choices:
        return tf.constant(values, tf.string)
    return tf.constant(stack(values, name))


def _values(tensor: Any) -> np.ndarray:
    """Values that JSON can say."""
    values = tensor.numpy()
    if values.dtype.kind in "biuf":
        return values
    # bfloat16 is no type of NumPy's; strings are bytes.
    return values if values.dtype == object else values.astype(np.float32)
