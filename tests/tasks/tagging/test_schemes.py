"""Chunks as conlleval and seqeval see them, and schemes of tags."""

import itertools

import pytest

from modeling.tasks.tagging.schemes import (
    LEARNED,
    SCHEMES,
    SchemeFinder,
    allowed,
    convert,
    find_chunks,
    parse,
)

# Tags, and the chunks that conlleval finds: type, first word and the end.
CHUNKS = {
    "": [],
    "O O": [],
    "B-X I-X O B-Y": [("X", 0, 2), ("Y", 3, 4)],
    "B-X B-X I-X": [("X", 0, 1), ("X", 1, 3)],
    # IOB1.
    "I-X I-X O I-Y B-Y": [("X", 0, 2), ("Y", 3, 4), ("Y", 4, 5)],
    # What no scheme allows.
    "O I-X I-Y I-Y": [("X", 1, 2), ("Y", 2, 4)],
    "B-X I-Y": [("X", 0, 1), ("Y", 1, 2)],
    "E-X E-X": [("X", 0, 1), ("X", 1, 2)],
    "O E-X I-X": [("X", 1, 2), ("X", 2, 3)],
    "S-X I-X": [("X", 0, 1), ("X", 1, 2)],
    "B-X S-X E-X": [("X", 0, 1), ("X", 1, 2), ("X", 2, 3)],
    "B-X E-X I-X": [("X", 0, 2), ("X", 2, 3)],
    "B-X O E-X": [("X", 0, 1), ("X", 2, 3)],
    # BIOES, BILOU, BMES.
    "B-X I-X E-X S-Y": [("X", 0, 3), ("Y", 3, 4)],
    "B-X I-X L-X U-Y": [("X", 0, 3), ("Y", 3, 4)],
    "B M E S B E": [("", 0, 3), ("", 3, 4), ("", 4, 6)],
    "B_X I_X B-a-b I-a-b": [("X", 0, 2), ("a-b", 2, 4)],
}


@pytest.mark.parametrize("tags", CHUNKS)
def test_chunks_are_those_of_conlleval(tags):
    assert list(find_chunks(tags.split())) == CHUNKS[tags]


@pytest.mark.parametrize(
    ("scheme", "tags"),
    [
        ("BIO", "B-X I-X I-X B-X O B-Y"),
        ("IOB1", "I-X I-X I-X B-X O I-Y"),
        ("BIOES", "B-X I-X E-X S-X O S-Y"),
        ("BILOU", "B-X I-X L-X U-X O U-Y"),
        ("BMES", "B-X M-X E-X S-X O S-Y"),
    ],
)
def test_schemes_are_recognised_and_say_the_same(scheme, tags):
    finder = SchemeFinder()
    finder.show(tags.split())
    assert finder.scheme() == scheme
    for other in set(SCHEMES) - {"plain"}:
        there = convert(tags.split(), other)
        assert convert(there, scheme) == tags.split()


@pytest.mark.parametrize(
    ("sentences", "scheme"),
    [
        (["O O", "B-X"], "BIO"),
        (["I-X O", "I-Y"], "IOB1"),
        # Neither fits.
        (["I-X O", "O B-X"], "BIO"),
        # A border between sentences is one between chunks.
        (["I-X", "B-X"], "BIO"),
        (["B M E S S"], "BMES"),
        (["B I I B"], "BIO"),
        (["NN V O"], "plain"),
        (["B-X NN"], "plain"),
        (["S S"], "plain"),
        (["S I"], "plain"),
        (["O O"], "plain"),
    ],
)
def test_scheme_of_a_file(sentences, scheme):
    finder = SchemeFinder()
    for tags in sentences:
        finder.show(tags.split())
    assert finder.scheme() == scheme


@pytest.mark.parametrize("scheme", LEARNED)
def test_allowed_is_what_the_scheme_can_write(scheme):
    letters = scheme.replace("O", "")
    names = ["O", *(f"{a}-{b}" for b in "XY" for a in letters)]
    transitions, starts, ends = allowed(names, scheme)
    for length in (1, 2, 3):
        for path in itertools.product(range(len(names)), repeat=length):
            pairs = itertools.pairwise(path)
            is_allowed = starts[path[0]] and ends[path[-1]]
            is_allowed &= all(transitions[pair] for pair in pairs)
            tags = [names[index] for index in path]
            assert is_allowed == (convert(tags, scheme) == tags), tags


def test_plain_tags_may_follow_one_another():
    transitions, starts, ends = allowed(["I", "V"], "plain")
    assert transitions.all() and starts.all() and ends.all()
    assert convert(["I-X", "V"], "plain") == ["I-X", "V"]
    assert parse("V") is None
