"""What masking and records need to know of a tokenizer's vocabulary."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from modeling.errors import UserError
from modeling.tokenization import Tokenizer

# [PAD], [unused7], <S>, </s>. WordPiece splits text at such punctuation, so no
# token of the text looks like this.
_SPECIAL = re.compile(r"\[[^\]]+\]|<[^>]+>|")


@dataclasses.dataclass(frozen=True, eq=False)
class MaskingVocabulary:
    """What masking must know of a vocabulary.

    Attributes:
      mask_id: of [MASK].
      never_masked: ids of [CLS] and [SEP].
      replacements: ids to draw random tokens from: int32 [any]
    """

    mask_id: int
    never_masked: tuple[int, ...]
    replacements: np.ndarray

    @classmethod
    def of(cls, tokenizer: Tokenizer) -> MaskingVocabulary:
        """Random tokens come from all entries but special and unused ones.

        Raises:
          UserError: a special token that the vocabulary lacks, or none but such
            tokens in it.
        """
        replacements = [
            token_id
            for token, token_id in tokenizer.vocab.items()
            if not _SPECIAL.fullmatch(token)
        ]
        special = tokenizer.mask_id, (tokenizer.cls_id, tokenizer.sep_id)
        if not replacements:
            raise UserError(
                "The vocabulary has special and unused entries only. Use the "
                "vocabulary of the model."
            )
        return cls(*special, np.array(sorted(replacements), np.int32))

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> MaskingVocabulary:
        """Takes what `as_json` has given."""
        return cls(
            values["mask_id"],
            tuple(values["never_masked"]),
            np.concatenate(
                [
                    np.arange(first, last + 1, dtype=np.int32)
                    for first, last in values["replacements"]
                ]
            ),
        )

    def as_json(self) -> dict[str, Any]:
        """JSON values; replacements as ranges [first, last]."""
        runs = np.split(
            self.replacements,
            np.flatnonzero(np.diff(self.replacements) > 1) + 1,
        )
        return {
            "mask_id": self.mask_id,
            "never_masked": list(self.never_masked),
            "replacements": [[int(run[0]), int(run[-1])] for run in runs],
        }


@dataclasses.dataclass(frozen=True, eq=False)
class RecordVocabulary:
    """What records must know of a vocabulary.

    Attributes:
      pad_id: of [PAD].
      cls_id: of [CLS].
      sep_id: of [SEP].
      is_continuation: over ids, whether the token goes on with a word: bool [V]
      masking: what masking must know.
    """

    pad_id: int
    cls_id: int
    sep_id: int
    is_continuation: np.ndarray
    masking: MaskingVocabulary

    @classmethod
    def of(cls, tokenizer: Tokenizer) -> RecordVocabulary:
        """Raises `UserError` for a special token that is missing."""
        return cls(
            tokenizer.pad_id,
            tokenizer.cls_id,
            tokenizer.sep_id,
            tokenizer.is_continuation,
            MaskingVocabulary.of(tokenizer),
        )
