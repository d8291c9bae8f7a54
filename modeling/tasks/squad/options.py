"""What shapes windows and answers."""

from __future__ import annotations

import dataclasses
import math

from modeling.errors import UserError

ANSWER_TEXTS = ("original", "offsets")


@dataclasses.dataclass(frozen=True)
class WindowOptions:
    """How a paragraph is cut into windows, each behind the question.

    Attributes:
      max_seq_length: longest row in tokens: [CLS] question [SEP] window [SEP].
      doc_stride: tokens from a window's start to the next one's.
      max_query_length: longest question in tokens; the rest is cut off.
      version_2_with_negative: whether questions may have no answer.

    Raises:
      UserError: lengths that leave no room for a window.
    """

    max_seq_length: int = 384
    doc_stride: int = 128
    max_query_length: int = 64
    version_2_with_negative: bool = False

    def __post_init__(self) -> None:
        if self.max_query_length < 0:
            raise UserError(
                "max_query_length must not be negative. Received: "
                f"{self.max_query_length}"
            )
        if self.max_seq_length <= self.max_query_length + 3:
            raise UserError(
                "max_seq_length must be greater than max_query_length + 3, as "
                "[CLS] and two [SEP] stand in every row beside the question. "
                f"Received: max_seq_length={self.max_seq_length}, "
                f"max_query_length={self.max_query_length}"
            )
        if self.doc_stride < 1:
            raise UserError(
                f"doc_stride must be positive. Received: {self.doc_stride}"
            )


@dataclasses.dataclass(frozen=True)
class AnswerOptions:
    """How answers are made of scores.

    Attributes:
      n_best_size: starts and ends considered in a window, and answers listed
        for a question.
      max_answer_length: longest answer in tokens.
      version_2_with_negative: whether questions may have no answer.
      null_score_diff_threshold: with `version_2_with_negative`, no answer is
        given where its score lies above the best answer's by more than this.
      answer_text: "original" finds the answer in its words as the original
        does, and gives the words whole where that fails; "offsets" takes the
        characters that the tokens stand for, which never fails. The first is
        for WordPiece only.

    Raises:
      UserError: a size that is not positive, a threshold that is no number, or
        an unknown answer_text.
    """

    n_best_size: int = 20
    max_answer_length: int = 30
    version_2_with_negative: bool = False
    null_score_diff_threshold: float = 0.0
    answer_text: str = "original"

    def __post_init__(self) -> None:
        for name in ("n_best_size", "max_answer_length"):
            if getattr(self, name) < 1:
                raise UserError(
                    f"{name} must be positive. Received: {getattr(self, name)}"
                )
        if math.isnan(self.null_score_diff_threshold):
            raise UserError(
                "null_score_diff_threshold must be a number. Received: nan"
            )
        if self.answer_text not in ANSWER_TEXTS:
            raise UserError(
                f"answer_text must be one of {', '.join(ANSWER_TEXTS)}. "
                f"Received: {self.answer_text!r}"
            )
