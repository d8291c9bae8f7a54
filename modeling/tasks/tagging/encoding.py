"""From sentences to the rows of tokens that the encoder reads.

words:     Jim            Henson         was a puppeteer
tokens:    [CLS] Jim      Hen   ##son    was a pup ##pet ##eer [SEP]
positions:       1        2              4   5 6

A word's tag is learned and predicted at its first token (paper, section 5.3).
What is longer than a row is read through windows that overlap, cut between
words. A word has its tag where it has most context, in one window only.

S sentences have N words in R rows; the rows have T tokens and show P words in
all.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from modeling.errors import UserError
from modeling.tasks.array_cache import CacheEntry, cached
from modeling.tasks.flat_arrays import join, starts_of
from modeling.tasks.tagging.sentences import Sentence, group_documents
from modeling.tasks.tagging.tag_set import TagSet
from modeling.tasks.windows import max_context_window
from modeling.tokenization import Tokenizer
from modeling.workers import Workers

# Goes up with every change of what the same sentences become.
_VERSION = 1
# Words that a process gets at once, or a document.
_CHUNK_WORDS = 8192
# [CLS], [SEP] and a token.
_SHORTEST = 3


@dataclasses.dataclass(frozen=True)
class TaggingOptions:
    """How sentences are laid out in rows.

    Attributes:
      max_seq_length: the longest row in tokens, [CLS] and [SEP] included.
      doc_stride: most tokens from a window's start to the next one's; None for
        half a window.
      document_context: whether words are read with all of their document that
        a row has room for, as in the paper, or with their sentence only. Where
        a file does not tell documents apart, each sentence is one.

    Raises:
      UserError: lengths with which nothing can be read.
    """

    max_seq_length: int = 128
    doc_stride: int | None = None
    document_context: bool = False

    def __post_init__(self) -> None:
        if self.max_seq_length < _SHORTEST:
            raise UserError(
                f"max_seq_length must be at least {_SHORTEST}: [CLS], [SEP] "
                f"and a token. Received: {self.max_seq_length}"
            )
        if self.doc_stride is not None and not 0 < self.doc_stride <= self.room:
            raise UserError(
                f"doc_stride must be from 1 to {self.room}, the tokens of a "
                f"window with max_seq_length={self.max_seq_length}. Received: "
                f"{self.doc_stride}"
            )

    @property
    def room(self) -> int:
        """Tokens of a row between [CLS] and [SEP]."""
        return self.max_seq_length - 2

    @property
    def stride(self) -> int:
        """`doc_stride`, or its default."""
        return self.doc_stride or max(1, self.room // 2)


class EncodedSentences(NamedTuple):
    """Sentences in tokens, unpadded, end to end; perhaps mapped from a file.

    Attributes:
      ids: [T], uint16 or uint32
      row_starts: where each row begins, and the end of the last: int64 [R + 1]
      positions: of each word's first token in its row: int32 [P]
      word_starts: where each row's words begin, and the end of the last: int64
        [R + 1]
      owned: which of a row's words have their tags there, the first and one
        past the last; rows own all words in turn: int32 [R, 2]
      sentence_starts: the first word of each sentence, and the end of the last:
        int64 [S + 1]
      tags: ids, -1 for none: int32 [N]
    """

    ids: np.ndarray
    row_starts: np.ndarray
    positions: np.ndarray
    word_starts: np.ndarray
    owned: np.ndarray
    sentence_starts: np.ndarray
    tags: np.ndarray

    @property
    def num_rows(self) -> int:
        """How many rows there are."""
        return len(self.row_starts) - 1

    @property
    def num_words(self) -> int:
        """How many words there are."""
        return len(self.tags)


class SentenceEncoder:
    """Tokenizes documents and lays them out in rows.

    Args:
      tokenizer: as the model was trained with.
      tag_set: of the model.
      options: lengths of rows.

    Raises:
      UserError: a vocabulary without [CLS], [SEP] or [UNK].
    """

    def __init__(
        self, tokenizer: Tokenizer, tag_set: TagSet, options: TaggingOptions
    ) -> None:
        self.tokenizer, self.tag_set = tokenizer, tag_set
        self.options = options
        self._cls, self._sep = [tokenizer.cls_id], [tokenizer.sep_id]
        self._unk = [tokenizer.unk_id]
        self.id_type = "<u2" if tokenizer.vocab_size <= 1 << 16 else "<u4"

    def __call__(
        self, documents: Sequence[Sequence[Sentence]]
    ) -> EncodedSentences:
        """Raises `UserError` for a tag that the model does not have."""
        ids: list[int] = []
        row_lengths, word_counts, owned = [], [], []
        positions: list[np.ndarray] = []
        sentences = [s for document in documents for s in document]
        for document in documents:
            pieces = self._pieces(document)
            starts = starts_of(np.array(list(map(len, pieces)), np.int64))
            for window in _cut(starts, self.options):
                before = len(ids)
                ids += self._cls
                for piece in pieces[window.first : window.end]:
                    ids += piece
                ids += self._sep
                row_lengths.append(len(ids) - before)
                word_counts.append(window.end - window.first)
                places = starts[window.first : window.end]
                positions.append(places - places[0] + 1)
                owned.append((window.owned_first, window.owned_end))
        return EncodedSentences(
            np.array(ids, self.id_type),
            starts_of(np.array(row_lengths, np.int64)),
            _concatenate(positions),
            starts_of(np.array(word_counts, np.int64)),
            np.array(owned, np.int32).reshape(-1, 2),
            starts_of(np.array([len(s.words) for s in sentences], np.int64)),
            _concatenate([self.tag_set.encode(s) for s in sentences]),
        )

    def _pieces(self, document: Sequence[Sentence]) -> list[list[int]]:
        """The tokens of every word, at least one and at most a row of them."""
        words = [word for sentence in document for word in sentence.words]
        encoded = self.tokenizer.encode_batch(words)
        room = self.options.room
        return [pieces[:room] or self._unk for pieces in encoded]


class _Window(NamedTuple):
    """Words that a row shows, and of these those that it owns."""

    first: int
    end: int
    owned_first: int
    owned_end: int


def _cut(starts: np.ndarray, options: TaggingOptions) -> list[_Window]:
    """Windows over words that begin and end at these tokens.

    Args:
      starts: of every word, and the end of the last: [words + 1]
      options: lengths; no word is longer than a row.
    """
    num_words = len(starts) - 1
    if starts[-1] <= options.room:
        return [_Window(0, num_words, 0, num_words)]
    spans, first, end = [], 0, 0
    while True:
        end = _last_within(starts, starts[first] + options.room)
        spans.append((first, end))
        if end == num_words:
            break
        # At least a word further, which is in this window.
        following = _last_within(starts, starts[first] + options.stride)
        first = max(following, first + 1)
    tokens = np.array([(starts[a], starts[b] - starts[a]) for a, b in spans])
    owners = max_context_window(tokens)[starts[:-1]]
    bounds = np.searchsorted(owners, np.arange(len(spans) + 1)).tolist()
    return [
        _Window(a, b, bounds[index] - a, bounds[index + 1] - a)
        for index, (a, b) in enumerate(spans)
    ]


def _last_within(starts: np.ndarray, token: int) -> int:
    """The last boundary between words up to a token."""
    return int(np.searchsorted(starts, token, side="right")) - 1


def _concatenate(parts: list[np.ndarray]) -> np.ndarray:
    return np.concatenate([np.zeros(0, np.int32), *parts]).astype(np.int32)


def encode_sentences(
    encoder: SentenceEncoder,
    sentences: Iterable[Sentence],
    num_workers: int = 1,
) -> EncodedSentences:
    """All sentences, in memory."""
    chunks = [e for _, e in stream(encoder, sentences, num_workers)]
    return join(chunks) if chunks else encoder([])


def encode_cached(
    encoder: SentenceEncoder,
    sentences: Iterable[Sentence],
    cache_dir: str,
    num_workers: int = 1,
) -> EncodedSentences:
    """Encodes sentences, or opens what an earlier run has made of the same.

    Args:
      encoder: makes rows of the sentences.
      sentences: iterated over twice, first for their digest.
      cache_dir: see `CacheEntry`.
      num_workers: processes that tokenize.

    Raises:
      UserError: a sentence with an unknown tag, or a directory that cannot be
        written.
    """
    tags = dataclasses.asdict(encoder.tag_set)
    shaping = {
        "version": _VERSION,
        "tokenizer": encoder.tokenizer.digest(),
        "tags": {name: tags[name] for name in ("names", "scheme")},
        "options": dataclasses.asdict(encoder.options),
    }
    content = (
        (sentence.words, sentence.tags, sentence.document)
        for sentence in sentences
    )

    def make() -> Iterator[tuple[int, EncodedSentences]]:
        for chunk, encoded in stream(encoder, sentences, num_workers):
            yield len(chunk), encoded

    entry = CacheEntry(cache_dir, shaping, content)
    return cached(EncodedSentences, entry, make)


def stream(
    encoder: SentenceEncoder,
    sentences: Iterable[Sentence],
    num_workers: int = 1,
    chunk_words: int = _CHUNK_WORDS,
) -> Iterator[tuple[list[Sentence], EncodedSentences]]:
    """Yields chunks of the sentences with what has become of them, in order.

    The sentences are read only as far as the processes need, so that memory is
    bounded for any number of them.
    """
    if encoder.options.document_context:
        documents = group_documents(sentences)
    else:
        documents = ([sentence] for sentence in sentences)
    with Workers({"encode": encoder}, num_workers) as workers:
        for chunk, encoded in workers.map(
            "encode", _chunks(documents, chunk_words)
        ):
            yield list(itertools.chain.from_iterable(chunk)), encoded


def _chunks(
    documents: Iterable[list[Sentence]], chunk_words: int
) -> Iterator[list[list[Sentence]]]:
    chunk: list[list[Sentence]] = []
    words = 0
    for document in documents:
        chunk.append(document)
        words += sum(len(sentence.words) for sentence in document)
        if words >= chunk_words:
            yield chunk
            chunk, words = [], 0
    if chunk:
        yield chunk
