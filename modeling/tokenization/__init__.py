"""Text to token ids and back: WordPiece and SentencePiece.

`load_tokenizer` gives the tokenizer of a job, `FullTokenizer` is the original's
and the reference for its tokens.
"""

import os
from collections.abc import Collection

from modeling.errors import UserError
from modeling.tokenization.case import (
    describe_case_mismatch,
    read_case_setting,
    validate_case_matches_checkpoint,
)
from modeling.tokenization.fast import FastTokenizer
from modeling.tokenization.interface import Encoding, Tokenizer
from modeling.tokenization.pairs import truncate_pair
from modeling.tokenization.parallel import encode_stream
from modeling.tokenization.sentencepiece_tokenizer import SentencePieceTokenizer
from modeling.tokenization.vocabulary import (
    convert_by_vocab,
    convert_ids_to_tokens,
    convert_tokens_to_ids,
    load_vocab,
)
from modeling.tokenization.wordpiece import (
    BasicTokenizer,
    FullTokenizer,
    WordpieceTokenizer,
    convert_to_unicode,
    printable_text,
    whitespace_tokenize,
)

__all__ = [
    "BasicTokenizer",
    "Encoding",
    "FastTokenizer",
    "FullTokenizer",
    "SentencePieceTokenizer",
    "Tokenizer",
    "WordpieceTokenizer",
    "convert_by_vocab",
    "convert_ids_to_tokens",
    "convert_to_unicode",
    "convert_tokens_to_ids",
    "describe_case_mismatch",
    "encode_stream",
    "load_tokenizer",
    "load_vocab",
    "printable_text",
    "read_case_setting",
    "truncate_pair",
    "validate_case_matches_checkpoint",
    "whitespace_tokenize",
]


def load_tokenizer(
    vocab_file: str | os.PathLike[str] | None = None,
    spm_model_file: str | os.PathLike[str] | None = None,
    do_lower_case: bool = True,
    strip_accents: bool | None = None,
    special_tokens: Collection[str] = (),
) -> Tokenizer:
    """The tokenizer of a model, from one of its two kinds of vocabulary.

    Args:
      vocab_file: WordPiece vocabulary, a token a line.
      spm_model_file: SentencePiece model.
      do_lower_case: whether the model is uncased.
      strip_accents: whether accents are dropped; `None` is the custom of each:
        WordPiece drops them when lower-casing, SentencePiece (ALBERT) always.
      special_tokens: tokens kept whole where they stand in the text.

    Raises:
      UserError: not exactly one of the two files, or one that cannot be used.
    """
    if bool(vocab_file) == bool(spm_model_file):
        raise UserError(
            "Give either vocab_file (WordPiece) or spm_model_file "
            f"(SentencePiece). Received: vocab_file={vocab_file!r}, "
            f"spm_model_file={spm_model_file!r}"
        )
    if vocab_file:
        return FastTokenizer.from_vocab_file(
            vocab_file, do_lower_case, strip_accents, special_tokens
        )
    return SentencePieceTokenizer(
        spm_model_file,
        do_lower_case,
        True if strip_accents is None else strip_accents,
        special_tokens,
    )
