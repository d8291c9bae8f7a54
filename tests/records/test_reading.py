"""The order in which records are read, and what batches hold."""

import logging

import numpy as np
import pytest
import tensorflow as tf

from modeling.errors import UserError
from modeling.records import Packing, find_record_files, open_source
from modeling.records.reading import (
    Position,
    evaluation_dataset,
    padding_share,
    training_dataset,
)
from tests.records.small_records import (
    LENGTH,
    PREDICTIONS,
    VOCAB_SIZE,
    assert_same,
    record_numbers,
    write_files,
)

NUMBERS = (23, 7, 31, 19, 11)
TOTAL = sum(NUMBERS)


@pytest.fixture
def source(tmp_path):
    return open_source(write_files(tmp_path, NUMBERS), vocab_size=VOCAB_SIZE)


@pytest.fixture
def unmasked(tmp_path):
    directory = tmp_path / "unmasked"
    directory.mkdir()
    files = write_files(directory, NUMBERS, masked=False)
    return open_source(files, vocab_size=VOCAB_SIZE)


def train(source, number, **changes):
    values = {"batch_size": 8, "seed": 1, "shuffle_buffer": 30, **changes}
    dataset = training_dataset(source, **values)
    return list(dataset.take(number).as_numpy_iterator())


def numbers_of(batches):
    return [n for features, _ in batches for n in record_numbers(features)]


def fake_mask(features, epochs, indices):
    """Predicts the second token; the label tells epoch and number."""
    features = {n: v for n, v in features.items() if n != "joins"}
    label = tf.cast(100 * epochs + indices, tf.int32)[:, None]
    rest = [[0, 0], [0, PREDICTIONS - 1]]
    features["masked_lm_ids"] = tf.pad(label, rest)
    features["masked_lm_positions"] = tf.pad(tf.ones_like(label), rest)
    features["masked_lm_weights"] = tf.pad(
        tf.ones_like(label, tf.float32), rest
    )
    return features


