"""TensorFlow Serving's REST dialect: requests and answers as JSON.

https://www.tensorflow.org/tfx/serving/api_rest
"""

from __future__ import annotations

import base64
import binascii
import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from modeling.serving.limits import Limits, RequestRefused
from modeling.serving.model import Model
from modeling.serving.numbers import check_row, find_range, read_array
from modeling.serving.padding import stack
from modeling.serving.signatures import (
    DEFAULT_SIGNATURE,
    Outputs,
    Row,
    Signature,
    Tensor,
)

# The two forms of a request, and how each is answered.
ROWS, COLUMNS = "instances", "inputs"


@dataclasses.dataclass(frozen=True)
class Query:
    """What a client asks.

    Attributes:
      signature: its name.
      rows: at least one.
      form: `ROWS` or `COLUMNS`.
    """

    signature: str
    rows: list[Row]
    form: str = ROWS


def parse_predict(message: Any, model: Model, limits: Limits) -> Query:
    """Reads the body of `:predict`.

    Raises:
      RequestRefused: it is no such body, or too much.
    """
    if not isinstance(message, dict):
        raise RequestRefused(400, "The body must be a JSON object.")
    unknown = set(message) - {"signature_name", ROWS, COLUMNS}
    if unknown:
        raise RequestRefused(400, f"Unknown in the body: {_names(unknown)}")
    forms = [form for form in (ROWS, COLUMNS) if form in message]
    if len(forms) != 1:
        raise RequestRefused(
            400, f'The body must have either "{ROWS}" or "{COLUMNS}".'
        )
    name = message.get("signature_name", DEFAULT_SIGNATURE)
    if not isinstance(name, str) or name not in model.signatures:
        raise RequestRefused(
            400,
            f"The model has the signatures {_names(model.signatures)}. "
            f"Received: {str(name)[:100]!r}",
        )
    signature = model.signatures[name]
    read = _instances if forms == [ROWS] else _columns
    values = read(message[forms[0]], signature)
    limits.check_texts(len(values))
    rows = [
        _row(each, index, signature, model, limits)
        for index, each in enumerate(values)
    ]
    limits.check_texts(sum(_count_texts(row, signature) for row in rows))
    return Query(name, rows, forms[0])


def answer_predict(
    query: Query, model: Model, answers: Sequence[Outputs]
) -> dict[str, Any]:
    """The body that answers a query: rows as they are, columns filled up to
    the longest row of the query.
    """
    names = list(model.signatures[query.signature].outputs)
    if query.form == COLUMNS:
        columns = {
            name: join([row[name] for row in answers], name) for name in names
        }
        return {"outputs": columns if len(names) > 1 else columns[names[0]]}
    rows = [{name: _said(row[name]) for name in names} for row in answers]
    if len(names) == 1:
        return {"predictions": [row[names[0]] for row in rows]}
    return {"predictions": rows}


def join(values: Sequence[Any], name: str) -> Any:
    """An output of all rows, as JSON can say it."""
    if isinstance(values[0], np.ndarray):
        return _said(stack(values, name))
    return [_said(value) for value in values]


def describe_status(version: int) -> dict[str, Any]:
    """The state of a version that is served."""
    return {
        "model_version_status": [
            {
                "version": str(version),
                "state": "AVAILABLE",
                "status": {"error_code": "OK", "error_message": ""},
            }
        ]
    }


def describe_metadata(name: str, version: int, model: Model) -> dict[str, Any]:
    """Inputs and outputs of all signatures."""
    signatures = {
        signature.name: {
            "inputs": _describe(signature.inputs),
            "outputs": _describe(signature.outputs),
            "method_name": "tensorflow/serving/predict",
        }
        for signature in model.signatures.values()
    }
    return {
        "model_spec": {
            "name": name,
            "signature_name": "",
            "version": str(version),
        },
        # Twice: a map inside a message, as Protocol Buffers say it in JSON.
        "metadata": {"signature_def": {"signature_def": signatures}},
    }


def _describe(tensors: dict[str, Tensor]) -> dict[str, Any]:
    return {
        name: {
            "dtype": tensor.dtype,
            "tensor_shape": {
                "dim": [
                    {"size": str(-1 if size is None else size), "name": ""}
                    for size in tensor.shape
                ],
                "unknown_rank": False,
            },
            "name": name,
        }
        for name, tensor in tensors.items()
    }


