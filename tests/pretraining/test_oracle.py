"""The benchmark's baseline is the original's algorithm, record by record."""

import json

import pytest
import tensorflow as tf

from benchmarks.pretraining_data import (
    Baseline,
    BaselineOptions,
    features_of,
)
from modeling.tokenization import FullTokenizer

RUNS = ["sample", "sample_128", "sample_wwm", "sample_cased"]


@pytest.mark.golden
@pytest.mark.parametrize("name", RUNS)
def test_records_are_the_originals(name, golden_dir):
    directory = golden_dir / "pretraining"
    runs = json.loads((directory / "runs.json").read_text())
    (run,) = (run for run in runs if run["file"] == f"{name}.tfrecord")
    options = BaselineOptions(
        **{field: run[field] for field in BaselineOptions.__dataclass_fields__}
    )
    tokenizer = FullTokenizer(golden_dir / "vocab.txt", run["do_lower_case"])
    with open(directory / "sample_text.txt", encoding="utf-8") as file:
        instances = Baseline(tokenizer, options).create_instances(file)
    ours = [features_of(i, tokenizer, options) for i in instances]
    assert ours == list(parsed_records(directory / run["file"]))
    assert ours[0] == run["first_instance"]


def parsed_records(path):
    for record in tf.data.TFRecordDataset(str(path)).as_numpy_iterator():
        features = tf.train.Example.FromString(record).features.feature
        yield {
            name: list(value.int64_list.value or value.float_list.value)
            for name, value in features.items()
        }
