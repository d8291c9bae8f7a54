"""The fast tokenizer equals the reference, and its offsets are exact."""

import collections
import itertools
import json
import pickle
import unicodedata

import pytest

from modeling.errors import UserError
from modeling.tokenization import fast, unicode_tables
from modeling.tokenization.fast import FastTokenizer
from modeling.tokenization.wordpiece import BasicTokenizer, FullTokenizer

_SPECIAL = ("[MASK]", "[SEP]")
_MOVING_MARKS = frozenset("\u1715\u1734\u302e\U0001d165")


@pytest.mark.golden
@pytest.mark.parametrize("case", ["lower", "cased"])
def test_tokens_match_golden(golden_dir, case):
    tokenizer = FastTokenizer.from_vocab_file(
        golden_dir / "vocab.txt", case == "lower"
    )
    path = golden_dir / "tokenizer" / "tokens.jsonl"
    lines = [json.loads(line) for line in path.open(encoding="utf-8")]
    # Twice: from the reference, then from memory.
    for _ in range(2):
        for line in lines:
            text, ids = line["text"], line[f"{case}_ids"]
            assert tokenizer.encode(text) == ids, line["id"]
            assert tokenizer.tokenize(text) == line[f"{case}_tokens"]
            encoding = tokenizer.encode_with_offsets(text)
            assert encoding.ids == ids
            assert len(encoding.offsets) == len(ids)
    encoded = tokenizer.encode_batch([line["text"] for line in lines])
    assert encoded == [line[f"{case}_ids"] for line in lines]


@pytest.mark.golden
def test_many_texts_in_one_match_golden(golden_dir):
    tokenizer = FastTokenizer.from_vocab_file(golden_dir / "vocab.txt")
    path = golden_dir / "tokenizer" / "tokens.jsonl"
    lines = [json.loads(line) for line in path.open(encoding="utf-8")]
    together = "\n".join(line["text"] for line in lines)
    ids = [index for line in lines for index in line["lower_ids"]]
    assert tokenizer.encode(together) == ids
    assert tokenizer.encode_with_offsets(together).ids == ids


@pytest.mark.golden
@pytest.mark.parametrize("special", [(), _SPECIAL])
@pytest.mark.parametrize("strip", [None, True, False])
@pytest.mark.parametrize("lower", [True, False])
def test_random_text_equals_reference(
    golden_dir, random_texts, lower, strip, special
):
    args = golden_dir / "vocab.txt", lower, strip, special
    reference = FullTokenizer(*args)
    tokenizer = FastTokenizer.from_vocab_file(*args)
    for text in random_texts:
        tokens = reference.tokenize(text)
        assert tokenizer.tokenize(text) == tokens
        ids = reference.convert_tokens_to_ids(tokens)
        assert tokenizer.encode(text) == ids
        assert tokenizer.encode_with_offsets(text).ids == ids


@pytest.mark.golden
@pytest.mark.parametrize("lower", [True, False])
def test_random_offsets_give_the_tokens_back(golden_dir, random_texts, lower):
    tokenizer = FastTokenizer.from_vocab_file(golden_dir / "vocab.txt", lower)
    basic = BasicTokenizer(lower)
    checked = 0
    for text in random_texts:
        # Marks that stay may change places with accents that go.
        if not _MOVING_MARKS.isdisjoint(text):
            continue
        encoding = tokenizer.encode_with_offsets(text)
        tokens = tokenizer.convert_ids_to_tokens(encoding.ids)
        _check_order(text, encoding.offsets)
        cover = collections.Counter(
            itertools.chain.from_iterable(itertools.starmap(range, encoding[1]))
        )
        for token, (start, end) in zip(tokens, encoding.offsets, strict=True):
            # A character that became several tokens holds more than one, and a
            # sigma alone has lost the neighbours that it depends on.
            is_shared = any(cover[index] > 1 for index in range(start, end))
            if token == "[UNK]" or is_shared or token[-1] in "σς":
                continue
            again = "".join(basic.tokenize(text[start:end]))
            assert again == token.removeprefix("##"), (text, token)
            checked += 1
    assert checked > 5000


def _check_order(text: str, offsets: list[tuple[int, int]]) -> None:
    assert all(0 <= start < end <= len(text) for start, end in offsets)
    for (start, end), (next_start, next_end) in itertools.pairwise(offsets):
        assert start <= next_start
        assert end <= next_end
        if next_start < end:
            # Both come from one character.
            assert next_start == end - 1
            shared = text[next_start].lower()
            assert len(unicodedata.normalize("NFD", shared)) > 1


def test_every_printable_character_may_take_the_short_path():
    # split_chunks trusts this for ASCII, whatever the version of Python.
    for character in map(chr, range(128)):
        if character.isprintable() and character != " ":
            assert character not in unicode_tables.CONTROL
            assert not character.isspace()


