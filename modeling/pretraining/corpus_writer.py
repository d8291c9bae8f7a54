"""Text -> a tokenized corpus on disk, once for the same text and settings."""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Protocol

import numpy as np
from absl import logging

from modeling.errors import UserError
from modeling.output_files import write_json
from modeling.pretraining.corpus import (
    DOCUMENTS,
    IDS,
    JOINS,
    SENTENCES,
    Corpus,
)
from modeling.pretraining.encode import EncodedBlock
from modeling.pretraining.resumable import (
    GrowingFiles,
    only_run,
    read_json,
    writing,
)
from modeling.pretraining.text import TextBlock, read_blocks
from modeling.progress import Progress
from modeling.text_files import is_read_once


class Encoders(Protocol):
    """What encodes blocks of text: `Workers`, or those of a cluster."""

    def map(
        self, name: str, blocks: Iterable[TextBlock]
    ) -> Iterator[tuple[TextBlock, EncodedBlock]]:
        """Yields every block with its encoding, in order."""


# What tells that a corpus is whole, and what of.
DESCRIPTION = "corpus.json"
_RECORD = "partial.json"


def prepare_corpus(
    directory: str,
    text_files: Sequence[str],
    settings: Mapping[str, Any],
    workers: Encoders,
    unknown_id: int,
) -> dict[str, Any]:
    """Makes sure that a directory holds the corpus of a text.

    A whole corpus of the same text and settings is left as it is, and a part of
    one, from a run that was killed, is gone on with. Text that can be read only
    once, such as a pipe's, is tokenized anew, as it cannot be compared first.

    Args:
      directory: made where it does not exist.
      text_files: names of files.
      settings: all that shapes the corpus but the text, as JSON values; with
        `id_type` and `has_joins`.
      workers: of a `BlockEncoder` under the name "encode".
      unknown_id: of [UNK], to be counted.

    Returns:
      The description: settings, digest of the text, counts.

    Raises:
      UserError: text that cannot be read, is not UTF-8 or has no tokens, or a
        directory that cannot be written.
    """
    path = os.path.join(directory, DESCRIPTION)
    description = read_json(path)
    if (
        description is not None
        and not _is_read_once(text_files)
        and description["settings"] == settings
        and _is_whole(directory, description)
        and description["text"] == _digest_of(text_files)
    ):
        logging.info("The text is tokenized already: %s", directory)
        return description
    with writing(directory):
        os.makedirs(directory, exist_ok=True)
        with only_run(os.path.join(directory, "lock"), directory):
            if description is not None:
                os.remove(path)
            writer = _CorpusWriter(directory, text_files, settings, unknown_id)
            description = writer.write(workers)
            write_json(path, description)
            os.remove(os.path.join(directory, _RECORD))
    return description


def open_corpus(directory: str) -> Corpus:
    """The corpus in a directory that `prepare_corpus` has gone through."""
    description = read_json(os.path.join(directory, DESCRIPTION))
    return Corpus(directory, description["settings"]["id_type"])


