"""Lower-casing against checkpoint names, files and vocabularies."""

import json
import string

import pytest

from modeling.errors import UserError
from modeling.tokenization import case


@pytest.mark.golden
def test_verdicts_and_messages_match_golden(golden_dir):
    path = golden_dir / "tokenizer" / "validate_case.json"
    for line in json.loads(path.read_text()):
        args = line["do_lower_case"], line["init_checkpoint"]
        if line["ok"]:
            case.validate_case_matches_checkpoint(*args)
            continue
        with pytest.raises(UserError) as caught:
            case.validate_case_matches_checkpoint(*args)
        assert str(caught.value) == line["error"]


def test_setting_is_read_from_the_first_file_that_has_it(tmp_path):
    assert case.read_case_setting(tmp_path) is None
    _write(tmp_path / "config.json", {"do_lower_case": True})
    assert case.read_case_setting(tmp_path) is True
    _write(tmp_path / "bert_config.json", {"vocab_size": 3})
    assert case.read_case_setting(tmp_path) is True
    _write(tmp_path / "tokenizer_config.json", {"do_lower_case": False})
    assert case.read_case_setting(tmp_path) is False


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "is not JSON"),
        ("[1]", r"must hold a JSON object. Received: \[1\]"),
        ('{"do_lower_case": "no"}', "true or false. Received: 'no'"),
    ],
)
def test_bad_setting_names_the_file(tmp_path, content, message):
    (tmp_path / "tokenizer_config.json").write_text(content)
    with pytest.raises(UserError, match=f"tokenizer_config.json.*{message}"):
        case.read_case_setting(tmp_path)


def test_capitals_in_the_vocabulary_are_evidence():
    lower = [a + b for a in string.ascii_lowercase for b in "abcdefgh"]
    upper = [token.title() for token in lower]
    specials = ["[PAD]", "[CLS]", "<S>", "中", "##1"]
    describe = case.describe_case_mismatch
    assert describe(True, specials + lower) is None
    assert describe(False, specials + lower + upper) is None
    message = describe(True, specials + lower + upper)
    assert "208 of the vocabulary's 416 Latin pieces" in message
    message = describe(False, specials + lower)
    assert "none of the vocabulary's 208 Latin pieces" in message
    # A few capitals were added by hand; a few pieces prove nothing.
    assert describe(True, lower + upper[:3]) is None
    assert describe(False, lower[:50]) is None


def _write(path, values):
    path.write_text(json.dumps(values))
