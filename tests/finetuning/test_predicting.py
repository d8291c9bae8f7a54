"""Outputs in the order of the examples, and encoders' outputs that are kept."""

import errno
import io
import os
import sys
import types

import keras
import numpy as np
import pytest
import tensorflow as tf

from modeling.config import BertConfig
from modeling.errors import UserError
from modeling.finetuning import (
    answer_lines,
    keep_encoder_outputs,
    predict_chunks,
    predict_examples,
)
from modeling.network import FeatureClassifier
from modeling.progress import Phases
from modeling.tasks.classification import Labels
from modeling.tasks.classification.encoding import EncodedExamples
from modeling.tasks.classification.task import ClassificationTask
from modeling.tasks.feature_based import FeatureBased
from modeling.tasks.length_batches import BatchOptions
from modeling.tasks.row_batches import RowExamples
from modeling.training import Predictor

CONFIG = BertConfig(
    vocab_size=50,
    hidden_size=8,
    num_hidden_layers=2,
    num_attention_heads=2,
    intermediate_size=16,
    max_position_embeddings=16,
    type_vocab_size=2,
    initializer_range=0.5,
)
LABELS = Labels("classification", ("a", "b", "c"))
OPTIONS = BatchOptions(None, max_tokens=40)


def examples(rows, seed=0, windows=False):
    """Examples of so many rows each, of 2 to 9 tokens."""
    rng = np.random.default_rng(seed)
    lengths = rng.integers(2, 10, sum(rows))
    starts = np.concatenate([[0], np.cumsum(lengths)])
    encoded = EncodedExamples(
        rng.integers(5, 50, starts[-1]).astype(np.uint16),
        starts,
        np.minimum(lengths, 3).astype(np.int32),
        np.concatenate([[0], np.cumsum(rows)]),
        rng.integers(0, 3, len(rows)).astype(np.int32),
    )
    return RowExamples(encoded, windows)


class Echo:
    """Tells each example its first token and how many it has."""

    def outputs(self, model, features):
        ids, mask = features["input_ids"], features["input_mask"]
        return {"first": ids[:, 0], "tokens": tf.reduce_sum(mask, axis=-1)}


def echo():
    return Predictor(Echo(), None, tf.distribute.get_strategy())


def expected_of(data):
    encoded = data.encoded
    return encoded.ids[encoded.row_starts[:-1]], encoded.row_lengths()


def test_outputs_stand_in_the_order_of_the_examples():
    data = examples([1] * 30)
    outputs = predict_examples(echo(), data, OPTIONS)
    first, lengths = expected_of(data)
    np.testing.assert_array_equal(outputs["first"], first)
    np.testing.assert_array_equal(outputs["tokens"], lengths)


def test_chunks_are_taken_only_as_they_are_needed():
    taken = []

    def chunks():
        for number in range(1000):
            taken.append(number)
            yield number, examples([1] * 9, seed=number)

    found = predict_chunks(echo(), chunks(), OPTIONS)
    for number, (item, outputs) in zip(range(3), found, strict=False):
        assert item == number
        first, _ = expected_of(examples([1] * 9, seed=number))
        np.testing.assert_array_equal(outputs["first"], first)
    found.close()
    assert len(taken) < 20


def test_windows_stand_beside_one_another():
    data = examples([1, 3, 2], windows=True)
    arrays = data.arrays(np.array([1, 0]), length=9, size=3)
    assert arrays["input_ids"].shape == (3, 3, 9)
    counts = arrays["input_mask"].sum(axis=-1)
    lengths = data.encoded.row_lengths()
    np.testing.assert_array_equal(counts[0], lengths[1:4])
    np.testing.assert_array_equal(counts[1], [lengths[0], 0, 0])
    assert not counts[2].any()
    assert arrays["example_weights"].tolist() == [1, 1, 0]
    np.testing.assert_array_equal(
        arrays["targets"][:2], data.encoded.targets[[1, 0]]
    )


def session(task, seed=1):
    """What keeping needs of a training session."""
    keras.utils.set_random_seed(seed)
    return types.SimpleNamespace(
        task=task,
        model=task.build_model(),
        strategy=tf.distribute.get_strategy(),
        phases=Phases(),
    )


@pytest.mark.parametrize("lstm_layers", [0, 1])
@pytest.mark.parametrize("rows", [[1] * 12, [1, 3, 2, 1, 2]])
def test_kept_outputs_are_those_of_the_encoder(lstm_layers, rows, tmp_path):
    task = ClassificationTask(
        CONFIG,
        LABELS,
        pooling="mean",
        feature_based=FeatureBased((0, -1), lstm_layers=lstm_layers),
    )
    data = examples(rows, windows=max(rows) > 1)
    here = session(task)
    assert isinstance(here.model, FeatureClassifier)
    kept = keep_encoder_outputs(here, data, OPTIONS, str(tmp_path))
    predictor = Predictor(task, here.model, here.strategy)
    direct = predict_examples(predictor, data, OPTIONS)
    ours = predict_examples(predictor, kept, OPTIONS)
    np.testing.assert_allclose(ours["outputs"], direct["outputs"], atol=2e-3)
    signature = kept.signature()
    arrays = kept.arrays(np.arange(2), 9, 4)
    assert arrays.keys() == signature.keys()
    for name, values in arrays.items():
        assert signature[name].is_compatible_with(tf.constant(values)), name

    # Nothing is computed twice, and nothing is taken for something else.
    keep_encoder_outputs(here, data, OPTIONS, str(tmp_path))
    assert len(list(tmp_path.iterdir())) == 1
    other = examples(rows, seed=1, windows=max(rows) > 1)
    keep_encoder_outputs(here, other, OPTIONS, str(tmp_path))
    keep_encoder_outputs(session(task, 2), data, OPTIONS, str(tmp_path))
    assert len(list(tmp_path.iterdir())) == 3


def test_a_cache_that_cannot_be_written_is_told(tmp_path):
    task = ClassificationTask(CONFIG, LABELS, feature_based=FeatureBased((-1,)))
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="Cannot write"):
        keep_encoder_outputs(
            session(task), examples([1]), OPTIONS, str(tmp_path / "file")
        )


def test_a_cache_without_space_is_told_before_it_is_filled(
    tmp_path, monkeypatch
):
    def full(descriptor, start, size):
        assert size > 0
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "posix_fallocate", full)
    task = ClassificationTask(CONFIG, LABELS, feature_based=FeatureBased((-1,)))
    with pytest.raises(UserError, match=f"{tmp_path}: No space left"):
        keep_encoder_outputs(
            session(task), examples([1]), OPTIONS, str(tmp_path)
        )
    assert not list(tmp_path.iterdir())


def test_what_is_wrong_with_a_line_is_its_answer(capsys):
    def answer(line):
        if line == "bad":
            raise UserError("no such thing")
        return line.upper()

    answer_lines(answer, ["yes\n", "\n", "bad\r\n", "more"])
    assert capsys.readouterr().out == "YES\nerror: no such thing\nMORE\n"


def test_a_line_that_is_not_utf8_ends_nothing(capsys, monkeypatch):
    typed = io.BytesIO("ü\n".encode() + b"\xc3\xbc \xff\nmore\n")
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(typed, "utf-8"))
    answer_lines(str.upper)
    first, told, last = capsys.readouterr().out.splitlines()
    assert (first, last) == ("Ü", "MORE")
    assert told.startswith("error: Not UTF-8 (byte 4 of the line).")
