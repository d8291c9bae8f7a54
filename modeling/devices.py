"""The devices that a job computes on."""

from __future__ import annotations

import tensorflow as tf

from modeling.errors import UserError


def connect_tpu(
    name: str | None, zone: str | None = None, project: str | None = None
) -> tf.distribute.TPUStrategy:
    """Connects to a TPU and starts it.

    Args:
      name: of the Cloud TPU, or its address; None: the one of this machine.
      zone, project: where it is, if that is not plain from this machine.

    Raises:
      UserError: there is no such TPU.
    """
    try:
        resolver = tf.distribute.cluster_resolver.TPUClusterResolver(
            name or "local", zone=zone, project=project
        )
        if name:
            tf.config.experimental_connect_to_cluster(resolver)
        tf.tpu.experimental.initialize_tpu_system(resolver)
    except (ValueError, OSError, RuntimeError, tf.errors.OpError) as error:
        raise UserError(
            f"Cannot use the TPU {name or 'of this machine'}: {error}. Check "
            "--tpu_name, or leave --use_tpu out to compute here."
        ) from error
    return tf.distribute.TPUStrategy(resolver)
