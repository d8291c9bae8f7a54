"""Text -> corpus: documents, reuse, resuming, errors."""

import gzip
import os

import numpy as np
import pytest

from modeling.errors import UserError
from modeling.pretraining import WordOptions
from modeling.pretraining.corpus import MappedArray
from modeling.pretraining.corpus_writer import open_corpus, prepare_corpus
from modeling.pretraining.encode import BlockEncoder
from modeling.pretraining.resumable import (
    GrowingFiles,
    only_run,
    read_json,
)
from modeling.pretraining.text import read_blocks
from modeling.workers import Workers
from tests.pretraining.conftest import VOCAB

SETTINGS = {"id_type": "<u2", "has_joins": False}


@pytest.fixture
def prepare(tokenizer, tmp_path):
    """Prepares a corpus of files; returns it and its description."""

    def prepare(*files, settings=SETTINGS, encoder=None, num_workers=1):
        encoder = encoder or BlockEncoder(tokenizer, WordOptions())
        directory = str(tmp_path / "corpus")
        with Workers({"encode": encoder}, num_workers) as workers:
            description = prepare_corpus(
                directory,
                [str(file) for file in files],
                settings,
                workers,
                tokenizer.unk_id,
            )
        return open_corpus(directory), description

    return prepare


def documents_of(corpus, tokenizer):
    ids = corpus.ids.tolist()
    sentences = [
        tokenizer.convert_ids_to_tokens(ids[a:b])
        for a, b in zip(corpus.sentences, corpus.sentences[1:], strict=False)
    ]
    return [
        sentences[a:b]
        for a, b in zip(corpus.documents, corpus.documents[1:], strict=False)
    ]


def test_documents(prepare, tokenizer, tmp_path):
    one, two = tmp_path / "1.txt", tmp_path / "2.txt"
    one.write_bytes(
        b"\n\n the dog \nTHE\x00 \r\n \xe3\x80\x80 \n\n\nhome\n\x01\nhome"
    )
    two.write_bytes(b"to\n")
    corpus, description = prepare(one, two)
    # Lines of white space end documents; one whose tokens vanish does not; the
    # end of a file does.
    assert documents_of(corpus, tokenizer) == [
        [["the", "dog"], ["the"]],
        [["home"], ["home"]],
        [["to"]],
    ]
    counts = description["counts"]
    assert (counts["documents"], counts["sentences"], counts["tokens"]) == (
        (3, 5, 6)
    )


@pytest.mark.parametrize("block_bytes", [1, 7, 1 << 20])
def test_blocks_make_no_difference(
    block_bytes, prepare, tokenizer, tmp_path, monkeypatch, text
):
    monkeypatch.setattr("modeling.pretraining.text._BLOCK_BYTES", block_bytes)
    packed = tmp_path / "packed.txt.gz"
    packed.write_bytes(gzip.compress(text.read_bytes()))
    corpus, _ = prepare(text, packed)
    documents = []
    for part in (text.read_text() * 1).strip().split("\n\n"):
        lines = part.split("\n")
        documents.append([tokenizer.tokenize(line) for line in lines])
    assert documents_of(corpus, tokenizer) == documents * 2


def test_ids_are_the_tokenizers(prepare, tokenizer, tmp_path):
    # With everything that a word look-up could get wrong.
    lines = [
        "Unaffable, naïve “café” — 1,000.50! don't [MASK] x" + "y" * 300,
        "tab\there\u3000wide\u2028line\x1fcontrol\x85next\xa0space",
        "中文and英文, 한국어 ภาษาไทย ½ …",
        "e\u0301 \u00ad\ufeffzero width\u200bspace",
        *(VOCAB.parent / "pretraining" / "sample_text.txt")
        .read_text("utf-8")
        .splitlines(),
    ]
    path = tmp_path / "hard.txt"
    path.write_text("\n".join(lines), "utf-8")
    corpus, _ = prepare(path)
    expected = [i for line in lines for i in tokenizer.encode(line.strip())]
    assert corpus.ids.tolist() == expected


