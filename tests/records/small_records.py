"""Small record files, each record of which can be told from the others."""

import numpy as np

from modeling.records import (
    compress,
    encode_records,
    masked_features,
    unmasked_features,
)

LENGTH, PREDICTIONS, VOCAB_SIZE = 16, 3, 1000
CLS, SEP = 1, 2


def make_columns(number, first=0, seed=0, masked=True):
    """Records with 4 to 16 tokens; the second one is 100 + its number."""
    rng = np.random.default_rng([seed, first])
    lengths = rng.integers(4, LENGTH + 1, (number, 1))
    positions = np.arange(LENGTH)
    real = positions < lengths
    ids = rng.integers(10, 100, (number, LENGTH))
    ids[:, 0] = CLS
    ids[:, 1] = 100 + first + np.arange(number)
    ids[positions == lengths - 1] = SEP
    columns = {
        "input_ids": ids * real,
        "input_mask": real.astype(int),
        "segment_ids": ((positions > lengths // 2) & real).astype(int),
        "next_sentence_labels": rng.integers(0, 2, (number, 1)),
    }
    if not masked:
        return {**columns, "joins": np.zeros((number, LENGTH), int)}
    counts = rng.integers(1, PREDICTIONS + 1, (number, 1))
    weights = np.arange(PREDICTIONS) < np.minimum(counts, lengths - 3)
    return {
        **columns,
        "masked_lm_positions": (2 + np.arange(PREDICTIONS)) * weights,
        "masked_lm_ids": rng.integers(10, 100, weights.shape) * weights,
        "masked_lm_weights": weights.astype(np.float32),
    }


def write_file(path, columns, gzip=False):
    length = columns["input_ids"].shape[1]
    if "joins" in columns:
        features = unmasked_features(length)
    else:
        features = masked_features(length, columns["masked_lm_ids"].shape[1])
    data = encode_records(columns, features).tobytes()
    path.write_bytes(compress(data) if gzip else data)
    return str(path)


def write_files(directory, numbers, masked=True, gzip=False):
    """A file for each number of records, which are numbered throughout."""
    files, first = [], 0
    for number in numbers:
        columns = make_columns(number, first, masked=masked)
        path = directory / f"x.tfrecord-{len(files):05}"
        files.append(write_file(path, columns, gzip))
        first += number
    return files


def record_numbers(features):
    """Which records the rows are."""
    return (features["input_ids"][:, 1] - 100).tolist()


def assert_same(one, other):
    assert one.keys() == other.keys()
    for name, values in one.items():
        np.testing.assert_array_equal(values, other[name], err_msg=name)
