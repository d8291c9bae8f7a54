"""Numbers that a client sends, above all tokens.

A wrong one is refused before it comes to the model, which on some devices
computes something of it all the same.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from modeling.serving.limits import RequestRefused
from modeling.serving.signatures import Signature, Tensor

_DTYPES = {
    "DT_INT32": np.dtype(np.int32),
    "DT_INT64": np.dtype(np.int64),
    "DT_FLOAT": np.dtype(np.float32),
}
_MASK, _POSITIONS = "input_mask", "word_positions"


class Range(NamedTuple):
    """From `low` to `high`, both among them."""

    low: int
    high: int


def find_range(name: str, info: Mapping[str, Any]) -> Range | None:
    """What an input of an exported model may be; None: whatever its type can.

    Args:
      name: of the input.
      info: what `export_model.py` tells of the model; {} of another.
    """
    if "max_seq_length" not in info:
        return None
    # Models that were exported before sizes were told find them in the graph.
    any_size = 2**31
    sizes = {
        "input_ids": info.get("vocab_size", any_size),
        _MASK: 2,
        "segment_ids": info.get("type_vocab_size", any_size),
        _POSITIONS: info["max_seq_length"],
        "word_mask": 2,
    }
    return Range(0, sizes[name] - 1) if name in sizes else None


def read_array(
    value: Any, tensor: Tensor, where: str, wanted: Range | None = None
) -> np.ndarray:
    """A row's numbers.

    Args:
      value: as JSON has it.
      tensor: what the model takes.
      where: it stands in the request.
      wanted: what the numbers may be, all of which its type can be.

    Raises:
      RequestRefused: they are others; told of the first.
    """
    dtype = _DTYPES.get(tensor.dtype)
    if dtype is None:
        raise RequestRefused(400, f"{where}: {tensor.dtype} is not taken.")
    # As objects: of strings NumPy would make each as long as the longest, and
    # so of a small body an array of any size.
    array = np.array(value, object)
    shape = tensor.shape[1:]
    fits = array.ndim == len(shape) and all(
        size is None or size == got
        for size, got in zip(shape, array.shape, strict=True)
    )
    if not fits or array.size == 0:
        sizes = ", ".join("any" if n is None else str(n) for n in shape)
        raise RequestRefused(
            400,
            f"{where} must be {dtype.name} of the shape [{sizes}], lists of "
            "equal length that are not empty.",
        )
    types = {int} if dtype.kind == "i" else {int, float}
    if not types.issuperset(map(type, array.flat)):
        _refuse(array, where, dtype.name, lambda v: type(v) in types)
    low, high = wanted or _type_range(dtype)
    if array.min() < low or array.max() > high:
        said = f"from {low} to {high}"
        _refuse(array, where, said, lambda v: low <= v <= high)
    return array.astype(dtype)


def check_row(
    row: Sequence[Any],
    index: int,
    signature: Signature,
    info: Mapping[str, Any],
) -> None:
    """There are tokens, and what is given of each, or of each word, is equally
    many.

    Args:
      row: what the model takes.
      index: of the row in the request.
      signature: that is asked.
      info: see `find_range`.

    Raises:
      RequestRefused: it is not so, or is more than the model takes.
    """
    shapes: dict[bool, set[tuple[int, ...]]] = {}
    for value, (name, tensor) in zip(
        row, signature.inputs.items(), strict=True
    ):
        if tensor.is_ragged and not tensor.is_string:
            is_of_words = name.startswith("word_")
            shapes.setdefault(is_of_words, set()).add(value.shape)
    if any(len(found) > 1 for found in shapes.values()):
        raise RequestRefused(400, f"Inputs of row {index} differ in length.")
    longest = info.get("max_seq_length")
    most = max((shape[-1] for (shape,) in shapes.values()), default=0)
    if longest is not None and most > longest:
        raise RequestRefused(
            413, f"Row {index} may have {longest} tokens. Received: {most}"
        )
    named = dict(zip(signature.inputs, row, strict=True))
    if longest is not None and _MASK in named and not named[_MASK].any():
        raise RequestRefused(
            400, f"{_MASK}[{index}] must have a 1: the row has no tokens."
        )
    positions = named.get(_POSITIONS)
    if positions is not None and False in shapes:
        ((length,),) = shapes[False]
        if positions.max() >= length:
            _refuse(
                positions,
                f"{_POSITIONS}[{index}]",
                f"from 0 to {length - 1}, a token of its row",
                lambda v: v < length,
            )


def _type_range(dtype: np.dtype) -> tuple[float, float]:
    # As Python's own: NumPy would make its type of what it compares them with.
    if dtype.kind == "i":
        return int(np.iinfo(dtype).min), int(np.iinfo(dtype).max)
    return float(np.finfo(dtype).min), float(np.finfo(dtype).max)


def _refuse(
    array: np.ndarray, where: str, wanted: str, is_right: Callable[[Any], bool]
) -> None:
    """Tells of the first number that is not right."""
    for place, value in np.ndenumerate(array):
        if not is_right(value):
            path = "".join(f"[{number}]" for number in place)
            raise RequestRefused(
                400,
                f"{where}{path} must be {wanted}. Received: {_shown(value)}",
            )


def _shown(value: Any) -> str:
    """As JSON says it, about."""
    names = {None: "null", True: "true", False: "false"}
    if value is None or isinstance(value, bool):
        return names[value]
    return repr(getattr(value, "item", lambda: value)())[:50]
