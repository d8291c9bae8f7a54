"""Files to predict for a data set of the table, in any of its layouts."""

import os

import pytest

from modeling.errors import UserError
from modeling.tasks.classification import Labels, find_data_set, read_split
from modeling.tasks.classification.sources import ProcessorSource, TableSource
from modeling.text_files import is_read_once
from tests.tasks.classification.test_data_sets import (
    EXPECTED,
    LAYOUTS,
    REAL_DATA,
)

_LABELS = Labels("classification", ("0", "1"))
# Of sets whose own files tell them, as training has collected them.
_LEARNED = {"thucnews": Labels("classification", ("体育", "家居"))}


def predicted(name, path):
    data_set = find_data_set(name)
    labels = _LEARNED.get(name) or Labels(data_set.kind, data_set.labels or ())
    source = TableSource(data_set, "/nowhere")
    return list(source.read_to_predict(str(path), labels))


def texts(examples):
    return [(e.text_a, e.text_b) for e in examples]


@pytest.mark.parametrize(("name", "split"), EXPECTED)
def test_the_data_sets_own_files(write, tmp_path, name, split):
    """Of whatever name: the content tells the layout."""
    for file, content in LAYOUTS[name].items():
        write(file, content)
    data_set = find_data_set(name)
    expected = list(read_split(data_set, str(tmp_path), split))
    path, _ = data_set.find_file(str(tmp_path), split)
    os.rename(path, tmp_path / "mine.tsv")
    found = predicted(name, tmp_path / "mine.tsv")
    assert texts(found) == texts(expected)
    assert {e.label for e in found} == {None}
    if split.startswith("test"):
        assert [e.row_id for e in found] == [e.row_id for e in expected]


@pytest.mark.parametrize("label", ["2", "good", "", "-"])
def test_labels_are_no_matter(write, tmp_path, caplog, label):
    write("mine.tsv", f"sentence\tlabel\nfine\t{label}\n")
    caplog.set_level("INFO")
    (example,) = predicted("sst-2", tmp_path / "mine.tsv")
    assert (example.text_a, example.label) == ("fine", None)
    assert caplog.text.count("mine.tsv has labels, of which prediction") == 1


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("sts-b", LAYOUTS["sts-b"]["dev.tsv"], True),
        ("qqp", LAYOUTS["qqp"]["dev.tsv"], True),
        ("mnli", LAYOUTS["mnli"]["dev_matched.tsv"], True),
        ("lcqmc", LAYOUTS["lcqmc"]["dev.txt"], True),
        ("sst-2", "text_a\tlabel\none\t1\n", True),
        ("sst-2", LAYOUTS["sst-2"]["test.tsv"], False),
        ("mnli", LAYOUTS["mnli"]["test_matched.tsv"], False),
        ("sst-2", "label\n", False),
    ],
)
def test_labels_are_told(write, tmp_path, caplog, name, content, told):
    write("mine.tsv", content)
    caplog.set_level("INFO")
    predicted(name, tmp_path / "mine.tsv")
    assert caplog.text.count("has labels") == told


