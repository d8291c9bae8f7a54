"""Blocks in bulk have the ids of their lines one by one."""

import pickle
import random

import pytest

from modeling.errors import UserError
from modeling.tokenization import FastTokenizer, FullTokenizer, bulk
from modeling.tokenization.bulk import BulkTokenizer
from modeling.tokenization.unicode_tables import CJK_RANGES

_TOKENS = ["[UNK]", *"abc.", "ab", "abc", "abcabcabcabcabca", "a" * 17]
_TOKENS += ["bbbbbbbb", "bbbbbbbbb", "cccccccccccc", "##cccc", "##c"]
_TOKENS += ["##a", "##b", "##bc", "##cab", "##abcabcabcabcab", "##" + "b" * 17]


def expected(tokenizer, lines):
    ids = [
        tokenizer.convert_tokens_to_ids(tokenizer.tokenize(line))
        for line in lines
    ]
    return [i for line in ids for i in line], list(map(len, ids))


def encoded(tokenizer, data):
    ids, lengths = tokenizer.encode_lines(data)
    return ids.tolist(), lengths.tolist()


@pytest.fixture
def tokenizer():
    return FastTokenizer({token: i for i, token in enumerate(_TOKENS)})


@pytest.mark.golden
@pytest.mark.parametrize("sigma", ["Σ", "ς"])
@pytest.mark.parametrize("strip", [None, True, False])
@pytest.mark.parametrize("lower", [True, False])
def test_random_lines_equal_the_reference(
    golden_dir, random_texts, lower, strip, sigma
):
    args = golden_dir / "vocab.txt", lower, strip
    reference = FullTokenizer(*args)
    tokenizer = BulkTokenizer(FastTokenizer.from_vocab_file(*args))
    text = "\n".join(random_texts).replace("Σ", sigma).replace("\r", "")
    lines = text.split("\n")
    for start in range(0, len(lines), 500):
        block = lines[start : start + 500]
        data = "\r\n".join([*block, ""]).encode()
        # First from the vocabulary, then from memory.
        for _ in range(2):
            assert encoded(tokenizer, data) == expected(reference, block)


@pytest.mark.parametrize("slots", [1, 8, 1 << 16])
def test_words_of_any_length_and_number_of_pieces(
    slots, tokenizer, monkeypatch
):
    monkeypatch.setattr(bulk, "_REMEMBERED_WORDS", slots)
    in_bulk = BulkTokenizer(tokenizer)
    rng = random.Random(0)
    words = [
        "".join(rng.choices("abcABC", k=k))
        for k in [*range(1, 40), 199, 200, 201] * 20
    ]
    words += ["abc" * k for k in range(1, 14)] * 3
    words += ["abcabcabcabcabca" + "abcabcabcabcab", "a" * 17 + "b" * 17]
    for _ in range(3):
        lines = [" ".join(rng.choices(words, k=20)) for _ in range(40)]
        data = "\n".join(lines).encode()
        assert encoded(in_bulk, data) == expected(tokenizer, lines)


@pytest.mark.parametrize(
    "words",
    [
        # Sixteen bytes and, after the same sixteen, more.
        ["abcabcabcabcabca", "abcabcabcabcabcab"],
        ["abcabcabcabcabcab", "abcabcabcabcabca"],
        # ASCII at first.
        ["abcabcab", "abcabcabá", "bbbbbbbbá", "á"],
        # Pieces that end at the eighth byte, and beyond.
        ["b" * 8 + "c", "b" * 9 + "c", "c" * 12, "c" * 13, "c" * 16],
    ],
)
def test_words_that_look_alike(words, tokenizer):
    in_bulk = BulkTokenizer(tokenizer)
    for word in words * 2:
        assert encoded(in_bulk, word.encode()) == expected(tokenizer, [word])


@pytest.mark.parametrize(
    ("data", "lengths"),
    [
        (b"", [0]),
        (b"\n", [0]),
        (b"a", [1]),
        (b"a\n", [1]),
        (b"\n\na.b\n\n", [0, 0, 3, 0]),
        (b" a\tb \n \x00\x1c\n b", [2, 0, 1]),
        (b"a\x00b\x7fc", [1]),
        # Not two words: "\r" is deleted before the tokenizer sees it.
        (b"a\r\na\rb\r\n\r", [1, 1]),
    ],
)
def test_lines(data, lengths, tokenizer):
    assert encoded(BulkTokenizer(tokenizer), data)[1] == lengths


@pytest.mark.parametrize("longest", [1, 2, 7, 30, 1000])
def test_long_lines_are_encoded_in_parts(longest, tokenizer, monkeypatch):
    line = "abcabc c a. é " * 9
    lines = ["ab c", "", " ", line, line * 2, "a" * 90 + " a", "c"]
    data = "\n".join(lines).encode()
    sizes = []

    def split(text):
        sizes.append(len(text))
        return split_text(text)

    split_text = bulk._split
    monkeypatch.setattr(bulk, "_split", split)
    monkeypatch.setattr(bulk, "_LONGEST_PART", longest)
    assert encoded(BulkTokenizer(tokenizer), data) == expected(tokenizer, lines)
    if longest == 30:
        # From a word that is longer on, the rest is one part.
        assert max(sizes[:-1]) <= longest and sizes[-1] < 100


def test_bounds_of_cjk_characters():
    codes = [b + d for r in CJK_RANGES for b in r for d in (-1, 0, 1)]
    characters = [chr(code) for code in codes]
    tokens = ["[UNK]", "a", "##a", *characters]
    tokens += [f"##{character}" for character in characters]
    tokenizer = FastTokenizer(
        {token: i for i, token in enumerate(dict.fromkeys(tokens))}, False
    )
    lines = [f"a{c}a{c}{c}" for c in characters]
    data = "\n".join(lines).encode()
    assert encoded(BulkTokenizer(tokenizer), data) == expected(tokenizer, lines)


def test_python_sees_hard_words_only(tokenizer, monkeypatch):
    in_bulk = BulkTokenizer(tokenizer)
    seen = []

    def encode(text):
        seen.append(text)
        return [0] * 5

    monkeypatch.setattr(tokenizer, "encode", encode)
    hard = ["abcabcabcabcabcab", "aaaaa", "é", "中", "𠀀", "文"]
    easy = "abcabcabcabcabca ababa. ...x aaaa"
    text = f"{easy}\n{' '.join(hard)}\n".replace("中 𠀀 文", "中𠀀文")
    in_bulk.encode_lines(text.encode())
    assert seen == hard


def test_copies_for_other_processes_are_small(tokenizer):
    in_bulk = BulkTokenizer(tokenizer)
    data = b"abc ab"
    expected = encoded(in_bulk, data)
    copy = pickle.dumps(in_bulk)
    assert len(copy) < 2000
    assert encoded(pickle.loads(copy), data) == expected


def test_tokenizers_that_cannot_be_used():
    vocab = {"a": 0, "[MASK]": 1}
    with pytest.raises(UserError, match=r"\[UNK\]"):
        BulkTokenizer(FastTokenizer(vocab))
    keeping = FastTokenizer(vocab, special_tokens=["[MASK]"])
    with pytest.raises(ValueError, match="Special tokens.*MASK"):
        BulkTokenizer(keeping)
