"""Answers in the text -> tokens."""

import numpy as np
import pytest

from modeling.errors import UserError
from modeling.tasks.squad import Answer, Paragraph, Question, encode
from modeling.tasks.squad.alignment import Characters, locate_answer
from modeling.tasks.squad.words import split_words


def tokens_of_answer(make_features, tokenizer, context, text, start):
    """The tokens that training data points to, None for none."""
    questions = (Question("q", "who", (Answer(text, start),)),)
    features = make_features(
        [Paragraph(context, questions)], is_training=True, max_seq_length=40
    )
    if features.unaligned:
        assert not len(features)
        return None
    (window,) = features.windows
    ids = features.row(0)[
        window[encode.START_POSITION] : window[encode.END_POSITION] + 1
    ]
    return tokenizer.convert_ids_to_tokens(ids.tolist())


@pytest.mark.parametrize(
    ("context", "text", "start", "tokens"),
    [
        ("(Steve Smith's)", "Steve Smith", 1, ["steve", "smith"]),
        # Within a word's pieces, the word: as the original does.
        ("electronics", "tron", 4, ["el", "##ec", "##tron", "##ics"]),
        (
            "Steve electronics.",
            "onics",
            12,
            [*"el ##ec ##tron ##ics .".split()],
        ),
        # Pieces that are the answer's own.
        ("Steve Japanese.", "Japan", 6, ["japan"]),
        # Within a run of Chinese, where the original would take all of it for
        # the last: the word is what stands between two Chinese characters.
        ("中国人的", "国人", 1, ["国", "人"]),
        ("中国1943人的", "43", 4, ["19", "##4", "##3"]),
        # The second of two, where the original finds the first.
        ("人(中,中)", "中", 4, ["中"]),
        # White space that differs, and a start that is off within its word.
        ("steve \n smith", "steve smith", 0, ["steve", "smith"]),
        ("(steve)", "steve", 0, ["steve"]),
        # No start.
        ("中国中国", "国", None, ["国"]),
        # Not there, nothing, beyond the end, before the first word.
        ("steve smith", "smith", 0, None),
        ("steve smith", " ", 5, None),
        ("steve smith", "steve", 99, None),
        ("  steve smith", "smith", 0, None),
        ("", "steve", 0, None),
        ("steve \u200b", "\u200b", 6, None),
    ],
)
def test_answers(make_features, tokenizer, context, text, start, tokens):
    found = tokens_of_answer(make_features, tokenizer, context, text, start)
    assert found == tokens


def test_the_one_at_the_place_is_meant(make_features):
    answer = (Question("q", "who", (Answer("中", 4),)),)
    features = make_features([Paragraph("人(中,中)", answer)], is_training=True)
    # [CLS] who [SEP] 人 ( 中 , 中 )
    assert features.windows[0, encode.START_POSITION :].tolist() == [7, 7]


def test_the_nearest_is_meant_where_the_place_is_wrong():
    text = "ab,ab,ab"
    found = locate_answer(text, split_words(text), Answer("ab", 4))
    assert found == Characters(3, 5)


def test_the_first_answer_that_can_be_aligned_counts(make_features):
    answers = (Answer("japan", 0), Answer("smith", 6), Answer("steve", 0))
    features = make_features(
        [Paragraph("steve smith", (Question("q", "who", answers),))],
        is_training=True,
    )
    assert features.windows[0, encode.START_POSITION :].tolist() == [4, 4]


def test_what_cannot_be_aligned_is_listed(make_features):
    questions = (
        Question("lost", "who", (Answer("japan", 0),)),
        Question("kept", "who", (Answer("smith", 6),)),
    )
    features = make_features(
        [Paragraph("steve smith", questions, "here")], is_training=True
    )
    (unaligned,) = features.unaligned
    assert unaligned == ("lost", "here", [("japan", 0)])
    assert len(features.questions) == len(features) == 1


def test_no_answer_to_train_on(make_features):
    paragraph = Paragraph("a", (Question("q", "b"),), "here")
    with pytest.raises(UserError, match="here, question 'q': no answer"):
        make_features([paragraph], is_training=True)
    impossible = Question("q", "b", (), True)
    features = make_features(
        [Paragraph("a", (impossible,))],
        is_training=True,
        version_2_with_negative=True,
    )
    columns = features.columns([0], 16)
    assert columns["is_impossible"].tolist() == [1]
    assert columns["start_positions"].tolist() == [0]


def test_words_split_as_in_the_original():
    words = split_words(" a\u202fb\xa0c\n\td ")
    assert words.texts == ["a", "b\xa0c", "d"]
    at = words.at(np.arange(11)).tolist()
    assert at == [-1, 0, 0, 1, 1, 1, 1, 1, 2, 2, 2]


def test_sentencepiece_takes_the_pieces_that_overlap(
    make_features, spm_tokenizer
):
    questions = (Question("q", "who", (Answer("smith", 7),)),)
    features = make_features(
        [Paragraph("steve (smith)", questions)],
        is_training=True,
        tokenizer=spm_tokenizer,
        max_seq_length=64,
    )
    window = features.windows[0]
    first, last = window[encode.START_POSITION], window[encode.END_POSITION]
    _, offsets = features.tokens_of_paragraph(0)
    shift = features.query_lengths[0] + 2
    assert offsets[first - shift][0] <= 7 < offsets[first - shift][1]
    assert offsets[last - shift][0] < 12 <= offsets[last - shift][1]
