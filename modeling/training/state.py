"""TrainingState: checkpoints to go on from, in Google's form with slots.

A checkpoint is `model.ckpt-<step>`: the weights and slots under the original's
names, `global_step`, and what else the loop must know to repeat the next step
exactly. It appears under its name only when it is whole.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf
from absl import logging

from modeling.checkpoints.google import GoogleReader, write_google_checkpoint
from modeling.errors import UserError
from modeling.output_files import telling, whole_file

_INDEX = re.compile(r"model\.ckpt-(\d+)\.index")
_FILE = re.compile(r"model\.ckpt-(\d+)\.")
_UNFINISHED = re.compile(r"(model|bert_model)\.ckpt.*\.tmp-[0-9a-f]{32}\.")
_POSITIONS = "data_positions"
_NEWEST = "checkpoint"


class Restored(NamedTuple):
    """A checkpoint that variables were restored from.

    Attributes:
      prefix: of its files.
      step: steps done.
      positions: where each host goes on in its data: int64 [hosts, 3]; a row
        of zeros for checkpoints of the original.
    """

    prefix: str
    step: int
    positions: np.ndarray


class TrainingState:
    """Saves and restores variables by name.

    Args:
      directory: of the checkpoints; local or remote.
      variables: everything that a step reads and writes, by name; among them
        `global_step`.
      keep: how many checkpoints to keep, the newest; 0: all.
    """

    def __init__(
        self, directory: str, variables: Mapping[str, Any], keep: int = 5
    ) -> None:
        self._directory, self._keep = directory, keep
        self._variables = dict(variables)

    def checkpoints(self) -> list[str]:
        """Prefixes of what is saved, the oldest first."""
        return [
            os.path.join(self._directory, f"model.ckpt-{step}")
            for step in self._steps()
        ]

    def save(self, positions: np.ndarray) -> str:
        """Saves all variables; returns the checkpoint's prefix.

        Args:
          positions: where each host goes on in its data: int64 [hosts, 3].

        Raises:
          UserError: it cannot be written; earlier checkpoints are untouched.
        """
        arrays = {name: read(v) for name, v in self._variables.items()}
        step = int(arrays["global_step"])
        prefix = os.path.join(self._directory, f"model.ckpt-{step}")
        write_google_checkpoint(prefix, {**arrays, _POSITIONS: positions})
        self._forget_old(newest=step)
        self._write_newest()
        return prefix

    def restore(self) -> Restored | None:
        """Restores the newest whole checkpoint; None where there is none.

        Raises:
          UserError: all are damaged, or the newest whole one is of another
            model or optimizer.
        """
        prefixes = self.checkpoints()
        damage = []
        for prefix in reversed(prefixes):
            try:
                arrays = self._read(prefix)
            except _Damaged as error:
                damage.append(str(error))
                logging.warning("%s Going back to the one before it.", error)
                continue
            for name, variable in self._variables.items():
                variable.assign(arrays[name])
            step = int(arrays["global_step"])
            return Restored(prefix, step, arrays[_POSITIONS])
        if damage:
            raise UserError(
                "No checkpoint to go on from is whole:\n  "
                + "\n  ".join(damage)
                + f"\nRemove them from {self._directory} to start anew."
            )
        return None

    def remove_unfinished(self) -> None:
        """Removes what killed runs left half-written."""
        for name in self._files():
            if _UNFINISHED.match(name):
                tf.io.gfile.remove(os.path.join(self._directory, name))

    def remove_all(self) -> None:
        """Removes every checkpoint."""
        self._remove({*self._steps()})

    def _read(self, prefix: str) -> dict[str, np.ndarray]:
        try:
            reader = GoogleReader(prefix)
        except UserError as error:
            raise _Damaged(str(error)) from error
        self._check(reader)
        try:
            arrays = {name: reader.read(name) for name in self._variables}
            # The original's have none: their data begin anew.
            arrays[_POSITIONS] = np.zeros((1, 3), np.int64)
            if _POSITIONS in reader.shapes:
                arrays[_POSITIONS] = reader.read(_POSITIONS)
        except UserError as error:
            raise _Damaged(str(error)) from error
        return arrays

    def _check(self, reader: GoogleReader) -> None:
        missing = [
            name
            for name, variable in self._variables.items()
            if reader.shapes.get(name) != tuple(variable.shape)
        ]
        if missing:
            raise UserError(
                f"{reader.path} was not written by a training of this model "
                f"and optimizer: it lacks {missing[0]} in the right shape"
                + (f", and {len(missing) - 1} more" if missing[1:] else "")
                + ". Give another --output_dir; weights alone are taken by "
                "--init_checkpoint."
            )

    def _forget_old(self, newest: int) -> None:
        steps = self._steps()
        # Those after the newest are of a run that was left behind, or damaged.
        wrong = [step for step in steps if step > newest]
        kept = [step for step in steps if step <= newest]
        old = kept[: -self._keep] if self._keep else []
        self._remove({*wrong, *old})

    def _remove(self, gone: set[int]) -> None:
        # The index goes first: without it a checkpoint is not there.
        names = [n for n in self._files() if _step_of(n) in gone]
        for name in sorted(names, key=lambda n: not n.endswith(".index")):
            tf.io.gfile.remove(os.path.join(self._directory, name))

    def _write_newest(self) -> None:
        names = [os.path.basename(prefix) for prefix in self.checkpoints()]
        lines = [f'model_checkpoint_path: "{names[-1]}"'] + [
            f'all_model_checkpoint_paths: "{name}"' for name in names
        ]
        path = os.path.join(self._directory, _NEWEST)
        with telling(path), whole_file(path) as file:
            file.write("\n".join(lines) + "\n")

    def _steps(self) -> list[int]:
        matches = (_INDEX.fullmatch(name) for name in self._files())
        return sorted(int(match[1]) for match in matches if match)

    def _files(self) -> list[str]:
        if not tf.io.gfile.isdir(self._directory):
            return []
        return tf.io.gfile.listdir(self._directory)


def read(variable: Any) -> np.ndarray:
    """The value of a variable, on whatever devices it lies."""
    variable = getattr(variable, "value", variable)
    if callable(variable):
        variable = variable()
    return np.asarray(variable.numpy())


class _Damaged(Exception):
    """A checkpoint that cannot be read whole."""


def _step_of(name: str) -> int | None:
    match = _FILE.match(name)
    return int(match[1]) if match else None
