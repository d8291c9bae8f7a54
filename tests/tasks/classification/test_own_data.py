"""Data of users: formats, guesses, task files, standard input."""

import io
import json
import sys

import pytest

from modeling.errors import UserError
from modeling.tasks.classification import (
    InputExample,
    Labels,
    OwnData,
    collect_labels,
    read_split,
)
from modeling.tasks.classification.sources import TableSource

ROWS = [("It's 5 o'clock, \"sharp\".", "late"), ("Früh am Tag", "early")]


def examples_of(own, directory, split="train", labels=None):
    return list(read_split(own.data_set(), str(directory), split, labels))


def pairs_of(examples):
    return [(e.text_a, e.label) for e in examples]


CONTENTS = {
    "train.tsv": "text\tlabel\n"
    + "".join(f"{text}\t{label}\n" for text, label in ROWS),
    "train.csv": 'Label,Text\nlate,"It\'s 5 o\'clock, ""sharp""."\n'
    "early,Früh am Tag\n",
    "train.jsonl": "".join(
        json.dumps({"text": text, "label": label}) + "\n\n"
        for text, label in ROWS
    ),
}


@pytest.mark.parametrize("name", CONTENTS)
def test_formats_and_columns_are_guessed(write, tmp_path, name):
    write(name, CONTENTS[name])
    own = OwnData().with_guesses(str(tmp_path))
    assert own.text_a.lower() == "text" and own.label.lower() == "label"
    assert pairs_of(examples_of(own, tmp_path)) == ROWS


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("id\tpremise\thypothesis\tgold_label", ("premise", "hypothesis")),
        ("sentence2\tsentence1\tscore\tid", ("sentence1", "sentence2")),
        ("question\tsentence\tlabel", ("question", "sentence")),
        ("Sentence\tcategory\tauthor", ("Sentence", "")),
        ("headline\tclass", ("headline", "")),
    ],
)
def test_guesses(write, tmp_path, header, expected):
    write("train.tsv", header + "\n")
    own = OwnData().with_guesses(str(tmp_path))
    assert (own.text_a, own.text_b) == expected
    assert own.label in ("gold_label", "score", "label", "category", "class")
    assert own.row_id == ("id" if "id" in header.split("\t") else "")


def test_named_columns_go_before_guesses(write, tmp_path):
    write("train.tsv", "text\tlabel\tbody\tmood\na\t1\tb\tsad\n")
    own = OwnData(text_a="body", label="mood").with_guesses(str(tmp_path))
    assert (own.text_a, own.text_b, own.label) == ("body", "", "mood")
    (example,) = examples_of(own, tmp_path)
    assert example == InputExample("train-1", "b", None, "sad")


def test_columns_that_cannot_be_guessed(write, tmp_path):
    with pytest.raises(UserError, match="has no train.tsv, .csv or .jsonl"):
        OwnData().with_guesses(str(tmp_path))
    write("train.tsv", "what is this\tand that\tlabel\n")
    with pytest.raises(UserError, match="line 1: cannot tell which column"):
        OwnData().with_guesses(str(tmp_path))


def test_columns_by_place_without_header(write, tmp_path):
    write("train.tsv", "7\tgood\tx\n8\tbad\ty\n")
    write("test.tsv", "9\tso so\n")
    own = OwnData(text_a="2", label="3", row_id="1")
    assert own.with_guesses(str(tmp_path)) == own
    train = examples_of(own, tmp_path)
    assert train[0] == InputExample("train-0", "good", None, "x", "7")
    (test,) = examples_of(own, tmp_path, "test")
    assert (test.text_a, test.label, test.row_id) == ("so so", None, "9")


@pytest.mark.parametrize("kind", ["classification", "regression"])
@pytest.mark.parametrize("split", ["train", "dev"])
def test_labels_are_never_made_up(write, tmp_path, kind, split):
    write(f"{split}.tsv", "7\tgood\tx\n8\tbad\ty\n")
    source = TableSource.of_own_data(OwnData(kind, "2"), str(tmp_path))
    with pytest.raises(UserError, match=f"column of the {split} set .*--label"):
        list(source.read(split, None))


