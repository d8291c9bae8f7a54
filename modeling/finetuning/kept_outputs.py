"""What a frozen encoder gives for every example, computed once and kept."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
import os
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple, Protocol

import keras
import numpy as np
import tensorflow as tf
from absl import logging

from modeling.output_files import whole_directory, write_json
from modeling.progress import Progress
from modeling.tasks.array_input import ArrayInput, Arrays, Examples
from modeling.tasks.length_batches import BatchOptions
from modeling.training import Predictor, TrainingSession
from modeling.training.state import read

# Goes up with every change of what is kept.
_VERSION = 1
# Eleven bits are as many as bfloat16 encoders have, and more.
_TYPE = np.float16
_VALUES, _DESCRIPTION = "hidden.bin", "hidden.json"
_DROPPED = ("input_ids", "segment_ids")


class FrozenTask(Protocol):
    """A task whose head stands on an encoder that is not trained."""

    def encode(
        self, model: keras.Model, features: Mapping[str, tf.Tensor]
    ) -> tf.Tensor:
        """[examples, ...], or [examples(, windows), length, ...]"""

    def encoding(self) -> dict[str, Any]:
        """What shapes `encode` beside weights, as JSON values."""

    @property
    def keeps_tokens(self) -> bool:
        """Whether `encode` gives a vector for every token."""


class DigestibleExamples(Examples, Protocol):
    """Examples that tell themselves from others."""

    def content(self) -> Iterator[bytes]:
        """All that the encoder's outputs depend on."""


def keep_encoder_outputs(
    session: TrainingSession,
    examples: DigestibleExamples,
    options: BatchOptions,
    cache_dir: str,
) -> Examples:
    """Examples with `hidden` instead of tokens.

    The outputs lie in a file under a digest of all that they depend on, so that
    each is computed once for all epochs, trials and calls.

    Args:
      session: of a `FrozenTask`, with its weights.
      examples: to encode.
      options: sizes of batches, which do not change the outputs.
      cache_dir: holds a directory for every digest; such directories can be
        deleted.

    Raises:
      UserError: the cache cannot be written.
    """
    digest = _digest(session, examples)
    directory = os.path.join(cache_dir, f"hidden.{digest[:32]}")
    path = os.path.join(directory, _DESCRIPTION)
    if os.path.exists(path):
        logging.info("The encoder's outputs are computed already: %s", path)
    else:
        with session.phases.phase("encoding"):
            with whole_directory(directory) as temporary:
                _write(session, examples, options, temporary)
    with open(path, encoding="utf-8") as file:
        shape = tuple(json.load(file)["shape"])
    values = np.memmap(
        os.path.join(directory, _VALUES), _TYPE, mode="r", shape=shape
    )
    places = _places(examples, session.task.keeps_tokens)
    return _KeptExamples(examples, values, places)


class _Places(NamedTuple):
    """Where the vectors of each example stand.

    Attributes:
      starts: int64 [N + 1]
      rows, lengths: of each example's tokens: int [N]; None where an example
        has one vector.
    """

    starts: np.ndarray
    rows: np.ndarray | None
    lengths: np.ndarray | None


def _places(examples: Examples, keeps_tokens: bool) -> _Places:
    rows, lengths = examples.rows_per_example(), examples.lengths()
    if not keeps_tokens:
        return _Places(np.arange(len(rows) + 1), None, None)
    ends = np.cumsum(rows * lengths)
    starts = np.concatenate([np.zeros(1, np.int64), ends])
    return _Places(starts, rows, lengths)


