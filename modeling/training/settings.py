"""The settings of a training, kept beside it: others are not mixed in."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import Any

import tensorflow as tf
from absl import logging

from modeling.errors import UserError
from modeling.output_files import write_json
from modeling.training.schedules import UNUSED

_FILE = "training_settings.json"
# How long to train; fine-tuning counts in epochs, of which steps follow.
_STEPS, _EPOCHS = "schedule.num_train_steps", "num_train_epochs"


def check_settings(
    directory: str, settings: Mapping[str, Any], allow_changes: bool
) -> None:
    """Compares with the settings that a training began with.

    Those that change nothing may differ: what the schedule of learning rates
    does not use, and so with a constant rate how long to train. It may not
    become less, as there may be later weights than are asked for.

    Args:
      directory: of the training.
      settings: everything that shapes its result, as JSON values.
      allow_changes: whether others are only a warning.

    Raises:
      UserError: they differ, naming the difference.
    """
    path = os.path.join(directory, _FILE)
    if not tf.io.gfile.exists(path):
        return
    try:
        with tf.io.gfile.GFile(path) as file:
            before = json.loads(file.read())
        if not isinstance(before, dict):
            raise ValueError("it holds no settings by name")
    except (ValueError, tf.errors.OpError) as error:
        raise UserError(
            f"Cannot read {path}: {error}. Remove it to go on without "
            "comparing settings."
        ) from error
    settings = json.loads(json.dumps(settings))
    unused = _unused(before, settings)
    differences = [
        f"{name}: {_shown(before, name)} before, {_shown(settings, name)} now"
        for name in sorted({*before, *settings} - unused)
        if before.get(name) != settings.get(name)
    ]
    if not differences:
        return
    text = "\n  ".join(differences)
    if not allow_changes:
        raise UserError(
            f"The training in {directory} began with other settings, so that "
            f"going on would give neither's result:\n  {text}\n"
            "Give the same settings, another --output_dir, or "
            "--allow_changed_settings to go on all the same."
        )
    logging.warning("Going on with other settings than before:\n  %s", text)


def write_settings(directory: str, settings: Mapping[str, Any]) -> None:
    """Writes what `check_settings` will compare with.

    Raises:
      OSError: the file cannot be written.
    """
    write_json(os.path.join(directory, _FILE), settings)


def _unused(before: Mapping[str, Any], now: Mapping[str, Any]) -> set[str]:
    """Names of settings that neither training depends on."""
    kind = now.get("schedule.kind")
    if kind != before.get("schedule.kind"):
        return set()
    names = {f"schedule.{name}" for name in UNUSED.get(kind, ())}
    if _STEPS in names:
        if now[_STEPS] < before.get(_STEPS, 0):
            return names - {_STEPS}
        names.add(_EPOCHS)
    return names


def _shown(settings: Mapping[str, Any], name: str) -> str:
    return repr(settings[name]) if name in settings else "not there"
