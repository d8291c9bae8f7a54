"""The original's numbers, tokenizers and small data."""

import json

import pytest

from modeling.tasks.squad import FeatureSet, WindowOptions
from modeling.tokenization import FastTokenizer, load_tokenizer


@pytest.fixture(scope="session")
def squad_dir(golden_dir):
    return golden_dir / "squad"


@pytest.fixture(scope="session")
def golden_tokenizer(golden_dir):
    """A function: whether to lower-case -> the tokenizer of the numbers."""
    vocab = golden_dir / "vocab.txt"
    tokenizers = {c: load_tokenizer(vocab, do_lower_case=c) for c in (0, 1)}
    return tokenizers.__getitem__


@pytest.fixture(scope="session")
def golden_options():
    """A function: whether questions may have no answer -> windows."""
    return lambda version_2: WindowOptions(64, 16, 12, version_2)


@pytest.fixture(scope="session")
def tokenizer():
    """A vocabulary of few words."""
    tokens = "[PAD] [UNK] [CLS] [SEP] who is steve smith in japan ##ese"
    tokens += " el ##ec ##tron ##ics ' s 19 ##4 ##3 中 国 人 的 ( ) . , 1 a b"
    return FastTokenizer({t: i for i, t in enumerate(tokens.split())})


@pytest.fixture
def make_features(tokenizer):
    """A function: paragraphs -> features in memory."""

    def make(paragraphs, is_training=False, tokenizer=tokenizer, **options):
        options = {"max_seq_length": 16, "max_query_length": 4, **options}
        return FeatureSet.of(
            paragraphs, tokenizer, WindowOptions(**options), is_training
        )

    return make


@pytest.fixture
def write_data(tmp_path):
    """A function: JSON values, or text -> the path of a file of them."""

    def write(values, name="data.json"):
        path = tmp_path / name
        text = values if isinstance(values, str) else json.dumps(values)
        path.write_text(text, encoding="utf-8")
        return str(path)

    return write


@pytest.fixture(scope="session")
def spm_tokenizer(tmp_path_factory):
    """A SentencePiece vocabulary of few words."""
    sentencepiece = pytest.importorskip("sentencepiece")
    directory = tmp_path_factory.mktemp("spm")
    text = directory / "text.txt"
    text.write_text("steve smith japan\n" * 20 + "(smith) who\n" * 20)
    sentencepiece.SentencePieceTrainer.train(
        input=str(text),
        model_prefix=str(directory / "spm"),
        vocab_size=26,
        hard_vocab_limit=False,
        user_defined_symbols="[CLS],[SEP],[MASK],<pad>",
        minloglevel=2,
    )
    return load_tokenizer(spm_model_file=directory / "spm.model")
