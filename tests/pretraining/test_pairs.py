"""Documents -> pairs: what is taken, from where, and what is cut."""

import types

import numpy as np
import pytest

from modeling.pretraining import InstanceOptions, MaskingOptions
from modeling.pretraining.pairs import cut_in_runs, make_instances

MASKING = MaskingOptions(max_predictions_per_seq=2)


def corpus_of(*documents):
    """A corpus of documents, told by the lengths of their sentences."""
    lengths = [length for document in documents for length in document]
    return types.SimpleNamespace(
        sentences=np.cumsum([0, *lengths]),
        documents=np.cumsum([0, *map(len, documents)]),
        num_documents=len(documents),
        release=lambda: None,
    )


def random_corpus(documents=60, seed=0):
    rng = np.random.default_rng(seed)
    return corpus_of(
        *(
            rng.integers(1, 40, rng.integers(1, 30)).tolist()
            for _ in range(documents)
        )
    )


def options_of(**changes):
    values = {"max_seq_length": 64, "dupe_factor": 4, **changes}
    return InstanceOptions(MASKING, **values)


def instances_of(corpus, **changes):
    (run,) = cut_in_runs(corpus, 1 << 22)
    return make_instances(corpus, run, options_of(**changes))


def document_of(corpus, tokens):
    starts = corpus.sentences[corpus.documents]
    return np.searchsorted(starts, tokens, "right") - 1


def ends(instances, segment):
    lengths = instances[f"{segment}_length"].astype(int)
    return instances[f"{segment}_start"] + lengths


@pytest.mark.parametrize("sentence_pairs", ["nsp", "sop", "none"])
def test_segments_fit_and_lie_in_one_document(sentence_pairs):
    corpus = random_corpus()
    instances = instances_of(corpus, sentence_pairs=sentence_pairs)
    room = options_of(sentence_pairs=sentence_pairs).room
    total = instances["a_length"].astype(int) + instances["b_length"]
    assert total.max() == room
    assert instances["a_length"].min() >= 1
    segments = "ab" if sentence_pairs != "none" else "a"
    for segment in segments:
        assert instances[f"{segment}_length"].min() >= 1
        np.testing.assert_array_equal(
            document_of(corpus, instances[f"{segment}_start"]),
            document_of(corpus, ends(instances, segment) - 1),
        )
    if sentence_pairs == "none":
        assert not instances["b_length"].any()
        assert not instances["label"].any()


def test_random_segments_come_from_other_documents():
    for corpus in (random_corpus(), corpus_of([9, 9, 9], [5, 5])):
        instances = instances_of(corpus, dupe_factor=50)
        is_other = document_of(corpus, instances["a_start"]) != document_of(
            corpus, instances["b_start"]
        )
        np.testing.assert_array_equal(instances["label"] == 1, is_other)


def test_true_segments_follow_one_another():
    corpus = corpus_of(*[[3] * 40] * 5)
    instances = instances_of(corpus, short_seq_prob=0)
    true = instances[instances["label"] == 0]
    # 61 tokens are 21 sentences of which one or two tokens are cut off.
    gap = true["b_start"] - ends(true, "a")
    assert gap.min() == 0 and gap.max() <= 2
    assert 0.45 < np.mean(instances["label"]) < 0.6


def test_what_a_random_segment_stands_for_is_used_later():
    corpus = corpus_of([20, 20, 20, 20], [20, 20])
    instances = instances_of(
        corpus, dupe_factor=200, short_seq_prob=0, max_seq_length=128
    )
    own = instances[document_of(corpus, instances["a_start"]) == 0]
    streams = 0
    seen = np.zeros(80, int)
    for instance in own:
        streams += instance["a_start"] == 0
        for segment in "ab" if not instance["label"] else "a":
            start = instance[f"{segment}_start"]
            seen[start : start + instance[f"{segment}_length"]] += 1
    assert streams == 200
    assert (seen == 200).all()


@pytest.mark.parametrize("tokens", [1, 300, 5000])
def test_runs_make_no_difference(tokens):
    corpus = random_corpus()
    runs = list(cut_in_runs(corpus, tokens))
    assert len(runs) > 1
    check_runs(corpus, runs)
    parts = [make_instances(corpus, run, options_of()) for run in runs[::-1]]
    whole = np.sort(instances_of(corpus), order="key")
    parts = np.sort(np.concatenate(parts), order="key")
    np.testing.assert_array_equal(whole, parts)


def check_runs(corpus, runs):
    """They cover the corpus, one after the other."""
    ends = [run.end for run in runs]
    assert [run.start for run in runs] == [0, *ends[:-1]]
    assert ends[-1] == corpus.documents[-1]
    assert all(run.start < run.end for run in runs)


