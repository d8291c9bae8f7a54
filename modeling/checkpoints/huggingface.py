"""Hugging Face's format: a directory with safetensors and `config.json`.

Layout and keys are those of transformers' `BertModel` and `BertFor...`; the
file format is described at https://github.com/huggingface/safetensors.
"""

from __future__ import annotations

import dataclasses
import json
import re
import shutil
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import ml_dtypes  # noqa: F401  (teaches numpy the name "bfloat16")
import numpy as np
import safetensors
from safetensors.numpy import save_file

from modeling.checkpoints.files import staged_directory
from modeling.checkpoints.huggingface_names import (
    google_name,
    huggingface_key,
    is_transposed,
    is_weight,
)
from modeling.checkpoints.reader import (
    VOCAB_FILE,
    CheckpointReader,
    as_float32,
)
from modeling.config import BertConfig
from modeling.errors import UserError

CONFIG_FILE = "config.json"
WEIGHTS_FILE = "model.safetensors"
INDEX_FILE = "model.safetensors.index.json"
TOKENIZER_FILE = "tokenizer_config.json"

_TOKENIZER_KEYS = ("do_lower_case", "strip_accents")
_FLOATS = ("F32", "F16", "BF16", "F64")
_POOLER = "bert/pooler/dense/kernel"
_CHOICE = "BertForMultipleChoice"
# Which class of transformers has the variables that a checkpoint has: the
# first row whose names are all there. A token classifier has no pooler.
_ARCHITECTURES = (
    (
        "BertForPreTraining",
        ("cls/predictions/output_bias", "cls/seq_relationship/output_bias"),
    ),
    ("BertForMaskedLM", ("cls/predictions/output_bias",)),
    ("BertForNextSentencePrediction", ("cls/seq_relationship/output_bias",)),
    ("BertForQuestionAnswering", ("cls/squad/output_bias",)),
    (
        "BertForSequenceClassification",
        ("output_weights", "output_bias", _POOLER),
    ),
    (_CHOICE, ("output_weights", _POOLER)),
    ("BertForTokenClassification", ("output_weights",)),
    ("BertModel", ()),
)


class HuggingFaceReader(CheckpointReader):
    """Reads `model.safetensors`, or its shards, and `config.json`.

    Args:
      path: the directory, or in it a file of weights or the index of shards.

    Raises:
      UserError: a file is missing, cut short or damaged.
    """

    format = "huggingface"

    def __init__(self, path: Path) -> None:
        # Name of the variable -> (file it is in, its key there).
        self._places: dict[str, tuple[Any, str]] = {}
        shapes = {}
        for file in _weight_files(path):
            opened = _open_safetensors(file)
            for key in filter(is_weight, opened.keys()):
                name = google_name(key) or key
                if name in shapes:  # decoder.bias, tied to the first
                    continue
                shape = tuple(opened.get_slice(key).get_shape())
                self._places[name] = opened, key
                shapes[name] = shape[::-1] if is_transposed(name) else shape
        self._directory = path if path.is_dir() else path.parent
        super().__init__(str(path), shapes, self._directory, CONFIG_FILE)

    def read(self, name: str) -> np.ndarray:
        opened, key = self._places[name]
        kind = opened.get_slice(key).get_dtype()
        if kind not in _FLOATS:
            raise UserError(
                f"{self.path}: {key} holds {kind} numbers, not floating point; "
                "quantized models cannot be read. Use the original weights."
            )
        array = as_float32(opened.get_tensor(key))
        if is_transposed(name):
            array = np.ascontiguousarray(array.T)
        return array

    def _load_config(self) -> BertConfig | None:
        """With what the tokenizer's own file says, else lost in conversion."""
        config = super()._load_config()
        tokenizer = self._directory / TOKENIZER_FILE
        if config is None or not tokenizer.is_file():
            return config
        try:
            values = json.loads(tokenizer.read_text("utf-8"))
            said = {
                key: values[key]
                for key in _TOKENIZER_KEYS
                if values.get(key) is not None
            }
        except (OSError, ValueError, AttributeError) as error:
            raise UserError(
                f"{tokenizer} is not a JSON object: {error}"
            ) from error
        return dataclasses.replace(config, extra={**config.extra, **said})


def write_huggingface_directory(
    directory: Path,
    arrays: Mapping[str, np.ndarray],
    config: BertConfig,
    vocab_file: Path | None = None,
) -> None:
    """Writes a directory that transformers' `from_pretrained` loads.

    Args:
      directory: for `model.safetensors`, `config.json` and the tokenizer.
      arrays: arrays by Google's names, all of which must have a key in
        transformers' BERT.
      config: of the model. `do_lower_case` and `strip_accents` in its `extra`
        go to the tokenizer; without the first, the vocabulary decides.
      vocab_file: copied as `vocab.txt`.

    Raises:
      UserError: a name or a config without a counterpart in Hugging Face's
        BERT, or the files cannot be written.
    """
    unknown = [name for name in arrays if huggingface_key(name) is None]
    if unknown:
        raise UserError(
            "Hugging Face's BERT has no place for the variables "
            f"{', '.join(unknown)}. Leave them out to write the rest."
        )
    values = _config_values(arrays, config)
    with staged_directory(directory) as staging:
        _write_json(staging / CONFIG_FILE, values)
        _write_weights(
            staging / WEIGHTS_FILE, _tensors(arrays, values["architectures"])
        )
        # safetensors lets nobody but the owner read what it writes.
        shutil.copymode(staging / CONFIG_FILE, staging / WEIGHTS_FILE)
        if vocab_file is not None:
            shutil.copyfile(vocab_file, staging / VOCAB_FILE)
            _write_json(
                staging / TOKENIZER_FILE,
                _tokenizer_values(config, vocab_file),
            )


