"""Exact match, F1 and thresholds, by worked numbers."""

import pytest

from modeling.tasks.squad import (
    Answer,
    Paragraph,
    Question,
    best_thresholds,
    mixed_metrics,
    right_answers,
    squad_metrics,
)
from modeling.tasks.squad.metrics import (
    exact_match,
    f1_score,
    normalize_answer,
)
from modeling.tasks.squad.mixed_metrics import (
    mixed_exact_match,
    mixed_f1_score,
    mixed_segments,
)


def test_normalisation():
    assert normalize_answer(" The  U.S.\tArmy, an 'A-team'") == "us army ateam"
    assert normalize_answer("another theory") == "another theory"


@pytest.mark.parametrize(
    ("gold", "prediction", "exact", "f1"),
    [
        ("the Eiffel Tower", "Eiffel tower.", 1, 1),
        # Three of four and three of five words.
        ("b c d e", "x b c d y", 0, 2 * 3 / 9),
        # A word counts as often as it stands on both sides.
        ("b b c", "b c c", 0, 2 * 2 / 6),
        ("b", "c", 0, 0),
        ("", "", 1, 1),
        ("", "b", 0, 0),
        ("b", "", 0, 0),
    ],
)
def test_scores(gold, prediction, exact, f1):
    assert exact_match(gold, prediction) == exact
    assert f1_score(gold, prediction) == pytest.approx(f1)


def test_squad_1():
    targets = {"1": ["b c", "b c d"], "2": ["x"], "3": ["y"]}
    predictions = {"1": "b c d e", "2": "X!", "4": "y"}
    # f1: max(2 * 2/6, 2 * 3/7), 1, and 0 for what is missing.
    assert squad_metrics(targets, predictions) == pytest.approx(
        {
            "exact": 100 / 3,
            "f1": 100 * (6 / 7 + 1) / 3,
            "total": 3,
            "missing": 1,
        }
    )


def test_squad_2_by_answerable():
    targets = {"1": ["b c"], "2": [], "3": [], "4": ["the"]}
    predictions = {"1": "b", "2": "", "3": "wrong", "4": ""}
    assert squad_metrics(targets, predictions) == pytest.approx(
        {
            "exact": 50,
            "f1": 100 * (2 / 3 + 2) / 4,
            "total": 4,
            "HasAns_exact": 0,
            "HasAns_f1": 200 / 3,
            "HasAns_total": 1,
            # An answer of which nothing is left is none.
            "NoAns_exact": 200 / 3,
            "NoAns_f1": 200 / 3,
            "NoAns_total": 3,
            "missing": 0,
        }
    )


def threshold_by_trial(targets, best_texts, null_odds, name):
    """Tries every threshold between two odds."""
    odds = sorted(set(null_odds.values()))
    found = []
    for threshold in [odds[0] - 1, *odds]:
        texts = {
            key: "" if null_odds[key] > threshold else text
            for key, text in best_texts.items()
        }
        found.append(squad_metrics(targets, texts)[name])
    return max(found)


@pytest.mark.parametrize("case", range(20))
def test_best_thresholds_are_the_best_and_give_what_they_say(case):
    import random

    rng = random.Random(case)
    keys = list(map(str, range(8)))
    targets = {k: rng.choice([[], ["b c"], ["d"]]) for k in keys}
    best_texts = {k: rng.choice(["b c", "b", "d"]) for k in keys}
    # Few values, so that many are equal.
    null_odds = {k: float(rng.randint(-2, 2)) for k in keys}
    results = best_thresholds(targets, best_texts, null_odds)
    for name in ("exact", "f1"):
        best = results[f"best_{name}"]
        expected = threshold_by_trial(targets, best_texts, null_odds, name)
        assert best == pytest.approx(expected)
        threshold = results[f"best_{name}_thresh"]
        texts = {
            key: "" if null_odds[key] > threshold else text
            for key, text in best_texts.items()
        }
        assert squad_metrics(targets, texts)[name] == pytest.approx(best)


def test_worked_threshold():
    targets = {"1": ["b"], "2": [], "3": ["c"], "4": []}
    best_texts = {"1": "b", "2": "x", "3": "c d", "4": "y"}
    null_odds = {"1": -5.0, "2": -1.0, "3": -2.0, "4": 3.0}
    # None answered: 2 right. Then question 1: 3; 3: exact 3, f1 3 + 2/3; 2 and
    # 4 would each lose one.
    assert best_thresholds(targets, best_texts, null_odds) == pytest.approx(
        {
            "best_exact": 75,
            "best_exact_thresh": -5,
            "best_f1": 100 * (3 + 2 / 3) / 4,
            "best_f1_thresh": -2,
        }
    )


def test_right_answers():
    answered = Question("1", "", (Answer("b", 0), Answer("c", 1)))
    unknown, impossible = Question("2", ""), Question("3", "", (), True)
    both = [Paragraph("", (answered, unknown))]
    assert right_answers(both) == {"1": ["b", "c"], "2": []}
    assert right_answers([Paragraph("", (unknown,))]) == {}
    assert right_answers([Paragraph("", (impossible,))]) == {"3": []}


def test_mixed_segments():
    segments = mixed_segments("《跑跑卡丁车》由NEXON公司 于2009年、花1,000.5元")
    assert segments == [*"跑跑卡丁车由", "nexon", *"公司于", "2009"] + [
        *"年花",
        "1,000.5",
        "元",
    ]
    assert mixed_segments("It's “U.S.”, ok") == [
        "it",
        "'s",
        "u.s",
        ".",
        ",",
        "ok",
    ]


@pytest.mark.parametrize(
    ("gold", "prediction", "exact", "f1"),
    [
        ("《北京》", "北京。", 1, 1),
        # The longest common run is 首都北京: four of six and four of five.
        ("中国首都北京", "首都北京市", 0, 2 * 4 / 11),
        # 北 and 京 stand apart in one of them: a run of one.
        ("北京", "北方京", 0, 2 * 1 / 5),
        ("NBA球队", "nba", 0, 2 * 1 / 4),
        ("北京", "上海", 0, 0),
        ("北京", "", 0, 0),
    ],
)
def test_mixed_scores(gold, prediction, exact, f1):
    assert mixed_exact_match(gold, prediction) == exact
    assert mixed_f1_score(gold, prediction) == pytest.approx(f1)


def test_mixed_metrics():
    targets = {"1": ["北京", "北京市"], "2": ["A"], "3": ["人"]}
    predictions = {"1": "北京市区", "2": "a"}
    f1 = 100 * (2 * 3 / 7 + 1) / 3
    assert mixed_metrics(targets, predictions) == pytest.approx(
        {
            "exact": 100 / 3,
            "f1": f1,
            "average": (100 / 3 + f1) / 2,
            "total": 3,
            "missing": 1,
        }
    )
