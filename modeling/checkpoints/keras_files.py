"""Keras' formats: `.weights.h5` and `.keras` files of our models.

Keras 3 stores variables by the Python attributes that lead to them, such as
`encoder/blocks/transformer_layer_1/finish/norm/vars/0`, and beside each layer's
variables the layer's name. Our layers are named after Google's scopes, so the
names along the way spell the variable's scope; see `_read_names`.
"""

from __future__ import annotations

import json
import shutil
import tempfile
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any

import h5py
import keras
import ml_dtypes
import numpy as np

from modeling.checkpoints.files import staged_directory
from modeling.checkpoints.reader import (
    BERT_CONFIG_FILE,
    CheckpointReader,
    as_float32,
)
from modeling.config import BertConfig
from modeling.errors import UserError
from modeling.network import (
    BertClassifier,
    BertModel,
    BertMultipleChoice,
    BertPretrainer,
    BertQuestionAnswerer,
)

WEIGHTS_SUFFIX = ".weights.h5"
MODEL_SUFFIX = ".keras"

_PROJECTION = ("kernel", "bias")
_CLASSIFIER = ("output_weights", "output_bias")
# The variables of each kind of layer, by the layer's name, in order of
# creation. The root of a model is "".
_VARIABLES = {
    "embeddings": (
        "word_embeddings",
        "token_type_embeddings",
        "position_embeddings",
    ),
    "LayerNorm": ("gamma", "beta"),
    "query": _PROJECTION,
    "key": _PROJECTION,
    "value": _PROJECTION,
    "dense": _PROJECTION,
    "predictions": ("output_bias",),
    "seq_relationship": _CLASSIFIER,
    "squad": _CLASSIFIER,
    "": _CLASSIFIER,
}


class KerasReader(CheckpointReader):
    """Reads what `model.save_weights` or `model.save` wrote.

    The config of a `.keras` file is inside it, that of a `.weights.h5` file is
    `bert_config.json` beside it.

    Raises:
      UserError: the file is cut short, damaged, or not from Keras 3.
    """

    format = "keras"

    def __init__(self, file: Path) -> None:
        self._embedded_config = None
        try:
            if file.name.endswith(MODEL_SUFFIX):
                opened, self._embedded_config = _unpack(file)
            else:
                opened = file
            self._h5 = h5py.File(opened, "r")
            self._datasets = _read_names(self._h5)
        except (OSError, RuntimeError, ValueError, KeyError) as error:
            raise _damaged(file, error) from error
        if not self._datasets:
            raise UserError(
                f"{file} holds no variables in the layout of Keras 3. Save the "
                f"model again with model.save_weights('name{WEIGHTS_SUFFIX}')."
            )
        super().__init__(
            str(file),
            {name: data.shape for name, data in self._datasets.items()},
            file.parent,
        )

    def read(self, name: str) -> np.ndarray:
        dataset = self._datasets[name]
        try:
            array = dataset[()]
        except (OSError, RuntimeError) as error:
            raise _damaged(Path(self.path), error) from error
        if array.dtype.kind == "V":  # two bytes: HDF5 has no bfloat16
            array = array.view(ml_dtypes.bfloat16)
        return as_float32(array)

    def _load_config(self) -> BertConfig | None:
        if self._embedded_config is not None:
            return BertConfig.from_dict(self._embedded_config)
        return super()._load_config()


def write_keras_weights(
    file: Path, arrays: Mapping[str, np.ndarray], config: BertConfig
) -> None:
    """Writes `file` (`.weights.h5`), and `bert_config.json` beside it.

    The model whose `load_weights` reads the file follows from the arrays:
    `BertQuestionAnswerer` where `cls/squad/...` is among them, `BertPretrainer`
    where other `cls/...` are, `BertClassifier` where `output_weights` is, or
    without a bias `BertMultipleChoice`, else `BertModel`.

    Raises:
      UserError: the arrays are not exactly those of such a model, or the files
        cannot be written.
    """
    model = _matching_model(arrays, config)
    variables = {variable.path: variable for variable in model.weights}
    missing = sorted(variables.keys() - arrays.keys())
    extra = sorted(arrays.keys() - variables.keys())
    if missing or extra:
        problem = f"lacks {', '.join(missing)}" if missing else ""
        if extra:
            problem += " and " * bool(missing) + f"also has {', '.join(extra)}"
        raise UserError(
            f"A Keras file of {type(model).__name__} holds exactly its "
            f"variables. The checkpoint {problem}. Write Google's format, "
            "which holds any."
        )
    for name, variable in variables.items():
        variable.assign(arrays[name])
    with staged_directory(file.parent) as staging:
        model.save_weights(staging / file.name)
        (staging / BERT_CONFIG_FILE).write_text(
            config.to_json_string(), encoding="utf-8"
        )


def _read_names(file: h5py.File) -> dict[str, h5py.Dataset]:
    # The encoder is Google's scope "bert"; a model around it has no scope.
    scopes = ("bert",) if "embeddings" in file else ()
    return dict(_variables(file, scopes))


def _variables(
    group: h5py.Group, scopes: tuple[str, ...]
) -> Iterator[tuple[str, h5py.Dataset]]:
    names = _VARIABLES.get(scopes[-1] if scopes else "", ())
    for key, dataset in group.get("vars", {}).items():
        # Names of layers that are not Google's end in their number.
        name = names[int(key)] if int(key) < len(names) else key
        yield "/".join([*scopes, name]), dataset
    for key, child in group.items():
        if key in ("vars", "optimizer") or not isinstance(child, h5py.Group):
            continue
        # A group without variables of its own is a Python list of layers.
        layer = child["vars"].attrs.get("name") if "vars" in child else None
        yield from _variables(child, (*scopes, layer) if layer else scopes)


def _unpack(file: Path) -> tuple[IO[bytes], dict[str, Any] | None]:
    """The weights in a `.keras` archive, and its BERT config if it has one."""
    try:
        with zipfile.ZipFile(file) as archive:
            # HDF5 jumps about in its file, a zip member is read in order.
            weights = tempfile.TemporaryFile()
            with archive.open("model.weights.h5") as member:
                shutil.copyfileobj(member, weights)
            model = json.loads(archive.read("config.json"))
        return weights, model["config"].get("config")
    except (zipfile.BadZipFile, TypeError, AttributeError) as error:
        raise OSError(str(error)) from error


def _matching_model(
    arrays: Mapping[str, np.ndarray], config: BertConfig
) -> keras.Model:
    if any(name.startswith("cls/squad/") for name in arrays):
        return BertQuestionAnswerer(config)
    if any(name.startswith("cls/") for name in arrays):
        return BertPretrainer(config)
    if "output_weights" in arrays:
        if "output_bias" not in arrays:
            return BertMultipleChoice(config)
        return BertClassifier(config, num_labels=len(arrays["output_weights"]))
    return BertModel(config)


def _damaged(file: Path, error: Exception) -> UserError:
    if isinstance(error, FileNotFoundError):
        return UserError(f"There is no file {file}.")
    return UserError(
        f"{file} is cut short, damaged or not a Keras file ({error}). Save or "
        "copy it again."
    )
