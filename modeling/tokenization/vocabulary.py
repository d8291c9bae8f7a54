"""Vocabularies: a file with a token a line, and tokens to ids and back."""

import os
from collections.abc import Iterable, Mapping

from modeling.errors import UserError


def load_vocab(path: str | os.PathLike[str]) -> dict[str, int]:
    """Reads a vocabulary file: token -> id, its line counted from 0.

    As in the original, lines end at a line feed only, carriage returns vanish,
    white space around a token does too, a blank line gives its id to the token
    "", and of a token that stands twice the last line counts. A byte order
    mark, which some editors write, is no part of the first token.

    Raises:
      UserError: no such file, an empty one, or one that is not UTF-8.

    Source: `tokenization.load_vocab`.
    """
    try:
        with open(path, "rb") as file:
            content = file.read()
    except OSError as error:
        raise UserError(
            f"Cannot read the vocabulary {os.fspath(path)}: {error.strerror}"
        ) from error
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise UserError(
            f"The vocabulary {os.fspath(path)} is not UTF-8: line {line} holds "
            f"the byte 0x{content[error.start]:02x}. Save the file as UTF-8."
        ) from error
    if not text:
        raise UserError(
            f"The vocabulary {os.fspath(path)} is empty. It needs one token a "
            "line, as in the vocab.txt of a released model."
        )
    text = text.removeprefix("\ufeff").replace("\r", "")
    lines = text.removesuffix("\n").split("\n")
    return {line.strip(): index for index, line in enumerate(lines)}


def invert_vocab(vocab: Mapping[str, int]) -> dict[int, str]:
    """id -> token.

    Raises:
      UserError: two tokens share an id.
    """
    inv_vocab = {index: token for token, index in vocab.items()}
    if len(inv_vocab) < len(vocab):
        token = next(t for t, index in vocab.items() if inv_vocab[index] != t)
        raise UserError(
            f"The tokens {token!r} and {inv_vocab[vocab[token]]!r} share the "
            f"id {vocab[token]}. Every token needs an id of its own."
        )
    return inv_vocab


def convert_tokens_to_ids(
    vocab: Mapping[str, int], tokens: Iterable[str]
) -> list[int]:
    """The ids of tokens.

    Raises:
      UserError: a token that is not in the vocabulary.

    Source: `tokenization.convert_tokens_to_ids`.
    """
    return convert_by_vocab(vocab, tokens)


def convert_ids_to_tokens(
    inv_vocab: Mapping[int, str], ids: Iterable[int]
) -> list[str]:
    """The tokens of ids.

    Raises:
      UserError: an id that no token has.

    Source: `tokenization.convert_ids_to_tokens`.
    """
    return convert_by_vocab(inv_vocab, ids)


def convert_by_vocab(vocab: Mapping, items: Iterable) -> list:
    """Looks up every item, tokens or ids.

    Raises:
      UserError: an item that the vocabulary does not have.

    Source: `tokenization.convert_by_vocab`, which raised a bare `KeyError`.
    """
    try:
        return [vocab[item] for item in items]
    except KeyError as error:
        item = error.args[0]
        kind = "token" if isinstance(item, str) else "id"
        raise UserError(
            f"The vocabulary of {len(vocab)} entries has no {kind} {item!r}. "
            "Is it the vocabulary that the model was trained with?"
        ) from error