def architecture(names: Collection[str]) -> str:
    """The class of transformers for a checkpoint with these variables."""
    return next(
        architecture
        for architecture, required in _ARCHITECTURES
        if all(name in names for name in required)
    )


def has_capitals(vocab_file: Path) -> bool:
    """Whether a vocabulary has a word with a capital letter, A to Z.

    A lower-casing tokenizer never produces one. Markers such as [CLS] and <S>
    do not count.
    """
    try:
        words = vocab_file.read_text(encoding="utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(
            f"Cannot read the vocabulary {vocab_file}: {error}"
        ) from error
    return any(re.match(r"[^\[<]*[A-Z]", word) for word in words)


def _weight_files(path: Path) -> list[Path]:
    if path.is_dir():
        whole = path / WEIGHTS_FILE
        path = whole if whole.is_file() else path / INDEX_FILE
    return _shards(path) if path.suffix == ".json" else [path]


def _shards(index: Path) -> list[Path]:
    try:
        files = json.loads(index.read_text("utf-8"))["weight_map"].values()
        names = sorted(set(map(str, files)))
    except (OSError, ValueError, KeyError, AttributeError, TypeError) as error:
        raise UserError(
            f"{index} is not the index of a sharded model: {error!r}. "
            "Download the directory again."
        ) from error
    directory = index.parent
    missing = [name for name in names if not (directory / name).is_file()]
    if missing:
        raise UserError(
            f"{index} names {', '.join(missing)}, which "
            f"{'is' if len(missing) == 1 else 'are'} not in {directory}. "
            "Download the missing files."
        )
    return [directory / name for name in names]


def _open_safetensors(file: Path) -> Any:
    try:
        return safetensors.safe_open(file, framework="numpy")
    except OSError as error:
        raise UserError(f"Cannot read {file}: {error}") from error
    except safetensors.SafetensorError as error:
        raise UserError(
            f"{file} is cut short or is not a safetensors file ({error}; "
            f"{file.stat().st_size} bytes). Download it again; a clone "
            "without Git LFS holds only a pointer to it."
        ) from error


def _tensors(
    arrays: Mapping[str, np.ndarray], architectures: list[str]
) -> dict[str, np.ndarray]:
    tensors = {}
    for name in arrays:
        key = huggingface_key(name)
        if architectures == ["BertModel"]:
            key = key.removeprefix("bert.")
        array = as_float32(arrays[name])
        if is_transposed(name):
            array = array.T
        # safetensors writes memory as it lies.
        tensors[key] = np.ascontiguousarray(array)
    if architectures == [_CHOICE]:
        # Theirs has one, which changes no choice.
        tensors[huggingface_key("output_bias")] = np.zeros(1, np.float32)
    return tensors


def _write_weights(file: Path, tensors: dict[str, np.ndarray]) -> None:
    try:
        # transformers refuses a file without this mark.
        save_file(tensors, file, metadata={"format": "pt"})
    except safetensors.SafetensorError as error:
        raise UserError(f"Cannot write {file}: {error}") from error


def _config_values(
    arrays: Mapping[str, np.ndarray], config: BertConfig
) -> dict[str, Any]:
    values = config.to_huggingface_dict()
    # The types are those of the file that was read; float32 is written.
    for key in ("dtype", "torch_dtype", *_TOKENIZER_KEYS):
        values.pop(key, None)
    values["architectures"] = [architecture(arrays)]
    if "output_weights" in arrays:
        labels = values.get("id2label", {})
        count = len(arrays["output_weights"])
        if len(labels) != count:
            labels = {str(i): f"LABEL_{i}" for i in range(count)}
        values["id2label"] = labels
        values["label2id"] = {label: int(i) for i, label in labels.items()}
    return values


def _tokenizer_values(config: BertConfig, vocab_file: Path) -> dict[str, Any]:
    do_lower_case, strip_accents = map(config.extra.get, _TOKENIZER_KEYS)
    if do_lower_case is None:
        do_lower_case = not has_capitals(vocab_file)
    return {
        "tokenizer_class": "BertTokenizer",
        "do_lower_case": do_lower_case,
        "strip_accents": strip_accents,
        "model_max_length": config.max_length,
        "tokenize_chinese_chars": True,
        "unk_token": "[UNK]",
        "sep_token": "[SEP]",
        "pad_token": "[PAD]",
        "cls_token": "[CLS]",
        "mask_token": "[MASK]",
    }


def _write_json(file: Path, values: Mapping[str, Any]) -> None:
    text = json.dumps(values, indent=2, sort_keys=True, ensure_ascii=False)
    file.write_text(text + "\n", encoding="utf-8")
