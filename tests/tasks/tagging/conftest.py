"""A small tokenizer, files and sentences."""

import pytest

from modeling.tasks.tagging import Sentence
from modeling.tasks.tagging.sentences import join_words
from modeling.tokenization import FastTokenizer

TOKENS = "[PAD] [UNK] [CLS] [SEP] a b c d ##a ##b ##c 中 国 人"


@pytest.fixture(scope="session")
def tokenizer():
    return FastTokenizer({t: i for i, t in enumerate(TOKENS.split())})


@pytest.fixture
def write(tmp_path):
    """A function: name, content -> the path of a file."""

    def write_file(name, content):
        path = tmp_path / name
        path.write_text(content, encoding="utf-8")
        return str(path)

    return write_file


@pytest.fixture(scope="session")
def sentence():
    """A function: words and tags, each in one text -> a sentence."""

    def make(words, tags=None, document=None, source="s.txt", line=1):
        words = tuple(words.split(" "))
        return Sentence(
            words,
            None if tags is None else tuple(tags.split()),
            *join_words(words),
            document,
            source,
            tuple(range(line, line + len(words))),
        )

    return make
