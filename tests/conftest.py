"""Fixtures that every test shares."""

import os
import pathlib

import pytest

# Keras reads it when it is first imported; tests/network runs under both.
_BACKEND = os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

ROOT = pathlib.Path(__file__).resolve().parents[1]


def pytest_configure() -> None:
    """Splits the CPU in two devices, for tests with two replicas."""
    if _BACKEND != "tensorflow":
        return
    import tensorflow as tf

    (cpu,) = tf.config.list_physical_devices("CPU")
    tf.config.set_logical_device_configuration(
        cpu, [tf.config.LogicalDeviceConfiguration()] * 2
    )


@pytest.fixture(scope="session")
def golden_dir() -> pathlib.Path:
    """Reference numbers of the original: GOLDEN_DIR, or the nearest set."""
    if "GOLDEN_DIR" in os.environ:
        return pathlib.Path(os.environ["GOLDEN_DIR"])
    shared = ROOT.parent / "shared" / "golden" / "bert"
    return shared if shared.exists() else ROOT / "tests" / "golden"
