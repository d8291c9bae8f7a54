"""The scripts, called in this process."""

import importlib
import sys
from types import ModuleType

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