def test_a_corpus_is_used_again_while_nothing_changed(
    prepare, tmp_path, tokenizer
):
    path = tmp_path / "a.txt"
    path.write_text("the dog\n\nhome\n")
    _, first = prepare(path)

    def fail(block):
        raise AssertionError("tokenized again")

    assert prepare(path, encoder=fail)[1] == first
    # The same content from other files is the same text; other content, the
    # end of a file in another place or other settings are not.
    with pytest.raises(AssertionError):
        prepare(path, encoder=fail, settings={**SETTINGS, "more": 1})
    path.write_text("the dog\n\nhome\nhome\n")
    corpus, second = prepare(path)
    assert second["text"] != first["text"]
    assert len(documents_of(corpus, tokenizer)[1]) == 2


@pytest.mark.parametrize("name", ["ids.bin", "sentences.bin", "documents.bin"])
def test_a_corpus_that_lost_a_part_is_made_anew(
    name, prepare, tmp_path, text, tokenizer
):
    expected = documents_of(prepare(text)[0], tokenizer)
    path = tmp_path / "corpus" / name
    path.write_bytes(path.read_bytes()[:-8])
    assert documents_of(prepare(text)[0], tokenizer) == expected
    path.unlink()
    assert documents_of(prepare(text)[0], tokenizer) == expected


def test_a_corpus_is_tokenized_by_one_run(prepare, tmp_path, text):
    (tmp_path / "corpus").mkdir()
    with only_run(str(tmp_path / "corpus" / "lock"), "it"):
        with pytest.raises(UserError, match="Another run is writing .*corpus"):
            prepare(text)
    prepare(text)


def test_a_pipe_is_read_once(prepare, text, tokenizer):
    def prepare_from(content):
        pipe, end = os.pipe()
        # Small enough for the pipe to hold.
        os.write(end, content)
        os.close(end)
        try:
            return documents_of(prepare(f"/dev/fd/{pipe}")[0], tokenizer)
        finally:
            os.close(pipe)

    content = text.read_bytes()
    expected = documents_of(prepare(text)[0], tokenizer)
    assert prepare_from(content) == expected
    # What an earlier run has left cannot be compared without reading.
    with pytest.raises(UserError, match="not UTF-8"):
        prepare_from(content + b"\xff\n")
    assert prepare_from(b"home\n\n" + content)[0] == [["home"]]


def test_an_interrupted_corpus_is_gone_on_with(
    prepare, tmp_path, tokenizer, text, monkeypatch
):
    monkeypatch.setattr("modeling.pretraining.text._BLOCK_BYTES", 100)
    module = "modeling.pretraining.resumable._SECONDS_BETWEEN_RECORDS"
    monkeypatch.setattr(module, 0)
    whole, description = prepare(text)
    expected = documents_of(whole, tokenizer)
    for name in os.listdir(tmp_path / "corpus"):
        os.remove(tmp_path / "corpus" / name)
    encoder = BlockEncoder(tokenizer, WordOptions())
    encoded = []

    def stop_after_ten(block):
        if len(encoded) == 10:
            raise KeyboardInterrupt
        encoded.append(block)
        return encoder(block)

    with pytest.raises(KeyboardInterrupt):
        prepare(text, encoder=stop_after_ten)
    assert not (tmp_path / "corpus" / "corpus.json").exists()
    # What was written after the last record does not count.
    with open(tmp_path / "corpus" / "ids.bin", "ab") as file:
        file.write(b"garbage")
    encoded = []
    corpus, again = prepare(
        text, encoder=lambda block: encoded.append(block) or encoder(block)
    )
    assert documents_of(corpus, tokenizer) == expected
    assert again == description
    assert len(encoded) == description["counts"]["blocks"] - 10


def test_an_interrupted_corpus_of_another_text_is_begun_anew(
    prepare, tmp_path, tokenizer, text, monkeypatch
):
    monkeypatch.setattr("modeling.pretraining.text._BLOCK_BYTES", 100)
    module = "modeling.pretraining.resumable._SECONDS_BETWEEN_RECORDS"
    monkeypatch.setattr(module, 0)
    bad = tmp_path / "bad.txt"
    bad.write_bytes(text.read_bytes() + b"caf\xe9\n")
    with pytest.raises(UserError):
        prepare(bad)
    assert read_json(str(tmp_path / "corpus" / "partial.json"))
    other = tmp_path / "other.txt"
    other.write_text("home\n\n" + text.read_text())
    corpus, _ = prepare(other)
    assert documents_of(corpus, tokenizer)[0] == [["home"]]
    assert corpus.num_documents == 41


