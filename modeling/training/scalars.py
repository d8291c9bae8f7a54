"""Numbers of a run in the event files that TensorBoard shows."""

from __future__ import annotations

from collections.abc import Mapping

import tensorflow as tf
from absl import logging


class Scalars:
    """Writes an event file; the package tensorboard is not needed for it.

    A full disk costs numbers, not the run: it is told in the log.

    Args:
      directory: where the file appears with the first number.
    """

    def __init__(self, directory: str) -> None:
        self._directory = directory
        self._writer: tf.summary.SummaryWriter | None = None

    def write(self, step: int, values: Mapping[str, float]) -> None:
        """Adds one number to each named curve."""
        try:
            if self._writer is None:
                self._writer = tf.summary.create_file_writer(self._directory)
            with self._writer.as_default():
                for name, value in values.items():
                    # `tf.summary.scalar`, which tensorboard brings, does this.
                    tf.summary.write(
                        name,
                        tf.constant(value, tf.float32),
                        step=step,
                        metadata=_SCALAR,
                    )
            self._writer.flush()
        except (tf.errors.OpError, OSError) as error:
            logging.warning(
                "Not written for TensorBoard: the numbers of step %d (%s).",
                step,
                error,
            )


_SCALAR = tf.compat.v1.SummaryMetadata(
    plugin_data=tf.compat.v1.SummaryMetadata.PluginData(plugin_name="scalars")
)
