"""Character classes, case and decomposition are those of Unicode 14.0."""

import json
import random
import re
import unicodedata

import pytest

from modeling.tokenization import unicode_tables


def _characters(ranges: list[list[int]]) -> set[str]:
    return {chr(code) for a, b in ranges for code in range(a, b + 1)}


@pytest.fixture(scope="module")
def golden(golden_dir) -> dict:
    return json.loads(
        (golden_dir / "tokenizer" / "unicode_tables.json").read_text()
    )


@pytest.mark.golden
def test_classes_match_golden(golden):
    assert golden["unicode_version"] == "14.0.0"
    assert unicode_tables.CONTROL == _characters(golden["control"])
    assert unicode_tables.WHITESPACE == _characters(golden["whitespace"])
    assert unicode_tables.PUNCTUATION == _characters(golden["punctuation"])
    assert unicode_tables.MARKS == _characters(golden["mark_nonspacing"])
    cjk = re.compile(f"[{unicode_tables.CJK_CLASS}]")
    every = "".join(map(chr, (*range(0xD800), *range(0xE000, 0x110000))))
    assert set(cjk.findall(every)) == _characters(golden["chinese"])
    # str.split is used as it is: this has not changed between versions.
    spaces = {character for character in every if character.isspace()}
    assert spaces == _characters(golden["python_isspace"])


@pytest.mark.golden
def test_folding_matches_golden(golden):
    fold = {chr(int(code, 16)): to for code, to in golden["fold"].items()}
    others = random.Random(1).sample(range(0x110000), 20_000)
    for character in [*fold, *map(chr, others)]:
        if "\uac00" <= character <= "\ud7a3":
            expected = unicodedata.normalize("NFD", character)
        elif character in unicode_tables.MARKS:
            expected = ""
        else:
            expected = fold.get(character, character)
        lowered = unicode_tables.lower(character)
        assert unicode_tables.strip_accents(lowered) == expected


def test_final_sigma_depends_on_its_neighbours():
    assert unicode_tables.lower("ΑΣ ΑΣΑ") == "ας ασα"
    # A letter of Unicode 14.0, which Python 3.10 does not know, is a letter ...
    assert unicode_tables.lower("Α\U00010570Σ") == "α\U00010597ς"
    assert unicode_tables.lower("ΑΣ\U00010570") == "ασ\U00010597"
    # ... its accent is looked through ...
    assert unicode_tables.lower("ΑΣ\u0898Α") == "ασ\u0898α"
    # ... and a letter of 15.0, which Python 3.12 knows, is nothing.
    assert unicode_tables.lower("ΑΣ\U0001e030") == "ας\U0001e030"


def test_only_one_small_letter_is_two_characters():
    longer = [
        character
        for character in map(chr, range(0x110000))
        if len(character.lower()) != 1
    ]
    assert longer == ["İ"]
    assert unicode_tables.lower_characters("aİΑΣ") == ["a", "i̇", "α", "ς"]


def test_decompose_follows_marks_that_change_places():
    # U+0323 (below, class 220) goes before U+0301 (above, class 230).
    assert unicode_tables.decompose("xé\u0323y") == [
        ("x", 0),
        ("e", 1),
        ("\u0323", 1),
        ("\u0301", 2),
        ("y", 3),
    ]
    # U+1DFA came with Unicode 14.0: class 218, so it goes first.
    assert unicode_tables.decompose("a\u0323\u1dfa") == [
        ("a", 0),
        ("\u1dfa", 1),
        ("\u0323", 2),
    ]


def test_by_character_equals_by_text(random_texts):
    for text in random_texts:
        lowered = unicode_tables.lower(text)
        assert "".join(unicode_tables.lower_characters(text)) == lowered
        parts = [part for part, _ in unicode_tables.decompose(text)]
        kept = [part for part in parts if part not in unicode_tables.MARKS]
        assert "".join(kept) == unicode_tables.strip_accents(text)


def test_equals_python_of_the_same_unicode(random_texts):
    if unicodedata.unidata_version != "14.0.0":
        pytest.skip("this Python has another Unicode version")
    for text in random_texts:
        assert unicode_tables.lower(text) == text.lower()
        parts = [part for part, _ in unicode_tables.decompose(text)]
        assert "".join(parts) == unicodedata.normalize("NFD", text)
