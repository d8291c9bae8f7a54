"""Files of predicted tags."""

import json

import pytest

from modeling.tasks.tagging import (
    SentenceFile,
    TagWriter,
    evaluate,
    split_text,
)


def write_all(directory, scheme, sentences, tags):
    with TagWriter(str(directory), scheme) as writer:
        for one, predicted in zip(sentences, tags, strict=True):
            writer.write([one], [predicted.split()])
    conll = (directory / "predictions.conll").read_text()
    jsonl = (directory / "predictions.jsonl").read_text().splitlines()
    return conll, [json.loads(line) for line in jsonl]


def test_all_words_and_entities_with_characters(tmp_path, sentence):
    data = [
        sentence("Li Na lives", "B-PER I-PER O"),
        split_text("中国人 来了", into_characters=True),
    ]
    conll, objects = write_all(
        tmp_path, "BIO", data, ["B-PER O O", "B-LOC I-LOC B-PER O O"]
    )
    assert conll == (
        "Li B-PER B-PER\nNa I-PER O\nlives O O\n\n"
        "中 B-LOC\n国 I-LOC\n人 B-PER\n来 O\n了 O\n\n"
    )
    assert objects[0] == {
        "text": "Li Na lives",
        "tokens": ["Li", "Na", "lives"],
        "tags": ["B-PER", "O", "O"],
        "entities": [{"type": "PER", "start": 0, "end": 2, "text": "Li"}],
    }
    assert objects[1]["text"] == "中国人 来了"
    assert objects[1]["entities"] == [
        {"type": "LOC", "start": 0, "end": 2, "text": "中国"},
        {"type": "PER", "start": 2, "end": 3, "text": "人"},
    ]


def test_file_of_predictions_can_be_read_and_judged(tmp_path, sentence):
    data = [sentence("a b", "I-X O"), sentence("c", "I-X")]
    said = ["I-X I-X", "I-X"]
    write_all(tmp_path, "IOB1", data, said)
    path = str(tmp_path / "predictions.conll")
    targets = [s.tags for s in SentenceFile(path, tag_column=1)]
    predictions = [s.tags for s in SentenceFile(path)]
    assert targets == [s.tags for s in data]
    assert predictions == [tuple(tags.split()) for tags in said]
    assert evaluate(targets, predictions, "IOB1")["f1"] == 0.5


def test_plain_tags_have_offsets_of_words(tmp_path):
    data = [split_text("a, bc", into_characters=False)]
    _, (values,) = write_all(tmp_path, "plain", data, ["N P N"])
    assert values["offsets"] == [[0, 1], [1, 2], [3, 5]]
    assert "entities" not in values


def test_white_space_in_words_does_not_part_columns(tmp_path, sentence):
    data = sentence("a\u3000b c", "O O")
    conll, (values,) = write_all(tmp_path, "BIO", [data], ["O O"])
    assert conll == "a_b O O\nc O O\n\n"
    assert values["tokens"] == ["a\u3000b", "c"]


def test_failure_leaves_no_files(tmp_path, sentence):
    with pytest.raises(ValueError), TagWriter(str(tmp_path), "BIO") as writer:
        writer.write([sentence("a")], [["O"]])
        writer.write([sentence("a b")], [["O"]])
    assert list(tmp_path.iterdir()) == []
