"""SentencePiece with ALBERT's treatment of text."""

import pathlib
import pickle

import pytest

from modeling.errors import UserError
from modeling.tokenization import SentencePieceTokenizer, load_tokenizer
from modeling.tokenization.sentencepiece_tokenizer import normalize_text

sentencepiece = pytest.importorskip("sentencepiece")


@pytest.fixture(scope="module")
def model_file(tmp_path_factory) -> pathlib.Path:
    path = tmp_path_factory.mktemp("sentencepiece") / "spiece.model"
    lines = [
        f"the model sold {n}, of {n}00 units, in {1900 + n}, or so"
        for n in range(60)
    ]
    lines += [
        'he said "it is unaffable", and she laughed at İstanbul 中文'
    ] * 30
    with open(path, "wb") as file:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(lines),
            model_writer=file,
            model_type="bpe",
            vocab_size=120,
            # Lets it learn pieces such as "7,".
            split_by_unicode_script=False,
            character_coverage=1.0,
            pad_id=0,
            unk_id=1,
            bos_id=-1,
            eos_id=-1,
            control_symbols=["[CLS]", "[SEP]"],
            user_defined_symbols=["[MASK]"],
            minloglevel=2,
        )
    return path


def test_pieces_rejoin_to_the_normalized_text(model_file):
    tokenizer = SentencePieceTokenizer(model_file, do_lower_case=True)
    tokens = tokenizer.tokenize("  The Módel  SOLD ``units''")
    assert tokens[0] == "▁the"
    assert tokenizer.join_pieces(tokens) == 'the model sold "units"'
    ids = tokenizer.encode("  The Módel  SOLD ``units''")
    assert tokenizer.convert_ids_to_tokens(ids) == tokens
    assert tokenizer.convert_tokens_to_ids(tokens) == ids


def test_case_and_accents_are_kept_on_request(model_file):
    tokenizer = SentencePieceTokenizer(model_file, False, strip_accents=False)
    tokens = tokenizer.tokenize("İstanbul")
    assert tokenizer.join_pieces(tokens) == "İstanbul"
    assert tokenizer.unk_id not in tokenizer.encode("İstanbul")
    assert tokenizer.unk_id in tokenizer.encode("Q")


def test_numbers_are_split_before_a_comma(model_file):
    tokenizer = SentencePieceTokenizer(model_file)
    raw = sentencepiece.SentencePieceProcessor(model_file=str(model_file))
    text = "in  1957, the"
    assert raw.encode(text, out_type=str) == ["▁in", "▁195", "7,", "▁the"]
    tokens = ["▁in", "▁195", "7", ",", "▁the"]
    assert tokenizer.tokenize(text) == tokens
    encoding = tokenizer.encode_with_offsets(text)
    assert encoding.ids == tokenizer.convert_tokens_to_ids(tokens)
    assert encoding.offsets == [(0, 2), (4, 7), (7, 8), (8, 9), (10, 13)]


def test_offsets_point_into_the_original(model_file):
    tokenizer = SentencePieceTokenizer(model_file, do_lower_case=True)
    text = " The  Mo\u0301del\u0301 said ``it'', 中文 ½"
    encoding = tokenizer.encode_with_offsets(text)
    assert encoding.ids == tokenizer.encode(text)
    assert _text_of(text, encoding, tokenizer) == [
        ("▁the", "The"),
        ("▁model", "Mo\u0301del\u0301"),
        ("▁said", "said"),
        ('▁"it', "``it"),
        ('",', "'',"),
        ("▁中文", "中文"),
        ("▁1", "½"),
        ("<unk>", "½"),
        ("2", "½"),
    ]


@pytest.mark.parametrize("lower", [True, False])
@pytest.mark.parametrize("strip", [True, False])
def test_random_offsets_belong_to_the_same_ids(
    model_file, random_texts, lower, strip
):
    tokenizer = SentencePieceTokenizer(model_file, lower, strip, ["[MASK]"])
    for text in random_texts:
        normalized, spans = tokenizer._normalize_aligned(text)
        assert normalized == normalize_text(text, lower, strip)
        assert len(spans) == len(normalized)
        encoding = tokenizer.encode_with_offsets(text)
        assert encoding.ids == tokenizer.encode(text)
        for start, end in encoding.offsets:
            assert 0 <= start <= end <= len(text)


def test_special_ids_and_flags(model_file):
    tokenizer = load_tokenizer(
        spm_model_file=model_file, special_tokens=["[SEP]", "[MASK]"]
    )
    assert isinstance(tokenizer, SentencePieceTokenizer)
    assert (tokenizer.pad_id, tokenizer.unk_id, tokenizer.cls_id) == (0, 1, 2)
    assert (tokenizer.sep_id, tokenizer.mask_id) == (3, 4)
    assert tokenizer.vocab_size == len(tokenizer.is_continuation) == 120
    flags = dict(
        zip(tokenizer.vocab, tokenizer.is_continuation.tolist(), strict=True)
    )
    assert not any(flags[name] for name in ("[CLS]", "[MASK]", "<pad>", "▁the"))
    assert flags["s"]
    encoding = tokenizer.encode_with_offsets("it[SEP] [MASK]")
    assert encoding.ids[-2:] == [3, 4]
    assert encoding.offsets[-2:] == [(2, 7), (8, 14)]


def test_batch_and_pickle(model_file):
    tokenizer = SentencePieceTokenizer(model_file, True, True, ["[MASK]"])
    texts = ["The model [MASK]", "", "sold 1950, units"]
    expected = [tokenizer.encode(text) for text in texts]
    assert tokenizer.encode_batch(texts) == expected
    again = pickle.loads(pickle.dumps(tokenizer))
    assert again.encode_batch(texts) == expected


def test_bad_files_are_named(tmp_path, vocab_file):
    with pytest.raises(UserError, match=r"none\.model: No such file"):
        SentencePieceTokenizer(tmp_path / "none.model")
    with pytest.raises(UserError, match=r"vocab\.txt is not a Sentence.*Word"):
        SentencePieceTokenizer(vocab_file)


def _text_of(text, encoding, tokenizer) -> list[tuple[str, str]]:
    tokens = tokenizer.convert_ids_to_tokens(encoding.ids)
    return [
        (token, text[start:end])
        for token, (start, end) in zip(tokens, encoding.offsets, strict=True)
    ]
