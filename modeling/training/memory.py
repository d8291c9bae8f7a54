"""How much memory a run took."""

from __future__ import annotations

import tensorflow as tf


def peak_memory() -> float:
    """Bytes at the peak: of the first GPU, or else of this process."""
    if tf.config.list_logical_devices("GPU"):
        info = tf.config.experimental.get_memory_info("GPU:0")
        return float(info["peak"])
    import resource

    return 1024.0 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