def test_names_and_places_are_not_mixed(write, tmp_path):
    write("train.tsv", "text\tlabel\na\tgood\nb\tbad\n")
    with pytest.raises(UserError, match="no column 'label'. Name all columns"):
        examples_of(OwnData(text_a="1", label="label"), tmp_path)


def test_columns_are_found_anew_in_every_file(write, tmp_path):
    write("train.csv", "text,label,id\na,x,1\n")
    write("dev.csv", "label,text\ny,b\n")
    write("test.csv", "id,text\n17,c\n")
    own = OwnData().with_guesses(str(tmp_path))
    (dev,) = examples_of(own, tmp_path, "dev")
    assert (dev.text_a, dev.label, dev.row_id) == ("b", "y", None)
    (test,) = examples_of(own, tmp_path, "test")
    assert (test.text_a, test.label, test.row_id) == ("c", None, "17")


def test_csv_rows_over_several_lines(write, tmp_path):
    write("train.csv", 'text,label\n"two\nlines",x\nnext,y\n')
    examples = examples_of(OwnData(text_a="text", label="label"), tmp_path)
    assert [e.text_a for e in examples] == ["two\nlines", "next"]
    assert [e.guid for e in examples] == ["train-1", "train-3"]


def test_csv_texts_longer_than_the_csv_module_allows(write, tmp_path):
    text = "word " * 40_000
    write("train.csv", f"text,label\n{text},x\n")
    (example,) = examples_of(OwnData(text_a="text", label="label"), tmp_path)
    assert example.text_a == text


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        # Plain lines, a blank one among them, are as many examples.
        (b'one\n\n"three" is\n', ["one", "", '"three" is']),
        (b"text\none\n", ["one"]),
        (b"id\ttext\n4\tone\n", ["one"]),
    ],
)
def test_standard_input(monkeypatch, tmp_path, content, expected):
    file = tmp_path / "stdin"
    file.write_bytes(content)
    own = OwnData(text_a="text", label="label", row_id="id", test_file="-")
    with file.open() as stdin:
        monkeypatch.setattr(sys, "stdin", stdin)
        examples = examples_of(own, "/nowhere", "test")
    assert [e.text_a for e in examples] == expected
    assert {e.label for e in examples} == {None}


def test_standard_input_of_pairs(monkeypatch, tmp_path):
    file = tmp_path / "stdin"
    file.write_text("a\tb\n")
    own = OwnData(text_a="one", text_b="two", label="label", test_file="-")
    with file.open() as stdin:
        monkeypatch.setattr(sys, "stdin", stdin)
        (example,) = examples_of(own, "", "test")
    assert (example.text_a, example.text_b) == ("a", "b")
    file.write_text("no second text\n")
    with file.open() as stdin:
        monkeypatch.setattr(sys, "stdin", stdin)
        with pytest.raises(
            UserError, match="standard input, line 1: no column 'one'"
        ):
            examples_of(own, "", "test")


def test_examples_stream(monkeypatch, write, tmp_path):
    """The first example is there before the last line is read."""
    path = write("test.tsv", "text\n" + "line\n" * 50_000)
    taken = 0

    class Counting(io.FileIO):
        def readline(self, *arguments):
            nonlocal taken
            taken += 1
            return super().readline(*arguments)

        __next__ = readline

    monkeypatch.setattr(
        "modeling.tasks.tables.open_file",
        lambda _: Counting(path),
    )
    own = OwnData(text_a="text", label="label")
    stream = iter(read_split(own.data_set(), str(tmp_path), "test"))
    assert next(stream).text_a == "line"
    assert 0 < taken < 10


