"""Features as numpy shards with an index, a tenth of the size of JSON lines.

A directory of

    index.json              what the vectors are, and the shards in order
    features-00000.npz      arrays of the first lines; or, as "npy",
    features-00000.npy      `values` alone, which can be memory-mapped, and
    features-00000.index.npz  the other arrays

Arrays of a shard, R = vectors' rows (tokens, or lines with pooling), L =
vectors a row, D = size:

    values      float32 [R, L, D]
    offsets     int64 [lines + 1]: rows offsets[i] : offsets[i + 1] are line i's
    token_ends  int64 [lines]: tokens of this and all earlier lines
    tokens      uint8: UTF-8 of all tokens, each ended by a line feed
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from modeling.errors import UserError
from modeling.features.extractor import LineFeatures
from modeling.features.options import FeatureOptions
from modeling.features.resumable import PartialOutput, writing
from modeling.output_files import sync

FORMATS = ("npz", "npy")

_SHARD_BYTES = 64 << 20
_INDEX = "index.json"


class ShardWriter:
    """Writes features to a directory of numpy shards.

    Args:
      path: the directory; it appears when whole, in place of an earlier one.
      shard_format: "npz" or "npy".
      options: what the vectors are.
      settings, resume: see `PartialOutput`. The settings go into the index too.

    Raises:
      UserError: the directory cannot be written, or not be resumed.
    """

    def __init__(
        self,
        path: str,
        shard_format: str,
        options: FeatureOptions,
        settings: Mapping[str, Any],
        resume: bool,
    ) -> None:
        self._format = shard_format
        self._options = options
        self._settings = dict(settings)
        if os.path.isdir(path) and not os.path.exists(f"{path}/{_INDEX}"):
            raise UserError(
                f"{path} is a directory that holds no features. The output "
                "would take its place: name a new one."
            )
        self._output = PartialOutput(path, settings, resume)
        self._shards = list(self._output.state.get("shards", []))
        self._lines: list[LineFeatures] = []
        self._bytes = 0

    @property
    def lines_done(self) -> int:
        """Input lines that need not be computed again."""
        return self._output.lines

    def write(self, window: Sequence[LineFeatures]) -> None:
        """Adds the lines of a window; a full shard goes to disk."""
        self._lines.extend(window)
        self._bytes += sum(line.values.nbytes for line in window)
        if self._bytes >= _SHARD_BYTES:
            self._write_shard()

    def finish(self) -> None:
        """Writes what is left and the index, and names the directory."""
        if self._lines:
            self._write_shard()
        options = self._options
        index = {
            "format": self._format,
            "vectors": options.labels,
            "pooling": options.pooling,
            "word_pieces": options.word_pieces,
            "dtype": "float32",
            "settings": self._settings,
            "shards": self._shards,
        }
        with writing(self._output.path):
            name = os.path.join(self._output.partial, _INDEX)
            with open(name, "w", encoding="utf-8") as file:
                json.dump(index, file, indent=2)
                sync(file)
            self._output.finish()

    def _write_shard(self) -> None:
        name = f"features-{len(self._shards):05d}.{self._format}"
        arrays = _to_arrays(self._lines, self._options.pooling != "none")
        with writing(self._output.path):
            os.makedirs(self._output.partial, exist_ok=True)
            path = os.path.join(self._output.partial, name)
            if self._format == "npy":
                _save(np.save, path, arrays.pop("values"))
                _save(np.savez, _npy_index(path), **arrays)
            else:
                _save(np.savez, path, **arrays)
            self._shards.append(
                {
                    "file": name,
                    "first_line": self._lines[0].index,
                    "lines": len(self._lines),
                    "rows": int(arrays["offsets"][-1]),
                }
            )
            self._output.count(len(self._lines), shards=self._shards)
        self._lines, self._bytes = [], 0


def read_shards(path: str | os.PathLike[str]) -> Iterator[LineFeatures]:
    """Yields the features in a directory that `ShardWriter` wrote.

    Shards of the npy form are memory-mapped: only what is used is read.

    Raises:
      UserError: no such directory, or a shard of it is missing.
    """
    path = os.fspath(path)
    try:
        with open(os.path.join(path, _INDEX), encoding="utf-8") as file:
            index = json.load(file)
        pooled = index["pooling"] != "none"
        for shard in index["shards"]:
            yield from _read_shard(
                os.path.join(path, shard["file"]), shard, pooled
            )
    except FileNotFoundError as error:
        raise UserError(f"Features: {error.filename} is missing.") from error


def _read_shard(
    file: str, shard: Mapping[str, Any], pooled: bool
) -> Iterator[LineFeatures]:
    if file.endswith(".npy"):
        values = np.load(file, mmap_mode="r")
        arrays = np.load(_npy_index(file))
    else:
        arrays = np.load(file)
        values = arrays["values"]
    offsets = arrays["offsets"]
    token_ends = arrays["token_ends"]
    tokens = arrays["tokens"].tobytes().decode("utf-8").split("\n")
    first_token = 0
    for i in range(shard["lines"]):
        line_tokens = tokens[first_token : token_ends[i]]
        first_token = token_ends[i]
        rows = values[offsets[i] : offsets[i + 1]]
        yield LineFeatures(
            shard["first_line"] + i, line_tokens, rows[0] if pooled else rows
        )


def _to_arrays(
    lines: Sequence[LineFeatures], pooled: bool
) -> dict[str, np.ndarray]:
    values = [line.values[None] if pooled else line.values for line in lines]
    rows = [len(value) for value in values]
    tokens = "".join(f"{t}\n" for line in lines for t in line.tokens)
    return {
        "values": np.concatenate(values).astype(np.float32, copy=False),
        "offsets": np.cumsum([0, *rows], dtype=np.int64),
        "token_ends": np.cumsum(
            [len(line.tokens) for line in lines], dtype=np.int64
        ),
        "tokens": np.frombuffer(tokens.encode("utf-8"), np.uint8),
    }


def _save(
    save: Any, path: str, *args: np.ndarray, **arrays: np.ndarray
) -> None:
    with open(path, "wb") as file:
        save(file, *args, **arrays)
        sync(file)


def _npy_index(path: str) -> str:
    return path.removesuffix(".npy") + ".index.npz"
