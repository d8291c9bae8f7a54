"""The tokenizer in the graph gives the ids, and offsets, of the reference."""

import json
import pathlib

import pytest
import tensorflow as tf

from modeling.errors import UserError
from modeling.export.graph_wordpiece import GraphWordpiece
from modeling.tokenization import FastTokenizer
from tests.tokenization.conftest import (  # noqa: F401
    random_texts,
    vocab_file,
)

_CHINESE_VOCAB = pathlib.Path("../shared/data/zh_bert/vocab.txt")


def graph(tokenizer):
    """The tokenizer as a function from strings to lists of ids and offsets."""
    function = tf.function(
        GraphWordpiece(tokenizer),
        input_signature=[tf.TensorSpec([None], tf.string)],
    )

    def tokenize(texts):
        tokens = function(tf.constant(texts, tf.string))
        ids, starts, ends = (
            tf.RaggedTensor.from_row_splits(values, tokens.splits).to_list()
            for values in (tokens.ids, tokens.starts, tokens.ends)
        )
        offsets = [
            list(zip(a, b, strict=True))
            for a, b in zip(starts, ends, strict=True)
        ]
        return ids, offsets

    return tokenize


def check(tokenizer, texts):
    """Compares with the tokenizer, whose ids are the reference's."""
    ids, offsets = graph(tokenizer)(texts)
    assert len(ids) == len(texts)
    for text, got, places in zip(texts, ids, offsets, strict=True):
        expected = tokenizer.encode_with_offsets(text)
        assert got == expected.ids, text
        assert places == expected.offsets, text


@pytest.mark.golden
@pytest.mark.parametrize("case", ["lower", "cased"])
def test_tokens_match_golden(golden_dir, case):
    tokenizer = FastTokenizer.from_vocab_file(
        golden_dir / "vocab.txt", case == "lower"
    )
    path = golden_dir / "tokenizer" / "tokens.jsonl"
    lines = [json.loads(line) for line in path.open(encoding="utf-8")]
    ids, _ = graph(tokenizer)([line["text"] for line in lines])
    for line, got in zip(lines, ids, strict=True):
        assert got == line[f"{case}_ids"], line["id"]


@pytest.mark.golden
@pytest.mark.parametrize("strip", [None, True, False])
@pytest.mark.parametrize("lower", [True, False])
def test_random_text_equals_reference(golden_dir, random_texts, lower, strip):  # noqa: F811
    vocab = golden_dir / "vocab.txt"
    tokenizer = FastTokenizer.from_vocab_file(vocab, lower, strip)
    check(tokenizer, list(random_texts))


@pytest.mark.parametrize("lower", [True, False])
@pytest.mark.skipif(not _CHINESE_VOCAB.exists(), reason="no Chinese vocabulary")
def test_chinese_vocabulary(lower):
    tokenizer = FastTokenizer.from_vocab_file(_CHINESE_VOCAB, lower)
    check(
        tokenizer,
        ["今天，天气很好！（全角）①½…", "BERT在2018年由Google提出。", "ＡＢＣ"],
    )


@pytest.mark.parametrize(
    "text",
    [
        "",
        " \n",
        "the Café! unaffable",
        "a" * 200,
        "a" * 201,
        "a " + "i" * 500 + " the",
        "\u0301\u0301",
        "the cafe\u0301!\u0301 a",
        "中\u0301文 ，",
        "\ufeffthe\ufeff a",
        "ΑΣ, ΑΣ'Α ΑΣ. Σ ΑΣ\u0301 ΣΑ\u200bΣ",
        "aİs \ud55c",
        "e\u302e\u0301\U0001d165\u302e",
        "[MASK] [UNK]\0 ##ing",
    ],
)
def test_every_text_alone(vocab_file, text):  # noqa: F811
    for strip in (None, False):
        tokenizer = FastTokenizer.from_vocab_file(vocab_file, True, strip)
        check(tokenizer, [text])
        check(tokenizer, [text, "", "the " + text])


def test_no_texts(vocab_file):  # noqa: F811
    ids, _ = graph(FastTokenizer.from_vocab_file(vocab_file))([])
    assert ids == []


def test_bytes_that_are_not_utf8_are_passed_over(vocab_file):  # noqa: F811
    tokenizer = FastTokenizer.from_vocab_file(vocab_file)
    texts = [b"caf\xc3\xa9 \xffa", b"\xe4\xb8", b"\xed\xa0\x80the"]
    ids, _ = graph(tokenizer)(texts)
    assert ids == [tokenizer.encode(text) for text in texts]


def test_vocabulary_with_gaps(golden_dir):
    vocab = golden_dir / "tokenizer" / "vocab_quirks.txt"
    tokens = vocab.read_text(encoding="utf-8")
    assert "\n\n" in tokens.replace("\r", "")
    gapped = {"[PAD]": 0, "[UNK]": 7, "[CLS]": 2, "[SEP]": 3, "": 4, "a": 9}
    check(FastTokenizer(gapped), ["a b", "", "a a"])


def test_unknown_words_need_unk():
    tokenizer = FastTokenizer({"[PAD]": 0, "[CLS]": 1, "[SEP]": 2, "a": 3})
    with pytest.raises(UserError, match="UNK"):
        GraphWordpiece(tokenizer)


def test_special_tokens_are_refused(vocab_file):  # noqa: F811
    tokenizer = FastTokenizer.from_vocab_file(
        vocab_file, special_tokens=["[MASK]"]
    )
    with pytest.raises(ValueError, match="MASK"):
        GraphWordpiece(tokenizer)
