"""What every checkpoint looks like from outside: Google's names to arrays."""

from __future__ import annotations

import abc
import functools
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import ClassVar

import numpy as np

from modeling.config import BertConfig

BERT_CONFIG_FILE = "bert_config.json"
VOCAB_FILE = "vocab.txt"
_SPM_MODEL_FILES = ("spm.model", "spiece.model", "sentencepiece.bpe.model")
_STEP_COUNTERS = ("global_step", "beta1_power", "beta2_power")


class CheckpointReader(abc.ABC):
    """One checkpoint, read array by array under Google's variable names.

    Attributes:
      path: the checkpoint as the user would name it.
      format: "google", "huggingface" or "keras".
      shapes: shape of every array by name, training state included. An array
        that Google's names have no word for keeps the name its file gives it.
      vocab_file: the WordPiece vocabulary beside the checkpoint, if any.
      spm_model_file: the SentencePiece model beside the checkpoint, if any.
    """

    format: ClassVar[str]

    def __init__(
        self,
        path: str,
        shapes: Mapping[str, tuple[int, ...]],
        directory: Path | None,
        config_name: str = BERT_CONFIG_FILE,
    ) -> None:
        self.path = path
        self.shapes = dict(shapes)
        self._config_file = _existing(directory, config_name)
        self.vocab_file = _existing(directory, VOCAB_FILE)
        self.spm_model_file = _existing(directory, *_SPM_MODEL_FILES)

    @functools.cached_property
    def config(self) -> BertConfig | None:
        """The config that came with the checkpoint, if any.

        Raises:
          UserError: its file is not a BERT config.
        """
        return self._load_config()

    @property
    def weights(self) -> list[str]:
        """The names in `shapes`, in order, without training state."""
        return [
            name
            for name in self.shapes
            if not is_training_state(name, self.shapes)
        ]

    @abc.abstractmethod
    def read(self, name: str) -> np.ndarray:
        """Reads one array, floating point numbers as float32.

        Raises:
          KeyError: no such name in `shapes`.
          UserError: the file is cut short or damaged.
        """

    def arrays(self, names: Collection[str]) -> Mapping[str, np.ndarray]:
        """A view of some of the arrays, each read when it is asked for."""
        return _Arrays(self, names)

    def _load_config(self) -> BertConfig | None:
        if self._config_file is None:
            return None
        return BertConfig.from_json_file(self._config_file)


def is_training_state(name: str, names: Collection[str]) -> bool:
    """Whether a variable matters only to the optimizer that wrote it.

    Optimizers name their slots `<variable>/<slot>`, whatever they call them
    (`adam_m`, `Adam_1`, ...), and no weight of a model lies below another.
    """
    return name in _STEP_COUNTERS or name.rpartition("/")[0] in names


def as_float32(array: np.ndarray) -> np.ndarray:
    """float16, bfloat16 and float64 as float32; integers are left alone."""
    if array.dtype == bool or np.issubdtype(array.dtype, np.integer):
        return array
    return array.astype(np.float32, copy=False)


def _existing(directory: Path | None, *names: str) -> Path | None:
    if directory is None:
        return None
    return next(
        (directory / name for name in names if (directory / name).is_file()),
        None,
    )


class _Arrays(Mapping[str, np.ndarray]):
    """Holds no array, so that a model is not in memory twice."""

    def __init__(self, reader: CheckpointReader, names: Collection[str]):
        self._reader = reader
        self._names = dict.fromkeys(names)

    def __getitem__(self, name: str) -> np.ndarray:
        if name not in self._names:
            raise KeyError(name)
        return self._reader.read(name)

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)
