"""What the package offers to every job."""

import subprocess
import sys

import pytest

from modeling.errors import UserError
from modeling.tokenization import FastTokenizer, load_tokenizer


def test_word_piece(vocab_file):
    tokenizer = load_tokenizer(
        vocab_file,
        do_lower_case=False,
        strip_accents=True,
        special_tokens=["[MASK]"],
    )
    assert isinstance(tokenizer, FastTokenizer)
    assert tokenizer.tokenize("A café[MASK]") == ["A", "cafe", "[MASK]"]


def test_exactly_one_file():
    with pytest.raises(UserError, match="Received: vocab_file=None, spm"):
        load_tokenizer()
    with pytest.raises(UserError, match="vocab_file='a', spm_model_file='b'"):
        load_tokenizer("a", "b")


def test_import_needs_neither_tensorflow_nor_sentencepiece():
    code = "import sys, modeling.tokenization; print(*sys.modules)"
    modules = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.split()
    assert "modeling.tokenization" in modules
    assert not {"tensorflow", "keras", "sentencepiece"} & set(modules)
