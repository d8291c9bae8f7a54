"""Exported taggers, and a model that chooses, behind a server."""

import base64

import numpy as np
import pytest
import tensorflow as tf

from modeling.errors import UserError
from modeling.serving.client import Client
from modeling.serving.model import Model
from modeling.serving.terminal import LineAnswerer
from modeling.tasks.tagging import split_text
from tests.export.models import record
from tests.serving.servers import running

_TEXTS = ["Ann saw Crème brûlée in 今天 town.", "", "dog", "the cat " * 30]
_QUESTIONS = [
    ("The cat sat.", "What sat?", ["A cat", "Dogs"]),
    ("", "_?", ["½", "x", "y", "the town"]),
    ("a " * 60, "", ["no", "", "yes"]),
]


@pytest.fixture(scope="module")
def models(tagging_dir):
    return {
        name: Model.load(str(tagging_dir / name / "1"))
        for name in ("entities", "parts", "choices")
    }


@pytest.fixture(scope="module")
def server(tagging_dir):
    with running(tagging_dir) as server:
        yield server


def alone(model, signature, row):
    """What the graph says of one row, beside which is no other."""
    inputs = model.signatures[signature].inputs
    said = model.signatures[signature].function(
        **{n: tf.constant([v]) for n, v in zip(inputs, row, strict=True)}
    )
    return {name: values.numpy()[0] for name, values in said.items()}


def check(said, expected):
    assert set(said) == set(expected)
    for name, value in expected.items():
        assert np.shape(said[name]) == np.shape(value), name
        if value.dtype.kind == "f":
            np.testing.assert_allclose(said[name], value, atol=1e-5)
        else:
            np.testing.assert_array_equal(said[name], value)


def check_together(model, signature, rows):
    answers = model.compute(signature, rows)
    for row, said in zip(rows, answers, strict=True):
        check(said, alone(model, signature, row))
    return answers


@pytest.mark.parametrize("name", ["entities", "parts"])
def test_words_do_not_depend_on_strangers(models, name):
    rows = [(text.encode(),) for text in _TEXTS]
    answers = check_together(models[name], "serving_default", rows)
    for text, said in zip(_TEXTS, answers, strict=True):
        words = split_text(text, False)
        assert list(said["word_starts"]) == list(words.starts)
        assert len(said["tags"]) == len(said["probabilities"])
    if name == "entities":
        counts = [len(said["entity_types"]) for said in answers]
        # So that there is something to be cut off.
        assert len(set(counts)) > 1
        assert all((said["entity_starts"] >= 0).all() for said in answers)


def choice_rows(model, questions=_QUESTIONS):
    rows = []
    for context, question, choices in questions:
        given = {
            "context": context.encode(),
            "question": question.encode(),
            "choices": np.array([c.encode() for c in choices], object),
        }
        inputs = model.signatures["serving_default"].inputs
        rows.append(tuple(given[name] for name in inputs))
    return rows


def test_choices_do_not_depend_on_strangers(models):
    model = models["choices"]
    answers = check_together(model, "serving_default", choice_rows(model))
    for (*_, choices), said in zip(_QUESTIONS, answers, strict=True):
        shares = said["probabilities"]
        assert len(shares) == len(choices)
        assert said["choice"] == shares.argmax()
        assert (shares > 0).tolist() == [choice != "" for choice in choices]


def words_of_rows(count, tokens):
    ids = np.arange(tokens, dtype=np.int32) + 5
    return {
        "input_ids": ids,
        "input_mask": np.ones_like(ids),
        "segment_ids": np.zeros_like(ids),
        "word_positions": np.arange(count, dtype=np.int32) + 1,
        "word_mask": np.ones(count, np.int32),
    }


def choices_of_rows(count, tokens):
    shape = [count, tokens]
    return {
        "input_ids": np.arange(np.prod(shape), dtype=np.int32).reshape(shape),
        "input_mask": np.ones(shape, np.int32),
        "segment_ids": np.zeros(shape, np.int32),
    }


@pytest.mark.parametrize(
    ("name", "rows"),
    [
        ("entities", [words_of_rows(2, 4), words_of_rows(3, 9)]),
        ("choices", [choices_of_rows(2, 9), choices_of_rows(3, 4)]),
    ],
)
def test_rows_of_tokens(models, server, name, rows):
    model = models[name]
    inputs = model.signatures["token_ids"].inputs
    columns = [tuple(row[n] for n in inputs) for row in rows]
    answers = check_together(model, "token_ids", columns)
    message = {
        "signature_name": "token_ids",
        "instances": [{n: v.tolist() for n, v in r.items()} for r in rows],
    }
    status, said = server.post(f"/v1/models/{name}:predict", message)
    assert status == 200
    for one, expected in zip(said["predictions"], answers, strict=True):
        check(one, expected)


