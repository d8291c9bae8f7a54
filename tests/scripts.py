"""The scripts, called in this process, and what they leave."""

import importlib
import json
import os
import pathlib
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping
from types import ModuleType
from typing import Any

import numpy as np
from absl import flags, logging
from absl.testing import flagsaver

from tests.conftest import ROOT

_TINY = {
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 32,
    "max_position_embeddings": 64,
    "type_vocab_size": 2,
    "initializer_range": 0.1,
}


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


def run_script(
    name: str, *arguments: str, start: Any = subprocess.run, **options: Any
) -> Any:
    """Starts a script in a process of its own, by default until it ends."""
    if start is subprocess.run:
        options = {"capture_output": True, "check": False, **options}
    return start(
        [sys.executable, str(ROOT / f"{name}.py"), *arguments],
        text=True,
        **options,
    )


def write_tiny_model(
    directory: pathlib.Path, words: Iterable[str]
) -> pathlib.Path:
    """Writes a config of a tiny model and a vocabulary of whole words."""
    words = list(words)
    (directory / "vocab.txt").write_text("\n".join(words) + "\n")
    config = {**_TINY, "vocab_size": len(words)}
    (directory / "bert_config.json").write_text(json.dumps(config))
    return directory


def caller(
    script: str,
    model_dir: pathlib.Path,
    out: pathlib.Path,
    training: Mapping[str, Any] | None = None,
    **defaults: Any,
) -> Callable[..., pathlib.Path]:
    """Calls a fine-tuning script with a small run's flags and those given.

    Args:
      script: its name.
      model_dir: of the model that is trained.
      out: where it writes; what a call returns.
      training: more flags of calls that train.
      defaults: flags of all calls.
    """
    beginning = {
        "bert_config_file": str(model_dir / "bert_config.json"),
        "vocab_file": str(model_dir / "vocab.txt"),
        **(training or {}),
    }

    def call(**values: Any) -> pathlib.Path:
        trains = values.get("do_train") or values.get("dry_run")
        small = {"output_dir": str(out), **defaults}
        small |= beginning if trains else {}
        module = load_script(script)
        logging.set_verbosity(logging.INFO)
        with flagsaver.flagsaver(**{**small, **values}):
            module.main([])
        return out

    return call


def results_of(directory: pathlib.Path) -> dict[str, float]:
    """What `eval_results.txt` has."""
    lines = (directory / "eval_results.txt").read_text().splitlines()
    return {k: float(v) for k, v in (line.split(" = ") for line in lines)}


def events_of(directory: pathlib.Path, event: str) -> list[dict[str, Any]]:
    """What `run.jsonl` has of a kind."""
    lines = (directory / "run.jsonl").read_text().splitlines()
    return [v for v in map(json.loads, lines) if v["event"] == event]


def weights_of(prefix: str | os.PathLike[str]) -> dict[str, np.ndarray]:
    """All arrays of a checkpoint."""
    from modeling.checkpoints import open_checkpoint

    reader = open_checkpoint(str(prefix))
    return {name: reader.read(name) for name in reader.shapes}
