"""What a model takes and gives."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

DEFAULT_SIGNATURE = "serving_default"

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

    @classmethod
    def of(cls, spec: Any) -> Tensor:
        """That of a `tf.TensorSpec`."""
        from tensorflow.core.framework import types_pb2

        dtype = types_pb2.DataType.Name(spec.dtype.as_datatype_enum)
        rank = spec.shape.rank
        return cls(dtype, () if rank is None else tuple(spec.shape.as_list()))

    @property
    def is_string(self) -> bool:
        return self.dtype == "DT_STRING"

    @property
    def is_ragged(self) -> bool:
        """Whether rows are of several lengths."""
        return len(self.shape) > 1 and self.shape[1] is None

    @property
    def is_choices(self) -> bool:
        """Whether a row is a list of texts, [N, C], or of rows of tokens,
        [N, C, F], among which the model chooses.
        """
        rank = 2 if self.is_string else 3
        return self.is_ragged and len(self.shape) == rank


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

    @classmethod
    def of(cls, name: str, function: Any) -> Signature:
        """That of a loaded SavedModel."""
        inputs = function.structured_input_signature[1]
        outputs = function.structured_outputs
        return cls(
            name,
            {name: Tensor.of(spec) for name, spec in inputs.items()},
            {name: Tensor.of(spec) for name, spec in outputs.items()},
            function,
        )

    @property
    def takes_texts(self) -> bool:
        return all(tensor.is_string for tensor in self.inputs.values())
