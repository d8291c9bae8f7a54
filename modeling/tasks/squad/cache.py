"""Features on disk, made once for the same data, vocabulary and options.

A directory per digest of everything that shaped it: flat arrays without a
header, `unaligned.jsonl`, and `description.json`, which tells how many entries
the arrays have. It gets its name when it is whole.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import itertools
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np
from absl import logging

from modeling.errors import UserError
from modeling.output_files import whole_directory, write_json
from modeling.progress import Progress
from modeling.records import vocabulary_digest
from modeling.tasks.squad import encode
from modeling.tasks.squad.encode import (
    ARRAYS,
    Encoded,
    ParagraphEncoder,
    Unaligned,
)
from modeling.tasks.squad.features import FeatureSet, SpecialIds
from modeling.tasks.squad.options import WindowOptions
from modeling.tasks.squad.questions import Paragraph, read_paragraphs
from modeling.text_files import open_file, reading
from modeling.tokenization import Tokenizer
from modeling.workers import Workers

# Of the files here, to be raised when they change.
_VERSION = 1
_DESCRIPTION, _UNALIGNED = "description.json", "unaligned.jsonl"
_TYPE = "<i4"
# Paragraphs that a worker gets at once: some 5,000 tokens and 80 windows.
_CHUNK = 16
_READ_BYTES = 1 << 20
# Unaligned questions that the log shows.
_SHOWN = 5


def prepare_features(
    path: str,
    tokenizer: Tokenizer,
    options: WindowOptions,
    is_training: bool,
    cache_dir: str,
    num_workers: int = 1,
) -> FeatureSet:
    """Features of a file's questions, from the cache if they are there.

    Args:
      path: of the questions, see `read_paragraphs`.
      tokenizer: as the model was trained with.
      options: of the windows.
      is_training: whether answers are wanted; a question whose answer cannot be
        aligned has no windows then, and is listed.
      cache_dir: made where it does not exist.
      num_workers: processes that tokenize; 1 means this one.

    Raises:
      UserError: a file that `read_paragraphs` cannot use, one without
        questions, a training question without an answer, or a cache that cannot
        be written.
    """
    special = SpecialIds.of(tokenizer)
    settings = {
        "version": _VERSION,
        "data": _file_digest(path),
        "tokenizer": type(tokenizer).__name__,
        "vocabulary": vocabulary_digest(tokenizer.vocab),
        "do_lower_case": tokenizer.do_lower_case,
        "strip_accents": tokenizer.strip_accents,
        "is_training": is_training,
        **dataclasses.asdict(options),
    }
    digest = hashlib.sha256(json.dumps(settings).encode()).hexdigest()
    directory = os.path.join(cache_dir, f"squad.{digest[:16]}")
    if os.path.exists(os.path.join(directory, _DESCRIPTION)):
        logging.info("The windows of %s are made already: %s", path, directory)
    else:
        encoder = ParagraphEncoder(tokenizer, options, is_training)
        with Workers({"encode": encoder}, num_workers) as workers:
            chunks = _chunks(read_paragraphs(path))
            encoded = (result for _, result in workers.map("encode", chunks))
            _write(directory, path, settings, encoded)
    features = open_features(directory, special)
    _tell(features, path, directory)
    return features


def open_features(directory: str, special: SpecialIds) -> FeatureSet:
    """The features that `prepare_features` has left in a directory."""
    with open(
        os.path.join(directory, _DESCRIPTION), encoding="utf-8"
    ) as description:
        counts = json.load(description)["counts"]
    arrays = {}
    for name, shape in ARRAYS.items():
        shape = (counts[name], *shape)
        # An empty file cannot be mapped.
        arrays[name] = (
            np.memmap(_array_path(directory, name), _TYPE, "r", shape=shape)
            if counts[name]
            else np.zeros(shape, _TYPE)
        )
    with open(os.path.join(directory, _UNALIGNED), encoding="utf-8") as lines:
        unaligned = [Unaligned(**json.loads(line)) for line in lines]
    return FeatureSet(arrays, special, unaligned)


def _chunks(paragraphs: Iterator[Paragraph]) -> Iterator[list[Paragraph]]:
    return iter(lambda: list(itertools.islice(paragraphs, _CHUNK)), [])


def _write(
    directory: str,
    path: str,
    settings: dict[str, Any],
    encoded: Iterable[Encoded],
) -> None:
    """Writes a directory of features, whole or not at all."""
    with whole_directory(directory) as temporary:
        counts = _write_arrays(temporary, encoded)
        if not counts["windows"]:
            raise UserError(f"{path}: {_why_nothing(counts)}")
        write_json(
            os.path.join(temporary, _DESCRIPTION),
            {"settings": settings, "counts": counts},
        )


def _write_arrays(directory: str, encoded: Iterable[Encoded]) -> dict[str, int]:
    """Writes the arrays one after the other; returns how long they are."""
    counts = dict.fromkeys((*ARRAYS, "unaligned"), 0)
    with contextlib.ExitStack() as stack:
        files = {
            name: stack.enter_context(open(_array_path(directory, name), "wb"))
            for name in ARRAYS
        }
        unaligned = stack.enter_context(
            open(os.path.join(directory, _UNALIGNED), "w", encoding="utf-8")
        )
        progress = stack.enter_context(Progress("Making windows", "windows"))
        for arrays, left_out in encoded:
            arrays["questions"][:, encode.PARAGRAPH] += counts[
                "document_lengths"
            ]
            arrays["windows"][:, encode.QUESTION] += counts["questions"]
            for name, array in arrays.items():
                files[name].write(array.astype(_TYPE).tobytes())
                counts[name] += len(array)
            for question in left_out:
                unaligned.write(json.dumps(question._asdict()) + "\n")
            counts["unaligned"] += len(left_out)
            progress.advance(len(arrays["windows"]))
    return counts


def _why_nothing(counts: Mapping[str, int]) -> str:
    """Why there are no windows, and what to do."""
    questions = counts["questions"] + counts["unaligned"]
    if not questions:
        paragraphs = counts["document_lengths"]
        reason = f"{paragraphs} paragraphs, and no question on them"
    elif not (counts["document_ids"] and counts["unaligned"]):
        reason = f"the contexts of all questions, {questions}, are empty"
    else:
        reason = (
            f"no answer to train on, as those to {counts['unaligned']} of "
            f"{questions} questions do not stand in their contexts"
        )
    return f"{reason}. Is it the right file?"


def _tell(features: FeatureSet, path: str, directory: str) -> None:
    logging.info(
        "%s: %d questions in %d windows.",
        path,
        len(features.questions),
        len(features),
    )
    if features.unaligned:
        logging.warning(
            "%d training questions are left out, as no answer of theirs stands "
            "where the data says. They are listed in %s. The first:\n  %s",
            len(features.unaligned),
            os.path.join(directory, _UNALIGNED),
            "\n  ".join(
                f"{question.place}, {question.id}: {question.answers}"
                for question in features.unaligned[:_SHOWN]
            ),
        )


def _array_path(directory: str, name: str) -> str:
    return os.path.join(directory, f"{name}.bin")


def _file_digest(path: str) -> str:
    digest = hashlib.sha256()
    with reading(path), open_file(path) as file:
        while block := file.read(_READ_BYTES):
            digest.update(block)
    return digest.hexdigest()