def _instances(given: Any, signature: Signature) -> list[dict[str, Any]]:
    """Row format: [{input: value}] or, of one input, [value]."""
    if not isinstance(given, list) or not given:
        raise RequestRefused(400, f'"{ROWS}" must be a list that is not empty.')
    only = list(signature.inputs)[0] if len(signature.inputs) == 1 else None
    rows = []
    for index, row in enumerate(given):
        if only and (not isinstance(row, dict) or set(row) == {"b64"}):
            row = {only: row}
        _check_names(row, signature, f'"{ROWS}"[{index}]')
        rows.append(row)
    return rows


def _columns(given: Any, signature: Signature) -> list[dict[str, Any]]:
    """Column format: {input: [value]} or, of one input, [value]."""
    if len(signature.inputs) == 1 and isinstance(given, list):
        given = {next(iter(signature.inputs)): given}
    _check_names(given, signature, f'"{COLUMNS}"')
    for name, column in given.items():
        if not isinstance(column, list) or not column:
            raise RequestRefused(
                400, f'"{COLUMNS}": {name} must be a list that is not empty.'
            )
    counts = {name: len(column) for name, column in given.items()}
    if len(set(counts.values())) != 1:
        raise RequestRefused(
            400, f'"{COLUMNS}" differ in how many they are: {counts}'
        )
    rows = zip(*given.values(), strict=True)
    return [dict(zip(given, row, strict=True)) for row in rows]


def _check_names(given: Any, signature: Signature, where: str) -> None:
    if not isinstance(given, dict) or set(given) != set(signature.inputs):
        names = _names(given) if isinstance(given, dict) else _kind(given)
        raise RequestRefused(
            400,
            f"{where} must be an object with {_names(signature.inputs)}. "
            f"Received: {names}",
        )


def _row(
    given: dict[str, Any],
    index: int,
    signature: Signature,
    model: Model,
    limits: Limits,
) -> Row:
    row = []
    for name, tensor in signature.inputs.items():
        where = f"{name}[{index}]"
        if tensor.is_choices and tensor.is_string:
            value = _choices(given[name], where, limits)
        elif tensor.is_string:
            value = _string(given[name], where, limits)
        else:
            wanted = find_range(name, model.info)
            value = read_array(given[name], tensor, where, wanted)
        row.append(value)
    check_row(row, index, signature, model.info)
    return tuple(row)


def _count_texts(row: Row, signature: Signature) -> int:
    """As how many texts a row counts."""
    return max(
        len(value) if tensor.is_choices else 1
        for value, tensor in zip(row, signature.inputs.values(), strict=True)
    )


def _choices(value: Any, where: str, limits: Limits) -> np.ndarray:
    """Texts [C] of which "" is none, but fills up."""
    texts = []
    if isinstance(value, list):
        texts = [
            _string(each, f"{where}[{number}]", limits)
            for number, each in enumerate(value)
        ]
    if len(texts) - texts.count(b"") < 2:
        raise RequestRefused(
            400,
            f"{where} must be a list of two or more strings that are not "
            "empty.",
        )
    return np.array(texts, object)


def _string(value: Any, where: str, limits: Limits) -> bytes:
    if isinstance(value, str):
        text = value.encode()
    elif isinstance(value, dict) and set(value) == {"b64"}:
        try:
            text = base64.b64decode(value["b64"], validate=True)
        except (binascii.Error, TypeError, ValueError) as error:
            raise RequestRefused(400, f"{where} is no base64.") from error
    else:
        raise RequestRefused(
            400, f'{where} must be a string or {{"b64": string}}.'
        )
    limits.check_text(text, where)
    return text


def _said(value: Any) -> Any:
    """A value as JSON can say it."""
    if isinstance(value, bytes):
        return _text(value)
    if not isinstance(value, np.ndarray):
        return value.item()
    return _texts(value.tolist()) if value.dtype == object else value


def _texts(value: Any) -> Any:
    """Strings in nested lists."""
    if isinstance(value, list):
        return [_texts(each) for each in value]
    return _text(value)


def _text(value: bytes) -> Any:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return {"b64": base64.b64encode(value).decode()}


def _kind(value: Any) -> str:
    """What a value is in JSON."""
    kinds = {str: "a string", list: "a list", bool: "a boolean"}
    return "null" if value is None else kinds.get(type(value), "a number")


def _names(names: Any) -> str:
    """Some names, whoever chose them."""
    listed = sorted(map(str, names))
    return ", ".join(name[:50] for name in listed[:10]) or "nothing"
