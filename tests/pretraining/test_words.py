"""Which tokens belong together: Chinese words, phrases, marks."""

import pytest

from modeling.errors import UserError
from modeling.pretraining import WordOptions
from modeling.pretraining.words import LongestMatch, WordEncoder
from modeling.tokenization import FastTokenizer

SENTENCE = "使用语言模型来预测下一个词的概率。"
WORDS = ["使用", "语言", "模型", "来", "预测", "下", "一个", "词", "的", "概率"]


@pytest.fixture
def tokenizer():
    tokens = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *set(SENTENCE)]
    tokens += ["play", "##ing", "new", "york", "city", "in", ",", ".", "bert"]
    return FastTokenizer({token: i for i, token in enumerate(tokens)})


def grouped(tokenizer, options, line, bit=1):
    """Units of a line, their tokens joined by +."""
    ids, joins = WordEncoder(tokenizer, options).encode(line)
    tokens = tokenizer.convert_ids_to_tokens(ids)
    units = []
    for token, join in zip(tokens, joins, strict=True):
        if join & bit:
            units[-1] += f"+{token}"
        else:
            units.append(token)
    return units


def joined(words):
    return ["+".join(word) for word in words]


def test_words_from_spaces(tokenizer):
    line = " ".join([*WORDS, "。"])
    expected = [*joined(WORDS), "。"]
    assert grouped(tokenizer, WordOptions("spaces"), line) == expected
    plain = tokenizer.encode(SENTENCE)
    assert WordEncoder(tokenizer, WordOptions("spaces")).encode(line).ids == (
        plain
    )


def test_words_from_spaces_beside_other_scripts(tokenizer):
    line = "用 bert模型,playing new"
    expected = ["用", "bert", "模+型", ",", "play+##ing", "new"]
    assert grouped(tokenizer, WordOptions("spaces"), line) == expected


def test_words_from_a_dictionary(tokenizer, tmp_path):
    dictionary = tmp_path / "words.txt"
    # As jieba's, with a frequency, and as Notepad's, with a byte order mark;
    # the longest word from the left counts.
    dictionary.write_text(
        "\n".join(["语言模型 5 n", *WORDS, "词的", "型来预测"]), "utf-8-sig"
    )
    options = WordOptions("dictionary", str(dictionary))
    expected = ["使用", "语言模型", "来", "预测", "下", "一个", "词的", "概率"]
    assert grouped(tokenizer, options, SENTENCE) == [*joined(expected), "。"]


def test_words_from_jieba(tokenizer):
    pytest.importorskip("jieba")
    units = grouped(tokenizer, WordOptions("jieba"), SENTENCE)
    assert "语+言" in units or "语+言+模+型" in units
    assert "预+测" in units and "概+率" in units
    assert units[-1] == "。"


def test_without_jieba(tokenizer, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "jieba", None)
    with pytest.raises(UserError, match="pip install jieba"):
        WordEncoder(tokenizer, WordOptions("jieba"))


def test_marked_spans(tokenizer):
    options = WordOptions(marked_spans=True)
    line = "playing in [[new york city]], [[bert]] [[使用语言]]模型"
    assert grouped(tokenizer, options, line, bit=2) == [
        *["play", "##ing", "in", "new+york+city", ",", "bert"],
        *["使+用+语+言", "模", "型"],
    ]
    assert grouped(tokenizer, options, line, bit=1)[0] == "play+##ing"


def test_marks_and_words_together(tokenizer):
    options = WordOptions("spaces", marked_spans=True)
    line = "[[使用 语言]] 模型"
    assert grouped(tokenizer, options, line, 1) == ["使+用", "语+言", "模+型"]
    assert grouped(tokenizer, options, line, 2) == ["使+用+语+言", "模", "型"]


def test_phrases_from_a_dictionary(tokenizer, tmp_path):
    dictionary = tmp_path / "phrases.txt"
    dictionary.write_text("New York\nnew york city\nin\n语言模型\nplay\n")
    options = WordOptions(span_dictionary=str(dictionary))
    line = "playing in New York City, new york. 使用语言模型"
    assert grouped(tokenizer, options, line, bit=2) == [
        *["play", "##ing", "in", "new+york+city", ",", "new+york", "."],
        *["使", "用", "语+言+模+型"],
    ]


def test_a_phrase_ends_with_a_word(tokenizer, tmp_path):
    dictionary = tmp_path / "phrases.txt"
    dictionary.write_text("new play\n")
    options = WordOptions(span_dictionary=str(dictionary))
    units = grouped(tokenizer, options, "new playing new play", bit=2)
    assert units == ["new", "play", "##ing", "new+play"]


def test_longest_match():
    match = LongestMatch(["ab", "abc", "cd", "d", ""])
    assert match.segment("abcdabd") == ["abc", "d", "ab", "d"]
    assert match.segment("xyab") == ["x", "y", "ab"]
    assert list(match.lengths("abc", 0)) == [3, 2]
    assert match.segment("") == []


def test_bad_dictionaries(tokenizer, tmp_path):
    empty = tmp_path / "empty.txt"
    empty.write_text("\n\n")
    with pytest.raises(UserError, match="empty.txt has no entries"):
        WordEncoder(tokenizer, WordOptions("dictionary", str(empty)))
    with pytest.raises(UserError, match="Cannot read .*nowhere.txt"):
        WordEncoder(tokenizer, WordOptions(span_dictionary="nowhere.txt"))