def test_workers_make_no_difference(prepare, tokenizer, text, monkeypatch):
    monkeypatch.setattr("modeling.pretraining.text._BLOCK_BYTES", 500)
    corpus, description = prepare(text)
    expected = documents_of(corpus, tokenizer)
    os.remove(os.path.join(os.path.dirname(text), "corpus", "corpus.json"))
    corpus, again = prepare(text, num_workers=2)
    assert documents_of(corpus, tokenizer) == expected
    assert again == description


def test_joins_are_kept(prepare, tokenizer, tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("[[the dog]] to\n\nhome\n")
    settings = {"id_type": "<u2", "has_joins": True}
    encoder = BlockEncoder(tokenizer, WordOptions(marked_spans=True))
    corpus, _ = prepare(path, settings=settings, encoder=encoder)
    assert corpus.joins.tolist() == [0, 2, 0, 0]
    corpus, _ = prepare(path)
    assert corpus.joins is None


def test_text_that_cannot_be_used(prepare, tmp_path):
    good = tmp_path / "good.txt"
    good.write_text("the dog\n" * 9)
    latin = tmp_path / "latin.txt"
    latin.write_bytes(b"the dog\n\nthe caf\xe9\n")
    with pytest.raises(
        UserError, match=r"latin.txt, line 3, byte 8: not UTF-8"
    ):
        prepare(good, latin)
    for content in ("", "\n \n", "\x01\n"):
        good.write_text(content)
        with pytest.raises(UserError, match="no tokens to train on.*good.txt"):
            prepare(good)
    (tmp_path / "cut.gz").write_bytes(gzip.compress(b"the dog\n" * 99)[:-9])
    with pytest.raises(UserError, match="Cannot read .*cut.gz"):
        prepare(tmp_path / "cut.gz")


def test_lines_are_counted_over_blocks(tmp_path, monkeypatch):
    monkeypatch.setattr("modeling.pretraining.text._BLOCK_BYTES", 10)
    path = tmp_path / "a.txt"
    path.write_bytes(b"the dog ran\n" * 20 + b"\xff\n" + b"home\n" * 5)
    with pytest.raises(UserError, match="line 21, byte 1: not UTF-8"):
        for block in read_blocks([str(path)]):
            block.lines()


@pytest.mark.parametrize("large", [0, 1 << 40])
def test_large_arrays_give_memory_back(large, tmp_path, monkeypatch):
    monkeypatch.setattr("modeling.pretraining.corpus._LARGE", large)
    monkeypatch.setattr("modeling.pretraining.corpus._PLACES", 1000)
    path = tmp_path / "x.bin"
    values = np.arange(1 << 20, dtype="<i8")
    values.tofile(path)
    array = MappedArray(str(path), "<i8")
    assert array.is_large == (large == 0)
    assert array.values.sum() == values.sum()
    array.release()
    places = np.random.default_rng(0).integers(0, len(values), 4321)
    np.testing.assert_array_equal(array.take(places), places)


def test_growing_files_of_other_settings_are_discarded(tmp_path):
    record, path = str(tmp_path / "record"), str(tmp_path / "x")
    with GrowingFiles(record, [path], {"a": 1}) as files:
        files.append(path, b"first")
        files.count({"n": 1}, now=True)
        files.append(path, b"more")
    with GrowingFiles(record, [path], {"a": 1}) as files:
        assert files.state == {"n": 1}
        files.append(path, b" second")
    assert (tmp_path / "x").read_bytes() == b"first second"
    with GrowingFiles(record, [path], {"a": 2}) as files:
        assert files.state is None
    assert (tmp_path / "x").read_bytes() == b""
    os.remove(path)
    with GrowingFiles(record, [path], {"a": 1}) as files:
        assert files.state is None
