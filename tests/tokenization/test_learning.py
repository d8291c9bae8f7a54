"""Counting words and learning vocabularies from the counts."""

import collections
import random

import pytest

from modeling.errors import UserError
from modeling.tokenization import BasicTokenizer, FastTokenizer
from modeling.tokenization.learning import (
    WordpieceOptions,
    count_words,
    counting,
    learn_wordpiece,
    measure_vocab,
    wordpiece_learner,
)
from modeling.tokenization.learning.alphabet import (
    ascii_characters,
    choose_alphabet,
    may_continue_word,
)

TOKENIZER = BasicTokenizer()
STEMS = "walk talk paint print sing ring light night stone phone".split()
ENDINGS = ["", "s", "ed", "ing", "er", "ers", "less", "ful", "ness", "like"]


def make_text(seed=0, num_lines=300):
    """Lines of words that share stems and endings, rare ones among them."""
    rng = random.Random(seed)
    for _ in range(num_lines):
        stems = rng.choices(STEMS, range(len(STEMS), 0, -1), k=8)
        endings = rng.choices(ENDINGS, range(len(ENDINGS), 0, -1), k=8)
        words = map("".join, zip(stems, endings, strict=True))
        yield " ".join(words) + ", naïve 中文。"


@pytest.fixture(scope="module")
def counts():
    return count_words(make_text(), TOKENIZER).counts


# Counting.


@pytest.mark.parametrize("do_lower_case", [True, False])
def test_words_are_the_tokenizers(random_texts, do_lower_case):
    lines = list(random_texts)
    tokenizer = BasicTokenizer(do_lower_case)
    expected = collections.Counter(
        word for line in lines for word in tokenizer.tokenize(line)
    )
    result = count_words(lines, tokenizer)
    assert result.counts == expected
    assert result.total == expected.total()
    assert (result.lines, result.max_missed) == (len(lines), 0)
    ordered = [(-count, word) for word, count in result.counts.items()]
    assert ordered == sorted(ordered)


def test_workers_change_nothing(monkeypatch):
    lines = list(make_text(num_lines=400))
    monkeypatch.setattr(counting, "_BATCH_CHARACTERS", 1000)
    one = count_words(lines, TOKENIZER, 1, max_distinct=40)
    two = count_words(iter(lines), TOKENIZER, 2, max_distinct=40)
    assert one.max_missed > 0
    assert (one, list(one.counts)) == (two, list(two.counts))


def test_forgetting_keeps_its_promise(monkeypatch):
    rng = random.Random(1)
    words = [f"w{int(rng.paretovariate(0.7))}" for _ in range(20_000)]
    lines = [" ".join(words[i : i + 10]) for i in range(0, len(words), 10)]
    monkeypatch.setattr(counting, "_BATCH_CHARACTERS", 500)
    expected = collections.Counter(words)
    result = count_words(lines, TOKENIZER, max_distinct=100)
    assert len(expected) > 5 * 100 >= 5 * len(result.counts)
    assert result.total == len(words)
    for word, count in expected.items():
        missed = count - result.counts.get(word, 0)
        assert 0 <= missed <= result.max_missed
    assert next(iter(result.counts)) == expected.most_common(1)[0][0]


def test_long_words_are_cut_but_stay_unknown():
    result = count_words(["a" * 1000, "a" * 201, "a" * 200], TOKENIZER)
    assert result.counts == {"a" * 201: 2, "a" * 200: 1}
    assert measure_vocab(["[UNK]", "a", "##a"], result.counts).unknown == 2


# The alphabet.


