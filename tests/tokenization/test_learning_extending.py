"""Adding words to a vocabulary, and matching it with the old one."""

import pytest

from modeling.errors import UserError
from modeling.tokenization import BasicTokenizer, FastTokenizer
from modeling.tokenization.learning import (
    check_words,
    extend_vocab,
    find_words,
    match_vocabs,
)

TOKENS = "[PAD] [unused0] [UNK] [CLS] [SEP] [unused7] [MASK]".split()
TOKENS += "the heart my un ##card ##itis ##io ##my a ##a b ##b".split()
VOCAB = {token: index for index, token in enumerate(TOKENS)}
TOKENIZER = BasicTokenizer()


def test_unused_entries_first_then_the_end():
    words = ["carditis", "the", "stent", "aorta", "ecg"]
    extended = extend_vocab(VOCAB, words)
    tokens = list(TOKENS)
    tokens[1], tokens[5] = "carditis", "stent"
    assert extended.tokens == [*tokens, "aorta", "ecg"]
    assert extended.filled == ["carditis", "stent"]
    assert extended.appended == ["aorta", "ecg"]
    assert extended.known == ["the"]


def test_ids_stay_where_lines_are_blank_or_double():
    vocab = {"[PAD]": 0, "x": 3, "": 2, "y": 4}  # line 1 was another "x"
    assert extend_vocab(vocab, ["z"]).tokens == ["[PAD]", "", "", "x", "y", "z"]


def test_nothing_to_add():
    with pytest.raises(UserError, match="vocabulary of 19 entries has all of"):
        extend_vocab(VOCAB, ["the", "a"])


def test_words_of_a_list_are_the_tokenizers():
    assert check_words(["Stent", "aörta"], TOKENIZER, "w") == ["stent", "aorta"]
    cased = BasicTokenizer(do_lower_case=False)
    assert check_words(["Stent", "stent"], cased, "w") == ["Stent", "stent"]


def test_lines_that_are_not_one_word_are_all_told():
    lines = ["stent", "heart attack", "", "T-wave", "心", "心脏", "Stent"]
    with pytest.raises(UserError) as error:
        check_words(lines, TOKENIZER, "words.txt")
    message = str(error.value)
    assert message.startswith("words.txt must have one word a line")
    assert "line 2: 'heart attack' becomes 2 words: heart attack" in message
    assert "line 3: '' becomes nothing" in message
    assert "line 4: 'T-wave' becomes 3 words: t - wave" in message
    assert "line 6: '心脏' becomes 2 words: 心 脏" in message
    assert "line 7: 'Stent' is 'stent' again, as line 1" in message
    assert "line 5" not in message


def test_a_long_list_of_problems_is_cut():
    with pytest.raises(UserError, match=r"(?s)line 10: .*\n  and 5 more$"):
        check_words(["a b"] * 15, TOKENIZER, "words.txt")


def test_words_by_the_tokens_that_they_save():
    counts = {
        "the": 100,  # known
        "ab": 10,  # 2 pieces: 10
        "mycarditis": 5,  # 3 pieces: 10
        "xy": 6,  # unknown: 12
        "心": 9,  # unknown: 9
        "bbbb": 1,  # too rare
        "a" * 201: 50,  # never known
    }
    assert find_words(counts, VOCAB, 4, 2) == ["xy", "ab", "mycarditis", "心"]
    with pytest.raises(UserError, match="has 4 words.*num_new_words=5"):
        find_words(counts, VOCAB, 5, 2)


def test_matching():
    new = ["[PAD]", "the", "[MASK]", "[SEP]", "[CLS]", "[UNK]", "mycarditis"]
    new += ["zebra", "##ioa", "##zz", "##"]
    rows = match_vocabs(VOCAB, {token: i for i, token in enumerate(new)})
    ids = [[VOCAB[t] for t in line.split()] for line in _EXPECTED.splitlines()]
    assert list(map(list, rows)) == ids


_EXPECTED = """\
[PAD]
the
[MASK]
[SEP]
[CLS]
[UNK]
my ##card ##itis
[UNK]
##io ##a
[UNK]
[UNK]"""


def test_pieces_are_the_old_tokenizers():
    tokenizer = FastTokenizer(VOCAB)
    words = ["uncard", "abba", "themy", "mystery"]
    extended = extend_vocab(VOCAB, words)
    new = {token: index for index, token in enumerate(extended.tokens)}
    rows = match_vocabs(VOCAB, new)
    assert len(rows) == len(TOKENS) + 2
    for word in words:
        assert list(rows[new[word]]) == tokenizer.encode(word)


def test_an_id_without_a_token_is_unknown():
    new = {**VOCAB, "last": len(TOKENS) + 1}
    assert match_vocabs(VOCAB, new)[-2:] == [(VOCAB["[UNK]"],)] * 2


@pytest.mark.parametrize("name", ["old", "new"])
def test_special_tokens_are_needed(name):
    without = {t: i for t, i in VOCAB.items() if t not in ("[CLS]", "[MASK]")}
    old, new = (without, VOCAB) if name == "old" else (VOCAB, without)
    with pytest.raises(UserError, match=rf"The {name} .* lacks \[CLS\], \[MA"):
        match_vocabs(old, new)
