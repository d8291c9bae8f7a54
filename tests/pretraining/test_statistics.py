"""The builder's statistics are the original's."""

import json

import numpy as np
import pytest

from modeling.pretraining import InstanceOptions, MaskingOptions, WordOptions
from modeling.pretraining.corpus_writer import open_corpus, prepare_corpus
from modeling.pretraining.encode import BlockEncoder
from modeling.pretraining.make_records import PairMaker, RecordMaker
from modeling.pretraining.pairs import cut_in_runs
from modeling.pretraining.vocabulary import RecordVocabulary
from modeling.tokenization import load_tokenizer
from modeling.workers import Workers
from tests.pretraining import statistics

# A mean over seeds is compared: of 176 numbers from one seed, some lie outside
# three standard deviations, as these come from six numbers each.
SEEDS = range(12)
CHANGED_ON_PURPOSE = {
    # Random replacements exclude special and unused entries, which are the
    # vocabulary's bracketed ones, all in its first half.
    "share_of_random_words_that_are_bracketed_specials",
    "share_of_random_words_in_first_half_of_vocab",
}


@pytest.fixture(scope="module")
def corpus(golden_corpus, golden_dir, tmp_path_factory):
    tokenizer = load_tokenizer(golden_dir / "vocab.txt")
    directory = str(tmp_path_factory.mktemp("corpus"))
    encode = {"encode": BlockEncoder(tokenizer, WordOptions())}
    settings = {"id_type": "<u2", "has_joins": False}
    with Workers(encode, 1) as workers:
        prepare_corpus(
            directory,
            [str(golden_corpus)],
            settings,
            workers,
            tokenizer.unk_id,
        )
    return directory, open_corpus(directory), tokenizer


@pytest.mark.golden
@pytest.mark.parametrize("whole_word", [False, True])
@pytest.mark.parametrize("max_seq_length", [64, 128])
def test_statistics_of_the_original(
    max_seq_length, whole_word, corpus, golden_dir
):
    path = golden_dir / "pretraining" / "corpus_stats.json"
    golden = json.loads(path.read_text())
    (run,) = (
        run
        for run in golden["runs"]
        if run["max_seq_length"] == max_seq_length
        and run["do_whole_word_mask"] == whole_word
    )
    settings = {**golden["settings"], **run}
    ours = [describe(corpus, settings, seed) for seed in SEEDS]
    assert ours[0].keys() == run["statistics"].keys()
    outside = {
        name: (mean, theirs)
        for name, theirs in run["statistics"].items()
        if abs((mean := np.mean([o[name] for o in ours])) - theirs["mean"])
        > 3 * theirs["std"] + 1e-9
    }
    assert outside.keys() <= CHANGED_ON_PURPOSE, outside


def describe(corpus, settings, seed):
    directory, opened, tokenizer = corpus
    options = InstanceOptions(
        MaskingOptions(
            "whole_word" if settings["do_whole_word_mask"] else "token",
            settings["masked_lm_prob"],
            settings["max_predictions_per_seq"],
        ),
        settings["max_seq_length"],
        settings["dupe_factor"],
        settings["short_seq_prob"],
        seed,
    )
    (run,) = cut_in_runs(opened, 1 << 22)
    instances = PairMaker(directory, options)(run)
    records = RecordMaker(directory, options, RecordVocabulary.of(tokenizer))
    columns = [
        records.columns(instances[i : i + 2048])
        for i in range(0, len(instances), 2048)
    ]
    features = {
        name: np.concatenate([column[name] for column in columns])
        for name in columns[0]
    }
    starts = opened.sentences[opened.documents]
    document = np.searchsorted(starts, instances["a_start"], "right") - 1
    per_document = np.bincount(document, minlength=opened.num_documents)
    vocab = [tokenizer.inv_vocab[i] for i in range(tokenizer.vocab_size)]
    return statistics.describe(features, per_document, vocab, settings)


def test_exclusions_are_what_the_changed_statistics_show(tokenizer):
    replacements = RecordVocabulary.of(tokenizer).masking.replacements
    tokens = [tokenizer.inv_vocab[i] for i in replacements]
    assert "[MASK]" not in tokens and "[unused7]" not in tokens
    assert "[" in tokens and "the" in tokens
    left_out = set(tokenizer.vocab) - set(tokens)
    assert all(t[0] == "[" and t[-1] == "]" for t in left_out), left_out
