"""What is wrong with a file is told by file, line and column."""

import gzip

import pytest

from modeling.errors import UserError
from modeling.tasks.classification import (
    DataProcessor,
    Labels,
    OwnData,
    find_data_set,
    read_split,
)
from modeling.tasks.classification.sources import ProcessorSource, TableSource

MRPC_TITLE = "Quality\t#1 ID\t#2 ID\t#1 String\t#2 String\n"


def read(task, tmp_path, split="train", labels=None):
    data_set = find_data_set(task) if isinstance(task, str) else task
    return list(read_split(data_set, str(tmp_path), split, labels))


# Task, content of its train.tsv, what the message must say.
BAD = {
    "unknown label": (
        "sst-2",
        "sentence\tlabel\ngood\t1\nbad\tnegative\n",
        r"train.tsv, line 3, column 'label': unknown label 'negative'. "
        r"Expected one of '0', '1'.",
    ),
    "empty label": (
        "sst-2",
        "sentence\tlabel\ngood\t\n",
        r"line 2, column 'label': the label is empty. Expected one of '0', '1'",
    ),
    "too few columns": (
        "mrpc",
        MRPC_TITLE + "1\t1\t2\tA.\tB.\n1\t1\t2\tA. B.\n",
        r"line 3: 4 columns, where line 1 has 5. Received: '1.*A. B.'",
    ),
    "too many columns": (
        "cola",
        "s\t1\t\tA.\ns\t0\t\tA tab\there.\n",
        r"line 2: 5 columns, where line 1 has 4. .*no tab may stand in a text",
    ),
    "spaces for tabs": (
        "cola",
        "gj04 1  A cat.\n",
        r"line 1, column 4: no such column, the line has 1.*separated by tabs",
    ),
    "header where none belongs": (
        "cola",
        "source\tlabel\tmark\tsentence\ns\t1\t\tA.\n",
        r"line 1, column 2: unknown label 'label'.*has no header line",
    ),
    "no header before numbers": (
        "mrpc",
        "1\t1\t2\tA.\tB.\n",
        r"line 1, column 1: expected a header line, but '1' is not the name",
    ),
    "no header before names": (
        "rte",
        "0\tA.\tB.\tentailment\n",
        r"line 1: no column 'sentence1' in the header. Received: '0 \| A. \|",
    ),
    "duplicate column": (
        "sst-2",
        "sentence\tlabel\tlabel\ngood\t1\t0\n",
        r"line 1: the column 'label' stands 2 times in the header",
    ),
    "missing column": (
        "sts-b",
        "sentence1\tsentence2\nA.\tB.\n",
        r"line 1: no column 'score' in the header",
    ),
    "not a number": (
        "sts-b",
        "sentence1\tsentence2\tscore\nA.\tB.\tnan\n",
        r"line 2, column 'score': expected a number. Received: 'nan'",
    ),
    "blank line between": (
        "sst-2",
        "sentence\tlabel\ngood\t1\n\nbad\t0\n",
        r"line 3: 0 columns, where line 1 has 2",
    ),
    "empty file": ("sst-2", "", r"train.tsv is empty: expected a header and"),
    "header alone": ("sst-2", "sentence\tlabel\n", r"has no examples"),
    "not UTF-8": (
        "sst-2",
        b"sentence\tlabel\ncaf\xe9\t1\n",
        r"line 2, byte 4: not UTF-8 \(0xe9\)",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_message_tells_where_and_what(write, tmp_path, case):
    task, content, message = BAD[case]
    path = write("train.tsv", content)
    with pytest.raises(UserError, match=message) as caught:
        read(task, tmp_path)
    assert path in str(caught.value)


def test_header_of_numbered_columns_is_told_by_a_label(write, tmp_path):
    write("multinli/multinli.train.zh.tsv", "一\t二\tneutral\n")
    # An alias is no name of a column either.
    with pytest.raises(UserError, match="line 1, column 3: expected a header"):
        read("xnli", tmp_path)


def test_a_header_that_would_be_a_class_is_told(write, tmp_path, caplog):
    own = OwnData(text_a="1", label="2").data_set()
    lines = "fine\tgood\nawful\tbad\nnice\tgood\npoor\tbad\n"
    write("train.tsv", lines)
    assert len(read(own, tmp_path)) == 4
    assert "header" not in caplog.text
    path = write("train.tsv", "review\tsentiment\n" + lines)
    assert len(read(own, tmp_path)) == 5
    assert (
        f"{path}, line 1: the label 'sentiment' stands in this line only"
        in caplog.text
    )


def test_no_language_of_those_asked_for(write, tmp_path):
    write(
        "xnli.dev.tsv",
        "language\tl\tp\tp\tp\tp\ts\ts\nfr\tneutral\t\t\t\t\tA\tB\n",
    )
    with pytest.raises(UserError, match="has no examples of those asked for"):
        read("xnli", tmp_path, "dev")


def test_bom_and_windows_line_ends_are_no_content(write, tmp_path):
    write("train.tsv", b"\xef\xbb\xbfsentence\tlabel\r\ngood\t1\r\n\r\n")
    (example,) = read("sst-2", tmp_path)
    assert (example.text_a, example.label) == ("good", "1")
    # Without header, the mark would be part of the first cell.
    write("train.tsv", b"\xef\xbb\xbf1\tgood\r\n")
    (example,) = read("chnsenticorp", tmp_path)
    assert (example.text_a, example.label) == ("good", "1")


def test_quotes_are_text_in_tsv(write, tmp_path):
    write("train.tsv", 'sentence\tlabel\n"open quote\t1\n"shut"\t0\n')
    examples = read("sst-2", tmp_path)
    assert [e.text_a for e in examples] == ['"open quote', '"shut"']


def test_empty_texts_are_kept_and_told(write, tmp_path, caplog):
    path = write("train.tsv", "sentence\tlabel\n\t1\nbad\t0\n \t1\n")
    assert [e.text_a for e in read("sst-2", tmp_path)] == ["", "bad", " "]
    assert (
        f"{path}, line 2, column 'sentence': the text is empty" in caplog.text
    )
    assert "such places in the file: 2" in caplog.text


def test_label_only_in_dev(write, tmp_path):
    write("dev.csv", "text,label\nfine,good\nodd,weird\n")
    own = OwnData(text_a="text", label="label").data_set()
    with pytest.raises(
        UserError,
        match="dev.csv, line 3, column 'label': unknown label 'weird'. "
        "Expected one of 'bad', 'good'.* of its training file",
    ):
        read(own, tmp_path, "dev", ("bad", "good"))


def test_labels_of_what_is_predicted_need_not_be_known(write, tmp_path, caplog):
    write("test.csv", "text,label\nfine,good\nodd,-1\n")
    own = OwnData(text_a="text", label="label").data_set()
    examples = read(own, tmp_path, "test", ("bad", "good"))
    assert [e.label for e in examples] == ["good", None]
    assert "test.csv, line 3, column 'label': unknown label '-1'" in caplog.text


def test_csv_with_a_quote_that_is_never_closed(write, tmp_path):
    write("train.csv", 'text,label\nfine,1\n"bad,0\nmore,1\n')
    own = OwnData(text_a="text", label="label").data_set()
    told = "train.csv, line 3: not a CSV row .* as TSV or JSONL"
    with pytest.raises(UserError, match=told):
        read(own, tmp_path)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"text": "a", "label"', r"line 2: not JSON"),
        ('["a", "b"]', r"line 2: expected an object"),
        ('{"text": "a"}', r"line 2: no 'label' in the object. It has: 'text'"),
        ('{"text": 3, "label": 1}', r"line 2, column 'text': expected a text"),
        ('{"text": "a", "label": null}', r"column 'label': the label is empty"),
        ('{"text": "a", "label": ["x"]}', r"Received: \['x'\]. Lists are for"),
    ],
)
def test_jsonl(write, tmp_path, line, message):
    write("train.jsonl", '{"text": "a", "label": 1}\n' + line + "\n")
    own = OwnData(text_a="text", label="label").data_set()
    with pytest.raises(UserError, match=message):
        read(own, tmp_path)


