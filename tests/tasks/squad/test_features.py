"""Windows, rows and their cache."""

import json

import numpy as np
import pytest
import tensorflow as tf

from modeling.errors import UserError
from modeling.records import encode_records, parse_spec
from modeling.tasks.squad import (
    FIRST_UNIQUE_ID,
    FeatureSet,
    Paragraph,
    Question,
    WindowOptions,
    cache,
    encode,
    prepare_features,
    read_paragraphs,
    record_features,
)
from modeling.tasks.squad.alignment import locate_answer
from modeling.tasks.squad.words import split_words
from modeling.tasks.windows import cut_windows, max_context_window
from modeling.tokenization import FastTokenizer


def read_jsonl(path):
    if not path.exists():
        pytest.skip(f"{path.name} is not in this set of golden files")
    return [json.loads(line) for line in path.read_text().splitlines()]


FILES = [
    ("train-v1.1", "lower"),
    ("dev-v1.1", "lower"),
    ("dev-v1.1", "cased"),
    ("train-v2.0", "lower"),
    ("dev-v2.0", "lower"),
]


@pytest.fixture
def prepare(squad_dir, golden_tokenizer, golden_options, tmp_path):
    """A function: file, tag -> features of the golden settings."""

    def prepare(file, tag):
        return prepare_features(
            str(squad_dir / f"{file}.json"),
            golden_tokenizer(tag == "lower"),
            golden_options("v2" in file),
            file.startswith("train"),
            str(tmp_path),
        )

    return prepare


@pytest.mark.golden
@pytest.mark.parametrize(("file", "tag"), FILES)
def test_features(prepare, squad_dir, golden_tokenizer, file, tag):
    expected = read_jsonl(squad_dir / f"{file}.{tag}.features.jsonl")
    features = prepare(file, tag)
    paragraphs = list(read_paragraphs(str(squad_dir / f"{file}.json")))
    columns = features.columns(np.arange(len(features)), 64)
    assert len(features) == len(expected)
    for index, feature in enumerate(expected):
        question, start, length = features.windows[index, :3]
        paragraph = features.questions[question, encode.PARAGRAPH]
        spans = features.windows[slice(*features.first_windows[question:][:2])]
        context = paragraphs[paragraph].context
        _, offsets = features.tokens_of_paragraph(paragraph)
        part = slice(start, start + length)
        owner = max_context_window(spans[:, encode.START : encode.LENGTH + 1])
        span_index = index - features.first_windows[question]
        tokens = golden_tokenizer(tag == "lower").convert_ids_to_tokens(
            features.row(index).tolist()
        )
        actual = {
            "unique_id": columns["unique_ids"][index],
            "example_index": question,
            "doc_span_index": span_index,
            "tokens": tokens,
            "first_doc_token": features.query_lengths[index] + 2,
            "token_to_orig": split_words(context).at(offsets[part, 0]).tolist(),
            "token_is_max_context": "".join(
                str(int(window == span_index)) for window in owner[part]
            ),
            "input_ids": columns["input_ids"][index].tolist(),
            "mask_length": features.lengths[index],
            "segment_ids": "".join(map(str, columns["segment_ids"][index])),
            "start_position": columns["start_positions"][index],
            "end_position": columns["end_positions"][index],
            "is_impossible": columns["is_impossible"][index],
        }
        if not file.startswith("train"):
            feature |= {"start_position": 0, "end_position": 0}
        assert actual == feature


