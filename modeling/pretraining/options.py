"""What shapes pre-training data, checked before any work."""

from __future__ import annotations

import dataclasses
from typing import Any

from modeling.errors import UserError

SENTENCE_PAIRS = ("nsp", "sop", "none")
MASKINGS = ("token", "whole_word", "ngram", "span", "none")


@dataclasses.dataclass(frozen=True)
class MaskingOptions:
    """Which tokens are predicted, and what stands in their place.

    Attributes:
      method: "token", "whole_word", "ngram" (of whole words, as in ALBERT),
        "span" (phrases and entities, as in ERNIE 1.0, and whole words between
        them) or "none".
      masked_lm_prob: share of an instance's tokens that is predicted.
      max_predictions_per_seq: the most of them in an instance.
      replace_with_mask_prob: share of the predicted tokens that [MASK] stands
        for.
      replace_with_random_prob: share that a random token stands for; the rest
        stays as it is.
      one_decision_per_word: whether all tokens of a word, or span, share what
        replaces them: [MASK], random tokens or themselves.
      max_ngram: words in the longest n-gram.

    Raises:
      UserError: a value out of range.
    """

    method: str = "token"
    masked_lm_prob: float = 0.15
    max_predictions_per_seq: int = 20
    replace_with_mask_prob: float = 0.8
    replace_with_random_prob: float = 0.1
    one_decision_per_word: bool = False
    max_ngram: int = 3

    def __post_init__(self) -> None:
        _check_choice("masking", self.method, MASKINGS)
        for name in (
            "masked_lm_prob",
            "replace_with_mask_prob",
            "replace_with_random_prob",
        ):
            _check_share(name, getattr(self, name))
        total = self.replace_with_mask_prob + self.replace_with_random_prob
        if total > 1 + 1e-9:
            raise UserError(
                "replace_with_mask_prob and replace_with_random_prob must not "
                f"sum to more than 1. Received: {total:g}"
            )
        _check_at_least("max_predictions_per_seq", self, 1)
        _check_at_least("max_ngram", self, 1)


@dataclasses.dataclass(frozen=True)
class InstanceOptions:
    """How documents become instances.

    Attributes:
      masking: which tokens are predicted.
      max_seq_length: tokens of a record, special ones and padding included.
      dupe_factor: how often the corpus is gone through, with other pairs and
        masks.
      short_seq_prob: share of the documents cut to a shorter, random length.
      random_seed: of all that is drawn.
      sentence_pairs: "nsp" (next sentence or a random one), "sop" (the order of
        two, as in ALBERT) or "none" (one run of sentences).

    Raises:
      UserError: a value out of range, or more predictions than fit.
    """

    masking: MaskingOptions = dataclasses.field(default_factory=MaskingOptions)
    max_seq_length: int = 128
    dupe_factor: int = 10
    short_seq_prob: float = 0.1
    random_seed: int = 12345
    sentence_pairs: str = "nsp"

    def __post_init__(self) -> None:
        _check_choice("sentence_pairs", self.sentence_pairs, SENTENCE_PAIRS)
        _check_share("short_seq_prob", self.short_seq_prob)
        _check_at_least("dupe_factor", self, 1)
        # Two tokens are the least that a pair or a short target holds.
        _check_at_least("max_seq_length", self, self.num_special_tokens + 2)
        if self.max_seq_length >= 1 << 16:
            raise UserError(
                "max_seq_length must be below 65536. Received: "
                f"{self.max_seq_length}"
            )
        predictions = self.masking.max_predictions_per_seq
        if self.masking.method != "none" and predictions > self.room:
            raise UserError(
                f"max_predictions_per_seq={predictions} do not fit: of "
                f"max_seq_length={self.max_seq_length} tokens, [CLS] and [SEP] "
                f"leave {self.room}. About max_seq_length * masked_lm_prob = "
                f"{self.max_seq_length * self.masking.masked_lm_prob:.0f} are "
                "needed."
            )

    @property
    def num_special_tokens(self) -> int:
        """[CLS] and a [SEP] after every segment."""
        return 2 if self.sentence_pairs == "none" else 3

    @property
    def room(self) -> int:
        """Tokens of text in the longest instance."""
        return self.max_seq_length - self.num_special_tokens


def _check_choice(name: str, value: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise UserError(
            f"{name} must be one of {', '.join(choices)}. Received: {value!r}"
        )


def _check_share(name: str, value: float) -> None:
    if not 0 <= value <= 1:
        raise UserError(f"{name} must lie in 0 to 1. Received: {value}")


def _check_at_least(name: str, options: Any, least: int) -> None:
    value = getattr(options, name)
    if value < least:
        raise UserError(f"{name} must be at least {least}. Received: {value}")
