"""Word counts to a WordPiece vocabulary.

The pieces are learned by SentencePiece's byte-pair encoding, which merges the
most frequent pair of neighbouring symbols again and again. To it, every word
is spelled in symbols that tell a first character from the same one further on,
as WordPiece tells "a" from "##a".

A merge is there for those that build on it, and many of them then stand in no
word any more: "##atio" where there is "##ation". So some more are learned than
there is room for, and those that the tokenizer uses least are left out again.
docs/vocabulary.md compares this with other learners.
"""

from __future__ import annotations

import dataclasses
import io
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence

from modeling.errors import UserError
from modeling.tokenization import wordpiece
from modeling.tokenization.learning import alphabet, counting
from modeling.tokenization.learning.measuring import Fit, measure_fit

_PAD = "[PAD]"
_SPECIAL = ("[UNK]", "[CLS]", "[SEP]", "[MASK]")
# In Google's English vocabularies the ids 1 to 99 are unused. A vocabulary
# with few pieces has better use for the places.
_NUM_UNUSED = 99
_PIECES_BESIDE_UNUSED = 900

# Different words to learn from, the most frequent ones: about 1 GB.
MAX_WORDS = 1 << 20

_LONGEST_PIECE = 64
# Where the symbols lie: more than all characters of two private-use planes.
_FIRST_SYMBOL = 0xF0000


@dataclasses.dataclass(frozen=True)
class WordpieceOptions:
    """What vocabulary to learn.

    Attributes:
      vocab_size: number of entries, exactly.
      num_unused: entries [unused0], [unused1], ... between [PAD] and [UNK];
        None: 99 as in Google's English vocabularies, where they leave room
        for 900 pieces, else none.
      min_frequency: words and characters that occur less often teach nothing.
      character_coverage: share of the text's characters to know.
      limit_alphabet: most characters to know.

    Raises:
      UserError: a value out of its range.
    """

    vocab_size: int = 30522
    num_unused: int | None = None
    min_frequency: int = 2
    character_coverage: float = 0.99999
    limit_alphabet: int | None = None

    def __post_init__(self) -> None:
        for name, least in {
            "vocab_size": 1,
            "num_unused": 0,
            "min_frequency": 1,
            "limit_alphabet": 1,
        }.items():
            value = getattr(self, name)
            if value is not None and value < least:
                raise UserError(
                    f"{name} must be at least {least}. Received: {value}"
                )
        if not 0 < self.character_coverage <= 1:
            raise UserError(
                "character_coverage must be above 0 and at most 1. "
                f"Received: {self.character_coverage}"
            )

    def num_unused_in(self, room: int) -> int:
        """Of the entries that are no characters, how many stay unused."""
        if self.num_unused is not None:
            return self.num_unused
        return _NUM_UNUSED * (room - _NUM_UNUSED >= _PIECES_BESIDE_UNUSED)


def learn_wordpiece(
    counts: Mapping[str, int],
    options: WordpieceOptions,
    tokenizer: wordpiece.BasicTokenizer,
    surplus: float = 1.2,
) -> list[str]:
    """Learns a vocabulary, in the order of its ids.

    Reserved entries come first, then the characters in order of code points,
    those within words ("##a") after all others, then the learned pieces, the
    most used first.

    Args:
      counts: word -> how often it occurs.
      options: size and contents.
      tokenizer: the one that made the words.
      surplus: times the pieces that there is room for, from which the most
        used are taken. Measured from 1 to 2: 1.2 is best on new text.

    Raises:
      UserError: a size too small for the alphabet, or larger than the number
        of pieces that the words have.
    """
    characters = alphabet.choose_alphabet(
        counts,
        options.character_coverage,
        options.min_frequency,
        options.limit_alphabet,
        alphabet.ascii_characters(tokenizer),
    )
    continuing = filter(alphabet.may_continue_word, characters)
    letters = [*characters, *("##" + c for c in continuing)]
    words = _usable_words(counts, characters, options.min_frequency)
    # For unused entries and pieces.
    room = options.vocab_size - 1 - len(_SPECIAL) - len(letters)
    num_unused = options.num_unused_in(room)
    number = room - num_unused
    if number < 0:
        least = options.vocab_size - number
        raise UserError(
            f"vocab_size={options.vocab_size} is too small: at least {least} "
            f"are needed, {1 + len(_SPECIAL)} for special and {num_unused} "
            f"for unused entries and {len(letters)} for the {len(characters)} "
            "characters of the alphabet (letters count twice: a, ##a). "
            "limit_alphabet and num_unused make it less."
        )
    pieces = _merge(words, math.ceil(surplus * number))
    if len(pieces) < number:
        raise _too_large(options, options.vocab_size - room, pieces, words)
    unused = (f"[unused{index}]" for index in range(num_unused))
    base = [_PAD, *unused, *_SPECIAL, *letters]
    return base + _most_used(base, pieces, number, words)


