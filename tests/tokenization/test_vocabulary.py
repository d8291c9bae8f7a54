"""Vocabulary files and looking tokens up."""

import json

import pytest

from modeling.errors import UserError
from modeling.tokenization import vocabulary


@pytest.mark.golden
def test_quirks_match_golden(golden_dir):
    folder = golden_dir / "tokenizer"
    golden = json.loads((folder / "vocab_quirks.json").read_text())
    vocab = vocabulary.load_vocab(folder / "vocab_quirks.txt")
    assert list(map(list, vocab.items())) == golden["token_to_id_in_order"]
    inverted = sorted(vocabulary.invert_vocab(vocab).items())
    assert list(map(list, inverted)) == golden["id_to_token"]


def test_missing_file_is_named(tmp_path):
    path = tmp_path / "none.txt"
    with pytest.raises(UserError, match=r"none\.txt: No such file"):
        vocabulary.load_vocab(path)


def test_line_that_is_not_utf8_is_named(tmp_path):
    path = tmp_path / "latin1.txt"
    path.write_bytes("[PAD]\nthe\ncafé\n".encode("latin-1"))
    with pytest.raises(UserError, match=r"latin1\.txt .* line 3 .* 0xe9"):
        vocabulary.load_vocab(path)


def test_empty_file_is_refused(tmp_path):
    path = tmp_path / "empty.txt"
    path.write_bytes(b"")
    with pytest.raises(UserError, match=r"empty\.txt is empty"):
        vocabulary.load_vocab(path)


def test_byte_order_mark_is_no_part_of_a_token(tmp_path):
    path = tmp_path / "notepad.txt"
    path.write_bytes(b"\xef\xbb\xbf[PAD]\r\nthe\r\n")
    assert vocabulary.load_vocab(path) == {"[PAD]": 0, "the": 1}


def test_shared_id_is_refused():
    with pytest.raises(UserError, match="'a' and 'b' share the id 7"):
        vocabulary.invert_vocab({"a": 7, "c": 1, "b": 7})


def test_lookup_both_ways():
    vocab = {"[UNK]": 0, "a": 3}
    inverted = vocabulary.invert_vocab(vocab)
    assert vocabulary.convert_tokens_to_ids(vocab, ["a", "[UNK]"]) == [3, 0]
    assert vocabulary.convert_ids_to_tokens(inverted, [3, 3]) == ["a", "a"]
    with pytest.raises(UserError, match="no token 'b'"):
        vocabulary.convert_tokens_to_ids(vocab, ["a", "b"])
    with pytest.raises(UserError, match="no id 2"):
        vocabulary.convert_ids_to_tokens(inverted, [2])
