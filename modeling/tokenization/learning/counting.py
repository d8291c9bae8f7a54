"""Counting the words of a text of any length in memory that does not grow.

The text is cut into batches whose bounds depend on the text alone, each batch
is counted by itself, and the counts are added up in the order of the text. So
the result is the same however many processes do the counting.
"""

from __future__ import annotations

import collections
import dataclasses
from collections.abc import Iterable, Iterator, Mapping

from modeling.progress import Progress
from modeling.tokenization import fast, wordpiece
from modeling.workers import Workers

# Distinct words in memory: about 400 MB, and 300 MB while they are thinned.
MAX_DISTINCT = 1 << 21
# No tokenizer knows a longer word, so the rest of it makes no difference.
MAX_LENGTH = 200

_BATCH_CHARACTERS = 1 << 22
_REMEMBERED_CHUNKS = 1 << 18
# Tokenizing can make four characters of one, never so many.
_REMEMBERED_LENGTH = 32

_Batch = list[str]


@dataclasses.dataclass(frozen=True)
class WordCounts:
    """How often each word occurs.

    Attributes:
      counts: word -> count, the most frequent first, equals in order of code
        points. Words beyond `MAX_LENGTH` characters are cut just after it.
      total: words in the text, also those that `counts` has forgotten.
      lines: lines that the text has.
      max_missed: no count is short by more than this. 0 means that nothing
        was forgotten.
    """

    counts: Mapping[str, int]
    total: int
    lines: int
    max_missed: int


def count_words(
    lines: Iterable[str],
    tokenizer: wordpiece.BasicTokenizer,
    num_workers: int = 1,
    max_distinct: int = MAX_DISTINCT,
) -> WordCounts:
    """Counts the words that a tokenizer makes of the lines.

    When there are more than `max_distinct` different words, the rarest of
    them are forgotten until half are left. A frequent word among them starts
    anew from 0; `max_missed` adds up what it can have lost that way.

    Args:
      lines: anything that can be iterated once.
      tokenizer: tells what a word is.
      num_workers: processes that count, see `Workers`; 1 means this one.
      max_distinct: different words to hold in memory.
    """
    counts: dict[str, int] = {}
    total = num_lines = max_missed = 0
    counter = {"count": _BatchCounter(tokenizer)}
    with (
        Progress("Counting words", "lines") as progress,
        Workers(counter, num_workers) as workers,
    ):
        for batch, found in workers.map("count", _batches(lines)):
            for word, count in found.items():
                counts[word] = counts.get(word, 0) + count
                total += count
            if len(counts) > max_distinct:
                counts, lost = _thin(counts, max_distinct // 2)
                max_missed += lost
            num_lines += len(batch)
            progress.advance(len(batch))
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return WordCounts(dict(ordered), total, num_lines, max_missed)


def _thin(counts: dict[str, int], size: int) -> tuple[dict[str, int], int]:
    """Forgets the rarest words, and tells the highest count forgotten."""
    lost = sorted(counts.values(), reverse=True)[size]
    return {word: n for word, n in counts.items() if n > lost}, lost


def _batches(lines: Iterable[str]) -> Iterator[_Batch]:
    batch: _Batch = []
    characters = 0
    for line in lines:
        batch.append(line)
        characters += len(line)
        if characters >= _BATCH_CHARACTERS:
            yield batch
            batch, characters = [], 0
    if batch:
        yield batch


class _BatchCounter:
    """Counts the words of one batch after the other.

    Chunks of text between white space are counted first, and each different
    one is tokenized once: that makes Python's part of the work small.
    """

    def __init__(self, tokenizer: wordpiece.BasicTokenizer) -> None:
        self._tokenizer = tokenizer
        self._remembered: dict[str, list[str]] = {}

    def __call__(self, batch: _Batch) -> dict[str, int]:
        chunks: collections.Counter[str] = collections.Counter()
        for line in batch:
            chunks.update(fast.split_chunks(line))
        counts: dict[str, int] = collections.defaultdict(int)
        for chunk, count in chunks.items():
            for word in self._remembered.get(chunk) or self._words(chunk):
                counts[word] += count
        return dict(counts)

    def _words(self, chunk: str) -> list[str]:
        words = fast.split_words(chunk, self._tokenizer)
        if len(chunk) > _REMEMBERED_LENGTH:
            return [word[: MAX_LENGTH + 1] for word in words]
        if len(self._remembered) >= _REMEMBERED_CHUNKS:
            self._remembered.clear()
        self._remembered[chunk] = words
        return words
