"""What tells tokenizers apart for what is kept on disk."""

import pickle

import pytest

from modeling.tokenization import load_tokenizer

sentencepiece = pytest.importorskip("sentencepiece")


def train(path, lines):
    with path.open("wb") as file:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(lines),
            model_writer=file,
            model_type="unigram",
            vocab_size=16,
            hard_vocab_limit=False,
            user_defined_symbols=["[MASK]"],
            minloglevel=2,
        )
    return path


@pytest.fixture(params=["wordpiece", "sentencepiece"])
def load(request, vocab_file, tmp_path):
    if request.param == "wordpiece":
        return lambda **options: load_tokenizer(vocab_file, **options)
    path = train(tmp_path / "spiece.model", ["a cat sat on a mat"] * 9)
    return lambda **options: load_tokenizer(None, path, **options)


def test_options_count_and_what_was_tokenized_before_does_not(load):
    tokenizer = load()
    digest = tokenizer.digest()
    tokenizer.encode("a cat")
    tokenizer.is_continuation  # noqa: B018 - it is remembered when first asked.
    assert tokenizer.digest() == load().digest() == digest
    assert pickle.loads(pickle.dumps(tokenizer)).digest() == digest
    others = {
        load(do_lower_case=False, strip_accents=True).digest(),
        load(strip_accents=False).digest(),
        load(special_tokens=["[MASK]"]).digest(),
    }
    assert len(others | {digest}) == 4


def test_pieces_with_other_scores_count(tmp_path):
    lines = ["a cat sat on a mat"] * 9
    digests = {
        load_tokenizer(None, train(tmp_path / "one", lines)).digest(),
        load_tokenizer(
            None, train(tmp_path / "two", [*lines, "sat sat"])
        ).digest(),
    }
    assert len(digests) == 2
