"""The page in a real browser: Playwright and Chromium, where they are.

CHROMIUM names the browser; else it is looked for.
"""

import os
import shutil

import numpy as np
import pytest
import tensorflow as tf

from modeling.serving.signatures import Tensor
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
        "entity_types": tf.constant([["PER", "PER"]] * len(text)),
        "entity_starts": tf.constant([[0, 8]] * len(text)),
        "entity_ends": tf.constant([[3, 20]] * len(text)),
        "entity_scores": tf.constant([[0.5, 0.25]] * len(text)),
    }


def _segments(text):
    return {
        "entity_types": tf.constant([["", ""]] * len(text)),
        "entity_starts": tf.constant([[0, 2]] * len(text)),
        "entity_ends": tf.constant([[2, 4]] * len(text)),
        "entity_scores": tf.constant([[0.5, 0.25]] * len(text)),
    }


def _parts(text):
    return {
        "tags": tf.constant([["NN", "VB"]] * len(text)),
        "word_starts": tf.constant([[0, 4]] * len(text)),
        "word_ends": tf.constant([[3, 7]] * len(text)),
        "probabilities": tf.constant([[0.5, 0.25]] * len(text)),
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
_ENTITIES = {
    "entity_types": _STRINGS,
    "entity_starts": _SPANS,
    "entity_ends": _SPANS,
    "entity_scores": _SHARES,
}
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
    "names": string_model(_entities, _ENTITIES, {"task": "tagging"}),
    "segments": string_model(_segments, _ENTITIES, {"task": "tagging"}),
    "parts": string_model(
        _parts,
        {
            "tags": _STRINGS,
            "word_starts": _SPANS,
            "word_ends": _SPANS,
            "probabilities": _SHARES,
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
    return answer(page)


def answer(page):
    """Asks what was typed in."""
    page.click("button[type=submit]")
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

    titles = [mark.get_attribute("title") for mark in marks.all()]
    assert titles == ["50.0 %", "25.0 %"]


def test_words_of_characters(page, server):
    result = ask(page, server, "segments", text="今天天气。")
    assert result.locator("mark").all_inner_texts() == ["今天", "天气"]
    assert result.locator("p").inner_text() == "今天天气。"


def test_a_tag_above_every_word(page, server):
    result = ask(page, server, "parts", text="𝒜da <b>.")
    assert result.locator("rt").all_inner_texts() == ["NN", "VB"]
    words = result.locator("ruby").evaluate_all(
        "words => words.map(word => word.firstChild.data)"
    )
    assert words == ["𝒜da", "<b>"]
    assert result.locator("p").evaluate("p => p.lastChild.data") == "."


def test_exported_models(page, tagging_dir):
    with running(tagging_dir) as server:
        text = "Ann saw 𝒜da in the town."
        result = ask(page, server, "entities", text=text)
        message = {"instances": [text]}
        path = "/v1/models/entities:predict"
        (said,) = server.post(path, message)[1]["predictions"]
        marks = result.locator("mark").evaluate_all(
            "marks => marks.map(mark => mark.firstChild.data)"
        )
        assert marks == said["entity_texts"] != []
        types = result.locator("mark small").all_inner_texts()
        assert types == said["entity_types"]

        page.select_option("#model", "choices")
        page.fill("textarea[name=context]", "The cat sat.")
        page.fill("textarea[name=question]", "What sat?")
        choices = page.locator("li input")
        assert choices.count() == 2
        choices.nth(0).fill("A cat")
        for number, choice in enumerate(["", "<b>dogs</b>", "no"], 2):
            page.click("fieldset > button")
            choices.nth(number).fill(choice)
        page.locator("li").nth(1).get_by_text("Remove").click()
        result = answer(page)
        asked = ["A cat", "<b>dogs</b>", "no"]
        message = {
            "context": "The cat sat.",
            "question": "What sat?",
            "choices": asked,
        }
        path = "/v1/models/choices:predict"
        (said,) = server.post(path, {"instances": [message]})[1]["predictions"]
        shares = dict(zip(asked, said["probabilities"], strict=True))
        names = sorted(asked, key=shares.get, reverse=True)
        assert result.locator(".name").all_inner_texts() == names
        assert result.locator(".given .name").all_inner_texts() == names[:1]
        numbers = [f"{100 * shares[name]:.1f} %" for name in names]
        assert result.locator(".number").all_inner_texts() == numbers

        # A single one is refused, and the page says why.
        page.locator("li").nth(0).get_by_text("Remove").click()
        page.locator("li").nth(1).get_by_text("Remove").click()
        page.click("button[type=submit]")
        error = page.wait_for_selector(".error").inner_text()
        assert "two or more strings" in error


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
    page.click("button[type=submit]")
    error = page.wait_for_selector(".error").inner_text()
    assert "32768 bytes. Received: 40000" in error


def test_it_asks_for_the_token(page, models_dir):
    with running(models_dir, _load, token="abc") as server:
        page.on("dialog", lambda dialog: dialog.accept("abc"))
        result = ask(page, server, "scores", text="x")
        assert result.inner_text() == "0.500"
