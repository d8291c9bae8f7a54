"""The reference tokenizer against the original's tokens."""

import json

import pytest

from modeling.errors import UserError
from modeling.tokenization import wordpiece
from modeling.tokenization.wordpiece import (
    BasicTokenizer,
    FullTokenizer,
    WordpieceTokenizer,
)


def _json_lines(path):
    with open(path, encoding="utf-8") as file:
        return [json.loads(line) for line in file]


@pytest.mark.golden
@pytest.mark.parametrize("case", ["lower", "cased"])
def test_full_tokenizer_matches_golden(golden_dir, case):
    tokenizer = FullTokenizer(golden_dir / "vocab.txt", case == "lower")
    for line in _json_lines(golden_dir / "tokenizer" / "tokens.jsonl"):
        tokens = tokenizer.tokenize(line["text"])
        assert tokens == line[f"{case}_tokens"], line["id"]
        assert tokenizer.convert_tokens_to_ids(tokens) == line[f"{case}_ids"]


@pytest.mark.golden
def test_basic_tokenizer_matches_golden(golden_dir):
    folder = golden_dir / "tokenizer"
    texts = {
        line["id"]: line["text"]
        for line in _json_lines(folder / "tokens.jsonl")
    }
    for index, lower, cased in _json_lines(folder / "basic.jsonl"):
        assert BasicTokenizer().tokenize(texts[index]) == lower
        assert BasicTokenizer(False).tokenize(texts[index]) == cased


@pytest.mark.golden
def test_convert_to_unicode_matches_golden(golden_dir):
    path = golden_dir / "tokenizer" / "convert_to_unicode.json"
    for line in json.loads(path.read_text()):
        data = bytes.fromhex(line["bytes_hex"])
        assert wordpiece.convert_to_unicode(data) == line["text"]
        assert wordpiece.printable_text(data) == line["text"]


def test_convert_to_unicode_refuses_what_is_no_text():
    with pytest.raises(ValueError, match="int"):
        wordpiece.convert_to_unicode(3)


@pytest.mark.parametrize(
    ("lower", "strip", "words"),
    [
        (True, None, ["cafe", "deja", "!"]),
        (False, None, ["Café", "DÉJA", "!"]),
        (True, False, ["café", "déja", "!"]),
        (False, True, ["Cafe", "DEJA", "!"]),
    ],
)
def test_case_and_accents_apart(lower, strip, words):
    assert BasicTokenizer(lower, strip).tokenize("Café DÉJA!") == words


def test_pieces_are_the_longest():
    vocab = {"[UNK]": 0, "un": 1, "una": 2, "##ffa": 3, "##ble": 4}
    tokenizer = WordpieceTokenizer(vocab)
    assert tokenizer.tokenize("unaffable un") == ["una", "##ffa", "##ble", "un"]
    # "una" is taken first, and "##ff" is not there: no second try.
    assert tokenizer.tokenize("unaff") == ["[UNK]"]


def test_long_words_are_unknown():
    tokenizer = WordpieceTokenizer({"a": 0, "##a": 1, "?": 2}, "?", 5)
    assert tokenizer.tokenize("aaaaa") == ["a", *["##a"] * 4]
    assert tokenizer.tokenize("aaaaaa") == ["?"]
    assert WordpieceTokenizer({"a": 0, "##a": 1}).tokenize("a" * 200) == [
        "a",
        *["##a"] * 199,
    ]
    assert WordpieceTokenizer({"a": 0}).tokenize("a" * 201) == ["[UNK]"]


def test_special_tokens_are_kept_on_request(vocab_file):
    text = "the [MASK].[SEP]"
    assert FullTokenizer(vocab_file).tokenize(text) == [
        *("the", "[", "[UNK]", "]", ".", "[", "[UNK]", "]")
    ]
    tokenizer = FullTokenizer(vocab_file, special_tokens=("[SEP]", "[MASK]"))
    assert tokenizer.tokenize(text) == ["the", "[MASK]", ".", "[SEP]"]


def test_longer_special_token_wins():
    pattern = wordpiece.special_token_pattern(
        ["ab", "abc"], {"ab": 0, "abc": 1}
    )
    assert wordpiece.split_special_tokens("xabcab", pattern) == [
        ("x", False),
        ("abc", True),
        ("", False),
        ("ab", True),
        ("", False),
    ]


def test_blank_line_is_no_special_token():
    with pytest.raises(UserError, match="lacks the special tokens ''"):
        wordpiece.special_token_pattern([""], {"": 0})


def test_missing_special_token_is_named(vocab_file):
    with pytest.raises(UserError, match=r"lacks .* '\[E1\]'"):
        FullTokenizer(vocab_file, special_tokens=("[SEP]", "[E1]"))
    with pytest.raises(UserError, match=r"must be a list.*'\[SEP\]'"):
        FullTokenizer(vocab_file, special_tokens="[SEP]")


def test_white_space_of_all_kinds():
    assert wordpiece.whitespace_tokenize(" a\u2028b\tc ") == ["a", "b", "c"]
    assert wordpiece.whitespace_tokenize(" \n") == []
    # A vertical tab is a control character: it vanishes and separates nothing.
    assert BasicTokenizer().tokenize("a\x0bb\u2028c") == ["ab", "c"]
