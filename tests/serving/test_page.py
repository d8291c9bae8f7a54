"""The page in a real browser: Playwright and Chromium, where they are.

CHROMIUM names the browser; else it is looked for.
"""

import os
import shutil

import numpy as np
import pytest
import tensorflow as tf

from modeling.serving.model import Tensor
from tests.serving.servers import running, string_model, version

playwright = pytest.importorskip("playwright.sync_api")
_CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(_CHROMIUM is None, reason="there is no Chromium"),
]

_FLOAT, _INT = "DT_FLOAT", "DT_INT32"
_STRINGS = Tensor("DT_STRING", (None, None))
# A character that JavaScript counts as two.
_SENTENCE = "𝒜da met Bob <b>Smith</b>."


def _labels(text):
    shares = tf.constant([[0.25, 0.75]] * len(text))
    return {"label": tf.constant(["good"] * len(text)), "probabilities": shares}


def _topics(text):
    shares = tf.constant([[0.6, 0.9, 0.1]] * len(text))
    return {"labels": shares > 0.5, "probabilities": shares}


def _entities(text):
    return {
        "entities": tf.constant([["PER", "PER", ""]] * len(text)),
        "starts": tf.constant([[0, 8, 0]] * len(text)),
        "ends": tf.constant([[3, 20, 0]] * len(text)),
        "lengths": tf.constant([2] * len(text)),
    }


def _answers(question, context):
    found = np.array([len(q) > 0 for q in question.numpy()])
    return {
        "answer": tf.where(found, "Bob", ""),
        "score": tf.where(found, 0.5, 0.8),
        "start": tf.where(found, 8, -1),
        "end": tf.where(found, 11, -1),
    }


def _column(dtype):
    return Tensor(dtype, (None,))


_SHARES = Tensor(_FLOAT, (None, None))
_SPANS = Tensor(_INT, (None, None))
_MODELS = {
    "labels": string_model(
        _labels,
        {"label": _column("DT_STRING"), "probabilities": _SHARES},
        {"task": "classification", "labels": ["bad", "good"]},
    ),
    "topics": string_model(
        _topics,
        {"labels": Tensor("DT_BOOL", (None, 3)), "probabilities": _SHARES},
        {"task": "multi_label", "labels": ["a", "b", "c"]},
    ),
    "names": string_model(
        _entities,
        {
            "entities": _STRINGS,
            "starts": _SPANS,
            "ends": _SPANS,
            "lengths": _column(_INT),
        },
        {"task": "tagging"},
    ),
    "answers": string_model(
        _answers,
        {
            "answer": _column("DT_STRING"),
            "score": _column(_FLOAT),
            "start": _column(_INT),
            "end": _column(_INT),
        },
        {"task": "question_answering", "inputs": ["question", "context"]},
        ("question", "context"),
    ),
    "scores": string_model(
        lambda text: {"score": tf.constant([0.5] * len(text))},
        {"score": _column(_FLOAT)},
        {"task": "regression"},
    ),
    "vectors": string_model(
        lambda text: {"embedding": tf.zeros([len(text), 16])},
        {"embedding": Tensor(_FLOAT, (None, 16))},
        {"task": "embedding"},
    ),
}


@pytest.fixture(scope="module")
def models_dir(tmp_path_factory):
    directory = tmp_path_factory.mktemp("models")
    for name in _MODELS:
        version(directory, name, 1)
    return directory


def _load(folder):
    return _MODELS[folder.split("/")[-2]]


@pytest.fixture(scope="module")
def browser():
    with playwright.sync_playwright() as drivers:
        browser = drivers.chromium.launch(
            executable_path=_CHROMIUM, args=["--no-sandbox"]
        )
        yield browser
        browser.close()


@pytest.fixture
def page(browser):
    page = browser.new_page()
    page.set_default_timeout(10_000)
    errors = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    yield page
    page.close()
    assert not errors


@pytest.fixture(scope="module")
def server(models_dir):
    with running(models_dir, _load) as server:
        yield server


def ask(page, server, model, **texts):
    page.goto(server.url)
    page.select_option("#model", model)
    for name, text in texts.items():
        page.fill(f"textarea[name={name}]", text)
    page.click("button")
    page.wait_for_selector("#raw:not([hidden])")
    return page.locator("#result")


def test_labels_as_bars(page, server):
    result = ask(page, server, "labels", text="Not bad.")
    # The likeliest first.
    assert result.locator(".name").all_inner_texts() == ["good", "bad"]
    assert result.locator(".number").all_inner_texts() == ["75.0 %", "25.0 %"]
    widths = result.locator("meter").evaluate_all(
        "bars => bars.map(bar => bar.value)"
    )
    assert widths == [0.75, 0.25]
    assert result.locator(".given .name").all_inner_texts() == ["good"]


def test_several_labels(page, server):
    result = ask(page, server, "topics", text="x")
    assert result.locator(".given .name").all_inner_texts() == ["b", "a"]


def test_entities_in_their_text(page, server):
    result = ask(page, server, "names", text=_SENTENCE)
    marks = result.locator("mark")
    assert marks.all_inner_texts() == ["𝒜daPER", "Bob <b>SmithPER"]
    assert result.locator("p").inner_text() == (
        "𝒜daPER met Bob <b>SmithPER</b>."
    )


def test_an_answer_in_its_context(page, server):
    asked = {"question": "Who?", "context": _SENTENCE}
    result = ask(page, server, "answers", **asked)
    assert result.locator("p").first.inner_text() == "Bob (50.0 %)"
    assert result.locator("mark").all_inner_texts() == ["Bob"]
    assert result.locator(".context").inner_text() == _SENTENCE


def test_no_answer(page, server):
    result = ask(page, server, "answers", context=_SENTENCE)
    assert result.locator("p").first.inner_text() == "No answer (80.0 %)"
    assert result.locator("mark").count() == 0


def test_numbers(page, server):
    assert ask(page, server, "scores", text="x").inner_text() == "0.500"
    assert ask(page, server, "vectors", text="x").inner_text() == "16 numbers"


def test_what_is_wrong_is_shown(page, server):
    page.goto(server.url)
    page.select_option("#model", "labels")
    page.fill("textarea", "x" * 40_000)
    page.click("button")
    error = page.wait_for_selector(".error").inner_text()
    assert "32768 bytes. Received: 40000" in error


def test_it_asks_for_the_token(page, models_dir):
    with running(models_dir, _load, token="abc") as server:
        page.on("dialog", lambda dialog: dialog.accept("abc"))
        result = ask(page, server, "scores", text="x")
        assert result.inner_text() == "0.500"