@pytest.mark.parametrize("dupe_factor", [1, 3])
def test_long_documents_are_gone_through_in_parts(dupe_factor, monkeypatch):
    monkeypatch.setattr("modeling.pretraining.pairs._LONGEST_PART", 1000)
    corpus = corpus_of([7] * 1000, [5] * 30, [2000] * 3, [9] * 99, [5])
    runs = list(cut_in_runs(corpus, 1 << 22))
    check_runs(corpus, runs)
    tokens = [corpus.sentences[r.end] - corpus.sentences[r.start] for r in runs]
    assert max(tokens[:-4]) <= 1000 + 7 and sorted(tokens)[-3:] == [2000] * 3
    options = options_of(dupe_factor=dupe_factor)
    instances = [make_instances(corpus, run, options) for run in runs]
    instances = np.concatenate(instances)
    # Parts draw other numbers, and what they leave to chance is even.
    assert len(np.unique(instances["key"])) == len(instances)
    is_other = document_of(corpus, instances["a_start"]) != document_of(
        corpus, instances["b_start"]
    )
    np.testing.assert_array_equal(instances["label"] == 1, is_other)


def test_seed_and_duplicate_change_everything():
    corpus = random_corpus(documents=10)
    one = instances_of(corpus, dupe_factor=2)
    assert len(np.unique(one["key"])) == len(one)
    other = instances_of(corpus, dupe_factor=2, random_seed=1)
    assert not np.isin(one["key"], other["key"]).any()


def test_truncation_keeps_the_longer_segment_longer():
    # The original's loop, token by token, gives these lengths.
    corpus = corpus_of([100, 3], [100, 90], [30, 200])
    instances = instances_of(
        corpus, dupe_factor=300, short_seq_prob=0, max_seq_length=64
    )
    for instance in instances:
        a = 100 if instance["a_start"] < 190 else 200
        assert instance["a_length"] + instance["b_length"] <= 61
        assert instance["a_length"] <= a
    both_long = instances[
        (instances["a_length"] > 29) & (instances["b_length"] > 29)
    ]
    assert set(both_long["a_length"]) == {30, 31}
    # Tokens go from either end, each as often.
    first = instances[document_of(corpus, instances["a_start"]) == 0]
    first = first[first["a_start"] < 100]
    front = first["a_start"].astype(int)
    cut = 100 - first["a_length"].astype(int)
    assert abs(front.sum() / cut.sum() - 0.5) < 0.02


def test_sentence_order():
    corpus = corpus_of(*[[10, 10, 10]] * 30)
    instances = instances_of(
        corpus, sentence_pairs="sop", dupe_factor=40, short_seq_prob=0
    )
    assert len(instances) == 30 * 40
    swapped = instances["label"] == 1
    assert abs(swapped.mean() - 0.5) < 0.05
    np.testing.assert_array_equal(
        document_of(corpus, instances["a_start"]),
        document_of(corpus, instances["b_start"]),
    )
    np.testing.assert_array_equal(
        instances["a_start"] > instances["b_start"], swapped
    )


def test_a_sentence_alone_has_no_order():
    corpus = corpus_of(*[[50]] * 30)
    instances = instances_of(corpus, sentence_pairs="sop", short_seq_prob=0)
    assert instances["label"].all()
    assert np.all(
        document_of(corpus, instances["a_start"])
        != document_of(corpus, instances["b_start"])
    )


def test_runs_of_whole_sentences():
    corpus = corpus_of([30, 30, 5, 100, 2])
    instances = instances_of(
        corpus, sentence_pairs="none", dupe_factor=1, short_seq_prob=0
    )
    # The next sentence would not fit; one that is too long is cut.
    assert instances["a_length"].tolist() == [60, 5, 62, 2]
    assert instances["a_start"][[0, 1, 3]].tolist() == [0, 60, 165]
    assert 65 < instances["a_start"][2] < 65 + 100 - 62


def test_short_targets():
    corpus = corpus_of(*[[1] * 400] * 400)
    instances = instances_of(
        corpus, sentence_pairs="none", dupe_factor=1, short_seq_prob=0.25
    )
    document = document_of(corpus, instances["a_start"])
    first = instances[np.unique(document, return_index=True)[1]]
    is_short = first["a_length"] < 62
    assert abs(is_short.mean() - 0.25) < 0.08
    # Uniform from 2 to 62.
    assert first["a_length"].min() >= 2
    assert abs(first["a_length"][is_short].mean() - 31.5) < 6
