"""Learning SentencePiece models that `SentencePieceTokenizer` loads."""

import pytest

from modeling.errors import UserError
from modeling.tokenization import SentencePieceTokenizer
from modeling.tokenization.learning import (
    SentencePieceOptions,
    learn_sentencepiece,
    sentencepiece_learner,
)
from modeling.tokenization.learning.sentencepiece_learner import (
    measure_model,
    normalized_lines,
    sample_lines,
)
from modeling.tokenization.sentencepiece_tokenizer import normalize_text
from tests.tokenization.test_learning import make_text


def learn(model_type="unigram", lines=None, **options):
    options = SentencePieceOptions(
        model_type, **{"vocab_size": 90, "character_coverage": 1.0, **options}
    )
    lines = list(make_text()) if lines is None else lines
    return learn_sentencepiece(list(normalized_lines(lines, options)), options)


@pytest.fixture
def load(tmp_path):
    def load(model, **settings):
        (tmp_path / "spiece.model").write_bytes(model)
        return SentencePieceTokenizer(tmp_path / "spiece.model", **settings)

    return load


@pytest.mark.parametrize("model_type", ["unigram", "bpe"])
def test_the_tokenizer_loads_it(load, model_type):
    tokenizer = load(learn(model_type, num_unused=2), do_lower_case=True)
    assert tokenizer.vocab_size == 90
    first = [tokenizer.inv_vocab[i] for i in range(7)]
    assert first[:5] == ["<pad>", "<unk>", "[CLS]", "[SEP]", "[MASK]"]
    assert first[5:] == ["[unused0]", "[unused1]"]
    ids = tokenizer.pad_id, tokenizer.unk_id, tokenizer.cls_id
    assert ids == (0, 1, 2)
    assert (tokenizer.sep_id, tokenizer.mask_id) == (3, 4)
    tokens = tokenizer.tokenize("Naïve painters paint 中文。")
    assert "".join(tokens) == "▁naive▁painters▁paint▁中文。"
    assert len(tokens) < 20


def test_same_bytes_each_time():
    assert learn() == learn()


@pytest.mark.parametrize(
    "settings",
    [
        {"do_lower_case": True, "strip_accents": True},
        {"do_lower_case": False, "strip_accents": False},
        {"do_lower_case": False, "strip_accents": True},
    ],
)
def test_lines_are_the_tokenizers(random_texts, settings):
    texts = list(random_texts) + ["``a'' b", " a \t b "]
    options = SentencePieceOptions("unigram", **settings)
    expected = [normalize_text(text, **settings) for text in texts]
    expected = filter(None, expected)
    assert list(normalized_lines(texts, options)) == list(expected)


def test_long_lines_are_cut():
    lines = list(normalized_lines(["ab " * 2000], SentencePieceOptions("bpe")))
    assert "".join(lines) == " ".join(["ab"] * 2000)
    assert max(map(len, lines)) == sentencepiece_learner._MAX_LINE


def test_sample_is_even_and_no_larger_than_asked():
    lines = [f"{i:04}" for i in range(1000)]
    assert sample_lines(lines, 4000) == lines
    assert sample_lines(lines, 3999) == lines[::2]
    assert sample_lines(lines, 500) == lines[::8]
    assert sample_lines(["long"], 1) == ["long"]


def test_fit():
    lines = list(normalized_lines(make_text(), SentencePieceOptions("bpe")))
    fit = measure_model(learn(), lines)
    assert fit.words == 300 * 10
    assert fit.unknown == 0
    assert fit.words <= fit.tokens < 5 * fit.words
    assert measure_model(learn(), ["paint 龍"]).unknown == 1


@pytest.mark.parametrize("model_type", ["unigram", "bpe"])
def test_size_that_does_not_fit_tells_the_one_that_does(model_type):
    with pytest.raises(UserError, match=r"at least (\d+) are") as error:
        learn(model_type, vocab_size=10)
    least = int(str(error.value).split("at least ")[1].split()[0])
    assert learn(model_type, vocab_size=least)
    with pytest.raises(UserError, match=r"gives (\d+) pieces") as error:
        learn(model_type, vocab_size=100_000)
    most = int(str(error.value).split("gives ")[1].split()[0])
    assert learn(model_type, vocab_size=most)


def test_text_that_the_learner_refuses_is_told():
    # The character that stands for a space to it, and so is none.
    with pytest.raises(UserError, match="cannot learn from this text"):
        learn_sentencepiece(["\u2581"], SentencePieceOptions("bpe", 8))


@pytest.mark.parametrize(
    "values, message",
    [
        ({"model_type": "word"}, "one of unigram, bpe. Received: 'word'"),
        ({"vocab_size": 4}, "vocab_size must be at least 5"),
        ({"vocab_size": 6, "num_unused": 2}, "vocab_size must be at least 7"),
        ({"num_unused": -1}, "num_unused must be at least 0"),
        ({"character_coverage": 0.5}, "from 0.98 to 1. Received: 0.5"),
    ],
)
def test_options_out_of_range(values, message):
    with pytest.raises(UserError, match=message):
        SentencePieceOptions(**{"model_type": "bpe", **values})
