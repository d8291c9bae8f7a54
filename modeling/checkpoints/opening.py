"""open_checkpoint: from a path to the reader of its format."""

from __future__ import annotations

import os
import re
from pathlib import Path

from modeling.checkpoints.reader import CheckpointReader
from modeling.errors import UserError

# What may be given instead of a prefix: any one file of the checkpoint.
_BUNDLE_FILE = re.compile(r"\.(index|meta|data-\d{5}-of-\d{5})$")
_PICKLE = "pytorch_model.bin"
_FORMATS = (
    "Google's format (a prefix such as .../bert_model.ckpt), a Hugging Face "
    "directory with config.json and model.safetensors, or a .weights.h5 or "
    ".keras file"
)


def open_checkpoint(path: str | os.PathLike[str]) -> CheckpointReader:
    """Opens a checkpoint of any format that can be read.

    Args:
      path: one of
        - the prefix of a checkpoint in Google's format, released or written in
          training, or the name of one of its files; local or `gs://`;
        - a directory: of a training run (its newest checkpoint), of a release
          with `bert_model.ckpt`, of a Hugging Face model, or with one
          `.weights.h5` or `.keras` file; tried in this order;
        - a `.safetensors`, `.weights.h5` or `.keras` file.

    Raises:
      UserError: nothing there that can be read; says what was found instead.
    """
    path = os.fspath(path)
    if "://" in path:
        return _open_google(_BUNDLE_FILE.sub("", path))
    if os.path.isdir(path):
        return _open_directory(Path(path))
    if path.endswith((".weights.h5", ".keras")):
        return _open_keras(Path(path))
    if path.endswith((".safetensors", ".safetensors.index.json")):
        return _open_huggingface(Path(path))
    if path.endswith(_PICKLE):
        raise _unread_pickle(Path(path))
    prefix = _BUNDLE_FILE.sub("", path)
    if not os.path.isfile(f"{prefix}.index"):
        raise UserError(_nothing_at(prefix))
    return _open_google(prefix)


def _open_directory(directory: Path) -> CheckpointReader:
    prefix = _newest_bundle(directory)
    if prefix is not None:
        return _open_google(str(prefix))
    files = {path.name for path in directory.iterdir()}
    if files & {"model.safetensors", "model.safetensors.index.json"}:
        return _open_huggingface(directory)
    keras_files = [f for f in files if f.endswith((".weights.h5", ".keras"))]
    if len(keras_files) == 1:
        return _open_keras(directory / keras_files[0])
    if keras_files:
        raise UserError(
            f"{directory} holds several Keras files: "
            f"{', '.join(sorted(keras_files))}. Name one of them."
        )
    if files & {_PICKLE, f"{_PICKLE}.index.json"}:
        raise _unread_pickle(directory / _PICKLE)
    raise UserError(f"{directory} holds no checkpoint in {_FORMATS}.")


def _unread_pickle(file: Path) -> UserError:
    return UserError(
        f"{file} is a pickle, which is not read: it could run any program. "
        "Convert it to safetensors where PyTorch is installed: transformers."
        "AutoModel.from_pretrained(...).save_pretrained(new_directory, "
        "safe_serialization=True)."
    )


def _newest_bundle(directory: Path) -> Path | None:
    """The prefix that a directory stands for, if it holds Google's format."""
    prefixes = sorted(p.with_suffix("") for p in directory.glob("*.index"))
    state = directory / "checkpoint"
    newest = _named_by_state(state) if state.is_file() else None
    if newest in prefixes:
        return newest
    if directory / "bert_model.ckpt" in prefixes:
        return directory / "bert_model.ckpt"
    if newest is not None:
        raise UserError(
            f"{state} names {newest.name} as the newest checkpoint, but "
            f"{newest}.index does not exist. "
            + (
                f"Name one of {', '.join(p.name for p in prefixes)}."
                if prefixes
                else "Restore its files."
            )
        )
    if len(prefixes) > 1:
        raise UserError(
            f"{directory} holds several checkpoints: "
            f"{', '.join(p.name for p in prefixes)}. Name one of them."
        )
    return prefixes[0] if prefixes else None


def _named_by_state(state: Path) -> Path:
    # A text proto. Its path may be that of another machine: what counts is
    # the name, and the checkpoint lies beside the file.
    text = state.read_text(encoding="utf-8", errors="replace")
    match = re.search(r'^model_checkpoint_path:\s*"(.+)"', text, re.MULTILINE)
    if not match:
        raise UserError(
            f"{state} is not a checkpoint state file of TensorFlow: it has no "
            "model_checkpoint_path. Delete it, or name a checkpoint's prefix."
        )
    return state.parent / re.split(r"[/\\]", match[1])[-1]


def _nothing_at(prefix: str) -> str:
    directory, name = os.path.split(prefix)
    message = f"There is no checkpoint {prefix}: {name}.index does not exist"
    if not os.path.isdir(directory or "."):
        return f"{message}, nor does the directory {directory}."
    nearby = sorted(
        file.removesuffix(".index")
        for file in os.listdir(directory or ".")
        if file.endswith(".index")
    )
    if nearby:
        return f"{message}. The directory has: {', '.join(nearby)}."
    return f"{message}. Expected is {_FORMATS}."


# Each format needs a library of its own: TensorFlow, safetensors, h5py. None
# is imported for the sake of another.


def _open_google(prefix: str) -> CheckpointReader:
    from modeling.checkpoints.google import GoogleReader

    return GoogleReader(prefix)


def _open_huggingface(path: Path) -> CheckpointReader:
    from modeling.checkpoints.huggingface import HuggingFaceReader

    return HuggingFaceReader(path)


def _open_keras(file: Path) -> CheckpointReader:
    from modeling.checkpoints.keras_files import KerasReader

    return KerasReader(file)
