"""JSON of data sets, checked key by key, with the place in every message."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import orjson

from modeling.errors import UserError
from modeling.text_files import (
    decode_error,
    display_name,
    open_file,
    reading,
)


def load_json(path: str, of_several: str = "") -> Any:
    """The value of a file.

    Args:
      path: of the file.
      of_several: what to say where a value stands behind the first.

    Raises:
      UserError: a file that cannot be read or is not JSON, with the line.
    """
    with reading(path), open_file(path) as file:
        content = file.read()
    try:
        text = content.decode("utf-8").removeprefix("\ufeff")
        # Not the standard library's: half of a surrogate pair is an error here,
        # not when it is written.
        return orjson.loads(text)
    except UnicodeDecodeError as error:
        raise decode_error(error, path, 1) from error
    except orjson.JSONDecodeError as error:
        advice = f"Is the file whole? It is {len(content):,} bytes."
        if of_several and _is_json(text[: error.pos]):
            advice = of_several
        raise UserError(
            f"{display_name(path)}, line {error.lineno}, column "
            f"{error.colno}: not JSON: {error.msg}. {advice}"
        ) from error


def _is_json(text: str) -> bool:
    try:
        orjson.loads(text)
    except orjson.JSONDecodeError:
        return False
    return True


class JsonObject:
    """An object of a file.

    Args:
      name: what messages call it.
      values: what should be an object.
      hint: what ends the message where a key is missing.

    Raises:
      UserError: something other than an object.
    """

    def __init__(self, name: str, values: Any, hint: str) -> None:
        if not isinstance(values, Mapping):
            raise UserError(
                f"{name} must be an object. Received: {describe_value(values)}"
            )
        self.name, self.values, self.hint = name, values, hint

    def part(self, name: str, values: Any) -> JsonObject:
        """An object within this one."""
        return JsonObject(f"{self.name}, {name}", values, self.hint)

    def text(self, *keys: str) -> str:
        """The text under the first of the keys that is there."""
        return self.get(keys, str, "text")

    def list(self, *keys: str) -> list[Any]:
        """The list under the first of the keys that is there."""
        return self.get(keys, list, "a list")

    def texts(self, *keys: str) -> list[str]:
        """The list of texts under the first of the keys that is there."""
        values = self.list(*keys)
        for number, value in enumerate(values, 1):
            if not isinstance(value, str):
                raise UserError(
                    f"{self.name}: {self.present(*keys)!r} must be a list of "
                    f"texts. Received: {describe_value(value)} as number "
                    f"{number}"
                )
        return values

    def present(self, *keys: str) -> str | None:
        """The first of the keys that is there."""
        return next((key for key in keys if key in self.values), None)

    def has(self, *keys: str) -> bool:
        """Whether one of the keys says something: tables that are written as
        JSON have null in cells without a value.
        """
        return self.values.get(self.present(*keys)) is not None

    def get(
        self, keys: tuple[str, ...], kind: type | tuple[type, ...], wanted: str
    ) -> Any:
        """The value under the first of the keys that is there.

        Raises:
          UserError: none is there, or its value is of another kind.
        """
        key = self.present(*keys)
        if key is None:
            raise UserError(
                f"{self.name}: the key {' or '.join(map(repr, keys))} is "
                "missing. Keys found: "
                f"{', '.join(map(repr, self.values)) or 'none'}. {self.hint}"
            )
        value = self.values[key]
        # To Python, true is a number.
        if isinstance(value, kind) and (
            kind is bool or not isinstance(value, bool)
        ):
            return value
        raise UserError(
            f"{self.name}: {key!r} must be {wanted}. Received: "
            f"{describe_value(value)}"
        )


def describe_value(value: Any) -> str:
    """A JSON value as messages show it."""
    names = {dict: "an object", list: "a list", type(None): "null"}
    return names.get(type(value)) or json.dumps(value, ensure_ascii=False)[:40]