@pytest.mark.parametrize(
    ("name", "file", "content", "expected"),
    [
        ("sst-2", "a.txt", "one\ntwo \n\nlast\n", ["one", "two ", "", "last"]),
        ("sst-2", "a.txt", "text_a\none\n", ["one"]),
        ("sst-2", "a.tsv", "id\tmood\ttext_a\n1\tx\tone\n", ["one"]),
        ("sst-2", "a.tsv", "sentence\none\n", ["one"]),
        ("sst-2", "a.csv", 'label,sentence\n1,"one, two"\n', ["one, two"]),
        ("sst-2", "a.jsonl", '{"sentence": "one"}\n', ["one"]),
        ("sst-2", "a.jsonl", '{"text_a": "one", "label": 7}\n', ["one"]),
        ("cola", "a.txt", "one\n", ["one"]),
        ("mrpc", "a.tsv", "one\ttwo\n", [("one", "two")]),
        ("mrpc", "a.tsv", "label\ttext_b\ttext_a\n1\tb\ta\n", [("a", "b")]),
        ("sts-b", "a.tsv", "one\ttwo\n", [("one", "two")]),
        # As some copies have it.
        ("chnsenticorp", "a.tsv", "qid\tlabel\ttext_a\n0\t1\t好\n", ["好"]),
    ],
)
def test_other_files(write, tmp_path, name, file, content, expected):
    write(file, content)
    found = texts(predicted(name, tmp_path / file))
    assert found == [e if isinstance(e, tuple) else (e, None) for e in expected]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        (
            "sst-2",
            "fine\t1\n",
            "a.tsv, line 1: this is not how SST-2 is laid out. Received 2 "
            "columns: 'fine | 1'. Expected the columns of test.tsv, dev.tsv or "
            "train.tsv of SST-2, with the header where those have one, or a "
            "text a line.",
        ),
        ("mrpc", "one\n", "Received 1 column: 'one'. .*or two texts a line"),
        ("sts-b", "a\tb\t2.5\n", "Received 3 columns"),
        ("mrpc", "1\t2\t3\tone\ttwo\n", "line 1, column 1: expected a header"),
        ("mnli", "1\t" * 8 + "a\tb\n", "not how MNLI is laid out"),
        # Headers of other data sets.
        ("mrpc", "sentence\tlabel\none\t1\n", "not how MRPC is laid out"),
        ("cola", "a\tlabel\tb\tsentence\n", "not how CoLA is laid out"),
        (
            "mnli",
            "index\t" + "x\t" * 6 + "sentence1\tsentence2\tscore\n",
            "not how MNLI is laid out. Received 10 columns",
        ),
        ("rte", "", "a.tsv is empty: expected the columns of test.tsv"),
    ],
)
def test_files_that_are_none_of_these(write, tmp_path, name, content, message):
    write("a.tsv", content)
    with pytest.raises(UserError, match=message) as error:
        predicted(name, tmp_path / "a.tsv")
    # That is for own data.
    assert "text_a" not in str(error.value)


def test_objects_with_other_names(write, tmp_path):
    write("a.jsonl", '{"review": "one", "stars": 1}\n')
    with pytest.raises(
        UserError, match="an object with 'review' or 'stars'. Expected"
    ):
        predicted("sst-2", tmp_path / "a.jsonl")


def test_a_processor_is_asked_of_texts_and_pairs(write, tmp_path):
    source = ProcessorSource("mine", None, "")
    for content, expected in (
        ("one\n", ("one", None)),
        ("one\ttwo\n", ("one", "two")),
        ("text_a\ttext_b\none\ttwo\n", ("one", "two")),
    ):
        write("a.tsv", content)
        read = source.read_to_predict(str(tmp_path / "a.tsv"), _LABELS)
        assert texts(read) == [expected]
    write("a.tsv", "one\ttwo\tthree\n")
    with pytest.raises(UserError, match="tab between them or a text a line"):
        list(source.read_to_predict(str(tmp_path / "a.tsv"), _LABELS))


def test_pipes_are_read_only_once(write, tmp_path):
    write("a.txt", "one\n")
    os.mkfifo(tmp_path / "pipe")
    assert is_read_once("-")
    assert is_read_once(str(tmp_path / "pipe"))
    for name in ("a.txt", "nowhere", ""):
        assert not is_read_once(str(tmp_path / name))


@pytest.mark.skipif(not REAL_DATA.exists(), reason="needs the real files")
@pytest.mark.parametrize(
    ("name", "file", "count"),
    [
        ("SST-2", "dev.tsv", 872),
        ("SST-2", "train.tsv", 6920),
        ("MRPC", "dev.tsv", 408),
        ("MRPC", "test.tsv", 1725),
        ("STS-B", "dev.tsv", 1500),
    ],
)
def test_real_files(name, file, count):
    found = predicted(name, REAL_DATA / name / file)
    assert len(found) == count
    assert all(e.text_a and e.label is None for e in found)
