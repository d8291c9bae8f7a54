"""Where in the text the characters of a word come from."""

from typing import NamedTuple

from modeling.tokenization import unicode_tables, wordpiece


class AlignedWord(NamedTuple):
    """A word as `BasicTokenizer` makes it, with a span for every character.

    Attributes:
      text: the word, lower-cased and without accents where asked for.
      starts: for every character of it the first that it comes from.
      ends: one past the last that it comes from; an accent that was stripped
        belongs to the character before it.
    """

    text: str
    starts: list[int]
    ends: list[int]


def align_words(
    chunk: str, do_lower_case: bool, strip_accents: bool
) -> list[AlignedWord]:
    """What `BasicTokenizer` does to a text without white space, step by step.

    Every step gives the characters it makes the index of the character that it
    made them from, so that deleted ("\\0"), doubled ("İ") and decomposed ones
    ("é", Hangul syllables) are followed exactly.
    """
    indices = [
        index
        for index, character in enumerate(chunk)
        if character not in wordpiece.DROPPED
    ]
    characters = [chunk[index] for index in indices]
    if do_lower_case:
        lowered = unicode_tables.lower_characters("".join(characters))
        indices = [i for i, c in zip(indices, lowered, strict=True) for _ in c]
        characters = list("".join(lowered))
    if strip_accents:
        decomposed = unicode_tables.decompose("".join(characters))
        indices = [indices[position] for _, position in decomposed]
        characters = [character for character, _ in decomposed]

    text: list[str] = []
    starts: list[int] = []
    ends: list[int] = []
    for character, index in zip(characters, indices, strict=True):
        if strip_accents and character in unicode_tables.MARKS:
            if ends:
                ends[-1] = index + 1
            continue
        text.append(character)
        starts.append(index)
        ends.append(index + 1)
    return [
        AlignedWord("".join(text[a:b]), starts[a:b], ends[a:b])
        for a, b in wordpiece.punctuation_spans(text)
    ]
