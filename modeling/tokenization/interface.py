"""What every tokenizer offers, and the parts that they share."""

import functools
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple, Protocol

import numpy as np

from modeling.errors import UserError
from modeling.tokenization import vocabulary


class Encoding(NamedTuple):
    """Ids of a text, and where each comes from.

    Attributes:
      ids: the ids, without [CLS] and [SEP].
      offsets: for every id the first character in the text and the one after
        its last. They never fall, and overlap only where one character gives
        several tokens, as a Hangul syllable does.
    """

    ids: list[int]
    offsets: list[tuple[int, int]]


class Tokenizer(Protocol):
    """The interface of `FastTokenizer` and `SentencePieceTokenizer`."""

    do_lower_case: bool
    vocab: Mapping[str, int]
    inv_vocab: Mapping[int, str]

    def tokenize(self, text: str) -> list[str]:
        """Tokens of a text."""

    def encode(self, text: str) -> list[int]:
        """Ids of a text, without [CLS] and [SEP]."""

    def encode_batch(self, texts: Sequence[str]) -> list[list[int]]:
        """Ids of every text."""

    def encode_with_offsets(self, text: str) -> Encoding:
        """Ids of a text and where they stand in it."""

    def convert_tokens_to_ids(self, tokens: Iterable[str]) -> list[int]:
        """Ids of tokens; raises `UserError` for one that has none."""

    def convert_ids_to_tokens(self, ids: Iterable[int]) -> list[str]:
        """Tokens of ids; raises `UserError` for one that has none."""

    def join_pieces(self, tokens: Sequence[str]) -> str:
        """The word that the pieces make."""

    def digest(self) -> str:
        """Tells apart tokenizers that may give a text other ids."""

    @property
    def is_continuation(self) -> np.ndarray:
        """Over ids, whether the token goes on with a word: bool [vocab_size]"""

    @property
    def vocab_size(self) -> int:
        """Number of ids: the rows that the embedding table must have."""

    @property
    def pad_id(self) -> int:
        """Id of [PAD]; raises `UserError` where there is none, as all below."""

    @property
    def unk_id(self) -> int:
        """Id of [UNK]."""

    @property
    def cls_id(self) -> int:
        """Id of [CLS]."""

    @property
    def sep_id(self) -> int:
        """Id of [SEP]."""

    @property
    def mask_id(self) -> int:
        """Id of [MASK]."""


class TokenIds:
    """The half of a tokenizer that only looks up tokens and ids.

    A subclass sets the two mappings and the name for messages.
    """

    vocab: Mapping[str, int]
    inv_vocab: Mapping[int, str]
    # Where the vocabulary comes from.
    vocab_name: str

    def convert_tokens_to_ids(self, tokens: Iterable[str]) -> list[int]:
        """Ids of tokens; raises `UserError` for one that has none."""
        return vocabulary.convert_tokens_to_ids(self.vocab, tokens)

    def convert_ids_to_tokens(self, ids: Iterable[int]) -> list[str]:
        """Tokens of ids; raises `UserError` for one that has none."""
        return vocabulary.convert_ids_to_tokens(self.inv_vocab, ids)

    @functools.cached_property
    def vocab_size(self) -> int:
        """Number of ids: the rows that the embedding table must have."""
        return max(self.inv_vocab, default=-1) + 1

    @property
    def pad_id(self) -> int:
        """Id of [PAD]; raises `UserError` where there is none, as all below."""
        return self._special_id("[PAD]", "<pad>")

    @property
    def unk_id(self) -> int:
        """Id of [UNK]."""
        return self._special_id("[UNK]", "<unk>")

    @property
    def cls_id(self) -> int:
        """Id of [CLS]."""
        return self._special_id("[CLS]")

    @property
    def sep_id(self) -> int:
        """Id of [SEP]."""
        return self._special_id("[SEP]")

    @property
    def mask_id(self) -> int:
        """Id of [MASK]."""
        return self._special_id("[MASK]")

    def _special_id(self, *names: str) -> int:
        for name in names:
            if name in self.vocab:
                return self.vocab[name]
        raise UserError(
            f"{self.vocab_name} of {len(self.vocab)} entries lacks the special "
            f"token {' or '.join(names)}. Use the vocabulary of the model."
        )
