"""TensorFlow Serving's dialect, without a server."""

import base64

import numpy as np
import orjson
import pytest

from modeling.errors import UserError
from modeling.serving.limits import Limits, RequestRefused
from modeling.serving.model import Model
from modeling.serving.rest import (
    answer_predict,
    describe_metadata,
    parse_predict,
)
from modeling.serving.signatures import Signature, Tensor

_TEXT = Tensor("DT_STRING", (None,))
_IDS = Tensor("DT_INT32", (None, None))
_SHARES = Tensor("DT_FLOAT", (None, 2))
_LIMITS = Limits(texts=3, text_bytes=10)


def model(**signatures):
    return Model(
        "nowhere",
        {
            name: Signature(name, inputs, outputs, None)
            for name, (inputs, outputs) in signatures.items()
        },
        {"max_seq_length": 4},
    )


ONE = model(
    serving_default=({"text": _TEXT}, {"score": Tensor("DT_FLOAT", (None,))}),
    token_ids=({"ids": _IDS, "mask": _IDS}, {"shares": _SHARES}),
    factors=({"x": Tensor("DT_FLOAT", (None, 2))}, {"shares": _SHARES}),
)
TWO = model(
    serving_default=(
        {"text": _TEXT, "text_b": _TEXT},
        {"label": _TEXT, "shares": _SHARES},
    ),
)


CHOICES = model(
    serving_default=(
        {"text": _TEXT, "choices": Tensor("DT_STRING", (None, None))},
        {"choice": Tensor("DT_INT32", (None,))},
    ),
    token_ids=({"ids": Tensor("DT_INT32", (None, None, None))}, {}),
)


def rows(message, of=ONE):
    query = parse_predict(message, of, _LIMITS)
    return [tuple(np.asarray(v).tolist() for v in row) for row in query.rows]


@pytest.mark.parametrize(
    "message",
    [
        {"instances": ["é", "b"]},
        {"instances": [{"text": "é"}, {"text": "b"}]},
        {"instances": [{"b64": "w6k="}, {"text": {"b64": "Yg=="}}]},
        {"inputs": ["é", "b"]},
        {"inputs": {"text": ["é", "b"]}},
        {"inputs": ["é", "b"], "signature_name": "serving_default"},
    ],
)
def test_forms_of_one_input(message):
    assert rows(message) == [("é".encode(),), (b"b",)]


@pytest.mark.parametrize(
    "message",
    [
        {"instances": [{"text_b": "2", "text": "1"}]},
        {"inputs": {"text_b": ["2"], "text": ["1"]}},
    ],
)
def test_forms_of_two_inputs(message):
    assert rows(message, TWO) == [(b"1", b"2")]


def test_numbers():
    ids = {"ids": [1, 2, 3], "mask": [1, 1, 1]}
    asked = {"signature_name": "token_ids"}
    assert rows({**asked, "instances": [ids]}) == [([1, 2, 3], [1, 1, 1])]
    asked = {"signature_name": "factors"}
    assert rows({**asked, "instances": [[1, 0.5]]}) == [([1, 0.5],)]


def token_row(ids, mask=(1, 1)):
    row = {"ids": ids, "mask": list(mask)}
    return {"signature_name": "token_ids", "instances": [row]}


@pytest.mark.parametrize(
    ("message", "status", "reason"),
    [
        ([], 400, "JSON object"),
        ({}, 400, 'either "instances" or "inputs"'),
        ({"instances": [], "inputs": []}, 400, "either"),
        ({"instances": ["a"], "x": 1}, 400, "Unknown in the body: x"),
        ({"instances": []}, 400, "not empty"),
        ({"instances": "a"}, 400, "must be a list"),
        ({"instances": [None]}, 400, r"text\[0\] must be a string"),
        ({"instances": ["a", 1]}, 400, r"text\[1\] must be a string"),
        ({"instances": [{"b64": "?"}]}, 400, "no base64"),
        ({"instances": [{"b64": 1}]}, 400, "no base64"),
        ({"instances": [{"txt": "a"}]}, 400, "with text. Received: txt"),
        ({"inputs": {"txt": ["a"]}}, 400, "with text. Received: txt"),
        ({"inputs": {"text": "a"}}, 400, "text must be a list"),
        ({"inputs": {"text": []}}, 400, "not empty"),
        ({"inputs": 1}, 400, "must be an object with text. Received: a number"),
        ({"inputs": None}, 400, "Received: null"),
        ({"inputs": "a"}, 400, "Received: a string"),
        ({"instances": ["a"] * 4}, 413, "3 texts. Received: 4"),
        ({"instances": ["é" * 6]}, 413, "10 bytes. Received: 12"),
        (
            {"instances": ["a"], "signature_name": "other"},
            400,
            "signatures factors, serving_default, token_ids. Received: 'other'",
        ),
        ({"instances": ["a"], "signature_name": []}, 400, "signatures"),
        (token_row([1, 2, 3]), 400, "differ in length"),
        (token_row([1] * 5, [1] * 5), 413, "4 tokens. Received: 5"),
        (token_row([1, 2.5]), 400, r"ids\[0\]\[1\] must be int32"),
        (token_row([True, False]), 400, "int32"),
        (token_row([[1], [2]]), 400, "int32"),
        (token_row([1, [2]]), 400, "int32"),
        (token_row([]), 400, "int32"),
        (token_row(["a", "b"]), 400, "int32"),
        (token_row([1, 2**31]), 400, "from -2147483648 to 2147483647"),
        (token_row([1, 2**70]), 400, "to 2147483647"),
        (
            {"signature_name": "factors", "instances": [[1.0]]},
            400,
            r"float32 of the shape \[2\]",
        ),
    ],
)
def test_what_is_wrong_is_told(message, status, reason):
    with pytest.raises(RequestRefused, match=reason) as error:
        parse_predict(message, ONE, _LIMITS)
    assert error.value.status == status


