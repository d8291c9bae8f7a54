"""Adding words of a domain to the vocabulary of an existing model."""

from __future__ import annotations

import collections
import dataclasses
import re
from collections.abc import Iterable, Mapping, Sequence

from modeling.errors import UserError
from modeling.tokenization import wordpiece

_UNUSED = re.compile(r"\[unused\d+\]")
_SHOWN = 10


@dataclasses.dataclass(frozen=True)
class ExtendedVocab:
    """A vocabulary with words added.

    Attributes:
      tokens: all of them, in the order of their ids.
      filled: added words that took the place of an [unusedN] entry.
      appended: added words with ids beyond the old ones.
      known: words that were asked for but there already.
    """

    tokens: Sequence[str]
    filled: Sequence[str]
    appended: Sequence[str]
    known: Sequence[str]


def extend_vocab(
    vocab: Mapping[str, int], words: Sequence[str]
) -> ExtendedVocab:
    """Adds words: first in the places of [unusedN] entries, then at the end.

    No other token changes its id.

    Args:
      vocab: token -> id.
      words: as the tokenizer makes them, all different.

    Raises:
      UserError: the vocabulary has all of the words.
    """
    known = [word for word in words if word in vocab]
    new = [word for word in words if word not in vocab]
    if not new:
        raise UserError(
            f"There is nothing to add: the vocabulary of {len(vocab)} entries "
            f"has all of the {len(words)} words."
        )
    # Of a token that stands twice, the place that is not its id is blank.
    tokens = [""] * (max(vocab.values()) + 1)
    for token, index in vocab.items():
        tokens[index] = token
    places = [i for i, token in enumerate(tokens) if _UNUSED.fullmatch(token)]
    filled, appended = new[: len(places)], new[len(places) :]
    for place, word in zip(places, filled, strict=False):
        tokens[place] = word
    return ExtendedVocab(tokens + appended, filled, appended, known)


def check_words(
    lines: Iterable[str], tokenizer: wordpiece.BasicTokenizer, name: str
) -> list[str]:
    """The words to add, one a line, as the tokenizer makes them of text.

    Args:
      lines: of a word list.
      tokenizer: of the model.
      name: what messages call the list.

    Raises:
      UserError: a line that is not one word to the tokenizer, or the same
        word as another line.
    """
    problems = []
    first_line: dict[str, int] = {}
    for number, line in enumerate(lines, 1):
        words = tokenizer.tokenize(line)
        if not words:
            problems.append(f"line {number}: {line!r} becomes nothing")
        elif len(words) > 1:
            problems.append(
                f"line {number}: {line!r:.60} becomes {len(words)} words: "
                f"{' '.join(words):.60}"
            )
        elif words[0] in first_line:
            problems.append(
                f"line {number}: {line!r} is {words[0]!r} again, as line "
                f"{first_line[words[0]]}"
            )
        else:
            first_line[words[0]] = number
    if problems:
        more = len(problems) - _SHOWN
        if more > 0:
            problems[_SHOWN:] = [f"and {more} more"]
        heading = (
            f"{name} must have one word a line, each once. The tokenizer ends "
            "words at spaces, punctuation and CJK characters."
        )
        raise UserError("\n  ".join([heading, *problems]))
    return list(first_line)


def find_words(
    counts: Mapping[str, int],
    vocab: Mapping[str, int],
    number: int,
    min_frequency: int,
) -> list[str]:
    """The words that a vocabulary lacks most, the most gainful first.

    The gain of a word is the number of tokens that the text is shorter by
    when it is one token. An unknown word counts as its characters and one.

    Args:
      counts: word -> how often it occurs.
      vocab: token -> id.
      number: of words to find.
      min_frequency: words that occur less often are passed over.

    Raises:
      UserError: there are not so many.
    """
    tokenizer = wordpiece.WordpieceTokenizer(vocab)
    gains: collections.Counter[str] = collections.Counter()
    for word, count in counts.items():
        if word in vocab or count < min_frequency:
            continue
        if len(word) > tokenizer.max_input_chars_per_word:
            continue
        pieces = tokenizer.split_word(word)
        unknown = pieces == [tokenizer.unk_token]
        gains[word] = count * (len(word) if unknown else len(pieces) - 1)
    if len(gains) < number:
        raise UserError(
            f"The text has {len(gains)} words that occur at least "
            f"{min_frequency} times and are not in the vocabulary. "
            f"Received: num_new_words={number}"
        )
    by_gain = sorted(gains, key=lambda word: (-gains[word], word))
    return by_gain[:number]