@pytest.mark.parametrize("batch_size", [8, 64])
def test_every_record_once_an_epoch_across_batches(source, batch_size):
    batches = train(source, 300 // batch_size, batch_size=batch_size)
    numbers = numbers_of(batches)
    epochs = [numbers[i * TOTAL : (i + 1) * TOTAL] for i in range(3)]
    assert sorted(epochs[0]) == sorted(epochs[1]) == list(range(TOTAL))
    assert epochs[0] != epochs[1]
    assert epochs[0] != sorted(epochs[0])
    assert all(
        len(row) == batch_size
        for row, _ in [(f["input_ids"], p) for f, p in batches]
    )


def test_order_follows_from_the_seed_alone(source):
    numbers = numbers_of(train(source, 30))
    tf.random.set_seed(0)
    try:
        assert numbers_of(train(source, 30)) == numbers
        assert numbers_of(train(source, 30, batch_size=16))[:240] == numbers
    finally:
        tf.random.set_seed(None)
    assert numbers_of(train(source, 30, seed=2)) != numbers
    assert numbers_of(train(source, 30, seed=0)) != numbers


def test_files_come_in_an_order_of_their_epoch(source):
    numbers = numbers_of(train(source, 60, shuffle_buffer=1))
    firsts = {tuple(numbers[e * TOTAL : e * TOTAL + 20]) for e in range(5)}
    assert len(firsts) > 1
    # All files are read in turn, so the first records are of several.
    assert np.ptp(numbers[:50]) > max(NUMBERS)


def test_a_single_file_is_shuffled_anew_in_every_epoch(tmp_path):
    source = open_source(write_files(tmp_path, [40]), vocab_size=VOCAB_SIZE)
    numbers = numbers_of(train(source, 15))
    epochs = {tuple(numbers[e * 40 : (e + 1) * 40]) for e in range(3)}
    assert len(epochs) == 3


def test_shuffling_reaches_as_far_as_the_buffer(source):
    plain = numbers_of(train(source, 11, shuffle_buffer=1))
    for buffer in (5, 1000):
        shuffled = numbers_of(train(source, 11, shuffle_buffer=buffer))
        place = {number: i for i, number in enumerate(plain)}
        # A record cannot come earlier than by the buffer.
        early = [place[n] - i for i, n in enumerate(shuffled) if n in place]
        assert max(early) < buffer
        assert max(early) > (3 if buffer == 5 else 40)


@pytest.mark.parametrize(
    ("case", "host", "num_hosts"),
    [
        ("plain", 0, 1),
        ("plain", 5, 6),
        ("masked", 1, 2),
        ("packed", 0, 1),
        ("both", 0, 1),
        ("both", 1, 2),
    ],
)
def test_going_on_gives_the_batches_that_would_have_followed(
    case, host, num_hosts, source, unmasked
):
    changes = {"host": host, "num_hosts": num_hosts, "batch_size": 6}
    if case in ("masked", "both"):
        source, changes["mask"] = unmasked, fake_mask
    if case in ("packed", "both"):
        changes["packing"] = Packing(window=20, max_instances=4)
    whole = train(source, 36, **changes)
    epochs = {int(position[0]) for _, position in whole}
    assert len(epochs) > 1
    for done in (1, 2, 5, 16, 33):
        position = Position(*(int(n) for n in whole[done - 1][1]))
        rest = train(source, 3, position=position, **changes)
        for (one, at), (other, there) in zip(
            rest, whole[done : done + 3], strict=True
        ):
            assert_same(one, other)
            assert at.tolist() == there.tolist()


def test_positions(source):
    (_, first), (_, second) = train(source, 2)
    assert first.dtype == np.int64
    assert Position(*first) == (0, 8, 0)
    assert Position(*second) == (0, 16, 0)
    last = train(source, 12)[-1][1]
    assert last.tolist() == [1, 12 * 8 - TOTAL, 0]


def test_packed_rows_hold_every_record_once_an_epoch(source):
    batches = train(source, 60, packing=Packing(window=32, max_instances=4))
    seen = []
    for features, position in batches:
        rows, slots = np.nonzero(features["next_sentence_weights"])
        starts = features["cls_positions"][rows, slots]
        seen += (features["input_ids"][rows, starts + 1] - 100).tolist()
        if position[0] > 1:
            break
    assert len(seen) > 2 * TOTAL
    windows = [seen[i : i + 32] for i in range(0, 2 * TOTAL, 32)]
    plain = numbers_of(train(source, 30))
    for i, window in enumerate(windows[:-1]):
        assert sorted(window) == sorted(plain[32 * i : 32 * (i + 1)])


def test_hosts_divide_files(source):
    parts = [
        set(numbers_of(train(source, 60, host=host, num_hosts=2)))
        for host in range(2)
    ]
    assert parts[0] | parts[1] == set(range(TOTAL))
    assert not parts[0] & parts[1]
    assert len(parts[0]) == sum(NUMBERS[::2])


def test_hosts_divide_records_where_files_are_few(source, caplog):
    with caplog.at_level(logging.WARNING, logger="absl"):
        streams = [train(source, 14, host=h, num_hosts=8) for h in range(8)]
    assert "5 record file(s) for 8 hosts" in caplog.text
    # The first epoch of each host, without batches that have some of the next.
    parts = [
        numbers_of([b for b in batches if b[1][0] == 0]) for batches in streams
    ]
    numbers = sum(parts, [])
    assert len(set(numbers)) == len(numbers)
    assert all(len(part) in (TOTAL // 8, TOTAL // 8 + 1) for part in parts)
    assert sorted(numbers) == list(range(TOTAL))


def test_hosts_mask_by_numbers_of_their_own(unmasked):
    labels = [
        {
            int(label)
            for features, _ in train(
                unmasked, 2, mask=fake_mask, host=host, num_hosts=2
            )
            for label in features["masked_lm_ids"][:, 0]
        }
        for host in range(2)
    ]
    assert len(labels[0]) == len(labels[1]) == 8
    assert not labels[0] & labels[1]


def test_what_cannot_be_divided(source, tmp_path):
    with pytest.raises(UserError, match="batch of 8 rows .* among 3 hosts"):
        train(source, 1, num_hosts=3)
    with pytest.raises(UserError, match="batch of 8 rows .* among 3 hosts"):
        evaluation_dataset(source, batch_size=8, num_hosts=3)
    (tmp_path / "few").mkdir()
    few = open_source(write_files(tmp_path / "few", [3]), vocab_size=VOCAB_SIZE)
    with pytest.raises(UserError, match=r"3 record\(s\) are not .* 4 hosts"):
        train(few, 1, num_hosts=4)


def test_masks_belong_to_unmasked_records(source, unmasked):
    for make in (
        train,
        lambda s, _, **k: evaluation_dataset(s, batch_size=4, **k),
    ):
        with pytest.raises(UserError, match="are not masked yet: choose"):
            make(unmasked, 1)
        with pytest.raises(UserError, match="are masked already"):
            make(source, 1, mask=fake_mask)


def test_shapes_are_static(source, unmasked):
    plain = {
        "input_ids": ([8, LENGTH], tf.int32),
        "input_mask": ([8, LENGTH], tf.int32),
        "segment_ids": ([8, LENGTH], tf.int32),
        "masked_lm_positions": ([8, PREDICTIONS], tf.int32),
        "masked_lm_ids": ([8, PREDICTIONS], tf.int32),
        "masked_lm_weights": ([8, PREDICTIONS], tf.float32),
        "next_sentence_labels": ([8, 1], tf.int32),
        "next_sentence_weights": ([8, 1], tf.float32),
        "row_weights": ([8], tf.float32),
    }
    packed = {
        **plain,
        "position_ids": ([8, LENGTH], tf.int32),
        "block_ids": ([8, LENGTH], tf.int32),
        "cls_positions": ([8, 4], tf.int32),
        "next_sentence_labels": ([8, 4], tf.int32),
        "next_sentence_weights": ([8, 4], tf.float32),
    }
    options = {"batch_size": 8, "seed": 1, "shuffle_buffer": 9}
    packing = Packing(window=20, max_instances=4)
    for expected, spec in (
        (plain, training_dataset(source, **options).element_spec[0]),
        (plain, evaluation_dataset(source, batch_size=8).element_spec),
        (
            plain,
            training_dataset(unmasked, mask=fake_mask, **options).element_spec[
                0
            ],
        ),
        (
            packed,
            training_dataset(source, packing=packing, **options).element_spec[
                0
            ],
        ),
    ):
        found = {n: (s.shape.as_list(), s.dtype) for n, s in spec.items()}
        assert found == expected


def test_evaluation_is_one_exact_pass(source):
    batches = list(evaluation_dataset(source, batch_size=8).as_numpy_iterator())
    assert len(batches) == -(-TOTAL // 8)
    weights = np.concatenate([b["row_weights"] for b in batches])
    assert weights.sum() == TOTAL and set(weights[:TOTAL]) == {1}
    numbers = [n for batch in batches for n in record_numbers(batch)]
    assert numbers[:TOTAL] == list(range(TOTAL))
    last = batches[-1]
    for values in last.values():
        assert not values[last["row_weights"] == 0].any()
    real = np.concatenate([b["next_sentence_weights"] for b in batches])
    np.testing.assert_array_equal(real[:, 0], weights)


def test_hosts_evaluate_parts_of_the_same_batches(source):
    # The last batch of 24 has 19 records, so the last host has nothing of it.
    whole = list(evaluation_dataset(source, batch_size=24).as_numpy_iterator())
    parts = [
        list(
            evaluation_dataset(
                source, batch_size=24, host=host, num_hosts=6
            ).as_numpy_iterator()
        )
        for host in range(6)
    ]
    for batch, *mine in zip(whole, *parts, strict=True):
        joined = {
            name: np.concatenate([part[name] for part in mine])
            for name in batch
        }
        assert_same(joined, batch)
    assert not parts[-1][-1]["row_weights"].any()


def test_part_of_an_evaluation(source):
    dataset = evaluation_dataset(source, batch_size=8, max_batches=3)
    batches = list(dataset.as_numpy_iterator())
    assert len(batches) == 3
    assert all(batch["row_weights"].all() for batch in batches)


def test_evaluation_masks_as_in_epoch_0(unmasked):
    for batch_size in (8, 32):
        dataset = evaluation_dataset(
            unmasked, batch_size=batch_size, mask=fake_mask
        )
        labels = np.concatenate(
            [b["masked_lm_ids"][:, 0] for b in dataset.as_numpy_iterator()]
        )
        assert labels[:TOTAL].tolist() == list(range(TOTAL))
        assert not labels[TOTAL:].any()


def test_gzipped_records_are_the_same(source, tmp_path):
    (tmp_path / "gzipped").mkdir()
    files = write_files(tmp_path / "gzipped", NUMBERS, gzip=True)
    gzipped = open_source(files, vocab_size=VOCAB_SIZE)
    assert (source.compression, gzipped.compression) == ("", "GZIP")
    for (one, _), (other, _) in zip(
        train(source, 3), train(gzipped, 3), strict=True
    ):
        assert_same(one, other)


@pytest.mark.golden
def test_records_of_the_original(golden_dir):
    path = str(golden_dir / "pretraining" / "sample.tfrecord")
    source = open_source([path], vocab_size=30522)
    assert source.max_seq_length == 64
    assert source.max_predictions_per_seq == 10
    dataset = evaluation_dataset(source, batch_size=43)
    batches = list(dataset.as_numpy_iterator())
    assert len(batches) == 2
    assert all(batch["row_weights"].all() for batch in batches)
    examples = [
        tf.train.Example.FromString(record.numpy())
        for record in tf.data.TFRecordDataset(path)
    ]
    for feature in source.features:
        lists = [example.features.feature[feature.name] for example in examples]
        expected = [
            list(x.int64_list.value or x.float_list.value) for x in lists
        ]
        found = np.concatenate([batch[feature.name] for batch in batches])
        np.testing.assert_array_equal(found, np.array(expected, found.dtype))


def test_padding_with_and_without_packing(source, unmasked):
    batches = evaluation_dataset(source, batch_size=TOTAL).as_numpy_iterator()
    tokens = int(next(batches)["input_mask"].sum())
    packing = Packing(window=50, max_instances=4)
    share = padding_share(source, packing)
    assert share["records"] == share["rows"] == TOTAL
    assert share["tokens"] == tokens
    assert share["padding_share"] == 1 - tokens / (TOTAL * LENGTH)
    rows = share["packed_rows"]
    assert tokens / LENGTH <= rows < 0.9 * TOTAL
    assert share["packed_padding_share"] == 1 - tokens / (rows * LENGTH)
    part = padding_share(unmasked, packing, num_records=20, mask=fake_mask)
    assert part["records"] == 20


def test_remote_records(tmp_path):
    """TensorFlow's file system in memory stands for one in the cloud."""
    for path in write_files(tmp_path, NUMBERS):
        name = path.rpartition("/")[2]
        tf.io.gfile.copy(path, f"ram://bucket/{name}", overwrite=True)
    tf.io.gfile.makedirs("ram://bucket/x.tfrecord-directory")
    files = find_record_files(["ram://bucket/x.tfrecord*"])
    assert files == [
        f"ram://bucket/x.tfrecord-{i:05}" for i in range(len(NUMBERS))
    ]
    source = open_source(files, vocab_size=VOCAB_SIZE)
    assert sorted(numbers_of(train(source, 13))[:TOTAL]) == list(range(TOTAL))
    with pytest.raises(UserError, match="no file matches 'ram://bucket/y"):
        find_record_files(["ram://bucket/y*"])