def test_coverage_frequency_and_limit():
    counts = {"aab": 10, "c": 5, "d": 1}  # a 20, b 10, c 5, d 1
    assert choose_alphabet(counts, 1.0) == ["a", "b", "c", "d"]
    assert choose_alphabet(counts, 1.0, min_frequency=2) == ["a", "b", "c"]
    assert choose_alphabet(counts, 30 / 36) == ["a", "b"]
    assert choose_alphabet(counts, 30.1 / 36) == ["a", "b", "c"]
    assert choose_alphabet(counts, 1.0, limit=1) == ["a"]
    assert choose_alphabet(counts, 30 / 36, always="xa") == ["a", "b", "x"]
    assert choose_alphabet(counts, 1.0, limit=4, always="x") == list("abcd")


def test_ascii_follows_the_case():
    assert ascii_characters(TOKENIZER)[0] == "!"
    assert len(ascii_characters(TOKENIZER)) == 94 - 26
    assert len(ascii_characters(BasicTokenizer(do_lower_case=False))) == 94


def test_who_continues_a_word():
    assert all(map(may_continue_word, "a7éかहा"))
    assert not any(map(may_continue_word, ",$。中\U00020000"))


# WordPiece.


@pytest.mark.parametrize("size", [145, 150, 200])
def test_exact_size_and_no_entry_twice(counts, size):
    vocab = learn_wordpiece(counts, WordpieceOptions(size), TOKENIZER)
    assert len(vocab) == len(set(vocab)) == size


