"""Our TFRecord bytes, against TensorFlow's."""

import gzip

import numpy as np
import pytest
import tensorflow as tf

from modeling.records import (
    Feature,
    compress,
    encode_records,
    masked_features,
    parse_spec,
    unmasked_features,
)
from modeling.records.crc32c import masked_crc32c
from modeling.records.example import encode_examples


def random_columns(features, rows, largest, seed=0):
    rng = np.random.default_rng(seed)
    return {
        f.name: rng.random((rows, f.length)).astype(np.float32)
        if f.dtype == "float32"
        else rng.integers(0, largest, (rows, f.length), endpoint=True)
        for f in features
    }


def example_of(columns, features, row):
    def feature(spec):
        values = columns[spec.name][row].tolist()
        if spec.dtype == "float32":
            return tf.train.Feature(float_list=tf.train.FloatList(value=values))
        return tf.train.Feature(int64_list=tf.train.Int64List(value=values))

    return tf.train.Example(
        features=tf.train.Features(
            feature={spec.name: feature(spec) for spec in features}
        )
    )


# The widths of a varint: one byte up to 2^7 - 1, and so on.
@pytest.mark.parametrize(
    "largest", [0, 1, 127, 128, 16383, 16384, 30521, 2**21, 2**35, 2**62]
)
def test_examples_are_those_of_the_protocol_buffer_library(largest):
    features = masked_features(40, 6)
    columns = random_columns(features, 9, largest)
    data, lengths = encode_examples(columns, features)
    ends = np.cumsum(lengths)
    for row, end in enumerate(ends):
        record = data[end - lengths[row] : end].tobytes()
        expected = example_of(columns, features, row)
        assert tf.train.Example.FromString(record) == expected
        assert len(record) == expected.ByteSize()


@pytest.mark.parametrize("compression", ["", "GZIP"])
def test_tensorflow_reads_the_files(compression, tmp_path):
    features = masked_features(128, 20)
    columns = random_columns(features, 300, 30521)
    path = str(tmp_path / "x.tfrecord")
    with open(path, "wb") as file:
        # Files are joined end to end, and so are gzipped ones.
        for rows in (slice(0, 1), slice(1, 299), slice(299, 300)):
            data = encode_records(
                {name: values[rows] for name, values in columns.items()},
                features,
            )
            file.write(compress(data) if compression else data)
    dataset = tf.data.TFRecordDataset(path, compression).batch(300)
    (batch,) = dataset.map(
        lambda records: tf.io.parse_example(records, parse_spec(features))
    )
    for name, values in columns.items():
        np.testing.assert_array_equal(batch[name], values)


def test_the_originals_parser_reads_them():
    features = masked_features(16, 3)
    columns = random_columns(features, 1, 200)
    (record,) = records_of(encode_records(columns, features))
    name_to_features = {
        "input_ids": tf.io.FixedLenFeature([16], tf.int64),
        "input_mask": tf.io.FixedLenFeature([16], tf.int64),
        "segment_ids": tf.io.FixedLenFeature([16], tf.int64),
        "masked_lm_positions": tf.io.FixedLenFeature([3], tf.int64),
        "masked_lm_ids": tf.io.FixedLenFeature([3], tf.int64),
        "masked_lm_weights": tf.io.FixedLenFeature([3], tf.float32),
        "next_sentence_labels": tf.io.FixedLenFeature([1], tf.int64),
    }
    parsed = tf.io.parse_single_example(record, name_to_features)
    assert set(parsed) == set(columns)
    for name, values in columns.items():
        np.testing.assert_array_equal(parsed[name], values[0])


def records_of(data):
    """Cuts the bytes of a file by the lengths in it."""
    data = data.tobytes()
    while data:
        length = int.from_bytes(data[:8], "little")
        yield data[12 : 12 + length]
        data = data[16 + length :]


def test_a_trainer_that_does_not_mask_fails_on_unmasked_records():
    features = unmasked_features(16)
    (record,) = records_of(
        encode_records(random_columns(features, 1, 200), features)
    )
    with pytest.raises(tf.errors.InvalidArgumentError, match="masked_lm"):
        tf.io.parse_single_example(record, parse_spec(masked_features(16, 3)))


def test_checksums():
    # RFC 3720, appendix B.4: 32 zeros, 32 ones, 0 to 31; and the customary one.
    data = np.concatenate(
        [
            np.zeros(32, np.uint8),
            np.full(32, 255, np.uint8),
            np.arange(32, dtype=np.uint8),
            np.frombuffer(b"123456789", np.uint8),
        ]
    )
    starts, lengths = np.array([0, 32, 64, 96]), np.array([32, 32, 32, 9])
    expected = [0x8A9136AA, 0x62A8AB43, 0x46DD794E, 0xE3069283]
    masked = masked_crc32c(data, starts, lengths)
    rotated = (masked.astype(np.uint64) - 0xA282EAD8) % 2**32
    assert ((rotated << 15 | rotated >> 17) % 2**32).tolist() == expected


def test_bad_columns_are_told():
    features = (Feature("a", 2), Feature("b", 1))
    good = {"a": np.zeros((3, 2), int), "b": np.zeros((3, 1), int)}
    with pytest.raises(ValueError, match=r"b must have the shape \(3, 1\)"):
        encode_records({**good, "b": np.zeros((3, 2), int)}, features)
    with pytest.raises(ValueError, match="a must not be negative.*-1"):
        encode_records({**good, "a": good["a"] - 1}, features)


def test_compression_is_the_same_at_any_time():
    data = compress(b"some bytes")
    assert gzip.decompress(data) == b"some bytes"
    assert data[4:8] == bytes(4)
