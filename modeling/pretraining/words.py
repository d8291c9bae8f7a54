"""Words and spans that the tokens alone do not tell.

A Chinese word is several tokens, one a character; a phrase or an entity is
several words. Which tokens belong together is told by the text itself, by a
dictionary or by a segmenter.
"""

from __future__ import annotations

import bisect
import collections
import dataclasses
import itertools
import logging
import re
import types
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from modeling.errors import UserError
from modeling.pretraining.text import read_blocks
from modeling.records import JOINS_SPAN, JOINS_WORD
from modeling.tokenization import Tokenizer
from modeling.tokenization.unicode_tables import CJK_CLASS

WORD_SOURCES = ("tokens", "spaces", "dictionary", "jieba")

_CJK = re.compile(f"[{CJK_CLASS}]")
_CJK_RUN = re.compile(f"[{CJK_CLASS}]{{2,}}")
_SPAN = re.compile(r"\[\[(.*?)\]\]")


@dataclasses.dataclass(frozen=True)
class WordOptions:
    """Where words and spans come from.

    Attributes:
      source: "tokens" (a word is a token with its continuations), "spaces" (the
        text is segmented by spaces), "dictionary" or "jieba".
      word_dictionary: file with a word a line, for the source "dictionary".
      span_dictionary: file with a phrase or an entity a line, or "".
      marked_spans: whether [[double brackets]] in the text mark spans.
    """

    source: str = "tokens"
    word_dictionary: str = ""
    span_dictionary: str = ""
    marked_spans: bool = False

    @property
    def has_spans(self) -> bool:
        """Whether any spans are told."""
        return bool(self.span_dictionary) or self.marked_spans

    @property
    def in_tokens(self) -> bool:
        """Whether the tokens tell all there is to know."""
        return self.source == "tokens" and not self.has_spans


def segmenter_version(options: WordOptions) -> str:
    """What cuts words apart beyond files of the user's; "" where nothing does.

    Raises:
      UserError: jieba is not installed.
    """
    if options.source != "jieba":
        return ""
    return f"jieba {_import_jieba().__version__}"


class JoinedIds(NamedTuple):
    """A sentence, and for every token the bits JOINS_WORD and JOINS_SPAN."""

    ids: list[int]
    joins: list[int]


class WordEncoder:
    """Sentence -> ids and which of them belong together.

    Raises:
      UserError: a dictionary that cannot be read or is empty, or jieba that is
        not installed.
    """

    def __init__(self, tokenizer: Tokenizer, options: WordOptions) -> None:
        self._tokenizer, self._options = tokenizer, options
        self._is_continuation = tokenizer.is_continuation.tolist()
        self._segment = _segmenter(options)
        self._phrases: LongestMatch | None = None
        if options.span_dictionary:
            self._phrases = LongestMatch(
                tuple(ids)
                for ids in tokenizer.encode_batch(
                    _read_entries(options.span_dictionary)
                )
            )

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self._tokenizer, self._options)

    def encode(self, line: str) -> JoinedIds:
        """The ids of a sentence and what they join."""
        marks: list[tuple[int, int]] = []
        if self._options.marked_spans:
            line, marks = _take_marks(line)
        ids, offsets = self._tokenizer.encode_with_offsets(line)
        joins = self._join_words(line, ids, offsets)
        spans = _tokens_within(marks, offsets)
        if self._phrases is not None:
            spans += self._find_phrases(tuple(ids), joins)
        for start, end in spans:
            for i in range(start + 1, end):
                joins[i] |= JOINS_SPAN
        return JoinedIds(ids, joins)

    def _join_words(
        self, line: str, ids: list[int], offsets: list[tuple[int, int]]
    ) -> list[int]:
        joins = [JOINS_WORD * self._is_continuation[i] for i in ids]
        if self._options.source == "tokens":
            return joins
        is_cjk = [_CJK.match(line, start) is not None for start, _ in offsets]
        word_starts = self._word_starts(line)
        for i in range(1, len(ids)):
            start = offsets[i][0]
            if (
                is_cjk[i]
                and is_cjk[i - 1]
                and start == offsets[i - 1][1]
                and start not in word_starts
            ):
                joins[i] = JOINS_WORD
        return joins

    def _word_starts(self, line: str) -> set[int]:
        """Where words start within runs of Chinese characters."""
        if self._segment is None:
            return set()
        return {
            run.start() + start
            for run in _CJK_RUN.finditer(line)
            for start in itertools.accumulate(map(len, self._segment(run[0])))
        }

    def _find_phrases(
        self, ids: tuple[int, ...], joins: list[int]
    ) -> list[tuple[int, int]]:
        """Phrases of whole words, the longest from left to right."""
        is_bound = [not join & JOINS_WORD for join in joins] + [True]
        spans = []
        start = 0
        while start < len(ids):
            end = start + 1
            if is_bound[start]:
                ends = (start + n for n in self._phrases.lengths(ids, start))
                end = next((e for e in ends if is_bound[e]), end)
            if end > start + 1:
                spans.append((start, end))
            start = end
        return spans