def test_words_are_equally_many(server):
    row = {n: v.tolist() for n, v in words_of_rows(2, 4).items()}
    row["word_mask"].append(1)
    message = {"signature_name": "token_ids", "instances": [row]}
    status, said = server.post("/v1/models/entities:predict", message)
    assert status == 400
    assert "Inputs of row 0 differ in length" in said["error"]


def test_records_of_choices(models):
    rows = []
    for count in (2, 3):
        given = choices_of_rows(count, 32)
        if count == 3:
            # One that is not there, between others.
            given["input_mask"][1] = 0
        rows.append((record(**given),))
    answers = check_together(models["choices"], "examples", rows)
    assert [len(said["probabilities"]) for said in answers] == [2, 3]
    assert answers[1]["probabilities"][1] == 0


def test_instances_are_not_filled_up_but_columns_are(server, models):
    path = "/v1/models/entities:predict"
    said = server.post(path, {"instances": _TEXTS})[1]["predictions"]
    for text, one in zip(_TEXTS, said, strict=True):
        expected = alone(models["entities"], "serving_default", [text.encode()])
        assert one["tags"] == [tag.decode() for tag in expected["tags"]]
        assert one["word_ends"] == expected["word_ends"].tolist()
    columns = server.post(path, {"inputs": _TEXTS})[1]["outputs"]
    widths = {"word": max(len(one["tags"]) for one in said)}
    widths["entity"] = max(len(one["entity_types"]) for one in said)
    for name, column in columns.items():
        width = widths["entity" if name.startswith("entity") else "word"]
        nothing = 0
        if name in ("tags", "entity_types", "entity_texts"):
            nothing = ""
        elif name.endswith(("starts", "ends")):
            nothing = -1
        for one, row in zip(said, column, strict=True):
            assert row == one[name] + [nothing] * (width - len(one[name]))


def question(number, **changed):
    names = ("context", "question", "choices")
    return {**dict(zip(names, _QUESTIONS[number], strict=True)), **changed}


def test_questions(server, models):
    model = models["choices"]
    rows = choice_rows(model)
    instances = [question(i) for i in range(len(_QUESTIONS))]
    for size in (1, 64):
        with Client(server.url, "choices", batch_size=size) as client:
            answers = client.predict(instances)
        for row, said in zip(rows, answers, strict=True):
            check(said, alone(model, "serving_default", row))
    columns = {n: [one[n] for one in instances] for n in instances[0]}
    said = server.post("/v1/models/choices:predict", {"inputs": columns})[1]
    assert said["outputs"]["choice"] == [one["choice"] for one in answers]
    shares = np.array(said["outputs"]["probabilities"])
    assert shares.shape == (3, 4)
    assert (shares[0, 2:] == 0).all()


def test_choices_may_be_bytes(server):
    encoded = base64.b64encode("½".encode()).decode()
    given = ["a", {"b64": encoded}]
    path = "/v1/models/choices:predict"
    said = [
        server.post(path, {"instances": [question(0, choices=choices)]})
        for choices in (given, ["a", "½"])
    ]
    assert said[0] == said[1]
    assert said[0][0] == 200


def test_lengths_are_those_of_all_choices(models):
    model = models["choices"]
    short, several, long = (
        model.length("serving_default", row) for row in choice_rows(model)
    )
    assert short in range(2 * 7, 2 * 14)
    assert several in range(4 * 6, 4 * 12)
    # As it will be cut.
    assert long == 3 * 32
    rows = choices_of_rows(3, 9)
    inputs = model.signatures["token_ids"].inputs
    assert model.length("token_ids", tuple(rows[n] for n in inputs)) == 27


def test_lines_of_a_terminal(tagging_dir, models):
    answer = LineAnswerer(models["choices"])
    said = alone(
        models["choices"], "serving_default", choice_rows(models["choices"])[1]
    )
    chosen = _QUESTIONS[1][2][said["choice"]]
    share = said["probabilities"].max()
    assert answer("\t_?\t½\tx\ty\tthe town") == f"{chosen}\t{share:.4f}"
    with pytest.raises(UserError, match="context <tab> question <tab> choices"):
        answer("The cat sat.\tWhat sat?")
    with pytest.raises(UserError, match="two or more strings"):
        answer("The cat sat.\tWhat sat?\tA cat")

    (text, *_) = _TEXTS
    said = alone(models["parts"], "serving_default", [text.encode()])
    pairs = zip(
        split_text(text, False).words,
        [tag.decode() for tag in said["tags"]],
        strict=True,
    )
    line = LineAnswerer(models["parts"])(text)
    assert line == " ".join(f"{word}/{tag}" for word, tag in pairs)

    said = alone(models["entities"], "serving_default", [text.encode()])
    cells = []
    for kind, part in zip(
        said["entity_types"], said["entity_texts"], strict=True
    ):
        cells += [kind.decode(), part.decode()]
    assert LineAnswerer(models["entities"])(text) == ("\t".join(cells) or "-")
