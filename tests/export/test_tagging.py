"""Exported taggers, and what they are made of."""

import json

import numpy as np
import pytest
import tensorflow as tf

from modeling.errors import UserError
from modeling.export import Refused, tagging
from modeling.export.graph_wordpiece import GraphWordpiece
from modeling.export.graph_words import WordSplitter, lay_out_words
from modeling.export.samples import TEXTS
from modeling.export.tag_chunks import ChunkFinder
from modeling.tasks.tagging import (
    SentenceEncoder,
    TaggingOptions,
    TagSet,
    split_text,
)
from modeling.tasks.tagging.batches import TaggingExamples
from modeling.tasks.tagging.schemes import find_chunks
from modeling.tokenization import FastTokenizer
from tests.export.models import (
    TYPED_TAGS,
    VOCAB,
    export,
    load,
    record,
    tagger,
)

_BIOES = ("O", *(f"{letter}-{t}" for t in ("X", "Y") for letter in "BIES"))
_SEGMENTS = ("B", "I", "E", "S")
_TAG_SETS = [
    TagSet(TYPED_TAGS, "BIO", "BIO"),
    TagSet(TYPED_TAGS, "BIO", "IOB1"),
    TagSet(_BIOES, "BIOES", "BILOU"),
    TagSet(_SEGMENTS, "BIOES", "BMES", into_characters=True),
]
_WORDS = [
    *(text for (text,) in TEXTS),
    "a",
    "  ",
    "\u2028a\u00a0b\u3000c\x0bd\te\r\nf",
    "\u200b \ufeff a\u200bb",
    "U.S.A. 今天a好,b",
    "x" * 300 + " y",
]


@pytest.mark.parametrize("into_characters", [False, True])
def test_words_are_those_of_split_text(into_characters):
    rng = np.random.default_rng(1)
    alphabet = list("ab .,'\u0301今天\u200b\u2028\t\u00a0😀_")
    texts = _WORDS + ["".join(rng.choice(alphabet, n)) for n in range(60)]
    words = WordSplitter(into_characters)(tf.constant(texts))
    starts = (words.starts - words.bases).numpy()
    ends = (words.ends - words.bases).numpy()
    strings = words.texts(words.starts, words.ends).numpy()
    splits = words.splits.numpy()
    assert len(splits) == len(texts) + 1
    for text, first, end in zip(texts, splits, splits[1:], strict=False):
        sentence = split_text(text, into_characters)
        assert starts[first:end].tolist() == list(sentence.starts)
        assert ends[first:end].tolist() == sentence.ends()
        found = [word.decode() for word in strings[first:end]]
        assert found == list(sentence.words)


@pytest.mark.parametrize(
    ("max_seq_length", "doc_stride"), [(32, None), (9, 3), (3, 1), (12, 10)]
)
def test_rows_are_those_of_training(max_seq_length, doc_stride):
    options = TaggingOptions(max_seq_length, doc_stride)
    tokenizer = FastTokenizer.from_vocab_file(VOCAB)
    encoder = SentenceEncoder(tokenizer, _TAG_SETS[0], options)
    sentences = [split_text(text, False) for text in _WORDS]
    sentences = [sentence for sentence in sentences if sentence.words]
    examples = TaggingExamples(encoder([[s] for s in sentences]))
    wanted = examples.arrays(
        np.arange(len(examples)), max_seq_length, len(examples)
    )

    words = WordSplitter(False)(tf.constant(_WORDS))
    graph_tokenizer = GraphWordpiece(tokenizer)
    laid = lay_out_words(graph_tokenizer, tokenizer.unk_id, words, options)
    for name, values in laid.rows.items():
        width = values.shape[1]
        assert width <= wanted[name].shape[1]
        np.testing.assert_array_equal(values, wanted[name][:, :width])
        assert not wanted[name][:, width:].any()
    # Each word's score is taken from the row that owns the word.
    width = laid.rows["word_mask"].shape[1]
    numbers = np.arange(len(examples) * width, dtype=np.float32)
    chosen = examples.scores(list(numbers.reshape(-1, width, 1)))
    np.testing.assert_array_equal(laid.places, chosen[:, 0])


@pytest.mark.parametrize("tag_set", _TAG_SETS, ids=lambda t: t.file_scheme)
def test_chunks_are_those_of_training(tag_set):
    rng = np.random.default_rng(2)
    texts = [rng.integers(len(tag_set.names), size=n) for n in range(40)]
    lengths = list(map(len, texts))
    ids = np.concatenate(texts).astype(np.int32)
    bases = np.repeat(np.cumsum(lengths), lengths)
    found = ChunkFinder(tag_set)(tf.constant(ids), tf.constant(bases))
    tags, chunks, before = [], [], 0
    for text in texts:
        tags += tag_set.decode(text)
        for kind, start, end in find_chunks(tag_set.names[i] for i in text):
            chunks.append((kind.encode(), before + start, before + end - 1))
        before += len(text)
    assert [tag.decode() for tag in found.tags.numpy()] == tags
    columns = (found.types, found.firsts, found.lasts)
    said = zip(*(column.numpy().tolist() for column in columns), strict=True)
    assert list(said) == chunks


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """A tagger with a softmax: its directory, signatures and description."""
    directory = tmp_path_factory.mktemp("tagger")
    model_dir = tagger(directory / "model", _TAG_SETS[1])
    export(model_dir, directory / "models")
    return directory, *load(directory / "models" / "model" / "1")


