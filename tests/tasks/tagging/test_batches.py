"""Batches of rows, and scores brought back into sentences."""

import numpy as np
import pytest

from modeling.network.tag_chains import Allowed, Layout, Scores, viterbi
from modeling.tasks.array_input import ArrayInput
from modeling.tasks.length_batches import BatchOptions
from modeling.tasks.tagging import (
    SentenceEncoder,
    TaggingOptions,
    TagSet,
    encode_sentences,
)
from modeling.tasks.tagging.batches import TaggingExamples

TAGS = TagSet(("O", "B-X", "I-X"), "BIO", "BIO")


@pytest.fixture
def make(tokenizer):
    def examples(sentences, *options):
        encoder = SentenceEncoder(tokenizer, TAGS, TaggingOptions(*options))
        return TaggingExamples(encode_sentences(encoder, sentences))

    return examples


def test_features_of_rows(make, sentence):
    data = [
        sentence("ab c", "B-X I-X", 0),
        sentence("d", "O", 0),
        sentence("a b c d a", "O B-X O B-X I-X", 1),
    ]
    examples = make(data, 6, 2, True)
    assert examples.lengths().tolist() == [6, 6, 5]
    assert examples.rows_per_example().tolist() == [1, 1, 1]
    arrays = examples.arrays(np.array([0, 2]), length=7, size=3)
    expected = {
        "input_ids": [[2, 4, 9, 6, 7, 3, 0], [2, 6, 7, 4, 3, 0, 0], [0] * 7],
        "input_mask": [[1] * 6 + [0], [1] * 5 + [0] * 2, [0] * 7],
        "segment_ids": [[0] * 7] * 3,
        "word_positions": [[1, 3, 4, 0, 0], [1, 2, 3, 0, 0], [0] * 5],
        "word_mask": [[1, 1, 1, 0, 0], [1, 1, 1, 0, 0], [0] * 5],
        "word_begins": [[1, 0, 1, 0, 0], [0] * 5, [0] * 5],
        "word_closes": [[0, 1, 1, 0, 0], [0, 0, 1, 0, 0], [0] * 5],
        "targets": [[1, 2, 0, 0, 0], [0, 1, 2, 0, 0], [0] * 5],
        # The first window of the second document owns three words.
        "word_weights": [[1, 1, 1, 0, 0], [0, 1, 1, 0, 0], [0] * 5],
    }
    assert {k: v.tolist() for k, v in arrays.items()} == expected
    for name, spec in examples.signature().items():
        assert spec.dtype == arrays[name].dtype
        assert spec.shape.is_compatible_with(arrays[name].shape)


def test_unknown_tags_weigh_nothing(make, sentence):
    arrays = make([sentence("a b")], 8).arrays(np.array([0]), 4, 1)
    assert not arrays["word_weights"].any() and not arrays["targets"].any()
    assert arrays["word_mask"].tolist() == [[1, 1]]


def long_data(sentence, count=30):
    rng = np.random.default_rng(0)
    data = []
    for number in range(count):
        length = int(rng.integers(1, 25))
        words = " ".join(rng.choice(["a", "ab", "abc", "中"], length))
        tags = " ".join(rng.choice(["O", "B-X"], length))
        data.append(sentence(words, tags, number // 4))
    return data


@pytest.mark.parametrize("documents", [False, True])
def test_every_word_weighs_once_in_an_epoch(make, sentence, documents):
    data = long_data(sentence)
    examples = make(data, 12, 4, documents)
    seen = []
    for indices, arrays in ArrayInput(
        examples, BatchOptions(None, 64)
    ).prediction(2):
        weights = arrays["word_weights"].astype(bool)
        assert not weights[len(indices) :].any()
        seen += arrays["targets"][weights].tolist()
        # A CRF needs its words side by side.
        for row in weights:
            assert np.abs(np.diff(row.astype(int))).sum() <= 2
    wanted = np.concatenate([TAGS.encode(s) for s in data])
    assert sorted(seen) == sorted(wanted.tolist())


@pytest.mark.parametrize("documents", [False, True])
def test_scores_come_back_as_sentences(make, sentence, documents):
    """Each row says of its words what they are, and nonsense of the rest."""
    data = long_data(sentence)
    examples = make(data, 12, 4, documents)
    rows = [None] * len(examples)
    batches = ArrayInput(examples, BatchOptions(4)).prediction(1)
    for indices, arrays in batches:
        scores = np.eye(3)[arrays["targets"]] * 5
        scores[arrays["word_weights"] == 0] = [0, 0, 99]
        for index, row in zip(indices, scores, strict=False):
            rows[index] = row
    scores = examples.scores(rows)
    decoded = examples.decode(scores, lambda s, mask: s.argmax(-1) * mask)
    for found, wanted in zip(decoded, data, strict=True):
        assert found.tolist() == TAGS.encode(wanted).tolist()


def test_sentences_are_decoded_whole_and_legally(make, sentence):
    data = [sentence(" ".join(["a"] * n)) for n in (9, 1, 30)]
    examples = make(data, 8, 3)
    scores = np.zeros((examples.encoded.num_words, 3), np.float32)
    scores[:, 2] = 1.0  # I-X everywhere, which no sentence begins with.
    rule = Scores.neutral(Allowed(*TAGS.allowed()))
    decoded = examples.decode(
        scores, lambda s, mask: viterbi(s, Layout(mask), rule)
    )
    assert [d.tolist() for d in decoded] == [
        [1] + [2] * 8,
        [0],
        [1] + [2] * 29,
    ]
    assert TAGS.decode(decoded[0])[:2] == ["B-X", "I-X"]
