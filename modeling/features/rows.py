"""From a line of text to the rows of tokens that the encoder reads.

tokens:      [CLS] is this jack ##son ##ville ? [SEP] no it is not . [SEP]
segment_ids: 0     0  0    0    0     0       0 0     1  1  1  1   1 1
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from modeling.features.options import FeatureOptions
from modeling.tokenization import Tokenizer, truncate_pair

_PAIR = re.compile(r"^(.*) \|\|\| (.*)$")


class Row(NamedTuple):
    """One input of the encoder.

    Attributes:
      ids: its tokens.
      first_length: how many of them are of the first segment.
      places: where in the line's tokens each stands; None: at its own place.
    """

    ids: Sequence[int]
    first_length: int
    places: np.ndarray | None = None


class Line(NamedTuple):
    """A line of input and its rows.

    Attributes:
      index: number of the line in the whole input, from 0.
      ids: all its tokens, [CLS] and [SEP] included.
      rows: one row that holds them all, or windows over them.
      is_cut: whether tokens had to be left out.
    """

    index: int
    ids: Sequence[int]
    rows: Sequence[Row]
    is_cut: bool


class RowBuilder:
    """Tokenizes lines and lays them out in rows of limited length.

    Args:
      tokenizer: as the model was trained with.
      options: `max_seq_length`, `long_inputs` and `window_overlap` matter.
    """

    def __init__(self, tokenizer: Tokenizer, options: FeatureOptions) -> None:
        self._tokenizer = tokenizer
        self._options = options
        self._cls, self._sep = tokenizer.cls_id, tokenizer.sep_id

    def build(self, lines: Iterable[str], first_index: int) -> Iterator[Line]:
        """Lines of text -> lines of tokens, numbered from `first_index`."""
        pairs = [split_pair(line) for line in lines]
        texts = [text for pair in pairs for text in pair if text is not None]
        encoded = iter(self._tokenizer.encode_batch(texts))
        for index, (_, second_text) in enumerate(pairs, first_index):
            first = next(encoded)
            second = [] if second_text is None else next(encoded)
            yield self._line(index, first, second)

    def _line(
        self, index: int, first: Sequence[int], second: Sequence[int]
    ) -> Line:
        room = self._options.max_seq_length - (3 if second else 2)
        fits = len(first) + len(second) <= room
        if fits or self._options.long_inputs == "truncate":
            first, second = truncate_pair(first, second, room)
            row = self._join(first, second)
            return Line(index, row.ids, [row], not fits)
        return self._windows(index, first, second, room)

    def _windows(
        self, index: int, first: Sequence[int], second: Sequence[int], room: int
    ) -> Line:
        """Slides over the longer text and keeps the other whole.

        Where the other alone would take more than half of the room, it is cut
        to half.
        """
        slide_second = len(second) > len(first)
        kept, slid = (first, second) if slide_second else (second, first)
        is_cut = len(kept) > room // 2
        kept = kept[: room // 2]
        size = room - len(kept)
        step = size - self._options.window_overlap
        starts = range(0, max(1, len(slid) - size + step), step)

        whole = self._join(*((kept, slid) if slide_second else (slid, kept)))
        # [CLS], and the kept text with its [SEP] where it comes first.
        before = 1 + (len(kept) + 1 if slide_second else 0)
        rows = []
        for start in starts:
            end = min(start + size, len(slid))
            places = np.concatenate(
                [
                    np.arange(before),
                    np.arange(before + start, before + end),
                    np.arange(before + len(slid), len(whole.ids)),
                ]
            )
            first_length = whole.first_length
            if not slide_second:
                first_length -= len(slid) - (end - start)
            ids = [whole.ids[place] for place in places]
            rows.append(Row(ids, first_length, places))
        return Line(index, whole.ids, rows, is_cut)

    def _join(self, first: Sequence[int], second: Sequence[int]) -> Row:
        ids = [self._cls, *first, self._sep]
        first_length = len(ids)
        if second:
            ids += [*second, self._sep]
        return Row(ids, first_length)


def split_pair(line: str) -> tuple[str, str | None]:
    """`a ||| b` -> ("a", "b"), any other line -> (line, None)."""
    match = _PAIR.match(line)
    return (match[1], match[2]) if match else (line, None)
