"""Metrics with numbers that conlleval and seqeval 1.2.2 give."""

import random

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


def random_tags(letters):
    """Tags of 400 sentences, most of them of no scheme, and others, of which
    four in five are the same.
    """
    rng = random.Random(letters)
    tags = ["O", *(f"{a}-{b}" for a in letters for b in ("LOC", "ORG", "PER"))]
    targets, predictions = [], []
    for _ in range(400):
        target = [rng.choice(tags) for _ in range(rng.randrange(1, 12))]
        targets.append(target)
        predictions.append(
            [t if rng.randrange(5) else rng.choice(tags) for t in target]
        )
    return targets, predictions


@pytest.mark.parametrize(
    ("letters", "scores", "macro_f1", "accuracy", "per_type"),
    [
        # Of seqeval's default mode on the same lists: precision_score and
        # recall_score, f1_score(average="macro"), accuracy_score, and of its
        # classification_report precision, recall and support.
        (
            "BI",
            (0.7752622860298177, 0.7834821428571429),
            0.7792058120276364,
            0.818218954248366,
            {
                "LOC": (0.7683333333333333, 0.7840136054421769, 588),
                "ORG": (0.7951219512195122, 0.7799043062200957, 627),
                "PER": (0.761744966442953, 0.7868284228769498, 577),
            },
        ),
        (
            "I",
            (0.7652417659425368, 0.7684729064039408),
            0.7665417882401772,
            0.8518835616438356,
            {
                "LOC": (0.7861507128309573, 0.7991718426501035, 483),
                "ORG": (0.7442348008385744, 0.7553191489361702, 470),
                "PER": (0.7647058823529411, 0.75, 468),
            },
        ),
        (
            "BIES",
            (0.8255131964809385, 0.8344861660079052),
            0.8291282567767949,
            0.8112398112398113,
            {
                "LOC": (0.8347457627118644, 0.8479196556671449, 697),
                "ORG": (0.83008356545961, 0.8441926345609065, 706),
                "PER": (0.8096774193548387, 0.8083735909822867, 621),
            },
        ),
    ],
)
def test_numbers_of_seqeval_on_tags_that_no_scheme_allows(
    letters, scores, macro_f1, accuracy, per_type
):
    scheme = "BIOES" if letters == "BIES" else "BIO"
    values = evaluate(*random_tags(letters), scheme)
    assert (values["precision"], values["recall"]) == pytest.approx(scores)
    assert values["macro_f1"] == pytest.approx(macro_f1)
    assert values["accuracy"] == pytest.approx(accuracy)
    found = {
        kind: (of_kind["precision"], of_kind["recall"], of_kind["targets"])
        for kind, of_kind in values["per_type"].items()
    }
    assert set(found) == set(per_type)
    for kind, expected in per_type.items():
        assert found[kind] == pytest.approx(expected)


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