@dataclasses.dataclass(frozen=True, eq=False)
class _KeptExamples:
    """Examples whose tokens are replaced by what the encoder made of them."""

    examples: Examples
    values: np.ndarray
    places: _Places

    def lengths(self) -> np.ndarray:
        return self.examples.lengths()

    def rows_per_example(self) -> np.ndarray:
        return self.examples.rows_per_example()

    def signature(self) -> dict[str, tf.TensorSpec]:
        signature = dict(self.examples.signature())
        outer = [None]
        if self.places.rows is not None:
            outer = list(signature["input_ids"].shape)
        for name in _DROPPED:
            del signature[name]
        shape = [*outer, *self.values.shape[1:]]
        return {**signature, "hidden": tf.TensorSpec(shape, _TYPE)}

    def arrays(self, indices: np.ndarray, length: int, size: int) -> Arrays:
        arrays = self.examples.arrays(indices, length, size)
        outer = (size,)
        if self.places.rows is not None:
            outer = arrays["input_ids"].shape
        for name in _DROPPED:
            del arrays[name]
        hidden = np.zeros((*outer, *self.values.shape[1:]), _TYPE)
        for place, index in enumerate(indices):
            self._put(hidden, place, index)
        return {**arrays, "hidden": hidden}

    def _put(self, hidden: np.ndarray, place: int, index: int) -> None:
        starts, rows, lengths = self.places
        values = self.values[starts[index] : starts[index + 1]]
        if rows is None:
            hidden[place] = values[0]
            return
        inner = values.shape[1:]
        values = values.reshape(rows[index], lengths[index], *inner)
        if hidden.ndim == len(inner) + 2:
            hidden[place, : lengths[index]] = values[0]
        else:
            hidden[place, : rows[index], : lengths[index]] = values


def _digest(session: TrainingSession, examples: DigestibleExamples) -> str:
    shaping = {
        "version": _VERSION,
        "config": dataclasses.asdict(session.task.config),
        "policy": session.task.policy,
        **session.task.encoding(),
    }
    digest = hashlib.sha256(json.dumps(shaping, sort_keys=True).encode())
    for variable in session.model.bert.weights:
        digest.update(np.ascontiguousarray(read(variable)).tobytes())
    for content in examples.content():
        digest.update(content)
    return digest.hexdigest()


def _write(
    session: TrainingSession,
    examples: Examples,
    options: BatchOptions,
    directory: str,
) -> None:
    places = _places(examples, session.task.keeps_tokens)
    starts, rows, lengths = places
    predictor = Predictor(
        _Encoding(session.task), session.model, session.strategy
    )
    batches = ArrayInput(examples, options).prediction(predictor.replicas)
    kept = None
    with Progress("Encoding", "examples", len(starts) - 1) as progress:
        for indices, outputs in predictor.predict(batches):
            for index, hidden in zip(indices, outputs["hidden"], strict=False):
                if rows is not None:
                    hidden = _without_padding(
                        hidden, rows[index], lengths[index]
                    )
                else:
                    hidden = hidden[None]
                if kept is None:
                    shape = (int(starts[-1]), *hidden.shape[1:])
                    kept = _new_array(os.path.join(directory, _VALUES), shape)
                kept[starts[index] : starts[index + 1]] = hidden
            progress.advance(len(indices))
    kept.flush()
    write_json(os.path.join(directory, _DESCRIPTION), {"shape": kept.shape})


def _new_array(path: str, shape: tuple[int, ...]) -> np.memmap:
    """An array in a file, whose place on the disk is taken at once.

    A file with holes would kill the process by a signal once the disk is full.

    Raises:
      OSError: there is no space for it.
    """
    with open(path, "wb") as file:
        size = math.prod(shape) * _TYPE().itemsize
        if hasattr(os, "posix_fallocate"):
            os.posix_fallocate(file.fileno(), 0, size)
        else:
            file.truncate(size)
    return np.memmap(path, _TYPE, mode="r+", shape=shape)


def _without_padding(hidden: np.ndarray, rows: int, length: int) -> np.ndarray:
    """[(windows,) length, L, D] -> [rows * length of the example, L, D]"""
    if hidden.ndim == 3:
        return hidden[:length]
    inner = hidden.shape[2:]
    return hidden[:rows, :length].reshape(-1, *inner)


class _Encoding:
    """A task's encoder alone, for a `Predictor`."""

    def __init__(self, task: FrozenTask) -> None:
        self._task = task

    def outputs(
        self, model: keras.Model, features: Mapping[str, tf.Tensor]
    ) -> dict[str, tf.Tensor]:
        hidden = self._task.encode(model, features)
        return {"hidden": tf.cast(hidden, _TYPE)}
