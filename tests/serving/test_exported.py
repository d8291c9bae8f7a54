"""Tiny models, exported as their users do, behind a server."""

import base64
import json
import shutil
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import tensorflow as tf

from modeling.errors import UserError
from modeling.serving.client import Client, ServingError
from modeling.serving.model import Model
from modeling.serving.terminal import LineAnswerer
from tests.export.models import answerer, classifier, export, record
from tests.serving.servers import running, version, wait_until

_TEXTS = ["The cat, Café!", "", "今天，天气很好", "a " * 50, "dog"]
_CONTEXT = "Later, the 𝒞afé in the town was closed."


@pytest.fixture(scope="module")
def models_dir(tmp_path_factory):
    directory = tmp_path_factory.mktemp("models")
    trained = classifier(tmp_path_factory.mktemp("trained") / "reviews")
    export(trained, directory, name="reviews")
    encoder = {"task": "features", "layers": "-1"}
    export(trained, directory, name="vectors", **encoder)
    export(trained, directory, name="tokens", pooling="none", **encoder)
    folder = answerer(tmp_path_factory.mktemp("trained") / "answers")
    export(folder, directory, name="answers")
    return directory


@pytest.fixture(scope="module")
def server(models_dir):
    with running(models_dir, encode_model="vectors") as server:
        yield server


def alone(models_dir, name, **inputs):
    """What the model says of one row without the server."""
    loaded = tf.saved_model.load(str(models_dir / name / "1"))
    said = loaded.signatures["serving_default"](
        **{n: tf.constant([value]) for n, value in inputs.items()}
    )
    return {n: values.numpy()[0] for n, values in said.items()}


def test_labels(server, models_dir):
    with Client(server.url, "reviews", batch_size=2) as client:
        answers = client.predict(_TEXTS)
    for text, said in zip(_TEXTS, answers, strict=True):
        expected = alone(models_dir, "reviews", text=text)
        assert said["label"] == expected["label"].decode()
        np.testing.assert_allclose(
            said["probabilities"], expected["probabilities"], atol=1e-5
        )


def test_answers(server, models_dir):
    question = {"question": "What was closed?", "context": _CONTEXT}
    (said,) = server.post(
        "/v1/models/answers:predict", {"instances": [question]}
    )[1]["predictions"]
    expected = alone(models_dir, "answers", **question)
    assert said["answer"] == expected["answer"].decode()
    assert _CONTEXT[said["start"] : said["end"]] == said["answer"]
    assert said["score"] == pytest.approx(expected["score"], abs=1e-5)


def test_vectors_of_tokens_do_not_depend_on_strangers(server, models_dir):
    def ask(texts):
        message = {"inputs": texts}
        return server.post("/v1/models/tokens:predict", message)

    with ThreadPoolExecutor(len(_TEXTS)) as threads:
        answers = list(threads.map(ask, [[text] for text in _TEXTS]))
    for text, (status, said) in zip(_TEXTS, answers, strict=True):
        expected = alone(models_dir, "tokens", text=text)
        assert status == 200
        assert said["outputs"]["lengths"] == [expected["lengths"]]
        np.testing.assert_allclose(
            said["outputs"]["vectors"], [expected["vectors"]], atol=2e-5
        )
    # Columns are padded to the longest of the request.
    both = ask(["dog", "a dog"])[1]["outputs"]
    assert both["lengths"] == [3, 4]
    assert np.shape(both["vectors"]) == (2, 4, 16)
    assert not np.any(both["vectors"][0][3])


def test_encode(server, models_dir):
    message = {"id": "x7", "texts": ["a cat", "dog"], "is_tokenized": False}
    status, said = server.post("/encode", message)
    assert (status, said["status"], said["id"]) == (200, 200, "x7")
    expected = alone(models_dir, "vectors", text="a cat")["embedding"]
    np.testing.assert_allclose(said["results"][0], expected, atol=1e-5)
    # The same by its tokens, one of them unknown.
    tokens = {"id": 1, "texts": [["a", "cat"], ["dog"]], "is_tokenized": True}
    again = server.post("/encode", tokens)[1]
    np.testing.assert_allclose(again["results"], said["results"], atol=1e-5)
    unknown = {"id": 1, "texts": [["qqzzq"]], "is_tokenized": True}
    marked = {"id": 1, "texts": [["[UNK]"]], "is_tokenized": True}
    assert server.post("/encode", unknown) == server.post("/encode", marked)
    # Cut, as text is.
    long = {"id": 1, "texts": [["a"] * 500], "is_tokenized": True}
    assert server.post("/encode", long)[0] == 200


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        ({"texts": ["a"]}, '"id" and "texts"'),
        ({"id": 1}, '"texts" must be a list'),
        ({"id": 1, "texts": [1]}, r"texts\[0\] must be a string"),
        ({"id": 1, "texts": [["a"]]}, r"texts\[0\] must be a string"),
        ({"id": 1, "texts": ["a"], "is_tokenized": True}, "list of tokens"),
        ({"id": 1, "texts": ["a"], "is_tokenized": 1}, "true or false"),
        ({"id": [[1]], "texts": ["a"]}, '"id" must be a number or a string'),
        ({"id": {}, "texts": ["a"]}, '"id" must be a number or a string'),
    ],
)
def test_encode_tells_what_is_wrong(server, message, reason):
    status, said = server.post("/encode", message)
    assert status == said["status"] == 400
    assert reason.replace("\\", "") in said["error"]


