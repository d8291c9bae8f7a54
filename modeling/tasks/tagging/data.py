"""TaggingData: the files of a data set, in tokens, and what follows of them."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np
from absl import logging

from modeling.errors import UserError
from modeling.tasks.split_files import SplitFiles
from modeling.tasks.tagging.batches import TaggingExamples
from modeling.tasks.tagging.encoding import (
    SentenceEncoder,
    TaggingOptions,
    encode_cached,
    stream,
)
from modeling.tasks.tagging.reading import SentenceFile
from modeling.tasks.tagging.sentences import Sentence, split_text
from modeling.tasks.tagging.tag_set import TagSet
from modeling.text_files import STDIN, display_name, is_read_once
from modeling.tokenization import Tokenizer

# Of files in --data_dir.
ENDINGS = ("txt", "conll", "conllu", "tsv", "jsonl")


@dataclasses.dataclass(frozen=True)
class TaggingFiles:
    """Where the sentences of each split are, and in which columns.

    Attributes:
      files: of the splits.
      word_column, tag_column: see `SentenceFile`.
      predict_format: of the file to predict, see `SentenceFile`; None: a
        sentence a line in standard input, else what the name tells.
    """

    files: SplitFiles
    word_column: int | None = None
    tag_column: int | None = None
    predict_format: str | None = None

    def has(self, split: str) -> bool:
        """Whether there is a file of "train", "dev" or "test"."""
        return self.files.find(split) is not None

    def open(self, split: str) -> SentenceFile:
        """The sentences of "train" or "dev", with their tags."""
        return self._open(self.files.get(split))

    def open_to_predict(self, into_characters: bool) -> SentenceFile:
        """The sentences of "test", with or without tags.

        Args:
          into_characters: see `SentenceFile`.
        """
        path = self.files.get("test")
        file_format = self.predict_format
        if path == STDIN and file_format is None:
            file_format = "text"
        return self._open(
            path,
            file_format=file_format,
            needs_tags=False,
            into_characters=into_characters,
        )

    def _open(self, path: str, **options: Any) -> SentenceFile:
        return SentenceFile(
            path,
            word_column=self.word_column,
            tag_column=self.tag_column,
            **options,
        )


@dataclasses.dataclass(frozen=True, eq=False)
class SentenceChunk:
    """Sentences that are predicted together.

    Attributes:
      sentences: in the order of the file.
      examples: what they are in tokens.
    """

    sentences: list[Sentence]
    examples: TaggingExamples

    def __len__(self) -> int:
        return len(self.sentences)


@dataclasses.dataclass(frozen=True, eq=False)
class TaggingData:
    """Sentences of files for one model.

    Attributes:
      files: see there.
      tag_set: of the model.
      tokenizer: as the model was trained with.
      options: how sentences are laid out.
      cache_dir: of tokenized sentences.
      num_workers: processes that tokenize.
    """

    files: TaggingFiles
    tag_set: TagSet
    tokenizer: Tokenizer
    options: TaggingOptions
    cache_dir: str
    num_workers: int = 1

    @functools.cached_property
    def encoder(self) -> SentenceEncoder:
        """Makes rows of sentences."""
        return SentenceEncoder(self.tokenizer, self.tag_set, self.options)

    def examples(self, split: str) -> TaggingExamples:
        """A split, mapped from the cache."""
        if split not in self._opened:
            sentences = self.files.open(split)
            self._check_documents(next(iter(sentences)), sentences.path)
            encoded = encode_cached(
                self.encoder, sentences, self.cache_dir, self.num_workers
            )
            self._opened[split] = TaggingExamples(encoded)
        return self._opened[split]

    def stream_to_predict(self) -> Iterator[SentenceChunk]:
        """Chunks of any number of sentences, with or without tags."""
        sentences = self.files.open_to_predict(self.tag_set.into_characters)
        rest = iter(sentences)
        first = next(rest)
        self._check_documents(first, sentences.path)
        rest = itertools.chain([first], rest)
        for chunk, encoded in stream(self.encoder, rest, self.num_workers):
            yield SentenceChunk(chunk, TaggingExamples(encoded))

    def check_to_predict(self) -> None:
        """Reads what is predicted, unless it can be read only once.

        Raises:
          UserError: for whatever is wrong with it.
        """
        sentences = self.files.open_to_predict(self.tag_set.into_characters)
        if not is_read_once(sentences.path):
            for sentence in sentences:
                self.tag_set.encode(sentence)

    def single(self, text: str) -> SentenceChunk:
        """A text without tags.

        Raises:
          UserError: it has no words.
        """
        sentence = split_text(text, self.tag_set.into_characters)
        if not sentence.words:
            raise UserError(f"There are no words in {text!r}.")
        encoded = self.encoder([[sentence]])
        return SentenceChunk([sentence], TaggingExamples(encoded))

    def training_digest(self) -> str:
        """Tells the training sentences and their tags from others."""
        digest = hashlib.sha256()
        for array in self.examples("train").encoded:
            digest.update(np.ascontiguousarray(array).tobytes())
        return digest.hexdigest()[:16]

    @functools.cached_property
    def _opened(self) -> dict[str, TaggingExamples]:
        return {}

    def _check_documents(self, first: Sentence, path: str) -> None:
        if self.options.document_context and first.document is None:
            logging.warning(
                "%s does not tell documents apart, so each sentence is read by "
                "itself. Put a line -DOCSTART- before each document, in "
                'CoNLL-U "# newdoc", or a "document" in every object of JSONL.',
                display_name(path),
            )