class LongestMatch:
    """A dictionary of sequences, asked for those that stand somewhere."""

    def __init__(self, entries: Iterable[Sequence]) -> None:
        self._entries = {entry for entry in entries if entry}
        lengths = collections.defaultdict(set)
        for entry in self._entries:
            lengths[entry[0]].add(len(entry))
        self._lengths = {
            first: sorted(found, reverse=True)
            for first, found in lengths.items()
        }

    def lengths(self, sequence: Sequence, start: int) -> Iterator[int]:
        """Lengths of the entries that stand at a place, the longest first."""
        for length in self._lengths.get(sequence[start], ()):
            # A slice at the end may be shorter, and then matches nothing.
            if sequence[start : start + length] in self._entries:
                yield length

    def segment(self, text: str) -> list[str]:
        """Words by forward maximum matching, and characters between them."""
        words = []
        start = 0
        while start < len(text):
            length = next(self.lengths(text, start), 1)
            words.append(text[start : start + length])
            start += length
        return words


def _segmenter(options: WordOptions) -> Callable[[str], list[str]] | None:
    """What cuts a run of Chinese characters into words."""
    if options.source == "dictionary":
        # A dictionary of jieba's has a frequency and a class after the word.
        entries = _read_entries(options.word_dictionary)
        return LongestMatch(entry.split()[0] for entry in entries).segment
    if options.source == "jieba":
        return _import_jieba().lcut
    return None


def _import_jieba() -> types.ModuleType:
    try:
        import jieba
    except ImportError as error:
        raise UserError(
            "Words by jieba need the package jieba: pip install jieba. Or "
            "give a dictionary, or text that is segmented by spaces."
        ) from error
    jieba.setLogLevel(logging.WARNING)
    return jieba


def _read_entries(path: str) -> list[str]:
    lines = [line for block in read_blocks([path]) for line in block.lines()]
    # Some editors put a byte order mark before the first word.
    entries = [entry for line in lines if (entry := line.lstrip("\ufeff"))]
    if not entries:
        raise UserError(f"The dictionary {path} has no entries.")
    return entries


def _take_marks(line: str) -> tuple[str, list[tuple[int, int]]]:
    """Puts spaces for the brackets; returns also what they enclosed."""
    marks = [match.span(1) for match in _SPAN.finditer(line)]
    return _SPAN.sub(lambda match: f"  {match[1]}  ", line), marks


def _tokens_within(
    marks: list[tuple[int, int]], offsets: list[tuple[int, int]]
) -> list[tuple[int, int]]:
    """Marks in characters -> in tokens."""
    starts = [start for start, _ in offsets]
    return [
        (bisect.bisect_left(starts, start), bisect.bisect_left(starts, end))
        for start, end in marks
    ]
