"""Sentences of CoNLL and JSONL files and of plain text, as they stream."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from typing import Literal, get_args

from modeling.errors import UserError
from modeling.tasks.json_values import JsonObject, describe_value
from modeling.tasks.tables import place, read_rows
from modeling.tasks.tagging.conll import read_conll
from modeling.tasks.tagging.sentences import (
    Sentence,
    join_words,
    split_text,
)
from modeling.text_files import display_name

Format = Literal["conll", "jsonl", "text"]

_WORDS = ("tokens", "words")
_TAGS = ("tags", "labels", "ner_tags")
_HINT = 'Expected {"tokens": ["..."], "tags": ["..."]}.'


@dataclasses.dataclass(frozen=True)
class SentenceFile:
    """The sentences of a file, read anew whenever they are iterated over.

    Attributes:
      path: of the file, "-" for standard input.
      file_format: "conll", "jsonl", or "text" for a sentence a line; None
        leaves it to the name, and takes what tells nothing for CoNLL.
      word_column, tag_column: of CoNLL files, from 0 or, negative, from the
        end; None: the first and the last, in CoNLL-U files form and UPOS.
      needs_tags: whether sentences without tags are an error.
      into_characters: see `split_text`.

    Raises:
      UserError: on iteration, for whatever is wrong with the file, with the
        line.
    """

    path: str
    file_format: Format | None = None
    word_column: int | None = None
    tag_column: int | None = None
    needs_tags: bool = True
    into_characters: bool = False

    def __post_init__(self) -> None:
        known = get_args(Format)
        if self.file_format not in (None, *known):
            raise UserError(
                f"file_format must be one of {', '.join(known)}. Received: "
                f"{self.file_format!r}"
            )

    def __iter__(self) -> Iterator[Sentence]:
        kind = self.file_format or _guess_format(self.path)
        count = 0
        for sentence in _READERS[kind](self):
            count += 1
            if self.needs_tags and sentence.tags is None:
                raise UserError(
                    f"{sentence.place(0)}: no tags to learn from or compare "
                    "with."
                )
            yield sentence
        if not count:
            raise UserError(
                f"{display_name(self.path)} has no sentences. Is it the right "
                "file?"
            )


def _guess_format(path: str) -> Format:
    ending = path.lower().removesuffix(".gz").rpartition(".")[2]
    return "jsonl" if ending in ("jsonl", "json", "ndjson") else "conll"


def _read_conll(file: SentenceFile) -> Iterator[Sentence]:
    return read_conll(
        file.path, file.word_column, file.tag_column, file.needs_tags
    )


def _read_jsonl(file: SentenceFile) -> Iterator[Sentence]:
    document, name = -1, None
    for row in read_rows(file.path, "jsonl"):
        if not row.cells:
            continue
        where = place(file.path, row.line)
        values = JsonObject(where, row.cells, _HINT)
        sentence = _parse(values, file)
        if not sentence.words:
            raise UserError(f"{where}: the sentence has no words.")
        is_of_document = values.has("document")
        if is_of_document:
            # Neighbours of the same name are of one document.
            before, name = name, repr(row.cells["document"])
            document += name != before
        row_id = row.cells.get("id")
        yield dataclasses.replace(
            sentence,
            document=document if is_of_document else None,
            source=display_name(file.path),
            lines=(row.line,),
            row_id=None if row_id is None else str(row_id),
        )


def _parse(row: JsonObject, file: SentenceFile) -> Sentence:
    if not row.has(*_WORDS) and row.has("text"):
        return split_text(row.text("text"), file.into_characters)
    words = tuple(row.texts(*_WORDS))
    if "" in words:
        raise UserError(
            f"{row.name}: word {words.index('') + 1} is empty. Drop it, and "
            "its tag."
        )
    tags = None
    if row.has(*_TAGS):
        tags = tuple(row.texts(*_TAGS))
        if len(tags) != len(words):
            raise UserError(
                f"{row.name}: {len(words)} words, but {len(tags)} tags. Every "
                "word needs one."
            )
        if "" in tags:
            raise UserError(f"{row.name}: tag {tags.index('') + 1} is empty.")
    if row.has("text"):
        text = row.text("text")
        return Sentence(words, tags, text, _find(words, text, row.name))
    return Sentence(words, tags, *join_words(words))


def _find(words: tuple[str, ...], text: str, where: str) -> tuple[int, ...]:
    """Where words stand in their text, one after the other."""
    starts, end = [], 0
    for number, word in enumerate(words, 1):
        start = text.find(word, end)
        if start < 0:
            raise UserError(
                f"{where}: word {number}, {describe_value(word)}, is not in "
                f"the text behind the word before it. Received: {text!r:.80}. "
                "Drop the text, or make the words parts of it."
            )
        starts.append(start)
        end = start + len(word)
    return tuple(starts)


def _read_text(file: SentenceFile) -> Iterator[Sentence]:
    for row in read_rows(file.path, "tsv"):
        sentence = split_text("\t".join(row.cells), file.into_characters)
        # A blank line has nothing to tag.
        if sentence.words:
            yield dataclasses.replace(
                sentence, source=display_name(file.path), lines=(row.line,)
            )


_READERS: Mapping[Format, Callable[[SentenceFile], Iterator[Sentence]]] = {
    "conll": _read_conll,
    "jsonl": _read_jsonl,
    "text": _read_text,
}
