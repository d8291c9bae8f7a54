"""What is wrong with the tokens of a request is told, with its place."""

import numpy as np
import pytest

from modeling.serving.limits import Limits, RequestRefused
from modeling.serving.model import Model
from modeling.serving.numbers import read_array
from modeling.serving.rest import parse_predict
from modeling.serving.signatures import Signature, Tensor

_ROWS = Tensor("DT_INT32", (None, None))
_TOKENS = ("input_ids", "input_mask", "segment_ids")
_WORDS = ("word_positions", "word_mask")
_INFO = {"max_seq_length": 4, "vocab_size": 100, "type_vocab_size": 2}


def model(info, names=_TOKENS + _WORDS, tensor=_ROWS):
    inputs = dict.fromkeys(names, tensor)
    signature = Signature("token_ids", inputs, {}, None)
    return Model("nowhere", {"token_ids": signature}, info)


TAGGER = model(_INFO)
CHOOSER = model(_INFO, _TOKENS, Tensor("DT_INT32", (None, None, None)))
_RIGHT = {
    "input_ids": [2, 99, 3],
    "input_mask": [1, 1, 1],
    "segment_ids": [0, 1, 0],
    "word_positions": [1],
    "word_mask": [1],
}


def ask(of, *instances):
    message = {"signature_name": "token_ids", "instances": list(instances)}
    return parse_predict(message, of, Limits()).rows


@pytest.mark.parametrize(
    ("name", "values", "reason"),
    [
        ("input_ids", [2, 9, -1], "[2] must be from 0 to 99. Received: -1"),
        ("input_ids", [2, 100, -5], "[1] must be from 0 to 99. Received: 100"),
        ("input_ids", [2, 2**31, 3], "[1] must be from 0 to 99. Received: 214"),
        ("input_ids", [2, 1.0, 3], "[1] must be int32. Received: 1.0"),
        ("input_ids", [2, True, 3], "[1] must be int32. Received: true"),
        ("input_ids", [2, 9, None], "[2] must be int32. Received: null"),
        ("input_ids", [2, "9", 3], "[1] must be int32. Received: '9'"),
        ("input_ids", [2, {}, 3], "[1] must be int32. Received: {}"),
        ("input_ids", [2, [9], 3], "[1] must be int32. Received: [9]"),
        ("input_ids", [2, [], 3], "[1] must be int32. Received: []"),
        ("input_ids", [[2, 9, 3]], " must be int32 of the shape [any]"),
        ("input_ids", [[2], [9], [3]], " must be int32 of the shape [any]"),
        ("input_ids", [[None]], " must be int32 of the shape [any]"),
        ("input_ids", [], " must be int32 of the shape [any]"),
        ("input_ids", None, " must be int32 of the shape [any]"),
        ("input_ids", 2, " must be int32 of the shape [any]"),
        ("input_ids", {"b64": "YQ=="}, " must be int32 of the shape [any]"),
        ("input_mask", [1, 2, 1], "[1] must be from 0 to 1. Received: 2"),
        ("input_mask", [-1, 1, 1], "[0] must be from 0 to 1. Received: -1"),
        ("segment_ids", [0, 0, 2], "[2] must be from 0 to 1. Received: 2"),
        ("word_positions", [-1], "[0] must be from 0 to 3. Received: -1"),
        # Where another text of the batch would have a token.
        (
            "word_positions",
            [3],
            "[0] must be from 0 to 2, a token of its row. Received: 3",
        ),
        ("input_mask", [0, 0, 0], " must have a 1: the row has no tokens"),
        ("word_mask", [7], "[0] must be from 0 to 1. Received: 7"),
    ],
)
def test_the_first_that_is_wrong(name, values, reason):
    with pytest.raises(RequestRefused) as error:
        ask(TAGGER, _RIGHT, {**_RIGHT, name: values})
    assert error.value.status == 400
    assert f"{name}[1]{reason}" in error.value.reason
    assert len(error.value.reason) < 200


def test_what_is_right_is_taken():
    first, second = ask(TAGGER, _RIGHT, _RIGHT)
    assert [each.tolist() for each in second] == list(_RIGHT.values())
    assert {each.dtype for each in first} == {np.dtype(np.int32)}


@pytest.mark.parametrize(
    ("ids", "reason"),
    [
        ([[1, 2], [3]], " must be int32 of the shape [any, any], lists of equ"),
        ([[1, 2], 3], " must be int32 of the shape [any, any]"),
        ([1, 2], " must be int32 of the shape [any, any]"),
        ([[1, 2], [3, -4]], "[1][1] must be from 0 to 99. Received: -4"),
        ([[1, 2], [None, 4]], "[1][0] must be int32. Received: null"),
    ],
)
def test_rows_of_choices(ids, reason):
    zeros = [[0, 0], [0, 0]]
    row = {"input_ids": ids, "input_mask": zeros, "segment_ids": zeros}
    with pytest.raises(RequestRefused) as error:
        ask(CHOOSER, row)
    assert f"input_ids[0]{reason}" in error.value.reason


def test_what_is_not_told_of_a_model_is_not_known():
    older = model({"max_seq_length": 4})
    ask(older, {**_RIGHT, "input_ids": [2, 2**31 - 1, 3]})
    with pytest.raises(RequestRefused, match="Received: -1"):
        ask(older, {**_RIGHT, "input_ids": [2, -1, 3]})
    # Somebody else's may be anything.
    ask(model({}), {**_RIGHT, "input_ids": [2, -1, 3]})


@pytest.mark.parametrize("value", [1e300, -1e39, 10**39])
def test_numbers_that_are_no_float32(value):
    tensor = Tensor("DT_FLOAT", (None, 2))
    with pytest.raises(RequestRefused, match=r"x\[1\] must be from -3.4"):
        read_array([1, value], tensor, "x")
    assert read_array([1, 0.5], tensor, "x").tolist() == [1, 0.5]