@pytest.mark.golden
@pytest.mark.parametrize("file", ["train-v1.1", "train-v2.0", "dev-v2.0"])
def test_examples(prepare, squad_dir, file):
    expected = read_jsonl(squad_dir / f"{file}.examples.jsonl")
    lost = {unaligned.id for unaligned in prepare(file, "lower").unaligned}
    actual = []
    for paragraph in read_paragraphs(str(squad_dir / f"{file}.json")):
        words = split_words(paragraph.context)
        for question in paragraph.questions:
            if question.id in lost:
                continue
            text, start, end = None, None, None
            if file.startswith("train"):
                text, start, end = "", -1, -1
                for answer in question.answers:
                    span = locate_answer(paragraph.context, words, answer)
                    text = answer.text
                    start, end = words.at(np.array(span) - [0, 1]).tolist()
            impossible = file.startswith("train") and question.is_impossible
            actual.append(
                {
                    "qas_id": question.id,
                    "question_text": question.text,
                    "doc_tokens": words.texts,
                    "orig_answer_text": text,
                    "start_position": start,
                    "end_position": end,
                    "is_impossible": bool(impossible),
                }
            )
    assert actual == expected


@pytest.mark.golden
def test_records(prepare, squad_dir, tmp_path):
    features = prepare("train-v1.1", "lower")
    schema = record_features(64, is_training=True)
    columns = features.columns(np.arange(len(features)), 64)
    columns = {k: v.reshape(len(v), -1) for k, v in columns.items()}
    (tmp_path / "ours").write_bytes(encode_records(columns, schema).tobytes())
    golden = squad_dir / "train-v1.1.lower.tfrecord"
    ours, theirs = (
        list(tf.data.TFRecordDataset(str(path)))
        for path in (tmp_path / "ours", golden)
    )
    parsed = tf.io.parse_example(theirs, parse_spec(schema))
    for name, values in tf.io.parse_example(ours, parse_spec(schema)).items():
        np.testing.assert_array_equal(values, parsed[name])
        np.testing.assert_array_equal(values, columns[name])


@pytest.mark.golden
def test_windows_and_max_context(squad_dir):
    helpers = json.loads((squad_dir / "helpers.json").read_text())
    for case in helpers["max_context"]:
        windows = cut_windows(
            case["tokens"], case["max_tokens_for_doc"], case["doc_stride"]
        )
        assert windows.tolist() == case["spans"]
        owner = max_context_window(windows).tolist()
        assert owner == case["max_context_span_of_token"]


def test_windows_cover_everything_once_they_are_cut():
    for num_tokens in range(30):
        for size in range(1, 9):
            for stride in range(1, 11):
                windows = cut_windows(num_tokens, size, stride)
                covered = {
                    t for s, n in windows.tolist() for t in range(s, s + n)
                }
                assert covered == set(range(num_tokens))
                assert (windows[:-1].sum(axis=1) < num_tokens).all()
    assert max_context_window(cut_windows(0, 5, 5)).tolist() == []


def test_a_row(make_features, tokenizer):
    paragraph = Paragraph("Steve Smith's", (Question("q", "Who is?"),))
    features = make_features([paragraph], max_seq_length=9, max_query_length=2)
    assert features.lengths.tolist() == [9]
    columns = features.columns([0], 11)
    # The question is cut to two tokens.
    tokens = "[CLS] who is [SEP] steve smith ' s [SEP] [PAD] [PAD]".split()
    assert tokenizer.convert_ids_to_tokens(columns["input_ids"][0]) == tokens
    assert columns["input_mask"][0].tolist() == [1] * 9 + [0] * 2
    assert columns["segment_ids"][0].tolist() == [0] * 4 + [1] * 5 + [0] * 2
    assert columns["unique_ids"].tolist() == [FIRST_UNIQUE_ID]


def test_context_counts_more_in_a_longer_window():
    # Of 300 and 182 tokens, worth 3.00 and 1.82 beside the context itself.
    owner = max_context_window(cut_windows(310, 300, 128)).tolist()
    # Token 214 has 85 on its short side in the first and 86 in the second.
    assert owner[213:216] == [0, 0, 1]


@pytest.fixture
def prepare_small(write_data, tokenizer, tmp_path):
    """A function: changes -> windows, by way of the cache."""

    def prepare(
        question="who", vocab=None, lower=True, training=False, **sizes
    ):
        qa = {
            "id": "q",
            "question": question,
            "answers": [{"text": "Steve", "answer_start": 0}],
        }
        path = write_data(
            {"data": [{"context": "Steve Smith", "qas": [qa]}]}, "small.json"
        )
        options = {"max_seq_length": 16, "max_query_length": 4, **sizes}
        return prepare_features(
            path,
            FastTokenizer(vocab or tokenizer.vocab, lower, strip_accents=True),
            WindowOptions(**options),
            training,
            str(tmp_path / "cache"),
        ).windows

    return prepare


