"""Files of predicted tags: CoNLL's form, and objects with characters."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Sequence
from typing import Any

import orjson

from modeling.output_files import whole_file
from modeling.tasks.tagging.schemes import PLAIN, find_chunks
from modeling.tasks.tagging.sentences import Sentence

PREDICTIONS_CONLL = "predictions.conll"
PREDICTIONS_JSONL = "predictions.jsonl"


class TagWriter:
    """Writes predictions as they come, in the order of the sentences.

    In a `with` block; the files take their names when it is left without an
    exception:
      predictions.conll: a line a word: the word, its tag in the file where that
        has one, the predicted tag; a blank line after every sentence. This is
        what conlleval reads.
      predictions.jsonl: an object a sentence, see `describe`.

    Args:
      directory: of the files; it must exist.
      scheme: of the tags, see `schemes`.
    """

    def __init__(self, directory: str, scheme: str) -> None:
        self._directory, self._scheme = directory, scheme
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> TagWriter:
        with contextlib.ExitStack() as stack:
            self._conll, self._jsonl = (
                stack.enter_context(
                    whole_file(os.path.join(self._directory, name))
                )
                for name in (PREDICTIONS_CONLL, PREDICTIONS_JSONL)
            )
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *exception: Any) -> bool | None:
        return self._stack.__exit__(*exception)

    def write(
        self, sentences: Sequence[Sentence], tags: Sequence[Sequence[str]]
    ) -> None:
        """Adds sentences with their predicted tags."""
        for sentence, predicted in zip(sentences, tags, strict=True):
            columns = [map(_cell, sentence.words), predicted]
            if sentence.tags is not None:
                columns.insert(1, sentence.tags)
            for cells in zip(*columns, strict=True):
                self._conll.write(" ".join(cells) + "\n")
            self._conll.write("\n")
            line = orjson.dumps(describe(sentence, predicted, self._scheme))
            self._jsonl.write(line.decode() + "\n")


def describe(
    sentence: Sentence, tags: Sequence[str], scheme: str
) -> dict[str, Any]:
    """A tagged sentence as JSON values.

    Returns:
      id: where the file has one.
      text: what `start` and `end` count characters in, the end being one past
        the last.
      tokens, tags: the words and their tags.
      entities: type, start, end and text of every chunk; in "plain", `offsets`
        instead, start and end of every word.
    """
    starts, ends = sentence.starts, sentence.ends()
    values: dict[str, Any] = {
        "text": sentence.text,
        "tokens": sentence.words,
        "tags": tags,
    }
    if sentence.row_id is not None:
        values = {"id": sentence.row_id, **values}
    if scheme == PLAIN:
        values["offsets"] = list(zip(starts, ends, strict=True))
        return values
    values["entities"] = [
        {
            "type": chunk.type,
            "start": starts[chunk.start],
            "end": ends[chunk.end - 1],
            "text": sentence.text[starts[chunk.start] : ends[chunk.end - 1]],
        }
        for chunk in find_chunks(tags)
    ]
    return values


def show(sentence: Sentence, tags: Sequence[str], scheme: str) -> str:
    """A tagged sentence on one line, for people.

    Returns:
      Type and text of every chunk, with tabs between, or "-" for none; the
      words that characters make, with spaces between; in "plain" every word
      with its tag.
    """
    if scheme == PLAIN:
        pairs = zip(sentence.words, tags, strict=True)
        return " ".join(f"{word}/{tag}" for word, tag in pairs)
    chunks = describe(sentence, tags, scheme)["entities"]
    if chunks and not any(chunk["type"] for chunk in chunks):
        return " ".join(chunk["text"] for chunk in chunks)
    cells = [
        cell for chunk in chunks for cell in (chunk["type"], chunk["text"])
    ]
    return "\t".join(cells) or "-"


def _cell(word: str) -> str:
    """A word without the white space that ends a cell."""
    return re.sub(r"\s", "_", word)
