"""Fixtures that every test shares."""

import os
import pathlib

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def golden_dir() -> pathlib.Path:
    """Reference numbers of the original: GOLDEN_DIR, or the nearest set."""
    if "GOLDEN_DIR" in os.environ:
        return pathlib.Path(os.environ["GOLDEN_DIR"])
    shared = ROOT.parent / "shared" / "golden" / "bert"
    return shared if shared.exists() else ROOT / "tests" / "golden"
