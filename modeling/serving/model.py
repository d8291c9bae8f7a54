"""A version of an exported model, loaded."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

# Beside the model, as `export_model.py` writes them.
_INFO = "assets.extra/model_info.json"
_VOCABULARY = "assets.extra/vocab.txt"
DEFAULT_SIGNATURE = "serving_default"
# English has 4.3 bytes a token, spaces included; Chinese has 3.
_BYTES_A_TOKEN = 4

# One value for each input of a signature: bytes, or an array.
Row = tuple[Any, ...]
# By name of the output.
Outputs = dict[str, Any]


@dataclasses.dataclass(frozen=True)
class Tensor:
    """What an input or output is.

    Attributes:
      dtype: as TensorFlow's protocol calls it: "DT_STRING".
      shape: [N, ...], None for what may be of any size.
    """

    dtype: str
    shape: tuple[int | None, ...]

    @property
    def is_string(self) -> bool:
        return self.dtype == "DT_STRING"

    @property
    def is_ragged(self) -> bool:
        """Whether rows are of several lengths."""
        return len(self.shape) > 1 and self.shape[1] is None


@dataclasses.dataclass(frozen=True)
class Signature:
    """One way to ask a model.

    Attributes:
      name: "serving_default" for texts.
      inputs: by name.
      outputs: by name.
      function: inputs as tensors -> outputs as tensors.
    """

    name: str
    inputs: dict[str, Tensor]
    outputs: dict[str, Tensor]
    function: Callable[..., dict[str, Any]]


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
            name: _signature(name, function)
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
            name: _column([row[i] for row in rows], tensor)
            for i, (name, tensor) in enumerate(asked.inputs.items())
        }
        columns = {
            name: _values(values)
            for name, values in asked.function(**inputs).items()
        }
        lengths = columns.get("lengths")
        if lengths is None and next(iter(asked.inputs.values())).is_ragged:
            lengths = [len(row[0]) for row in rows]
        if lengths is not None:
            # Cut off what stands there because of longer rows.
            for name, tensor in asked.outputs.items():
                if tensor.is_ragged:
                    pairs = zip(columns[name], lengths, strict=True)
                    columns[name] = [row[:length] for row, length in pairs]
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
        tokens = 0
        for value, tensor in zip(
            row, self.signatures[signature].inputs.values(), strict=True
        ):
            if not tensor.is_string:
                return len(value) if tensor.is_ragged else 1
            tokens += 2 + len(value) // _BYTES_A_TOKEN
        if longest is None or tokens <= longest:
            return tokens
        stride = self.info.get("doc_stride")
        # Read through windows, which overlap, or cut.
        return tokens * longest // stride if stride else longest

    def _warm_up(self) -> None:
        asked = self.signatures.get(DEFAULT_SIGNATURE)
        if asked and all(t.is_string for t in asked.inputs.values()):
            row = tuple(b"warm up" for _ in asked.inputs)
            self.compute(DEFAULT_SIGNATURE, [row, row])


def _signature(name: str, function: Any) -> Signature:
    return Signature(
        name,
        {
            name: _tensor(spec)
            for name, spec in function.structured_input_signature[1].items()
        },
        {
            name: _tensor(spec)
            for name, spec in function.structured_outputs.items()
        },
        function,
    )


def _tensor(spec: Any) -> Tensor:
    from tensorflow.core.framework import types_pb2

    dtype = types_pb2.DataType.Name(spec.dtype.as_datatype_enum)
    return Tensor(dtype, _shape(spec))


def _shape(spec: Any) -> tuple[int | None, ...]:
    return () if spec.shape.rank is None else tuple(spec.shape.as_list())


def _column(values: Sequence[Any], tensor: Tensor) -> Any:
    """Values of all rows as a tensor, shorter ones padded with zeros."""
    import tensorflow as tf

    if tensor.is_string:
        return tf.constant(values, tf.string)
    return tf.constant(stack(values))


def stack(arrays: Sequence[np.ndarray]) -> np.ndarray:
    """Arrays of one rank as one, with 0 or b"" where others are longer."""
    shapes = np.array([array.shape for array in arrays])
    if (shapes == shapes[0]).all():
        return np.stack(arrays)
    # [rows, ...]
    dtype = arrays[0].dtype
    nothing = b"" if dtype.kind == "O" else 0
    result = np.full((len(arrays), *shapes.max(axis=0)), nothing, dtype)
    for row, array in zip(result, arrays, strict=True):
        row[tuple(map(slice, array.shape))] = array
    return result


def _values(tensor: Any) -> np.ndarray:
    """Values that JSON can say."""
    values = tensor.numpy()
    if values.dtype.kind in "biuf":
        return values
    # bfloat16 is no type of NumPy's; strings are bytes.
    return values if values.dtype == object else values.astype(np.float32)
