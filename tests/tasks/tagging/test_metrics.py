"""Metrics with numbers that conlleval and seqeval 1.2.2 give."""

import pytest

from modeling.errors import UserError
from modeling.tasks.tagging import evaluate


def split(*sentences):
    return [sentence.split() for sentence in sentences]


def test_numbers_of_seqeval():
    targets = split(
        "O O O B-MISC I-MISC I-MISC O",
        "B-PER I-PER O",
        "B-LOC B-LOC O I-LOC",
        "I-PER O B-ORG I-MISC",
    )
    predictions = split(
        "O O B-MISC I-MISC I-MISC I-MISC O",
        "B-PER I-PER O",
        "B-LOC I-LOC O B-LOC",
        "B-PER O B-ORG I-ORG",
    )
    values = evaluate(targets, predictions, "BIO")
    assert values["accuracy"] == pytest.approx(12 / 18)
    assert values["precision"] == pytest.approx(3 / 6)
    assert values["recall"] == pytest.approx(3 / 8)
    assert values["f1"] == values["score"] == pytest.approx(3 / 7)
    assert values["macro_f1"] == pytest.approx((0 + 1 + 0.4 + 0) / 4)
    assert values["per_type"]["LOC"] == {
        "precision": 0.5,
        "recall": pytest.approx(1 / 3),
        "f1": pytest.approx(0.4),
        "targets": 3,
        "predictions": 2,
    }
    assert list(values["per_type"]) == ["LOC", "MISC", "ORG", "PER"]
    assert values["per_type"]["MISC"]["f1"] == 0


def test_chunks_do_not_reach_over_sentences():
    apart = evaluate(split("B-X", "I-X"), split("B-X", "I-X"), "BIO")
    assert apart["per_type"]["X"]["targets"] == 2


def test_segmentation_counts_words_of_the_text():
    values = evaluate(split("B E S B E"), split("B E B E S"), "BMES")
    assert values["f1"] == pytest.approx(1 / 3)
    assert values["per_type"]["chunk"]["targets"] == 3


def test_plain_tags():
    values = evaluate(split("N V N", "N"), split("N N N", "V"), "plain")
    assert values["accuracy"] == values["score"] == 0.5
    assert values["per_type"]["N"]["precision"] == pytest.approx(2 / 3)
    assert values["per_type"]["V"]["recall"] == 0
    assert "f1" not in values


def test_nothing_found_and_nothing_there():
    values = evaluate(split("O B-X"), split("O O"), "BIO")
    assert values["f1"] == values["precision"] == 0
    assert evaluate(split("O"), split("O"), "BIO")["macro_f1"] == 0
    with pytest.raises(UserError, match="no words to evaluate"):
        evaluate([], [], "BIO")