@pytest.mark.parametrize(
    "change",
    [
        {"question": "is"},
        {"lower": False},
        {"training": True},
        {"max_seq_length": 15},
        {"max_query_length": 3},
        {"doc_stride": 3},
        {"version_2_with_negative": True},
        {"vocab": {"[PAD]": 0, "[UNK]": 1, "[CLS]": 2, "[SEP]": 3}},
    ],
)
def test_cache_is_used_for_the_same_only(
    prepare_small, tmp_path, monkeypatch, change
):
    first = prepare_small()
    assert isinstance(first, np.memmap)
    with monkeypatch.context() as patch:
        patch.setattr(cache, "read_paragraphs", None)
        np.testing.assert_array_equal(prepare_small(), first)
        with pytest.raises(TypeError):
            prepare_small(**change)
    # What failed has left nothing.
    assert len(list((tmp_path / "cache").iterdir())) == 1
    prepare_small(**change)
    assert len(list((tmp_path / "cache").iterdir())) == 2


@pytest.mark.parametrize("num_workers", [1, 2])
def test_any_number_of_processes_gives_the_same(
    squad_dir,
    golden_tokenizer,
    golden_options,
    tmp_path,
    monkeypatch,
    num_workers,
):
    monkeypatch.setattr(cache, "_CHUNK", 2)
    arguments = golden_tokenizer(True), golden_options(False), True
    path = str(squad_dir / "train-v1.1.json")
    features = prepare_features(path, *arguments, str(tmp_path), num_workers)
    whole = FeatureSet.of(list(read_paragraphs(path)), *arguments)
    np.testing.assert_array_equal(features.windows, whole.windows)
    np.testing.assert_array_equal(features.questions, whole.questions)
    for index in range(len(whole)):
        np.testing.assert_array_equal(features.row(index), whole.row(index))
    (unaligned,) = features.unaligned
    assert (unaligned.id, unaligned.answers) == ("f0027", [["industry", 3]])


@pytest.mark.parametrize(
    ("contexts", "training", "told"),
    [
        ([], False, "0 paragraphs, and no question on them. Is it the right"),
        (["", " \n"], False, "the contexts of all questions, 2, are empty. Is"),
        (["", " \n"], True, "the contexts of all questions, 2, are empty. Is"),
        (
            ["who", "", "a"],
            True,
            "no answer to train on, as those to 3 of 3 questions do not stand",
        ),
    ],
)
def test_nothing_to_read(
    write_data, tokenizer, tmp_path, contexts, training, told
):
    answers = [{"text": "Steve", "answer_start": 0}]
    paragraphs = [
        {
            "context": context,
            "qas": [{"id": str(n), "question": "who", "answers": answers}],
        }
        for n, context in enumerate(contexts)
    ]
    path = write_data({"data": paragraphs})
    arguments = path, tokenizer, WindowOptions(), training, str(tmp_path)
    with pytest.raises(UserError) as error:
        prepare_features(*arguments)
    assert str(error.value).startswith(f"{path}: {told}")


def test_cache_that_cannot_be_written(write_data, tokenizer):
    path = write_data({"data": []})
    with pytest.raises(UserError, match=f"Cannot write {path}: File ex"):
        prepare_features(path, tokenizer, WindowOptions(), False, path)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"max_seq_length": 67}, "max_seq_length=67, max_query_length=64"),
        ({"doc_stride": 0}, "doc_stride must be positive. Received: 0"),
        ({"max_query_length": -1}, "must not be negative. Received: -1"),
    ],
)
def test_options_without_windows(options, told):
    with pytest.raises(UserError, match=told):
        WindowOptions(**options)
