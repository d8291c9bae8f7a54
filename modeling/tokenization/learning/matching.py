"""What the tokens of one vocabulary are in another."""

from __future__ import annotations

from collections.abc import Mapping

from modeling.errors import UserError
from modeling.tokenization import wordpiece

_NEEDED = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")


def match_vocabs(
    old: Mapping[str, int], new: Mapping[str, int]
) -> list[tuple[int, ...]]:
    """The old ids for every new id: of the same token, or of its pieces.

    Pieces are those that the old tokenizer splits the token into, which for
    one that it does not know is the unknown token; a new "##ing" is split as
    in the middle of a word. An id without a token (of a blank line) is unknown
    too.

    Raises:
      UserError: a special token that one of the vocabularies lacks.
    """
    for name, vocab in {"old": old, "new": new}.items():
        missing = [token for token in _NEEDED if token not in vocab]
        if missing:
            raise UserError(
                f"The {name} vocabulary of {len(vocab)} entries lacks "
                f"{', '.join(missing)}, which every model needs."
            )
    start = wordpiece.WordpieceTokenizer(old)
    # Within a word, what comes first is a continuation as well.
    continuations = [token for token in old if token.startswith("##")]
    inner = wordpiece.WordpieceTokenizer(
        {t: old[t] for t in continuations}
        | {t[2:]: old[t] for t in continuations}
    )
    rows = [(old["[UNK]"],)] * (max(new.values()) + 1)
    for token, index in new.items():
        if token in old:
            rows[index] = (old[token],)
            continue
        tokenizer = inner if token.startswith("##") else start
        pieces = tokenizer.split_word(token.removeprefix("##"))
        if pieces and pieces != [tokenizer.unk_token]:
            ids = tokenizer.vocab
            rows[index] = tuple(ids[piece] for piece in pieces)
    return rows
