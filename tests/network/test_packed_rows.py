"""Several instances in one row give what each gives alone."""

import numpy as np
import pytest
from keras import ops

from modeling.network import BertClassifier, BertPretrainer
from tests.network.conftest import spread

FIRST, SECOND = [2, 7, 9, 3], [2, 11, 3]
PACKED = {
    "input_ids": np.array([FIRST + SECOND + [0]]),
    "input_mask": np.array([[1] * 7 + [0]]),
    "segment_ids": np.array([[0, 0, 1, 1, 0, 1, 1, 0]]),
    "position_ids": np.array([[0, 1, 2, 3, 0, 1, 2, 0]]),
    "block_ids": np.array([[0, 0, 0, 0, 1, 1, 1, 2]]),
    # There is no third instance: its place points anywhere.
    "cls_positions": np.array([[0, 4, 0]]),
    "masked_lm_positions": np.array([[1, 3, 5]]),
}
ALONE = [
    {
        "input_ids": np.array([FIRST]),
        "segment_ids": np.array([[0, 0, 1, 1]]),
        "masked_lm_positions": np.array([[1, 3]]),
    },
    {
        "input_ids": np.array([SECOND]),
        "segment_ids": np.array([[0, 1, 1]]),
        "masked_lm_positions": np.array([[1]]),
    },
]


@pytest.fixture(scope="module")
def pretrainer(tiny_config):
    return spread(BertPretrainer(tiny_config))


def assert_close(actual, expected):
    np.testing.assert_allclose(
        ops.convert_to_numpy(actual), ops.convert_to_numpy(expected), atol=1e-5
    )


def test_logits_of_pretraining(pretrainer):
    packed = pretrainer(PACKED)
    assert packed["next_sentence_logits"].shape == (1, 3, 2)
    for i, (inputs, words) in enumerate(
        zip(ALONE, (slice(0, 2), slice(2, 3)), strict=True)
    ):
        alone = pretrainer(inputs)
        assert_close(
            packed["masked_lm_logits"][:, words], alone["masked_lm_logits"]
        )
        assert_close(
            packed["next_sentence_logits"][:, i], alone["next_sentence_logits"]
        )


def test_pooled_outputs(pretrainer):
    packed = pretrainer.bert(PACKED)["pooled_output"]
    assert packed.shape == (1, 3, 16)
    for i, inputs in enumerate(ALONE):
        assert_close(packed[:, i], pretrainer.bert(inputs)["pooled_output"])


def test_positions_count_within_each_row(pretrainer):
    pair = {
        name: np.concatenate([array, array[:, ::-1]])
        for name, array in PACKED.items()
    }
    both = pretrainer.bert(pair)["pooled_output"]
    second = pretrainer.bert({k: v[1:] for k, v in pair.items()})
    assert_close(both[1], second["pooled_output"][0])


def test_first_tokens_are_the_default(pretrainer):
    inputs = ALONE[0]
    given = pretrainer.bert({**inputs, "cls_positions": np.array([[0]])})
    assert_close(
        given["pooled_output"][:, 0], pretrainer.bert(inputs)["pooled_output"]
    )


@pytest.mark.parametrize("pooling", ["cls", "mean", "max"])
def test_logits_of_classification(tiny_config, pooling):
    model = spread(BertClassifier(tiny_config, 3, pooling=pooling))
    # Counted from 1: 0 is padding.
    numbers = np.array([[1, 1, 1, 1, 2, 2, 2, 0]])
    logits = ops.convert_to_numpy(model({**PACKED, "block_ids": numbers}))
    assert logits.shape == (3, 3)
    for i, inputs in enumerate(ALONE):
        assert_close(logits[i : i + 1], model(inputs))
    # No loss counts what is not there, unless it is no number.
    assert np.isfinite(logits).all()
