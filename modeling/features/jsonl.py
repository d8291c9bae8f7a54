"""Features as JSON lines, in the original's schema.

A line of output, wrapped here:

    {"linex_index": 0, "features": [
      {"token": "[CLS]", "layers": [{"index": -1, "values": [0.1, ...]}, ...]},
      ...]}

`linex_index` is spelt so in the original, whose readers expect it. Vectors
that are not one layer's say what they are: `{"index": [-1, -2], "combine":
"sum", "values": [...]}`; with pooling a line has `"pooling": "mean", "layers":
[...]` in place of `features`.
"""

from __future__ import annotations

import gzip
import os
import sys
from collections.abc import Mapping, Sequence
from typing import Any, BinaryIO

import numpy as np
import orjson

from modeling.errors import UserError
from modeling.features.extractor import LineFeatures
from modeling.features.options import FeatureOptions
from modeling.features.resumable import PartialOutput, writing
from modeling.output_files import sync

_DECIMALS = 6
_GZIP_LEVEL = 4
_ORJSON = orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_APPEND_NEWLINE

STDOUT = "-"


class JsonLines:
    """Turns features into lines of JSON."""

    def __init__(self, options: FeatureOptions) -> None:
        self._labels = options.labels
        self._pooling = options.pooling

    def encode(self, line: LineFeatures) -> bytes:
        """One line, with its line end."""
        # In float64, where rounding to so many places leaves no trace of its
        # own.
        values = line.values.astype(np.float64).round(_DECIMALS)
        content: dict[str, Any] = {"linex_index": line.index}
        if self._pooling != "none":
            content["pooling"] = self._pooling
            content["layers"] = self._layers(values)
        else:
            content["features"] = [
                {"token": token, "layers": self._layers(vectors)}
                for token, vectors in zip(line.tokens, values, strict=True)
            ]
        return orjson.dumps(content, option=_ORJSON)

    def _layers(self, vectors: np.ndarray) -> list[dict[str, Any]]:
        return [
            {**label, "values": vector}
            for label, vector in zip(self._labels, vectors, strict=True)
        ]


class JsonlFile:
    """Writes JSON lines to a file, gzipped if it is named so.

    Args:
      path: name of the whole file.
      options: what the vectors are.
      settings, resume: see `PartialOutput`.

    Raises:
      UserError: the file cannot be written, or not be resumed.
    """

    def __init__(
        self,
        path: str,
        options: FeatureOptions,
        settings: Mapping[str, Any],
        resume: bool,
    ) -> None:
        self._json = JsonLines(options)
        self._compress = path.endswith(".gz")
        self._output = PartialOutput(path, settings, resume)
        self._file: BinaryIO | None = None

    @property
    def lines_done(self) -> int:
        """Input lines that need not be computed again."""
        return self._output.lines

    def write(self, window: Sequence[LineFeatures]) -> None:
        """Appends the lines of a window and counts them as done."""
        with writing(self._output.path):
            if self._file is None:
                self._file = self._open()
            if self._compress:
                # A gzip file may be several in a row: each window is one, so
                # that the file can be cut between windows.
                with gzip.GzipFile(
                    "", "wb", _GZIP_LEVEL, self._file, mtime=0
                ) as member:
                    member.writelines(map(self._json.encode, window))
            else:
                self._file.writelines(map(self._json.encode, window))
            sync(self._file)
            self._output.count(len(window), bytes=self._file.tell())

    def finish(self) -> None:
        """Gives the file its name."""
        with writing(self._output.path):
            if self._file is not None:
                self._file.close()
            self._output.finish()

    def _open(self) -> BinaryIO:
        file = open(self._output.partial, "ab")
        # What was written after the last count may end in half a line.
        file.truncate(self._output.state.get("bytes", 0))
        file.seek(0, os.SEEK_END)
        return file


class JsonlStdout:
    """Writes JSON lines to standard output."""

    lines_done = 0

    def __init__(self, options: FeatureOptions) -> None:
        self._json = JsonLines(options)

    def write(self, window: Sequence[LineFeatures]) -> None:
        """Writes the lines of a window at once.

        Raises:
          UserError: they cannot be written.
        """
        try:
            sys.stdout.buffer.writelines(map(self._json.encode, window))
            sys.stdout.buffer.flush()
        except OSError as error:
            # Python would complain once more when it flushes at exit.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            if isinstance(error, BrokenPipeError):
                sys.exit(1)  # The reader, `head` for one, has enough.
            raise UserError(
                f"Cannot write standard output: {error.strerror}"
            ) from error

    def finish(self) -> None:
        """Does nothing: all is written."""
