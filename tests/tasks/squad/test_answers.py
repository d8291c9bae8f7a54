"""Scores -> answers and their files."""

import json

import numpy as np
import pytest

from modeling.errors import UserError
from modeling.tasks.squad import (
    AnswerOptions,
    Paragraph,
    Question,
    WindowScores,
    answer_questions,
    prepare_features,
    read_paragraphs,
    write_predictions,
)
from modeling.tasks.squad.answers import (
    ODDS_OF_NOTHING,
    Answered,
    NBestEntry,
)
from modeling.tasks.squad.final_text import FinalText
from modeling.tasks.squad.n_best import best_spans, softmax
from modeling.tasks.squad.scores import best_positions

RUNS = [f"pred{number:02}" for number in range(9)]


@pytest.fixture
def predict(squad_dir, golden_tokenizer, golden_options, tmp_path):
    """A function: golden run -> what is predicted, and where it is written."""

    def predict(run, **changes):
        settings = json.loads((squad_dir / "settings.json").read_text())
        (values,) = (v for v in settings["predictions"] if v["dir"] == run)
        logits = np.load(squad_dir / "logits.npz")
        names = AnswerOptions.__dataclass_fields__.keys() & values.keys()
        options = AnswerOptions(**{n: values[n] for n in names} | changes)
        path = str(squad_dir / values["dev_file"])
        tokenizer = golden_tokenizer(values["do_lower_case"])
        windows = golden_options(options.version_2_with_negative)
        features = prepare_features(
            path, tokenizer, windows, False, str(tmp_path / "cache")
        )
        scores = WindowScores(len(features), options.n_best_size)
        # Batches of several sizes, in any order.
        for batch in np.array_split(np.arange(len(features))[::-1], 7):
            scores.put(
                batch,
                logits[f"{values['logits']}/start_logits"][batch],
                logits[f"{values['logits']}/end_logits"][batch],
            )
        paragraphs = list(read_paragraphs(path))
        answered = list(
            answer_questions(paragraphs, features, scores, tokenizer, options)
        )
        return answered, write_predictions(answered, str(tmp_path))

    return predict


@pytest.mark.golden
@pytest.mark.parametrize("run", [run for run in RUNS if run != "pred07"])
def test_predictions(predict, squad_dir, tmp_path, run):
    if not (squad_dir / run).exists():
        pytest.skip(f"{run} is not in this set of golden files")
    predict(run)
    names = {path.name for path in (squad_dir / run).iterdir()}
    assert names == {path.name for path in tmp_path.glob("*.json")}
    for name in names:
        assert (tmp_path / name).read_bytes() == (
            squad_dir / run / name
        ).read_bytes(), name


@pytest.mark.golden
def test_predictions_where_the_original_stops(predict):
    """Spans of one token, one start and one end: most questions have none."""
    answered, predictions = predict("pred07")
    assert len(predictions.texts) == len(predictions.null_odds) == 26
    nothing = [a for a in answered if a.null_odds == ODDS_OF_NOTHING]
    assert len(nothing) == 17
    for question in nothing:
        assert (question.text, question.best_text) == ("", "")
        (entry,) = question.n_best
        assert (entry.text, entry.probability) == ("", 1.0)


@pytest.mark.golden
def test_final_text(squad_dir):
    golden = json.loads((squad_dir / "final_text.json").read_text())
    final_texts = {lower: FinalText(lower) for lower in (True, False)}
    for predicted, original, lower, expected in golden["cases"]:
        actual = final_texts[lower](predicted, original.split(" "))
        assert actual == expected, (predicted, original, lower)


def test_final_text_that_begins_in_a_later_word():
    assert FinalText(True)("smith", ["Steve", "Smith's"]) == "Smith"


def test_a_start_counts_where_it_has_most_context(make_features, tokenizer):
    context = "a b a b a b a b a b a b"
    # Windows of six tokens, a stride of three: token 5 is the last of the first
    # window and the third of the next.
    paragraph = Paragraph(context, (Question("q", "who"),))
    features = make_features([paragraph], max_seq_length=10, doc_stride=3)
    scores = WindowScores(len(features), 20)
    logits = np.zeros((2, len(features), 10), np.float32)
    logits[:, 0, 3 + 5] = 9
    scores.put(np.arange(len(features)), *logits)
    spans = best_spans(features.windows, 1, scores, 1, False)
    assert spans.firsts.count(5) == 1
    assert spans.start_logits[spans.firsts.index(5)] == 0


@pytest.mark.golden
def test_helpers(squad_dir):
    helpers = json.loads((squad_dir / "helpers.json").read_text())
    for case in helpers["best_indexes"]:
        best = best_positions(np.array([case["logits"]]), case["n_best_size"])
        assert best[0].tolist() == case["indexes"]
    for case in helpers["softmax"]:
        assert softmax(case["scores"]) == case["probabilities"]


def answer_one(
    make_features, tokenizer, context, starts, ends, answer_options=None, **more
):
    """The answer to one question on a context of one window."""
    paragraph = Paragraph(context, (Question("q", "who"),))
    features = make_features([paragraph], tokenizer=tokenizer, **more)
    options = AnswerOptions(**answer_options or {})
    scores = WindowScores(len(features), options.n_best_size)
    if len(features):
        logits = np.zeros((2, len(features), 16), np.float32)
        for row, values in zip(logits, (starts, ends), strict=True):
            for place, value in values.items():
                row[:, place] = value
        scores.put(np.arange(len(features)), *logits)
    (answered,) = answer_questions(
        [paragraph], features, scores, tokenizer, options
    )
    return answered


