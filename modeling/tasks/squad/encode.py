"""Paragraphs -> flat arrays of tokens, windows and answers, in any process."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from modeling.errors import UserError
from modeling.tasks.squad.alignment import (
    Context,
    Tokens,
    align_answer,
    locate_answer,
)
from modeling.tasks.squad.options import WindowOptions
from modeling.tasks.squad.questions import Paragraph, Question
from modeling.tasks.squad.words import split_words
from modeling.tasks.windows import cut_windows
from modeling.tokenization import Tokenizer

# Columns of `questions`.
PARAGRAPH, QUERY_LENGTH, IS_IMPOSSIBLE = range(3)
# Columns of `windows`.
QUESTION, START, LENGTH, START_POSITION, END_POSITION = range(5)

# Every array with the shape of an entry.
ARRAYS = {
    "document_ids": (),
    "document_offsets": (2,),
    "document_lengths": (),
    "query_ids": (),
    "questions": (3,),
    "windows": (5,),
}


class Unaligned(NamedTuple):
    """A training question that is left out.

    Attributes:
      id: of the question.
      place: of its paragraph.
      answers: texts and starts of its answers.
    """

    id: str
    place: str
    answers: list[tuple[str, int | None]]


class Encoded(NamedTuple):
    """What became of some paragraphs.

    Attributes:
      arrays: under the names of `ARRAYS`, int32. Of the paragraphs the tokens
        `document_ids`, first and past last character of each token
        `document_offsets`, and numbers of tokens `document_lengths`. Of the
        questions the tokens `query_ids`, and `questions`: paragraph, number of
        tokens, whether it is impossible. Then `windows`: question, first token
        in the paragraph, number of tokens, and where in the row the answer
        starts and ends. Paragraphs and questions are counted from 0.
      unaligned: training questions that are left out.
    """

    arrays: dict[str, np.ndarray]
    unaligned: list[Unaligned]


class ParagraphEncoder:
    """Encodes lists of paragraphs.

    Args:
      tokenizer: as the model was trained with.
      options: of the windows.
      is_training: whether answers are wanted.
    """

    def __init__(
        self, tokenizer: Tokenizer, options: WindowOptions, is_training: bool
    ) -> None:
        self._tokenizer, self._options = tokenizer, options
        self._is_training = is_training

    def __call__(self, paragraphs: Sequence[Paragraph]) -> Encoded:
        """Raises `UserError` for a training question without an answer."""
        collected: dict[str, list[np.ndarray]] = {name: [] for name in ARRAYS}
        unaligned: list[Unaligned] = []
        questions = 0
        for index, paragraph in enumerate(paragraphs):
            context = self._context(paragraph.context)
            num_tokens = len(context.ids)
            collected["document_ids"].append(context.ids)
            collected["document_offsets"].append(context.offsets)
            collected["document_lengths"].append([num_tokens])
            for question in paragraph.questions:
                answer = self._answer(paragraph, question, context)
                if answer is None:
                    answers = [(a.text, a.start) for a in question.answers]
                    unaligned.append(
                        Unaligned(question.id, paragraph.place, answers)
                    )
                    continue
                query = self._tokenizer.encode(question.text)
                query = query[: self._options.max_query_length]
                is_impossible = answer == _NO_ANSWER and self._is_training
                collected["query_ids"].append(query)
                collected["questions"].append(
                    [(index, len(query), is_impossible)]
                )
                collected["windows"].append(
                    self._windows(questions, len(query), num_tokens, answer)
                )
                questions += 1
        arrays = {
            name: _concatenate(parts, ARRAYS[name])
            for name, parts in collected.items()
        }
        return Encoded(arrays, unaligned)

    def _context(self, text: str) -> Context:
        ids, offsets = self._tokenizer.encode_with_offsets(text)
        return Context(
            text,
            split_words(text),
            ids,
            np.array(offsets, np.int32).reshape(-1, 2),
        )

    def _answer(
        self, paragraph: Paragraph, question: Question, context: Context
    ) -> Tokens | None:
        """The tokens of the first answer that has some."""
        if not self._is_training:
            return _NO_ANSWER
        if question.is_impossible and self._options.version_2_with_negative:
            return _NO_ANSWER
        if not question.answers:
            raise UserError(
                f"{paragraph.place}, question {question.id!r}: no answer to "
                'train on. If it has none, say "is_impossible": true there '
                "and give --version_2_with_negative."
            )
        for answer in question.answers:
            characters = locate_answer(context.text, context.words, answer)
            if characters is None:
                continue
            found = align_answer(context, characters, self._tokenizer)
            if found is not None:
                return found
        return None

    def _windows(
        self, question: int, query_length: int, num_tokens: int, answer: Tokens
    ) -> np.ndarray:
        """The windows of a question: int64 [windows, 5]"""
        # [CLS] and two [SEP].
        size = self._options.max_seq_length - query_length - 3
        spans = cut_windows(num_tokens, size, self._options.doc_stride)
        starts, lengths = spans.T
        # As in the original, a window that does not hold all of the answer
        # points to [CLS].
        holds = (starts <= answer.first) & (answer.last < starts + lengths)
        holds &= answer != _NO_ANSWER
        shift = query_length + 2 - starts
        return np.stack(
            [
                np.full(len(spans), question),
                starts,
                lengths,
                np.where(holds, answer.first + shift, 0),
                np.where(holds, answer.last + shift, 0),
            ],
            axis=1,
        )


_NO_ANSWER = Tokens(-1, -1)


def _concatenate(parts: list, shape: tuple[int, ...]) -> np.ndarray:
    arrays = [np.asarray(part, np.int32).reshape(-1, *shape) for part in parts]
    return np.concatenate([np.zeros((0, *shape), np.int32), *arrays])
