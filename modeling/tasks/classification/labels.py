"""Labels as files have them, as they are learnt, and as a model keeps them."""

from __future__ import annotations

import dataclasses
import functools
import json
import math
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal, get_args

import numpy as np

from modeling.errors import UserError
from modeling.output_files import write_json
from modeling.tasks.classification.examples import InputExample, Label

Kind = Literal["classification", "multi_label", "regression"]

LABEL_MAP = "label_map.json"
_MANY = 12
# How many labels there must be to learn anything.
_NEEDED = {"classification": 2, "multi_label": 1, "regression": 0}


@dataclasses.dataclass(frozen=True)
class Labels:
    """What a model tells apart.

    Attributes:
      kind: one class an example, any number of classes, or a number.
      names: the classes in the order of their ids; none in regression.
    """

    kind: Kind
    names: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.kind not in get_args(Kind):
            raise UserError(
                f"kind must be one of {', '.join(get_args(Kind))}. "
                f"Received: {self.kind!r}"
            )
        if len(set(self.names)) < len(self.names):
            raise UserError(f"A label stands twice in {list(self.names)}.")
        needed = _NEEDED[self.kind]
        if len(self.names) < needed:
            raise UserError(
                f"{self.kind} needs at least {needed} labels. Received: "
                f"{list(self.names)}"
            )

    @property
    def num_outputs(self) -> int:
        """Values that a model gives for an example."""
        return 1 if self.kind == "regression" else len(self.names)

    def encode(self, examples: Sequence[InputExample]) -> np.ndarray:
        """What is learnt: int32 [N], float32 [N], or for multi-label 0 and 1,
        float32 [N, L]; 0 where an example has no label.

        Raises:
          UserError: a label that is not one of the names.
        """
        if self.kind == "multi_label":
            targets = np.zeros((len(examples), len(self.names)), np.float32)
            for row, example in enumerate(examples):
                for label in example.label or ():
                    targets[row, self._id(label, example)] = 1
            return targets
        if self.kind == "regression":
            return np.array([e.label or 0 for e in examples], np.float32)
        ids = [0 if e.label is None else self._id(e.label, e) for e in examples]
        return np.array(ids, np.int32)

    def save(self, directory: str) -> None:
        """Keeps the labels with a model."""
        write_json(
            os.path.join(directory, LABEL_MAP),
            {
                "kind": self.kind,
                "labels": self._ids,
            },
        )

    @classmethod
    def load(cls, directory: str) -> Labels:
        """The labels that a model was trained with.

        Raises:
          UserError: no such file, or one that `save` has not written.
        """
        path = os.path.join(directory, LABEL_MAP)
        try:
            with open(path, encoding="utf-8") as file:
                values = json.load(file)
            labels: Mapping[str, int] = values["labels"]
            names = sorted(labels, key=labels.__getitem__)
            if [labels[name] for name in names] != list(range(len(names))):
                raise ValueError(f"ids are not 0, 1, 2 ...: {labels}")
            return cls(values["kind"], tuple(names))
        except OSError as error:
            raise UserError(
                f"Cannot read the labels of the model, {path}: "
                f"{error.strerror}. Training writes them beside the model."
            ) from error
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise UserError(f"{path} is not a label map: {error}") from error

    @functools.cached_property
    def _ids(self) -> dict[str, int]:
        return {name: index for index, name in enumerate(self.names)}

    def _id(self, label: str, example: InputExample) -> int:
        try:
            return self._ids[label]
        except KeyError:
            raise UserError(
                f"Example {example.guid!r}: unknown label {label!r}. Expected "
                f"{describe(self.names)}."
            ) from None


def collect_labels(
    kind: Kind, examples: Iterable[InputExample], where: str = "The examples"
) -> Labels:
    """The labels of training examples, sorted; whole numbers by their value.

    Args:
      kind: of the labels.
      examples: all of them.
      where: they are, for messages.

    Raises:
      UserError: fewer of them than the kind needs.
    """
    if kind == "regression":
        return Labels(kind)
    found: set[str] = set()
    count = 0
    for example in examples:
        count += 1
        label = example.label
        found.update(label if isinstance(label, tuple) else [str(label)])
    if len(found) < _NEEDED[kind]:
        labels = f"the label {''.join(found)!r}" if found else "a label"
        raise UserError(
            f"{where}: {kind} needs at least {_NEEDED[kind]} labels to learn. "
            f"Received: {count} examples, {'all' if found else 'none'} with "
            f"{labels}. Give a file that has examples of each, or name another "
            "column."
        )
    if all(re.fullmatch(r"[+-]?\d{1,18}", name) for name in found):
        return Labels(kind, tuple(sorted(found, key=lambda n: (int(n), n))))
    return Labels(kind, tuple(sorted(found)))


@dataclasses.dataclass(frozen=True)
class LabelParser:
    """Makes labels of the cells of a file.

    Attributes:
      kind: of the data set.
      known: the labels that are allowed, None for any.
      aliases: other names of labels.
      separator: between labels of multi-label sets that stand in one text.
    """

    kind: Kind
    known: tuple[str, ...] | None = None
    aliases: Mapping[str, str] = dataclasses.field(default_factory=dict)
    separator: str = ","

    def __call__(self, value: Any) -> Label:
        """Takes text, or what JSON has.

        Raises:
          UserError: a label that is not known, or no label at all; it does not
            tell where, which the caller knows.
        """
        if self.kind == "regression":
            return _parse_number(value)
        if self.kind == "classification":
            return self._check(_name(value))
        # An example may well have none of the labels.
        parts = value if isinstance(value, list) else self._split(value)
        return tuple(self._check(name) for name in map(_name, parts) if name)

    def _split(self, value: Any) -> list[str]:
        return _name(value).split(self.separator)

    def _check(self, name: str) -> str:
        name = self.aliases.get(name, name)
        if not name:
            expected = (
                f" Expected {describe(self.known)}." if self.known else ""
            )
            raise UserError(f"the label is empty.{expected}")
        if self._known is not None and name not in self._known:
            raise UserError(
                f"unknown label {name!r}. Expected {describe(self.known)}. Is "
                "it the right column? A model knows only the labels of its "
                "training file."
            )
        return name

    @functools.cached_property
    def _known(self) -> frozenset[str] | None:
        return None if self.known is None else frozenset(self.known)


def describe(names: Sequence[str]) -> str:
    """One of the names, as messages say it."""
    shown = ", ".join(map(repr, names[:_MANY]))
    more = len(names) - _MANY
    return f"one of {shown}" + (f" and {more} more" if more > 0 else "")


def _name(value: Any) -> str:
    if isinstance(value, bool) or value is None:
        # As JSON writes them.
        return {True: "true", False: "false", None: ""}[value]
    if isinstance(value, list | dict):
        raise UserError(
            f"expected a label. Received: {value!r:.80}. Lists are for "
            "--kind=multi_label."
        )
    return str(value).strip()


def _parse_number(value: Any) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = math.nan
    if not math.isfinite(number):
        raise UserError(f"expected a number. Received: {value!r}")
    return number
