"""What lies beside records, and whether it fits."""

import dataclasses
import json

import pytest

from modeling.errors import UserError
from modeling.records import (
    RecordMetadata,
    check_metadata,
    find_record_files,
    read_metadata,
    vocabulary_digest,
)
from modeling.records.files import metadata_name, shard_names

VOCAB = {"[PAD]": 0, "[UNK]": 1, "a": 2}
METADATA = RecordMetadata(
    files=["x.tfrecord"],
    compression="",
    vocabulary={
        "digest": vocabulary_digest(VOCAB),
        "size": 3,
        "do_lower_case": True,
    },
    options={
        "max_seq_length": 128,
        "sentence_pairs": "nsp",
        "masking": {"method": "token", "max_predictions_per_seq": 20},
    },
    words={},
    counts={"instances": 7},
    text="0123",
)
FITTING = {
    "vocab_size": 3,
    "max_seq_length": 128,
    "max_predictions_per_seq": 20,
    "vocab_digest": vocabulary_digest(VOCAB),
    "do_lower_case": True,
    "sentence_pairs": "nsp",
    "masking": "token",
}


def write(directory, metadata, name="x.tfrecord"):
    path = metadata_name(str(directory / name))
    with open(path, "w") as file:
        json.dump(metadata.as_json(), file)


def test_round_trip(tmp_path):
    write(tmp_path, METADATA)
    assert read_metadata([str(tmp_path / "x.tfrecord")]) == METADATA


def test_records_of_others_have_none(tmp_path):
    write(tmp_path, METADATA)
    assert read_metadata([str(tmp_path / "theirs.tfrecord")]) is None


def test_files_that_do_not_belong_together(tmp_path):
    write(tmp_path, METADATA)
    other = dataclasses.replace(
        METADATA,
        files=["y.tfrecord"],
        options={**METADATA.options, "max_seq_length": 512},
    )
    write(tmp_path, other, "y.tfrecord")
    paths = [str(tmp_path / name) for name in ("x.tfrecord", "y.tfrecord")]
    with pytest.raises(UserError, match="x.tfrecord and .*y.tfrecord were not"):
        read_metadata(paths)
    paths[1] = str(tmp_path / "theirs.tfrecord")
    with pytest.raises(UserError, match="theirs.tfrecord were not"):
        read_metadata(paths)


def test_damaged_metadata(tmp_path):
    path = tmp_path / "metadata.x.tfrecord.json"
    for content in ("{", "{}", '{"version": 2}', '{"version": 1}', "[]"):
        path.write_text(content)
        with pytest.raises(UserError, match="Cannot read the metadata"):
            read_metadata([str(tmp_path / "x.tfrecord")])


def test_what_fits():
    check_metadata(METADATA, **FITTING)
    # What is not known is not checked.
    check_metadata(
        METADATA, vocab_size=3, max_seq_length=128, max_predictions_per_seq=20
    )
    # A table padded to a round number of rows, of the same vocabulary.
    check_metadata(METADATA, **{**FITTING, "vocab_size": 8})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"vocab_size": 2}, "vocab_size is 3 in the records, 2 here"),
        (
            {"vocab_size": 8, "vocab_digest": None},
            "vocab_size is 3 in the records, 8 here",
        ),
        (
            {"vocab_digest": vocabulary_digest({**VOCAB, "b": 3})},
            r"vocabulary \(SHA-256\) is",
        ),
        ({"do_lower_case": False}, "do_lower_case is True in .*, False here"),
        ({"max_seq_length": 512}, "max_seq_length is 128 in .*, 512 here"),
        (
            {"max_predictions_per_seq": 77},
            "max_predictions_per_seq is 20 in .*, 77 here",
        ),
        ({"sentence_pairs": "sop"}, "sentence_pairs is 'nsp' in .*, 'sop' he"),
        ({"masking": "none"}, "masking is 'token' in .*, 'none' here"),
    ],
)
def test_what_does_not_fit_is_told(changes, message):
    with pytest.raises(UserError, match=message):
        check_metadata(METADATA, **{**FITTING, **changes})


def test_all_that_does_not_fit_is_told_at_once():
    with pytest.raises(UserError) as error:
        check_metadata(
            METADATA, **{**FITTING, "vocab_size": 2, "max_seq_length": 512}
        )
    assert str(error.value).count(" in the records, ") == 2


def test_predictions_are_of_no_concern_before_masking():
    masking = {"method": "none", "max_predictions_per_seq": 20}
    unmasked = dataclasses.replace(
        METADATA, options={**METADATA.options, "masking": masking}
    )
    changes = {"masking": "none", "max_predictions_per_seq": 77}
    check_metadata(unmasked, **{**FITTING, **changes})


def test_digests_tell_vocabularies_apart():
    swapped = {"[PAD]": 0, "a": 1, "[UNK]": 2}
    assert vocabulary_digest(VOCAB) != vocabulary_digest(swapped)
    again = dict(reversed(VOCAB.items()))
    assert vocabulary_digest(VOCAB) == vocabulary_digest(again)


def test_files_beside_records_are_no_records(tmp_path):
    names = [
        "x.tfrecord-00000-of-00002",
        "x.tfrecord-00001-of-00002",
        "metadata.x.tfrecord.json",
        "report.x.tfrecord.json",
        "partial.x.tfrecord-00000-of-00002",
    ]
    for name in names:
        (tmp_path / name).write_text("")
    (tmp_path / "corpus.x.tfrecord").mkdir()
    found = find_record_files([str(tmp_path / "*")])
    assert found == [str(tmp_path / name) for name in names[:2]]
    assert find_record_files([str(tmp_path / "x.tfrecord*")]) == found
    with pytest.raises(UserError, match="no file matches.*y"):
        find_record_files([str(tmp_path / "x.tfrecord*"), "y*"])


def test_shard_names():
    assert shard_names("a/x", 1) == ["a/x"]
    assert shard_names("a/x", 2) == ["a/x-00000-of-00002", "a/x-00001-of-00002"]