def rows(*ids):
    return {
        "signature_name": "token_ids",
        "instances": [
            {
                "input_ids": row,
                "input_mask": [1] * len(row),
                "segment_ids": [0] * len(row),
            }
            for row in ids
        ],
    }


def test_token_ids(server):
    path = "/v1/models/answers:predict"
    (said,) = server.post(path, rows([101, 5, 6, 102]))[1]["predictions"]
    assert len(said["start_logits"]) == 4
    both = server.post(path, rows([101, 5, 6, 102], [101, 7, 102]))[1]
    first, second = both["predictions"]
    np.testing.assert_allclose(
        first["end_logits"], said["end_logits"], atol=1e-5
    )
    assert len(second["start_logits"]) == 3
    status, said = server.post(path, rows([101, 99999, 102]))
    assert status == 400
    assert "input_ids[0][1] must be from 0 to 2370" in said["error"]
    assert server.post(path, rows([1] * 33))[0] == 413


def test_examples(server):
    values = {"input_ids": [101, 5, 102], "input_mask": [1, 1, 1]}
    values = {n: v + [0] * 29 for n, v in values.items()}
    values["segment_ids"] = [0] * 32
    encoded = base64.b64encode(record(**values)).decode()
    path = "/v1/models/reviews:predict"
    message = {"signature_name": "examples", "instances": [{"b64": encoded}]}
    (said,) = server.post(path, message)[1]["predictions"]
    (same,) = server.post(path, rows([101, 5, 102]))[1]["predictions"]
    np.testing.assert_allclose(
        said["probabilities"], same["probabilities"], atol=1e-5
    )
    for name, number in (("input_ids", -1), ("segment_ids", 16)):
        changed = {**values, name: [number] + values[name][1:]}
        encoded = base64.b64encode(record(**changed)).decode()
        message["instances"] = [{"b64": encoded}]
        status, said = server.post(path, message)
        assert status == 400
        assert f"{name} must be from 0 to" in said["error"]
        assert f"Received:] [{number}]" in said["error"]
    bad = {"signature_name": "examples", "instances": [{"b64": "aGFsbG8="}]}
    status, said = server.post(path, bad)
    assert status == 400
    assert "Could not parse example" in said["error"]


def test_metadata(server):
    with Client(server.url, "answers") as client:
        said = client.metadata()["metadata"]["signature_def"]["signature_def"]
        assert set(said["serving_default"]["inputs"]) == {"question", "context"}
        (status,) = client.status()["model_version_status"]
        assert status["state"] == "AVAILABLE"
    (model,) = (
        m
        for m in server.get("/v1/models")[1]["models"]
        if m["task"] == "embedding"
    )
    assert model["name"] == "vectors"


def test_lengths_are_about_those_of_tokens(models_dir):
    model = Model.load(str(models_dir / "reviews" / "1"))

    def length(text):
        return model.length("serving_default", (text.encode(),))

    assert length("") == 2
    assert length("The weather is very nice today.") in range(7, 11)
    # As it will be cut.
    assert length("a " * 500) == 32
    windows = Model.load(str(models_dir / "answers" / "1"))
    assert windows.length("serving_default", (b"a", b"a " * 500)) > 500
    assert model.length("token_ids", (np.zeros(9), np.zeros(9))) == 9


def test_a_real_version_is_taken_over_under_load(models_dir, tmp_path):
    first = models_dir / "reviews" / "1"
    shutil.copytree(first, tmp_path / "reviews" / "1")
    done, failures, count = threading.Event(), [], [0]

    def ask(server):
        with Client(server.url, "reviews", retries=0) as client:
            while not done.is_set():
                try:
                    client.predict(["The cat"])
                    count[0] += 1
                except ServingError as error:
                    failures.append(error)

    with running(tmp_path, poll_seconds=0.1) as server:
        clients = [threading.Thread(target=ask, args=[server]) for _ in "ab"]
        for client in clients:
            client.start()
        shutil.copytree(first, tmp_path / "reviews" / "2")
        wait_until(
            lambda: server.metric('bert_model_version{model="reviews"}') == 2,
            30,
        )
        after = count[0]
        wait_until(lambda: count[0] > after + 5)
        done.set()
        for client in clients:
            client.join()
    assert not failures


def test_lines_of_a_terminal(models_dir, tmp_path):
    answer = LineAnswerer.open(str(models_dir), "answers")
    said, share = answer(f"What was closed?\t{_CONTEXT}").split("\t")
    expected = alone(
        models_dir, "answers", question="What was closed?", context=_CONTEXT
    )
    assert said == expected["answer"].decode()
    assert float(share) == pytest.approx(expected["score"], abs=1e-4)
    with pytest.raises(UserError, match="question <tab> context. Received: 1"):
        answer("What was closed?")
    with pytest.raises(UserError, match="--name must be one. Received: None"):
        LineAnswerer.open(str(models_dir))
    version(tmp_path, "a", 1)
    with pytest.raises(UserError, match="a/1 cannot be loaded: "):
        LineAnswerer.open(str(tmp_path))
    said, share = LineAnswerer.open(str(models_dir / "reviews"))("dog").split()
    expected = alone(models_dir, "reviews", text="dog")
    assert said == expected["label"].decode()
    assert float(share) == pytest.approx(
        expected["probabilities"].max(), abs=1e-4
    )
    said = json.loads(LineAnswerer.open(str(models_dir), "vectors")("dog"))
    assert len(said) == 16