def test_task_file(write, tmp_path):
    path = write(
        "task.json",
        '{"kind": "multi_label", "text_a": "body", "labels": ["a", "b"], '
        '"label_separator": ";", "train_file": "all.tsv"}',
    )
    own = OwnData.load(path)
    assert own == OwnData(
        "multi_label",
        text_a="body",
        labels=("a", "b"),
        label_separator=";",
        train_file="all.tsv",
    )
    own.save(str(tmp_path))
    assert OwnData.load(path) == own
    write("all.tsv", "body\tlabel\none\ta;b\ntwo\t\n")
    own = own.with_guesses(str(tmp_path))
    labels = [e.label for e in examples_of(own, tmp_path)]
    assert labels == [("a", "b"), ()]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "is not JSON"),
        ('{"texta": "x"}', "some of the fields kind, text_a.*Received"),
        ('{"kind": "ranking"}', "kind: expected one of .* Received: 'ranking'"),
        ('{"text_a": "x", "label": "x"}', "column 'x' is given two meanings"),
        ('{"text_a": 0, "label": 1}', "counted from 1. .*text_a='0'"),
        ('{"text_a": ["x"]}', "text_a must be a text. Received: \\('x',\\)"),
        ('{"labels": "yes"}', "labels must be a list of texts.*'yes'"),
        ('{"metrics": ["bleu"]}', "classification has accuracy.*'bleu'"),
    ],
)
def test_bad_task_files(write, content, message):
    with pytest.raises(UserError, match=message):
        OwnData.load(write("task.json", content))


def test_numbers_in_task_files(write):
    path = write("task.json", '{"text_a": 2, "label": 1, "labels": [0, 1]}')
    assert OwnData.load(path) == OwnData(
        text_a="2", label="1", labels=("0", "1")
    )


def test_regression(write, tmp_path):
    write(
        "train.jsonl",
        '{"text": "a", "score": 2}\n{"text": "b", "score": "-.5"}',
    )
    own = OwnData("regression").with_guesses(str(tmp_path))
    examples = examples_of(own, tmp_path)
    assert [e.label for e in examples] == [2.0, -0.5]
    assert collect_labels("regression", examples) == Labels("regression")


def test_multi_label_forms(write, tmp_path):
    lists = '{"text": "a", "label": ["x", "y"]}\n{"text": "b", "label": []}\n'
    write("train.jsonl", lists)
    own = OwnData("multi_label", text_a="text", label="label")
    assert [e.label for e in examples_of(own, tmp_path)] == [("x", "y"), ()]
    write("flags.csv", "text,x,y\na,1,1\nb,0,0\n")
    own = OwnData(
        "multi_label", text_a="text", label="x,y", train_file="flags.csv"
    )
    assert [e.label for e in examples_of(own, tmp_path)] == [("x", "y"), ()]
    assert own.data_set().labels == ("x", "y")
    write("flags.jsonl", '{"text": "a", "x": true, "y": 0}\n{"text": "b"}\n')
    own = OwnData(
        "multi_label", text_a="text", label="x,y", test_file="flags.jsonl"
    )
    stream = iter(read_split(own.data_set(), str(tmp_path), "test"))
    assert next(stream).label == ("x",)
    with pytest.raises(UserError, match="line 2: no 'x' in the object"):
        next(stream)


def test_labels_are_sorted_and_kept_with_the_model(tmp_path):
    def collected(*labels):
        examples = [InputExample("", "", label=label) for label in labels]
        return collect_labels("classification", examples).names

    assert collected("b", "a", "b") == ("a", "b")
    assert collected("10", "9", "-1") == ("-1", "9", "10")
    assert collected("10", "9", "x") == ("10", "9", "x")
    labels = Labels("classification", ("10", "9", "x"))
    labels.save(str(tmp_path))
    assert json.loads((tmp_path / "label_map.json").read_text()) == {
        "kind": "classification",
        "labels": {"10": 0, "9": 1, "x": 2},
    }
    assert Labels.load(str(tmp_path)) == labels
    (tmp_path / "label_map.json").write_text(
        '{"kind": "c", "labels": {"a": 1}}'
    )
    with pytest.raises(UserError, match="not a label map: ids are not 0, 1"):
        Labels.load(str(tmp_path))
    with pytest.raises(UserError, match="Cannot read the labels"):
        Labels.load(str(tmp_path / "nowhere"))
