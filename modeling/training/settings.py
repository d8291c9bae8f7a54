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

_FILE = "training_settings.json"


def check_settings(
    directory: str, settings: Mapping[str, Any], allow_changes: bool
) -> None:
    """Compares with the settings that a training began with.

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
    except (ValueError, tf.errors.OpError) as error:
        raise UserError(
            f"Cannot read {path}: {error}. Remove it to go on without "
            "comparing settings."
        ) from error
    settings = json.loads(json.dumps(settings))
    differences = [
        f"{name}: {_shown(before, name)} before, {_shown(settings, name)} now"
        for name in sorted({*before, *settings})
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
    """Writes what `check_settings` will compare with."""
    tf.io.gfile.makedirs(directory)
    write_json(os.path.join(directory, _FILE), settings)


def _shown(settings: Mapping[str, Any], name: str) -> str:
    return repr(settings[name]) if name in settings else "not there"