@pytest.mark.parametrize(
    ("threshold", "text"), [(3.5, ""), (4, "Steve Smith"), (5, "Steve Smith")]
)
def test_the_threshold_of_no_answer(make_features, tokenizer, threshold, text):
    answered = answer_one(
        make_features,
        tokenizer,
        "Steve Smith",
        # [CLS] who [SEP] steve smith [SEP]
        {0: 3, 3: 1},
        {0: 3, 4: 1},
        {
            "version_2_with_negative": True,
            "null_score_diff_threshold": threshold,
            "n_best_size": 2,
        },
    )
    assert [entry.text for entry in answered.n_best] == ["", "Steve Smith"]
    assert answered[1:4:2] == (text, "Steve Smith")
    assert answered.null_odds == 6 - 2


@pytest.mark.parametrize("version_2", [False, True])
def test_a_context_without_tokens(make_features, tokenizer, version_2):
    answered = answer_one(
        make_features,
        tokenizer,
        " \n",
        {},
        {},
        {"version_2_with_negative": version_2},
    )
    assert answered.text == ("" if version_2 else "empty")
    assert answered.best_text == ""
    assert answered.null_odds == (ODDS_OF_NOTHING if version_2 else None)


def test_text_by_offsets(make_features, tokenizer):
    # "½" has another length in tokens, so the original gives the word whole.
    starts, ends = {5: 9}, {5: 9}
    context = "1\u200b,steve"  # [CLS] who [SEP] 1 , steve
    arguments = make_features, tokenizer, context, starts, ends
    assert answer_one(*arguments).text == context
    by_offsets = answer_one(*arguments, {"answer_text": "offsets"})
    assert by_offsets.text == "steve"
    assert by_offsets.n_best[0].start_logit == 9


def test_sentencepiece_gives_text_by_offsets_only(make_features, spm_tokenizer):
    paragraph = Paragraph("steve (smith)", (Question("q", "who"),))
    features = make_features(
        [paragraph], tokenizer=spm_tokenizer, max_seq_length=40
    )
    scores = WindowScores(1, 20)
    scores.put(np.array([0]), *np.ones((2, 1, 40), np.float32))

    def answer(**options):
        return next(
            answer_questions(
                [paragraph],
                features,
                scores,
                spm_tokenizer,
                AnswerOptions(**options),
            )
        )

    texts = [entry.text for entry in answer(answer_text="offsets").n_best]
    assert texts and "" not in texts
    assert all(text in paragraph.context for text in texts)
    with pytest.raises(UserError, match="is for WordPiece vocabularies"):
        answer()


def test_rows_padded_to_their_batch_only(make_features, tokenizer):
    paragraph = Paragraph("a b", (Question("q", "who"),))
    features = make_features([paragraph])
    options = AnswerOptions()
    texts = []
    for length in (6, 16):
        scores = WindowScores(1, options.n_best_size)
        logits = np.full((2, 1, length), -9, np.float32)
        logits[:, 0, 3:5] = 1
        scores.put(np.array([0]), *logits)
        answered = answer_questions(
            [paragraph], features, scores, tokenizer, options
        )
        texts.append([entry.text for entry in next(answered).n_best])
    assert texts[0] == texts[1] == ["a", "a b", "b"]


def test_scores_that_do_not_belong(make_features, tokenizer):
    paragraph = Paragraph("a b", (Question("q", "who"),))
    features = make_features([paragraph])

    def answer(paragraphs, scores):
        options = AnswerOptions(n_best_size=2)
        list(answer_questions(paragraphs, features, scores, tokenizer, options))

    with pytest.raises(ValueError, match="1 windows have no scores"):
        answer([paragraph], WindowScores(1, 2))
    scores = WindowScores(1, 3)
    scores.put(np.array([0]), np.zeros((1, 6)), np.zeros((1, 6)))
    with pytest.raises(ValueError, match="2 questions, but features of 1"):
        answer([paragraph] * 2, scores)
    with pytest.raises(ValueError, match="n_best_size is 2, but .* 3 scores"):
        answer([paragraph], scores)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"n_best_size": 0}, "n_best_size must be positive. Received: 0"),
        ({"max_answer_length": 0}, "max_answer_length must be positive"),
        (
            {"null_score_diff_threshold": float("nan")},
            "null_score_diff_threshold must be a number. Received: nan",
        ),
        ({"answer_text": "x"}, "one of original, offsets. Received: 'x'"),
    ],
)
def test_bad_options(options, told):
    with pytest.raises(UserError, match=told):
        AnswerOptions(**options)


def test_no_questions_give_empty_files(tmp_path):
    write_predictions([], str(tmp_path))
    for name in ("predictions.json", "nbest_predictions.json"):
        assert (tmp_path / name).read_text() == json.dumps({}, indent=4) + "\n"
    assert not (tmp_path / "null_odds.json").exists()


def test_odds_do_not_stay_beside_answers_that_have_none(tmp_path):
    write_predictions([_answered(-1.5)], str(tmp_path))
    before = {path.name: path.read_text() for path in tmp_path.iterdir()}
    assert "null_odds.json" in before

    def failing():
        yield _answered(None)
        raise RuntimeError

    with pytest.raises(RuntimeError):
        write_predictions(failing(), str(tmp_path))
    after = {path.name: path.read_text() for path in tmp_path.iterdir()}
    assert after == before
    write_predictions([_answered(None)], str(tmp_path))
    assert {path.name for path in tmp_path.iterdir()} == {
        "predictions.json",
        "nbest_predictions.json",
    }


def _answered(null_odds):
    entry = NBestEntry("a", 1.0, 0.0, 0.0)
    return Answered("q", "a", [entry], "a", null_odds)


def test_directory_that_cannot_be_written(tmp_path):
    with pytest.raises(UserError, match="Cannot write .*nbest_predictions"):
        write_predictions([], str(tmp_path / "none"))