def test_layout(counts):
    options = WordpieceOptions(170, num_unused=3)
    vocab = learn_wordpiece(counts, options, TOKENIZER)
    assert vocab[:4] == ["[PAD]", "[unused0]", "[unused1]", "[unused2]"]
    assert vocab[4:8] == ["[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    start = vocab.index("##0")
    characters, inner = vocab[8:start], vocab[start : start + 36]
    assert characters == sorted(characters)
    assert {*ascii_characters(TOKENIZER), *"中文。"} == set(characters)
    assert inner == [f"##{c}" for c in characters if c.isalnum() and c < "中"]
    assert all(len(t.removeprefix("##")) > 1 for t in vocab[start + 36 :])
    frequent = {word: n for word, n in counts.items() if n > 1}
    uses = measure_vocab(vocab, frequent).uses
    pieces = [uses.get(t, 0) for t in vocab[start + 36 :]]
    assert pieces == sorted(pieces, reverse=True)


def test_unused_entries_where_they_leave_room():
    rng = random.Random(0)
    letters = "abcdefghijklmnopqrstuvwxyz"
    words = ["".join(rng.choices(letters, k=6)) for _ in range(1000)]
    counts = dict.fromkeys(words, 2)
    base = 5 + 68 + 36
    for size, number in {base + 998: 0, base + 999: 99}.items():
        vocab = learn_wordpiece(counts, WordpieceOptions(size), TOKENIZER)
        assert len(vocab) == size
        assert vocab[0] == "[PAD]"
        unused = [f"[unused{index}]" for index in range(number)]
        assert vocab[1 : number + 1] == unused
        special = vocab[number + 1 : number + 5]
        assert special == ["[UNK]", "[CLS]", "[SEP]", "[MASK]"]
        options = WordpieceOptions(size, num_unused=0)
        assert learn_wordpiece(counts, options, TOKENIZER)[1] == "[UNK]"


def test_pieces_are_stems_and_endings(counts):
    vocab = learn_wordpiece(counts, WordpieceOptions(180), TOKENIZER)
    tokenizer = FastTokenizer({t: i for i, t in enumerate(vocab)})
    assert set(STEMS) <= set(vocab)
    assert {"##ing", "##ers", "##ed"} <= set(vocab)
    tokens = tokenizer.tokenize("Paintlike, 中文")
    assert tokens == ["paint", "##like", ",", "中", "文"]
    assert measure_vocab(vocab, counts).unknown == 0


def test_least_used_pieces_give_way(counts):
    options = WordpieceOptions(160)
    plain, ours = (
        measure_vocab(
            learn_wordpiece(counts, options, TOKENIZER, surplus), counts
        )
        for surplus in (1.0, 1.2)
    )
    assert ours.tokens < plain.tokens
    assert len(ours.uses) > len(plain.uses)


def test_cased_vocabulary():
    lines = ["Stone stone Été été"] * 3
    tokenizer = BasicTokenizer(do_lower_case=False)
    counts = count_words(lines, tokenizer).counts
    vocab = learn_wordpiece(counts, WordpieceOptions(178), tokenizer)
    assert {"Stone", "stone", "Été", "A", "##A"} <= set(vocab)


def test_rare_words_and_characters_teach_nothing():
    lines = ["common words"] * 5 + ["rarity ж"]
    counts = count_words(lines, TOKENIZER).counts
    for min_frequency, known in {1: True, 2: False}.items():
        options = WordpieceOptions(113 + 4 * known, None, min_frequency)
        vocab = learn_wordpiece(counts, options, TOKENIZER)
        assert ("ж" in vocab) == known


def test_only_so_many_words_teach(monkeypatch):
    counts = {"rare": 2, "frequent": 9, "common": 5}
    options = WordpieceOptions(5 + 68 + 36 + 12)
    assert "rare" in learn_wordpiece(counts, options, TOKENIZER)
    monkeypatch.setattr(wordpiece_learner, "MAX_WORDS", 2)
    vocab = learn_wordpiece(counts, options, TOKENIZER)
    assert {"frequent", "common"} <= set(vocab)
    assert "rare" not in vocab


def test_limited_alphabet(counts):
    options = WordpieceOptions(60, limit_alphabet=20)
    vocab = learn_wordpiece(counts, options, TOKENIZER)
    assert sum(len(token) == 1 for token in vocab) == 20
    assert measure_vocab(vocab, counts).unknown > 0


def test_only_single_characters():
    counts = count_words(["中文中文", "文字文字"], TOKENIZER).counts
    vocab = learn_wordpiece(counts, WordpieceOptions(112), TOKENIZER)
    assert vocab[73:76] == ["中", "字", "文"]
    assert len(vocab) == 112 and vocab[-1] == "##z"


def test_size_too_small_tells_the_least(counts):
    with pytest.raises(UserError, match="at least 112 are needed, 5 for spe"):
        learn_wordpiece(counts, WordpieceOptions(111), TOKENIZER)
    assert learn_wordpiece(counts, WordpieceOptions(112), TOKENIZER)


# As many pieces as leave no room for unused entries, and as leave some.
@pytest.mark.parametrize("num_words", [20, 2000])
@pytest.mark.parametrize("num_unused", [None, 7])
def test_size_too_large_tells_the_most(num_words, num_unused):
    letters = "abcdefghij"
    pairs = [f"{x}{y}" for x in letters for y in letters]
    words = [f"{p}{q}" for p in pairs for q in pairs][:num_words]
    counts = dict.fromkeys(words, 2)
    with pytest.raises(UserError, match=r"gives (\d+) entries at mo") as error:
        learn_wordpiece(counts, WordpieceOptions(9999, num_unused), TOKENIZER)
    most = int(str(error.value).split("gives ")[1].split()[0])
    options = WordpieceOptions(most, num_unused)
    assert len(learn_wordpiece(counts, options, TOKENIZER)) == most
    with pytest.raises(UserError, match="too large"):
        options = WordpieceOptions(most + 1, num_unused)
        learn_wordpiece(counts, options, TOKENIZER)


@pytest.mark.parametrize(
    "values, message",
    [
        ({"vocab_size": 0}, "vocab_size must be at least 1. Received: 0"),
        ({"num_unused": -1}, "num_unused must be at least 0"),
        ({"min_frequency": 0}, "min_frequency must be at least 1"),
        ({"limit_alphabet": 0}, "limit_alphabet must be at least 1"),
        ({"character_coverage": 0.0}, "character_coverage must be above 0"),
        ({"character_coverage": 1.1}, "at most 1. Received: 1.1"),
    ],
)
def test_options_out_of_range(values, message):
    with pytest.raises(UserError, match=message):
        WordpieceOptions(**values)
