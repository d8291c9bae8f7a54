"""The baseline of the benchmark makes the original's records, one by one."""

import json

import pytest
import tensorflow as tf

from benchmarks.original_pretraining_data import (
    create_records,
    original_flags,
)

RUNS = ["sample", "sample_128", "sample_wwm", "sample_cased"]


@pytest.mark.golden
@pytest.mark.parametrize("name", RUNS)
def test_records_are_the_originals(name, golden_dir, tmp_path):
    directory = golden_dir / "pretraining"
    runs = json.loads((directory / "runs.json").read_text())
    (run,) = (run for run in runs if run["file"] == f"{name}.tfrecord")
    given = {name: run[name] for name in original_flags() if name in run}
    path = tmp_path / "ours.tfrecord"
    count = create_records(
        str(directory / "sample_text.txt"),
        str(golden_dir / "vocab.txt"),
        str(path),
        original_flags(**given),
    )
    ours = list(parsed_records(path))
    assert len(ours) == count
    assert ours == list(parsed_records(directory / run["file"]))
    assert ours[0] == run["first_instance"]


def parsed_records(path):
    for record in tf.data.TFRecordDataset(str(path)).as_numpy_iterator():
        features = tf.train.Example.FromString(record).features.feature
        yield {
            name: list(value.int64_list.value or value.float_list.value)
            for name, value in features.items()
        }