def test_tagger(exported):
    _, signatures, info = exported
    assert info["task"] == "tagging"
    assert info["labels"] == list(TYPED_TAGS)
    assert (info["scheme"], info["file_scheme"]) == ("BIO", "IOB1")
    assert info["inputs"] == ["text"]
    # What it says of samples the export has compared with training.
    texts = ["Ann saw Crème brûlée.", "", "b " * 70]
    said = signatures["serving_default"](text=tf.constant(texts))
    said = {name: values.numpy() for name, values in said.items()}
    assert said["tags"].shape == (3, 70)
    for i, text in enumerate(texts):
        sentence = split_text(text, False)
        count = len(sentence.words)
        assert said["word_starts"][i, :count].tolist() == list(sentence.starts)
        assert (said["word_ends"][i, count:] == -1).all()
        assert (said["tags"][i, count:] == b"").all()
        tags = [tag.decode() for tag in said["tags"][i, :count]]
        chunks = list(find_chunks(tags))
        shares = said["probabilities"][i]
        for e, (kind, first, end) in enumerate(chunks):
            start, stop = sentence.starts[first], sentence.ends()[end - 1]
            assert said["entity_types"][i, e].decode() == kind
            assert said["entity_starts"][i, e] == start
            assert said["entity_ends"][i, e] == stop
            assert said["entity_texts"][i, e].decode() == text[start:stop]
            assert said["entity_scores"][i, e] == shares[first:end].min()
        assert (said["entity_starts"][i, len(chunks) :] == -1).all()
        assert (shares[:count] > 0).all()
        assert (shares[:count] <= 1 + 1e-6).all()
    assert (said["entity_starts"] >= 0).any()


def test_tags_of_rows(exported):
    _, signatures, _ = exported
    rows = {
        "input_ids": [[101, 1996, 2003, 102, 0]],
        "input_mask": [[1, 1, 1, 1, 0]],
        "segment_ids": [[0] * 5],
        "word_positions": [[1, 2, 0]],
        "word_mask": [[1, 1, 0]],
    }
    wanted = signatures["token_ids"](
        **{name: tf.constant(v, tf.int32) for name, v in rows.items()}
    )
    assert wanted["scores"].shape == (1, 3, len(TYPED_TAGS))
    padded = {
        name: np.pad(row, (0, (30 if "word" in name else 32) - len(row)))
        for name, (row,) in rows.items()
    }
    said = signatures["examples"](examples=tf.constant([record(**padded)]))
    np.testing.assert_allclose(
        said["scores"][:, :2], wanted["scores"][:, :2], atol=1e-5
    )
    ids = wanted["tag_ids"].numpy()
    np.testing.assert_array_equal(said["tag_ids"][:, :3], ids)
    # No sentence begins inside a chunk.
    assert TYPED_TAGS[ids[0, 0]][0] in "OB"


@pytest.mark.parametrize(
    ("head", "tag_set", "kept"),
    [
        ("bilstm_crf", _TAG_SETS[3], {"doc_stride": 7, "lstm_size": 8}),
        ("crf", _TAG_SETS[2], {"feature_based": True, "combine": "weighted"}),
        ("softmax", TagSet(("B", "NN", "O"), "plain", "plain"), {}),
    ],
    ids=["characters", "frozen", "plain"],
)
def test_other_taggers(tmp_path, head, tag_set, kept):
    # The export compares them with training.
    model_dir = tagger(tmp_path / "model", tag_set, head, **kept)
    export(model_dir, tmp_path / "models")
    signatures, info = load(tmp_path / "models" / "model" / "1")
    said = signatures["serving_default"](text=tf.constant(["ab 今 c."]))
    assert info["into_characters"] == tag_set.into_characters
    count = 5 if tag_set.into_characters else 4
    assert said["tags"].shape == said["probabilities"].shape == (1, count)
    assert ("entity_types" in said) == (tag_set.scheme != "plain")


def test_other_windows_are_refused(exported, monkeypatch):
    directory, *_ = exported

    def lay_out(tokenizer, unk_id, words, options):
        laid = lay_out_words(tokenizer, unk_id, words, options)
        return laid._replace(places=tf.maximum(laid.places - 1, 0))

    monkeypatch.setattr(tagging, "lay_out_words", lay_out)
    with pytest.raises(Refused):
        export(directory / "model", directory / "refused")


def test_tflite_gives_scores(exported):
    directory, *_ = exported
    export(directory / "model", directory / "lite", format="tflite")
    info = directory / "lite" / "model" / "1" / "assets.extra"
    signatures = json.loads((info / "model_info.json").read_text())
    assert signatures["signatures"]["token_ids"]["outputs"] == ["scores"]


def test_a_stride_that_no_row_has_room_for(exported, tmp_path):
    model_dir = tagger(tmp_path / "model", _TAG_SETS[0], doc_stride=20)
    with pytest.raises(UserError, match="doc_stride must be from 1 to 8"):
        export(model_dir, tmp_path / "models", max_seq_length=10)
