"""Which file holds which split."""

import pytest

from modeling.errors import UserError
from modeling.tasks.split_files import SplitFiles

NONE = {"train": None, "dev": None, "test": None}


def files(directory, **named):
    return SplitFiles(str(directory), {**NONE, **named}, ("csv", "jsonl", ""))


def test_named_files_go_before_those_of_the_directory(tmp_path):
    for name in ("train.csv", "val.jsonl"):
        (tmp_path / name).touch()
    (tmp_path / "test").mkdir()
    found = files(tmp_path)
    assert found.get("train") == str(tmp_path / "train.csv")
    assert found.get("dev") == str(tmp_path / "val.jsonl")
    assert found.get("test") == str(tmp_path / "test")
    other = str(tmp_path / "val.jsonl")
    assert files(tmp_path, train=other).get("train") == other
    assert files(tmp_path, test="-").find("test") == "-"
    assert SplitFiles(None, NONE, ("csv",)).find("dev") is None


def test_what_is_missing_and_what_is_ambiguous(tmp_path):
    with pytest.raises(UserError, match="no directory --data_dir=.*/none"):
        files(tmp_path / "none")
    with pytest.raises(UserError) as error:
        files(tmp_path).get("dev")
    assert str(error.value).startswith(
        "Evaluation needs --dev_file, or --data_dir with such a file. "
        f"{tmp_path} has none of dev.csv, dev.jsonl, dev, val.csv"
    )
    with pytest.raises(UserError, match="Prediction needs --predict_file"):
        SplitFiles(None, NONE, ("csv",)).get("test")
    with pytest.raises(UserError, match="no file --dev_file=/none.csv"):
        files(tmp_path, dev="/none.csv").find("dev")
    # It is read twice.
    with pytest.raises(UserError, match="no file --train_file=-"):
        files(tmp_path, train="-").find("train")
    for name in ("dev.csv", "val.csv"):
        (tmp_path / name).touch()
    with pytest.raises(UserError) as error:
        files(tmp_path).find("dev")
    assert str(error.value) == (
        f"There are {tmp_path}/dev.csv and {tmp_path}/val.csv. Say which is "
        f"meant: --dev_file={tmp_path}/dev.csv"
    )
