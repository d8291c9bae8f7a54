"""What is said of records that cannot be trained on."""

import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

from modeling.errors import UserError
from modeling.records import Packing, open_source
from modeling.records.parsing import input_error
from modeling.records.reading import evaluation_dataset, training_dataset
from tests.conftest import ROOT
from tests.records.small_records import (
    LENGTH,
    PREDICTIONS,
    VOCAB_SIZE,
    make_columns,
    write_file,
)


def open_files(*files, **changes):
    files = [str(file) for file in files]
    return open_source(files, **{"vocab_size": VOCAB_SIZE, **changes})


def example_bytes(columns, row=0, **changes):
    """A record as other people's programs write it."""
    values = {name: column[row] for name, column in columns.items()} | changes
    features = {}
    for name, value in values.items():
        if value is None:
            continue
        if isinstance(value, bytes):
            feature = tf.train.Feature(
                bytes_list=tf.train.BytesList(value=[value])
            )
        elif value.dtype.kind == "f":
            feature = tf.train.Feature(
                float_list=tf.train.FloatList(value=value)
            )
        else:
            feature = tf.train.Feature(
                int64_list=tf.train.Int64List(value=value)
            )
        features[name] = feature
    example = tf.train.Example(features=tf.train.Features(feature=features))
    return example.SerializeToString()


def write_examples(path, *records):
    with tf.io.TFRecordWriter(str(path)) as writer:
        for record in records:
            writer.write(record)
    return path


@pytest.fixture
def good(tmp_path):
    return write_file(tmp_path / "good", make_columns(9))


def test_what_is_read_off_the_files(good, tmp_path):
    source = open_files(good)
    assert source.is_masked and source.compression == ""
    assert source.max_seq_length == LENGTH
    assert source.max_predictions_per_seq == PREDICTIONS
    path = write_file(tmp_path / "unmasked", make_columns(2, masked=False))
    source = open_files(path, max_predictions_per_seq=77)
    assert not source.is_masked and source.max_predictions_per_seq is None
    # A name says nothing of compression.
    path = write_file(tmp_path / "packed", make_columns(2), gzip=True)
    assert open_files(path).compression == "GZIP"
    path = write_file(tmp_path / "plain.gz", make_columns(2))
    assert open_files(path).compression == ""


def test_other_lengths_than_asked_for(good):
    open_files(good, max_seq_length=LENGTH, max_predictions_per_seq=PREDICTIONS)
    with pytest.raises(UserError, match="max_seq_length=16. Received: max_seq"):
        open_files(good, max_seq_length=128)
    with pytest.raises(UserError, match="good.*_per_seq=3. Received: .*=20"):
        open_files(good, max_predictions_per_seq=20)


@pytest.mark.parametrize("gzip", [False, True])
def test_files_that_are_no_records(gzip, good, tmp_path):
    data = open(good, "rb").read()
    if gzip:
        good = write_file(tmp_path / "good.gz", make_columns(9), gzip=True)
        data = open(good, "rb").read()
    bad = tmp_path / "bad"
    for content, message in (
        (b"", "bad has no records: it is empty"),
        (b"[CLS] some text\n" * 9, r"bad is no TFRecord file: it begins with"),
        (b"short", "bad is no TFRecord file"),
        (data[:60], "Cannot read .*bad" if gzip else "within its first"),
        (data[:60] + b"\xff\xff" + data[62:], "Cannot read|is damaged"),
    ):
        bad.write_bytes(content)
        with pytest.raises(UserError, match=message):
            open_files(bad)
    with pytest.raises(UserError, match="Cannot read the records .*nowhere"):
        open_files(good, tmp_path / "nowhere")


def test_compressed_among_others(good, tmp_path):
    path = write_file(tmp_path / "x.gz", make_columns(2), gzip=True)
    with pytest.raises(UserError, match="good is not .*x.gz is gzipped"):
        open_files(good, path)


BAD_FEATURES = [
    ({"masked_lm_ids": None}, "no masked_lm_ids, as there is in .*good"),
    ({"segment_ids": np.zeros(9, int)}, "segment_ids must have 16.*ved: 9"),
    ({"masked_lm_ids": np.zeros(5, int)}, "masked_lm_ids must have 3 .*: 5"),
    ({"input_ids": b"text"}, "input_ids must hold int64.*Received: bytes"),
    ({"input_mask": np.ones(16, "f4")}, "input_mask .*int64.*Received: float"),
    ({"masked_lm_weights": np.ones(3, int)}, "_weights .*float.*: int64"),
]
BAD_VALUES = [
    ("input_ids", 1000, "the id 1000, but .* has 1000 entries, 0 to 999"),
    ("masked_lm_ids", 2**32 + 5, "the id 4294967301, but .* 1000 entries"),
    ("input_ids", -1, "input_ids has the id -1"),
    ("input_mask", 2, "input_mask must be from 0 to 1. Received: 2"),
    ("segment_ids", 2, "segment_ids must be from 0 to 1. Received: 2"),
    ("masked_lm_positions", 16, "positions must be from 0 to 15. .*: 16"),
    ("next_sentence_labels", 2, "labels must be from 0 to 1. Received: 2"),
]


