"""Reading question answering data, good and bad."""

import gzip
import json

import pytest

from modeling.errors import UserError
from modeling.tasks.squad import (
    Answer,
    Paragraph,
    Question,
    check_question_ids,
    read_paragraphs,
)


def squad(**changes):
    """SQuAD's layout with one question, some of its values changed."""
    qa = {
        "id": "q1",
        "question": "Who?",
        "answers": [{"text": "Steve", "answer_start": 0}],
    }
    qa |= changes
    qa = {key: value for key, value in qa.items() if value != "drop"}
    paragraph = {"context": "Steve Smith", "qas": [qa]}
    return {
        "version": "1.1",
        "data": [{"title": "", "paragraphs": [paragraph]}],
    }


def read_one(path):
    (paragraph,) = read_paragraphs(path)
    (question,) = paragraph.questions
    return paragraph.context, question


def test_squad_layout(write_data):
    context, question = read_one(write_data(squad()))
    assert context == "Steve Smith"
    assert question == Question("q1", "Who?", (Answer("Steve", 0),), None)


def test_squad_2(write_data):
    data = squad(answers=[], is_impossible=True)
    _, question = read_one(write_data(data))
    assert question == Question("q1", "Who?", (), True)


def test_test_set_without_answers(write_data):
    _, question = read_one(write_data(squad(answers="drop")))
    assert question.answers == ()


def test_layout_of_cmrc(write_data):
    data = [
        {
            "context_id": "TRIAL_800",
            "context_text": "中国人",
            "qas": [
                {
                    "query_id": "TRIAL_800_QUERY_0",
                    "query_text": "谁？",
                    "answers": ["国人", "人"],
                }
            ],
        }
    ]
    context, question = read_one(write_data(data))
    assert context == "中国人"
    answers = (Answer("国人", None), Answer("人", None))
    assert question == Question("TRIAL_800_QUERY_0", "谁？", answers, None)


def test_places_that_cmrc_did_not_find_and_numbers_as_ids(write_data):
    for start in (-1, None):
        answers = [{"text": "Steve", "answer_start": start}]
        data = squad(id=7, answers=answers, is_impossible=None)
        _, question = read_one(write_data(data))
        assert question == Question("7", "Who?", (Answer("Steve", None),), None)


def test_gzip_and_byte_order_mark(tmp_path):
    path = tmp_path / "data.json.gz"
    content = b"\xef\xbb\xbf" + json.dumps(squad()).encode()
    path.write_bytes(gzip.compress(content))
    assert read_one(str(path))[1].id == "q1"


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ('{"data": [\n{"paragraphs": ]}', "line 2, column 16: not JSON"),
        ("3", "must hold an object with the key 'data'"),
        ({"dat": []}, "the key 'data' is missing. Keys found: 'dat'"),
        ({"data": [{"paragraphs": 3}]}, "article 1: 'paragraphs' must be a li"),
        (
            {"data": [{"paragraphs": []}, {"paragraphs": [{"qas": []}]}]},
            "article 2, paragraph 1: the key 'context' or 'context_text' is mi",
        ),
        (squad(id="drop"), "paragraph 1, question 1: the key 'id' or 'query_"),
        (squad(question=None), "question 1 (q1): 'question' must be text. Re"),
        (squad(is_impossible=0), "'is_impossible' must be true or false. Rec"),
        (squad(answers=None), "'answers' must be a list. Received: null"),
        (squad(answers=[3]), "(q1), answer 1 must be an object. Received: 3"),
        (
            squad(answers=[{"answer_start": 0}]),
            "question 1 (q1), answer 1: the key 'text' is missing",
        ),
        (
            squad(answers=[{"text": "x", "answer_start": True}]),
            "'answer_start' must be a number. Received: true",
        ),
    ],
)
def test_bad_data_is_told_with_its_place(write_data, values, told):
    path = write_data(values)
    with pytest.raises(UserError) as error:
        list(read_paragraphs(path))
    assert str(error.value).startswith(path)
    assert told in str(error.value)


def test_file_that_cannot_be_read(tmp_path):
    with pytest.raises(UserError, match="Cannot read .*No such file"):
        list(read_paragraphs(str(tmp_path / "none.json")))
    path = tmp_path / "latin.json"
    path.write_bytes(b'{"data":\n "\xe9"}')
    with pytest.raises(UserError, match=r"latin.json, line 2, byte 3: not UTF"):
        list(read_paragraphs(str(path)))


def test_ids_that_stand_twice():
    twice = [Paragraph("", (Question("q", ""),), f"P{i}") for i in range(2)]
    check_question_ids(twice[:1])
    with pytest.raises(UserError, match="P1: the question id 'q' stands in P0"):
        check_question_ids(twice)