def test_strings_for_numbers_take_no_more_memory_than_they_have():
    # Each as long as the longest would be 4 TiB.
    message = token_row(["x" * 2**20, *["y"] * 2**20])
    with pytest.raises(RequestRefused, match=r"ids\[0\]\[0\] must be int32"):
        parse_predict(message, ONE, _LIMITS)


@pytest.mark.parametrize(
    "message",
    [
        {"instances": [{"text": "a", "choices": ["é", "", "b"]}]},
        {"inputs": {"text": ["a"], "choices": [["é", "", {"b64": "Yg=="}]]}},
    ],
)
def test_choices(message):
    assert rows(message, CHOICES) == [(b"a", ["é".encode(), b"", b"b"])]


@pytest.mark.parametrize(
    ("choices", "status", "reason"),
    [
        ("a", 400, r"choices\[0\] must be a list of two or more strings"),
        ({"b64": "Yg=="}, 400, "two or more"),
        ([], 400, "two or more"),
        (["a"], 400, "two or more"),
        (["a", "", ""], 400, "two or more strings that are not empty"),
        (["a", 1], 400, r"choices\[0\]\[1\] must be a string"),
        (["a", ["b"]], 400, r"choices\[0\]\[1\] must be a string"),
        (["a", "b" * 11], 413, r"choices\[0\]\[1\] may have 10 bytes"),
        (["a", "b", "c", "d"], 413, "3 texts. Received: 4"),
    ],
)
def test_wrong_choices(choices, status, reason):
    message = {"instances": [{"text": "a", "choices": choices}]}
    with pytest.raises(RequestRefused, match=reason) as error:
        parse_predict(message, CHOICES, _LIMITS)
    assert error.value.status == status


@pytest.mark.parametrize(
    ("ids", "reason"),
    [
        ([[1] * 5, [1] * 5], "4 tokens. Received: 5"),
        ([[1]] * 4, "3 texts. Received: 4"),
    ],
)
def test_too_many_tokens_or_choices(ids, reason):
    message = {"signature_name": "token_ids", "instances": [ids]}
    with pytest.raises(RequestRefused, match=reason):
        parse_predict(message, CHOICES, _LIMITS)
    message["instances"] = [[[1] * 4] * 3]
    assert rows(message, CHOICES) == [([[1] * 4] * 3,)]


def test_columns_are_equally_many():
    message = {"inputs": {"text": ["a"], "text_b": ["a", "b"]}}
    with pytest.raises(RequestRefused, match="differ in how many"):
        parse_predict(message, TWO, _LIMITS)


def answered(message, of, answers):
    query = parse_predict(message, of, _LIMITS)
    answer = answer_predict(query, of, answers)
    return orjson.loads(orjson.dumps(answer, option=orjson.OPT_SERIALIZE_NUMPY))


def test_answers_have_the_form_of_the_question():
    one = [{"score": np.float32(0.5)}, {"score": np.float32(1)}]
    assert answered({"instances": ["a", "b"]}, ONE, one) == {
        "predictions": [0.5, 1]
    }
    assert answered({"inputs": ["a", "b"]}, ONE, one) == {"outputs": [0.5, 1]}
    shares = np.array([0.25, 0.75], np.float32)
    two = [{"label": "é".encode(), "shares": shares}]
    question = {"text": ["a"], "text_b": ["b"]}
    assert answered({"inputs": question}, TWO, two) == {
        "outputs": {"label": ["é"], "shares": [[0.25, 0.75]]}
    }
    question = {"text": "a", "text_b": "b"}
    assert answered({"instances": [question]}, TWO, two) == {
        "predictions": [{"label": "é", "shares": [0.25, 0.75]}]
    }


def test_bytes_that_are_no_text():
    two = [{"label": b"\xff", "shares": np.zeros(2)}]
    message = {"instances": [{"text": "a", "text_b": "b"}]}
    (said,) = answered(message, TWO, two)["predictions"]
    assert base64.b64decode(said["label"]["b64"]) == b"\xff"


def test_shorter_rows_are_padded_in_columns_alone():
    spans = model(
        serving_default=(
            {"text": _TEXT},
            {
                "tags": Tensor("DT_STRING", (None, None)),
                "word_starts": Tensor("DT_INT32", (None, None)),
            },
        )
    )
    answers = [
        {
            "tags": np.array([b"a", b"b"], object),
            "word_starts": np.array([4, 9], np.int32),
        },
        {"tags": np.array([], object), "word_starts": np.array([], np.int32)},
    ]
    assert answered({"inputs": ["x", "y"]}, spans, answers) == {
        "outputs": {
            "tags": [["a", "b"], ["", ""]],
            "word_starts": [[4, 9], [-1, -1]],
        }
    }
    assert answered({"instances": ["x", "y"]}, spans, answers) == {
        "predictions": [
            {"tags": ["a", "b"], "word_starts": [4, 9]},
            {"tags": [], "word_starts": []},
        ]
    }


def test_metadata():
    said = describe_metadata("m", 3, ONE)
    assert said["model_spec"]["version"] == "3"
    signatures = said["metadata"]["signature_def"]["signature_def"]
    sizes = signatures["token_ids"]["outputs"]["shares"]["tensor_shape"]
    assert [dim["size"] for dim in sizes["dim"]] == ["-1", "2"]
    assert signatures["serving_default"]["inputs"]["text"]["dtype"] == (
        "DT_STRING"
    )


def test_limits_that_defeat_one_another():
    with pytest.raises(UserError, match="10 texts, but only 5 may wait"):
        Limits(texts=10, queue=5)