class _CorpusWriter:
    """Appends block after block, and counts what it has appended."""

    def __init__(
        self,
        directory: str,
        text_files: Sequence[str],
        settings: Mapping[str, Any],
        unknown_id: int,
    ) -> None:
        self._directory, self._text_files = directory, text_files
        self._settings, self._unknown_id = settings, unknown_id
        self._blocks = read_blocks(text_files)
        self._digest = _TextDigest()
        self._counts = {
            "blocks": 0,
            "bytes": 0,
            "documents": 0,
            "sentences": 0,
            "sentences_in_whole_documents": 0,
            "tokens": 0,
            "unknown_tokens": 0,
        }

    def write(self, workers: Encoders) -> dict[str, Any]:
        """Writes what is missing; returns the description."""
        names = [IDS, SENTENCES, DOCUMENTS]
        if self._settings["has_joins"]:
            names.append(JOINS)
        else:
            with contextlib.suppress(FileNotFoundError):
                os.remove(self._path(JOINS))
        sizes = [os.path.getsize(f) for f in self._text_files if _is_plain(f)]
        total = sum(sizes) if len(sizes) == len(self._text_files) else None
        with GrowingFiles(
            self._path(_RECORD),
            [self._path(name) for name in names],
            self._settings,
            self._can_go_on,
        ) as files:
            if files.state is None:
                for name in (SENTENCES, DOCUMENTS):
                    files.append(self._path(name), np.zeros(1, "<i8"))
            done = self._counts["bytes"]
            with Progress("Tokenizing", "bytes", total, done) as progress:
                for block, encoded in workers.map("encode", self._blocks):
                    self._append(files, block, encoded)
                    files.count(self._state())
                    progress.advance(len(block.data))
            if not self._counts["tokens"]:
                raise UserError(
                    "The input has no tokens to train on: "
                    + ", ".join(self._text_files)
                )
            files.count(self._state(), now=True)
        return {
            "settings": self._settings,
            "text": self._digest.hexdigest(),
            "counts": self._counts,
        }

    def _can_go_on(self, state: dict[str, Any]) -> bool:
        """Passes over the text of an earlier run, if this text begins with it.

        Where it does not, the text is begun anew.
        """
        if _is_read_once(self._text_files):
            return False
        digest, blocks = _TextDigest(), read_blocks(self._text_files)
        for block in itertools.islice(blocks, state["counts"]["blocks"]):
            digest.update(block)
        if digest.hexdigest() != state["text"]:
            return False
        self._counts, self._digest, self._blocks = (
            state["counts"],
            digest,
            blocks,
        )
        logging.info(
            "Going on with the tokenization after %d bytes.",
            self._counts["bytes"],
        )
        return True

    def _append(
        self, files: GrowingFiles, block: TextBlock, encoded: EncodedBlock
    ) -> None:
        counts = self._counts
        offsets = counts["tokens"] + np.cumsum(encoded.lengths)
        # Blank lines that follow one another end one document, once.
        ends = np.unique(counts["sentences"] + encoded.ends)
        ends = ends[ends > counts["sentences_in_whole_documents"]]
        files.append(self._path(IDS), encoded.ids)
        files.append(self._path(SENTENCES), offsets.astype("<i8"))
        files.append(self._path(DOCUMENTS), ends.astype("<i8"))
        if encoded.joins is not None:
            files.append(self._path(JOINS), encoded.joins)
        counts["blocks"] += 1
        counts["bytes"] += len(block.data)
        counts["documents"] += len(ends)
        counts["sentences"] += len(encoded.lengths)
        if len(ends):
            counts["sentences_in_whole_documents"] = int(ends[-1])
        counts["tokens"] += len(encoded.ids)
        counts["unknown_tokens"] += int(
            np.count_nonzero(encoded.ids == self._unknown_id)
        )
        self._digest.update(block)

    def _state(self) -> dict[str, Any]:
        return {"counts": self._counts, "text": self._digest.hexdigest()}

    def _path(self, name: str) -> str:
        return os.path.join(self._directory, name)


class _TextDigest:
    """Of the content of files, one after the other."""

    def __init__(self) -> None:
        self._hash = hashlib.sha256()

    def update(self, block: TextBlock) -> None:
        """Goes on with a block."""
        self._hash.update(block.data)
        if block.is_last:
            # The end of a file ends a document, so it is part of the text. No
            # text in UTF-8 has this byte.
            self._hash.update(b"\xff")

    def hexdigest(self) -> str:
        """Of all blocks so far."""
        return self._hash.hexdigest()


def _digest_of(text_files: Sequence[str]) -> str:
    digest = _TextDigest()
    for block in read_blocks(text_files):
        digest.update(block)
    return digest.hexdigest()


def _is_whole(directory: str, description: Mapping[str, Any]) -> bool:
    """Whether the files have the sizes that they had when they were written."""
    settings, counts = description["settings"], description["counts"]
    sizes = {
        IDS: counts["tokens"] * np.dtype(settings["id_type"]).itemsize,
        SENTENCES: 8 * (counts["sentences"] + 1),
        DOCUMENTS: 8 * (counts["documents"] + 1),
    }
    if settings["has_joins"]:
        sizes[JOINS] = counts["tokens"]
    paths = {os.path.join(directory, name): sizes[name] for name in sizes}
    return all(
        os.path.exists(path) and os.path.getsize(path) == size
        for path, size in paths.items()
    )


def _is_read_once(text_files: Sequence[str]) -> bool:
    return any(map(is_read_once, text_files))


def _is_plain(path: str) -> bool:
    return os.path.isfile(path) and not path.endswith(".gz")