@pytest.mark.parametrize(
    ("text", "tokens", "offsets"),
    [
        ("  the Café!", ["the", "cafe", "!"], [(2, 5), (6, 10), (10, 11)]),
        # The accent is of its own here, and belongs to the letter.
        ("the cafe\u0301!", ["the", "cafe", "!"], [(0, 3), (4, 9), (9, 10)]),
        # Dropped: outside a word it is outside the span.
        ("\0t\u200bhe\0 a", ["the", "a"], [(1, 5), (7, 8)]),
        ("中，文", ["中", "，", "文"], [(0, 1), (1, 2), (2, 3)]),
        # One syllable, three letters.
        (
            "\ud55c!",
            ["\u1112", "##\u1161", "##\u11ab", "!"],
            [(0, 1), (0, 1), (0, 1), (1, 2)],
        ),
        ("aİs", ["a", "##i", "##s"], [(0, 1), (1, 2), (2, 3)]),
        ("unaffable", ["una", "##ffa", "##ble"], [(0, 3), (3, 6), (6, 9)]),
        # A word that is unknown is so as a whole.
        ("a qzq.", ["a", "[UNK]", "."], [(0, 1), (2, 5), (5, 6)]),
        ("\u0301\u0301", [], []),
        ("", [], []),
    ],
)
def test_offsets(vocab_file, text, tokens, offsets):
    tokenizer = FastTokenizer.from_vocab_file(vocab_file)
    encoding = tokenizer.encode_with_offsets(text)
    assert tokenizer.convert_ids_to_tokens(encoding.ids) == tokens
    assert encoding.offsets == offsets


def test_one_character_may_be_two_when_accents_stay(vocab_file):
    tokenizer = FastTokenizer.from_vocab_file(vocab_file, strip_accents=False)
    encoding = tokenizer.encode_with_offsets("aİa")
    tokens = tokenizer.convert_ids_to_tokens(encoding.ids)
    assert tokens == ["a", "##i", "##\u0307", "##a"]
    assert encoding.offsets == [(0, 1), (1, 2), (1, 2), (2, 3)]


def test_final_sigma_is_decided_by_the_word(vocab_file):
    tokenizer = FastTokenizer.from_vocab_file(vocab_file)
    assert tokenizer.tokenize("ΑΣ, ΑΣ'Α") == [
        *("α", "##ς", ",", "α", "##σ", "'", "α")
    ]


def test_special_tokens_have_offsets(vocab_file):
    tokenizer = FastTokenizer.from_vocab_file(
        vocab_file, special_tokens=_SPECIAL
    )
    encoding = tokenizer.encode_with_offsets("a[MASK] the[SEP]")
    assert encoding.ids == [9, 4, 5, 3]
    assert encoding.offsets == [(0, 1), (1, 7), (8, 11), (11, 16)]


def test_memory_is_bounded(vocab_file, monkeypatch):
    monkeypatch.setattr(fast, "_MAX_CACHED_CHUNKS", 10)
    seen = []
    memory = fast._Memory(lambda key: seen.append(key) or len(key))
    long_key = "x" * 33
    for number in range(25):
        assert memory[str(number)] == len(str(number))
        assert memory[long_key] == 33
        assert len(memory) <= 10
    assert memory["24"] == 2
    assert seen.count("24") == 1
    assert seen.count(long_key) == 25


def test_ids_and_flags(vocab_file):
    tokenizer = FastTokenizer.from_vocab_file(vocab_file)
    assert (tokenizer.pad_id, tokenizer.unk_id, tokenizer.cls_id) == (0, 1, 2)
    assert (tokenizer.sep_id, tokenizer.mask_id) == (3, 4)
    assert tokenizer.vocab_size == len(tokenizer.vocab)
    assert tokenizer.is_continuation.shape == (tokenizer.vocab_size,)
    continuations = tokenizer.convert_ids_to_tokens(
        tokenizer.is_continuation.nonzero()[0]
    )
    assert continuations == [t for t in tokenizer.vocab if t[:2] == "##"]
    assert tokenizer.join_pieces(["una", "##ffa", "##ble"]) == "unaffable"


def test_vocab_size_counts_ids_that_blank_lines_hide():
    tokenizer = FastTokenizer({"[UNK]": 0, "a": 9})
    assert tokenizer.vocab_size == 10
    assert tokenizer.encode("a b") == [9, 0]


def test_missing_special_token_names_the_vocabulary(tmp_path):
    path = tmp_path / "tiny.txt"
    path.write_text("a\nb\n")
    tokenizer = FastTokenizer.from_vocab_file(path)
    assert tokenizer.encode("a b") == [0, 1]
    with pytest.raises(UserError, match=r"tiny\.txt .* lacks .* \[MASK\]"):
        _ = tokenizer.mask_id
    with pytest.raises(UserError, match=r"no token '\[UNK\]'"):
        tokenizer.encode("c")


def test_pickle_keeps_every_setting(vocab_file):
    tokenizer = FastTokenizer.from_vocab_file(vocab_file, False, True, _SPECIAL)
    tokenizer.encode("the una")
    again = pickle.loads(pickle.dumps(tokenizer))
    text = "The café [MASK] A"
    assert again.tokenize(text) == tokenizer.tokenize(text)
    assert again.tokenize(text) == ["[UNK]", "cafe", "[MASK]", "A"]
    assert again.vocab_name == tokenizer.vocab_name


def test_bytes_are_decoded_as_the_reference_does(vocab_file):
    tokenizer = FastTokenizer.from_vocab_file(vocab_file)
    assert tokenizer.tokenize(b"caf\xc3\xa9 \xffa") == ["cafe", "a"]
