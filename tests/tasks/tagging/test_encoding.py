"""Rows of words: first pieces, windows, documents, the cache."""

import dataclasses

import numpy as np
import pytest

from modeling.errors import UserError
from modeling.tasks.tagging import (
    SentenceEncoder,
    TaggingOptions,
    TagSet,
    encode_cached,
    encode_sentences,
    stream,
)
from tests.tasks.tagging.conftest import TOKENS

TAGS = TagSet(("O", "B-X", "I-X"), "BIO", "BIO")
IDS = {token: index for index, token in enumerate(TOKENS.split())}


@pytest.fixture
def make(tokenizer):
    def encoder(*options, tags=TAGS):
        return SentenceEncoder(tokenizer, tags, TaggingOptions(*options))

    return encoder


def row(encoded, index):
    """Tokens of a row, positions of its words, and which it owns."""
    tokens = slice(*encoded.row_starts[index : index + 2])
    words = slice(*encoded.word_starts[index : index + 2])
    names = TOKENS.split()
    return (
        " ".join(names[i] for i in encoded.ids[tokens]),
        encoded.positions[words].tolist(),
        tuple(encoded.owned[index]),
    )


def test_tags_stand_at_first_pieces_and_every_word_has_one(make, sentence):
    data = sentence("ab \u200b zz 中国 a", "O B-X I-X O B-X")
    encoded = encode_sentences(make(12), [data])
    # Nothing is left of a control character; an unknown word is one as well.
    assert row(encoded, 0) == (
        "[CLS] a ##b [UNK] [UNK] 中 国 a [SEP]",
        [1, 3, 4, 5, 7],
        (0, 5),
    )
    assert encoded.tags.tolist() == [0, 1, 2, 0, 1]
    assert encoded.sentence_starts.tolist() == [0, 5]


def test_long_sentences_are_read_through_windows(make, sentence):
    data = sentence("a b c d a b c d", "O " * 8)
    encoded = encode_sentences(make(6, 2), [data, sentence("a", "O")])
    assert [row(encoded, i) for i in range(4)] == [
        ("[CLS] a b c d [SEP]", [1, 2, 3, 4], (0, 3)),
        ("[CLS] c d a b [SEP]", [1, 2, 3, 4], (1, 3)),
        ("[CLS] a b c d [SEP]", [1, 2, 3, 4], (1, 4)),
        ("[CLS] a [SEP]", [1], (0, 1)),
    ]


def test_words_are_not_cut_apart_unless_they_fill_a_row(make, sentence):
    data = sentence("ab cab aaaaaaaa b", "O O O O")
    encoded = encode_sentences(make(6, 1), [data])
    assert [row(encoded, i) for i in range(4)] == [
        ("[CLS] a ##b [SEP]", [1], (0, 1)),
        ("[CLS] c ##a ##b [SEP]", [1], (0, 1)),
        ("[CLS] a ##a ##a ##a [SEP]", [1], (0, 1)),
        ("[CLS] b [SEP]", [1], (0, 1)),
    ]


def test_no_word_is_lost_whatever_the_lengths(make, sentence):
    """Every word is owned once, where it has most context, in order."""
    rng = np.random.default_rng(0)
    for _ in range(150):
        words = ["a" * rng.integers(1, 9) for _ in range(rng.integers(1, 40))]
        room = int(rng.integers(1, 12))
        stride = int(rng.integers(1, room + 1))
        data = sentence(" ".join(words))
        encoded = make(room + 2, stride)([[data]])
        assert np.diff(encoded.row_starts).max() <= room + 2
        lengths = np.minimum([len(word) for word in words], room)
        starts = np.cumsum(lengths) - lengths
        first = 0
        shown = {}
        for index in range(encoded.num_rows):
            _, positions, (begin, end) = row(encoded, index)
            left = first - begin
            length = np.diff(encoded.row_starts)[index]
            for place, position in enumerate(positions):
                word = left + place
                assert position == 1 + starts[word] - starts[left]
                context = min(position - 1, length - 2 - position)
                owns = begin <= place < end
                shown.setdefault(word, []).append((context, owns))
            first += end - begin
        assert first == len(words) == len(shown)
        for found in shown.values():
            assert sum(owns for _, owns in found) == 1
            best = max(context for context, _ in found)
            (owner,) = (context for context, owns in found if owns)
            assert owner == best


def test_document_context(make, sentence):
    data = [
        sentence("a b", "O O", 0),
        sentence("c", "B-X", 0),
        sentence("d a", "O O", 1),
        sentence("a", "O"),
        sentence("b", "O"),
    ]
    encoded = encode_sentences(make(8, None, True), data)
    assert [row(encoded, i)[0] for i in range(encoded.num_rows)] == [
        "[CLS] a b c [SEP]",
        "[CLS] d a [SEP]",
        "[CLS] a [SEP]",
        "[CLS] b [SEP]",
    ]
    assert encoded.sentence_starts.tolist() == [0, 2, 3, 5, 6, 7]
    narrow = encode_sentences(make(4, 1, True), data)
    assert row(narrow, 0) == ("[CLS] a b [SEP]", [1, 2], (0, 2))
    assert row(narrow, 1) == ("[CLS] b c [SEP]", [1, 2], (1, 2))


def sentences(sentence):
    return [
        sentence("ab c " * (n % 7) + "d", "O B-X " * (n % 7) + "O", n // 3)
        for n in range(60)
    ]


@pytest.mark.parametrize("num_workers", [1, 2])
@pytest.mark.parametrize("documents", [False, True])
def test_streams_in_order(make, sentence, num_workers, documents):
    data = sentences(sentence)
    encoder = make(10, 3, documents)
    chunks = list(stream(encoder, data, num_workers, chunk_words=50))
    assert [s for chunk, _ in chunks for s in chunk] == data
    assert len(chunks) > 5
    whole = encode_sentences(encoder, data)
    if documents:
        groups = [data[n : n + 3] for n in range(0, 60, 3)]
    else:
        groups = [[s] for s in data]
    for one, other in zip(whole, encoder(groups), strict=True):
        np.testing.assert_array_equal(one, other)


def test_cache_holds_the_same_and_knows_what_shaped_it(
    make, sentence, tmp_path, monkeypatch
):
    data = sentences(sentence)
    calls = []
    original = SentenceEncoder.__call__

    def counted(self, documents):
        calls.append(1)
        return original(self, documents)

    monkeypatch.setattr(SentenceEncoder, "__call__", counted)

    def run(encoder, data=data):
        before = len(calls)
        encoded = encode_cached(encoder, data, str(tmp_path))
        return encoded, len(calls) - before

    encoded, count = run(make(10))
    assert count
    for ours, theirs in zip(
        encoded, encode_sentences(make(10), data), strict=True
    ):
        assert isinstance(ours, np.memmap) and ours.dtype == theirs.dtype
        np.testing.assert_array_equal(ours, theirs)
    assert run(make(10))[1] == 0
    other = TagSet(("O", "B-X", "I-X", "B-Y"), "BIO", "BIO")
    assert run(make(10, 2))[1] and run(make(10, None, True))[1]
    assert run(make(10, tags=other))[1] and run(make(10), data[1:])[1]
    apart = [dataclasses.replace(s, document=None) for s in data]
    assert run(make(10, None, True), apart)[1]


def test_options_that_cannot_work():
    with pytest.raises(UserError, match="at least 3.* Received: 2"):
        TaggingOptions(2)
    with pytest.raises(UserError, match="from 1 to 6.* Received: 7"):
        TaggingOptions(8, 7)