def test_first_lines_of_jsonl_are_not_taken_for_headers(write, tmp_path):
    write("train.jsonl", '{"text": "a", "label": ""}\n')
    own = OwnData(text_a="text", label="label").data_set()
    with pytest.raises(UserError, match=r"the label is empty\.$"):
        read(own, tmp_path)


def test_flags_of_multi_label_sets(write, tmp_path):
    write("train.csv", "text,rude,mad\na,1,0\nb,0,2\n")
    own = OwnData("multi_label", text_a="text", label="rude, mad").data_set()
    with pytest.raises(
        UserError, match="line 3, column 'mad': expected 0 or 1"
    ):
        read(own, tmp_path)


def test_a_file_that_is_not_the_gzip_of_its_name(write, tmp_path):
    write("train.csv.gz", "text,label\n")
    own = OwnData(text_a="text", label="label").data_set()
    with pytest.raises(UserError, match="Cannot read .*train.csv.gz"):
        read(own, tmp_path)
    write("train.csv.gz", gzip.compress(b"text,label\na,1\n"))
    assert len(read(own, tmp_path)) == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("ranking",), "kind must be one of classification, multi_label"),
        (("classification", ("a", "b", "a")), "A label stands twice"),
        (("classification", ("a",)), r"at least 2 labels. Received: \['a'\]"),
    ],
)
def test_labels_that_cannot_be_learnt(arguments, message):
    with pytest.raises(UserError, match=message):
        Labels(*arguments)


@pytest.mark.parametrize(
    ("own", "content", "message"),
    [
        (
            OwnData(text_a="text", label="label"),
            "text\tlabel\na\tgood\nb\tgood\n",
            "train.tsv, column 'label': classification needs at least 2 labels "
            "to learn. Received: 2 examples, all with the label 'good'. Give a",
        ),
        (
            OwnData(text_a="1", label="2"),
            "a\tgood\n",
            "train.tsv, column 2: classification needs at least 2",
        ),
        (
            OwnData("multi_label", text_a="text", label="label"),
            "text\tlabel\na\t\n",
            "needs at least 1 labels to learn. Received: 1 examples, none with "
            "a label.",
        ),
        (
            OwnData(text_a="text", label="label", labels=("good",)),
            "text\tlabel\na\tgood\n",
            "labels of the task file: classification needs at least 2 labels. "
            "Received: ['good']",
        ),
    ],
)
def test_too_few_labels_are_told_with_their_place(
    write, tmp_path, own, content, message
):
    write("train.tsv", content)
    with pytest.raises(UserError) as error:
        TableSource.of_own_data(own, str(tmp_path)).labels()
    assert message in str(error.value)


def test_too_few_labels_of_a_processor():
    class Single(DataProcessor):
        def get_labels(self):
            return ["only"]

    with pytest.raises(UserError, match=r"Single.get_labels\(\): .*'only'"):
        ProcessorSource("mine", Single(), "").labels()
