"""The scripts, called in this process, and what they leave."""

import importlib
import os
import pathlib
import sys
from types import ModuleType

import numpy as np
from absl import flags

from tests.conftest import ROOT


def load_script(name: str) -> ModuleType:
    """Imports a script anew, with its flags and no other script's.

    Scripts share names of flags, but absl allows one script a process.
    """
    names = {path.stem for path in ROOT.glob("*.py")}
    for module, defined in flags.FLAGS.flags_by_module_dict().items():
        if module in names:
            for flag in list(defined):
                delattr(flags.FLAGS, flag.name)
    sys.modules.pop(name, None)
    script = importlib.import_module(name)
    flags.FLAGS.mark_as_parsed()
    return script


def results_of(directory: pathlib.Path) -> dict[str, float]:
    """What `eval_results.txt` has."""
    lines = (directory / "eval_results.txt").read_text().splitlines()
    return {k: float(v) for k, v in (line.split(" = ") for line in lines)}


def weights_of(prefix: str | os.PathLike[str]) -> dict[str, np.ndarray]:
    """All arrays of a checkpoint."""
    from modeling.checkpoints import open_checkpoint

    reader = open_checkpoint(str(prefix))
    return {name: reader.read(name) for name in reader.shapes}