def changed(name, value):
    values = make_columns(9)[name][0].copy()
    values[-1] = value
    return {name: values}


@pytest.mark.parametrize(
    ("changes", "message"),
    BAD_FEATURES + [(changed(n, v), message) for n, v, message in BAD_VALUES],
)
def test_first_records_that_do_not_fit(changes, message, good, tmp_path):
    path = write_examples(
        tmp_path / "bad", example_bytes(make_columns(1), **changes)
    )
    with pytest.raises(UserError, match="bad, record 1.*" + message):
        open_files(good, path)


def test_first_files_that_hold_something_else(tmp_path):
    path = write_examples(tmp_path / "a", example_bytes({}, a=np.ones(3, int)))
    with pytest.raises(UserError, match="lacks input_ids, .*It has: a"):
        open_files(path)
    path = write_examples(tmp_path / "b", b"no protocol buffer")
    with pytest.raises(UserError, match="b: the first record is no tf.train.E"):
        open_files(path)
    path = write_examples(tmp_path / "c", b"")
    with pytest.raises(UserError, match="It has: nothing"):
        open_files(path)
    columns = make_columns(1)
    lengths = [np.zeros(0, int)] * 3
    names = ("input_ids", "input_mask", "segment_ids")
    record = example_bytes(columns, **dict(zip(names, lengths, strict=True)))
    with pytest.raises(UserError, match="input_ids must have some values"):
        open_files(write_examples(tmp_path / "d", record))


def error_of(dataset):
    """What reading the data set raises."""
    try:
        for _ in dataset.take(200):
            pass
    except tf.errors.OpError as error:
        # Its frames hold the iterator, whose threads would outlive the test.
        return error.with_traceback(None)
    raise AssertionError("no error")


def later_error(source):
    """What is made of the error that comes out of a training's data set."""
    dataset = training_dataset(source, batch_size=4, seed=1, shuffle_buffer=2)
    messages = [
        str(input_error(error_of(data), source))
        for data in (dataset, evaluation_dataset(source, batch_size=4))
    ]
    assert messages[0] == messages[1] != "None"
    return messages[0]


@pytest.mark.parametrize(("name", "value", "message"), BAD_VALUES)
def test_later_values_that_do_not_fit(name, value, message, good, tmp_path):
    columns = make_columns(9)
    bad = example_bytes(columns, 6, **changed(name, value))
    records = [example_bytes(columns, row) for row in range(9)]
    records[6] = bad
    path = write_examples(tmp_path / "bad", *records)
    error = later_error(open_files(good, path))
    assert error.startswith(f"{path}, record 7: {name}"), error
    with pytest.raises(UserError, match=message):
        raise UserError(error)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"masked_lm_ids": None}, "record 3: masked_lm_ids is not as in"),
        ({"segment_ids": np.zeros(9, int)}, "record 3: segment_ids .* size: 9"),
        ({"input_mask": np.ones(16, "f4")}, "record 3: input_mask .*float"),
    ],
)
def test_later_records_of_another_kind(changes, message, good, tmp_path):
    columns = make_columns(9)
    path = write_examples(
        tmp_path / "bad",
        *[example_bytes(columns, row) for row in range(2)],
        example_bytes(columns, 2, **changes),
    )
    with pytest.raises(UserError, match=f"{path}, {message}"):
        raise UserError(later_error(open_files(good, path)))


def test_a_later_record_that_is_none(good, tmp_path):
    record = example_bytes(make_columns(1))
    path = write_examples(tmp_path / "bad", record, b"not an example")
    assert "no tf.train.Example" in later_error(open_files(good, path))


@pytest.mark.parametrize("gzip", [False, True])
def test_files_that_are_damaged_further_on(gzip, good, tmp_path):
    other = write_file(tmp_path / "other", make_columns(400), gzip=gzip)
    if gzip:
        good = write_file(tmp_path / "good.gz", make_columns(9), gzip=True)
    data = open(other, "rb").read()
    bad = tmp_path / "bad"
    middle = len(data) // 2
    for content in (
        data[:-99],
        data[:middle] + b"ab" + data[middle + 2 :],
    ):
        bad.write_bytes(content)
        error = later_error(open_files(good, bad))
        assert error.startswith(f"{bad} is damaged: "), error
        assert "make or copy it anew" in error and "[Op" not in error


def test_predictions_that_cannot_be_packed(tmp_path):
    columns = make_columns(40)
    columns["input_mask"][20, 2:] = 0
    source = open_files(write_file(tmp_path / "bad", columns))
    dataset = training_dataset(
        source,
        batch_size=4,
        seed=1,
        shuffle_buffer=2,
        packing=Packing(window=40),
    )
    assert "predicts its padding" in str(input_error(error_of(dataset)))


def test_other_errors_are_left_alone(good):
    assert input_error(ValueError("Name: x, Feature: y")) is None
    with pytest.raises(tf.errors.InvalidArgumentError) as error:
        tf.reshape(tf.zeros(3), [2])
    assert input_error(error.value, open_files(good)) is None


def test_importing_records_takes_no_tensorflow():
    code = (
        "import sys; sys.modules['tensorflow'] = None;"
        "import modeling.records, modeling.pretraining.dynamic"
    )
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)