def measure_vocab(vocab: Iterable[str], counts: Mapping[str, int]) -> Fit:
    """What becomes of counted words under a WordPiece vocabulary."""
    ids = {token: index for index, token in enumerate(vocab)}
    tokenizer = wordpiece.WordpieceTokenizer(ids)
    return measure_fit(tokenizer.split_word, tokenizer.unk_token, counts)


def _too_large(
    options: WordpieceOptions,
    fixed: int,
    pieces: Sequence[str],
    words: Mapping[str, int],
) -> UserError:
    num_unused = options.num_unused_in(len(pieces) + _NUM_UNUSED)
    return UserError(
        f"vocab_size={options.vocab_size} is too large for this text: it "
        f"gives {fixed + num_unused + len(pieces)} entries at most, from "
        f"{len(words)} words that occur at least {options.min_frequency} "
        "times. More text, a lower min_frequency or more unused entries "
        "(num_unused) make it more."
    )


def _usable_words(
    counts: Mapping[str, int], characters: Iterable[str], min_frequency: int
) -> dict[str, int]:
    """The words that teach something: not too rare, and of known characters."""
    known = frozenset(characters)
    usable = (
        (word, count)
        for word, count in counts.items()
        if count >= min_frequency
        and 1 < len(word) <= counting.MAX_LENGTH
        and known.issuperset(word)
    )
    most_frequent = sorted(usable, key=lambda item: (-item[1], item[0]))
    return dict(most_frequent[:MAX_WORDS])


def _most_used(
    base: Sequence[str],
    pieces: Sequence[str],
    number: int,
    words: Mapping[str, int],
) -> list[str]:
    """So many of the pieces, the most used first, equals as they came."""
    for size in (number, None):
        # Once to choose, and again to sort: what used a piece that is left
        # out is now split into others.
        uses = measure_vocab([*base, *pieces], words).uses
        pieces = sorted(pieces, key=lambda p: -uses.get(p, 0))[:size]
    return list(pieces)


def _merge(words: Mapping[str, int], number: int) -> list[str]:
    """Learns so many pieces of two characters or more, or all there are."""
    if not words or not number:
        return []
    # Late: what else is here does not need the package.
    import sentencepiece

    spelling = _Spelling(words)
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=spelling.lines(words),
        model_writer=model,
        model_type="bpe",
        input_format="tsv",
        # One for the unknown piece, which must be there.
        vocab_size=1 + spelling.size + number,
        hard_vocab_limit=False,
        max_sentencepiece_length=_LONGEST_PIECE,
        character_coverage=1.0,
        # The symbols are not text: nothing is to be done to them.
        normalization_rule_name="identity",
        add_dummy_prefix=False,
        remove_extra_whitespaces=False,
        split_by_unicode_script=False,
        split_by_number=False,
        bos_id=-1,
        eos_id=-1,
        unk_id=0,
        minloglevel=2,
    )
    processor = sentencepiece.SentencePieceProcessor(
        model_proto=model.getvalue()
    )
    learned = map(processor.id_to_piece, range(1, len(processor)))
    return [spelling.piece(symbols) for symbols in learned if len(symbols) > 1]


class _Spelling:
    """Words as the learner sees them: a symbol for "a", another for "##a"."""

    def __init__(self, words: Mapping[str, int]) -> None:
        first = {word[0] for word in words}
        inner = {character for word in words for character in word[1:]}
        pieces = [*sorted(first), *("##" + c for c in sorted(inner))]
        symbols = [chr(_FIRST_SYMBOL + i) for i in range(len(pieces))]
        self.size = len(pieces)
        self._piece = dict(zip(symbols, pieces, strict=True))
        self._symbol = dict(zip(pieces, symbols, strict=True))

    def lines(self, words: Mapping[str, int]) -> Iterator[str]:
        """Words and their counts, with a tab between them."""
        for word, count in words.items():
            inner = (self._symbol["##" + c] for c in word[1:])
            yield f"{self._symbol[word[0]]}{''.join(inner)}\t{count}"

    def piece(self, symbols: str) -> str:
        """The piece that a row of symbols stands for."""
        first, *others = map(self._piece.__getitem__, symbols)
        return first + "".join(other.removeprefix("##") for other in others)
