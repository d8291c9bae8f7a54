"""SWAG's, RACE's and one's own files, and what is wrong with them."""

import json

import pytest

from modeling.errors import UserError
from modeling.tasks.multiple_choice import ChoiceFile

SWAG = (
    ",video-id,fold-ind,startphrase,sent1,sent2,gold-source,"
    "ending0,ending1,ending2,ending3,label\n"
    '0,v1,3415,"A man sits, He","A man sits, still.",He,gold,'
    'stands.,flies.,"says ""no"".",sleeps.,2\n'
    "1,v2,1,x,s,t,gen,a,b,c,d,0\n"
)
RACE = {
    "id": "middle1.txt",
    "article": "It was.",
    "questions": ["What was  _ ?", "Who?"],
    "options": [["a", "b", "c", "d"], ["e", "f"]],
    "answers": ["C", "B"],
}


@pytest.fixture
def write(tmp_path):
    def write_file(name, content):
        path = tmp_path / name
        if not isinstance(content, str):
            content = json.dumps(content)
        path.write_text(content, encoding="utf-8")
        return str(path)

    return write_file


def read(path, **options):
    return list(ChoiceFile(path, **options))


def test_swag(write):
    first, second = read(write("train.csv", SWAG))
    assert first.context == "A man sits, still."
    assert first.question == "He"
    assert first.choices == ("stands.", "flies.", 'says "no".', "sleeps.")
    assert first.answer == 2 and first.row_id == "0"
    assert first.around_choice() == ("He", "")
    assert second.place.endswith("train.csv, line 3")
    unlabelled = "\n".join(
        line.rpartition(",")[0] for line in SWAG.strip().split("\n")
    )
    examples = read(write("test.csv", unlabelled), needs_answers=False)
    assert [e.answer for e in examples] == [None, None]


@pytest.mark.parametrize("none", ["-1", ""])
def test_swag_without_answers(write, none):
    path = write("test.csv", SWAG.replace("d,0", f"d,{none}"))
    first, second = read(path, needs_answers=False)
    assert (first.answer, second.answer) == (2, None)
    told = f"test.csv, line 3: no answer to .* Received: {none or 'nothing'}"
    with pytest.raises(UserError, match=told):
        read(path)


def test_race_in_every_packaging(write, tmp_path):
    (tmp_path / "middle").mkdir()
    paths = [
        write("one.json", RACE),
        write("dev.json", [RACE]),
        write("dev.jsonl", json.dumps(RACE) + "\n\n"),
        write("middle/1.txt", RACE),
        str(tmp_path / "middle"),
    ]
    for path in paths:
        first, second = read(path)
        assert first.context == "It was." and first.answer == 2
        assert first.choices == ("a", "b", "c", "d")
        assert first.row_id == "middle1.txt-0"
        assert first.around_choice() == ("What was  ", " ?")
        assert second.choices == ("e", "f") and second.answer == 1
        assert second.around_choice() == ("Who?", "")


def test_own_objects(write):
    lines = [
        {"context": "c", "question": "q _", "choices": ["x", "y"], "answer": 1},
        {
            "context": "c",
            "question": None,
            "choices": ["x", "y", "z"],
            "label": "a",
            "id": 4,
        },
        *(
            {"context": "c", "choices": ["x", "y"], "answer": none}
            for none in (None, -1, "")
        ),
    ]
    path = write("a.jsonl", "\n".join(map(json.dumps, lines)))
    one, two, *unknown = read(path, needs_answers=False)
    assert one.around_choice() == ("q ", "") and one.answer == 1
    assert two.question == "" and two.answer == 0 and two.row_id == "4"
    assert [example.answer for example in unknown] == [None] * 3
    with pytest.raises(UserError, match="a.jsonl, line 3: no answer to learn"):
        read(path)


def own(**values):
    values = {"context": "c", "choices": ["x", "y"], "answer": 0, **values}
    return json.dumps({k: v for k, v in values.items() if v != "drop"})


# Name and content of a file, what the message must say.
BAD = {
    "not JSON": (
        "a.json",
        '[\n{"article": }]',
        "a.json, line 2, column 13: not",
    ),
    "half of a character": (
        "a.json",
        '{"context":\n"c", "choices": ["x", "\\ud83d"], "answer": 0}',
        "a.json, line 2, column 24: not JSON: no low surrogate",
    ),
    "not JSONL": ("a.jsonl", own() + "\n{]\n", "a.jsonl, line 2: not JSON"),
    "one choice": (
        "a.jsonl",
        own(choices=["x"]),
        "a.jsonl, line 1: expected two or more choices. Received 1: ['x']",
    ),
    "answer too large": (
        "a.jsonl",
        own() + "\n" + own(answer=2),
        "a.jsonl, line 2: the answer must be one of the 2 choices, 0 to 1 or A "
        "to B. Received: number 2",
    ),
    "answer beyond letters": (
        "a.jsonl",
        own(choices=["x"] * 30, answer=30),
        "must be one of the 30 choices, 0 to 29. Received: number 30",
    ),
    "answer below 0": ("a.jsonl", own(answer=-2), "Received: number -2"),
    "answer as text": ("a.jsonl", own(answer="x y"), "Received: 'x y'"),
    "answer true": ("a.jsonl", own(answer=True), "a number or a letter. Rec"),
    "no choices": (
        "a.jsonl",
        own(choices="drop"),
        "line 1: the key 'choices' is missing. Keys found: 'context', 'answer'",
    ),
    "choices no texts": (
        "a.jsonl",
        own(choices=["x", 3]),
        "'choices' must be a list of texts. Received: 3 as number 2",
    ),
    "race answer": (
        "a.json",
        [{**RACE, "answers": ["C", "C"]}],
        "a.json, object 1 (middle1.txt), question 2: the answer must be one",
    ),
    "race lists": (
        "a.json",
        {**RACE, "answers": ["A"]},
        "a.json (middle1.txt): 2 questions, 2 lists of options and 1 answers",
    ),
    "no object": ("a.json", [3], "a.json, object 1 must be an object. Recei"),
    "number": ("a.json", "3", "must hold an object or a list of them"),
    "swag label": (
        "a.csv",
        SWAG.replace("d,0", "d,x"),
        "a.csv, line 3, column 'label': expected the number of an ending. Rec",
    ),
    "swag range": ("a.csv", SWAG.replace("d,0", "d,4"), "Received: number 4"),
    "swag ragged": (
        "a.csv",
        SWAG.replace("d,0", "d"),
        "a.csv, line 3: 11 columns, where the header has 12",
    ),
    "lines in JSON": (
        "a.json",
        own(context="ä") + "\n" + own(),
        "a.json, line 2, column 1: not JSON: unexpected content after document."
        " An object a line goes into a file that ends in .jsonl.",
    ),
    "cut JSON": (
        "a.json",
        own()[:-1],
        "a.json, line 1, column 52: not JSON: unexpected end of data. Is the "
        "file whole? It is 51 bytes.",
    ),
    "swag quotes": (
        "a.csv",
        SWAG.replace("x,s", '"x"y,s'),
        "a.csv, line 3: not a CSV row (',' expected after '\"'). A text that "
        'holds quotes, commas or line ends stands between double quotes, with "'
        '" for a quote in it. If quotes are plain text, give the examples as '
        "JSONL.",
    ),
    "list": (
        "a.jsonl",
        own() + '\n["c", ["x", "y"]]',
        "a.jsonl, line 2: expected an object, names and values in braces. "
        """Received: '["c", ["x", "y"]]'""",
    ),
    "swag header": (
        "a.csv",
        SWAG.replace("sent2", "sent"),
        "a.csv, line 1: no column sent2 in the header",
    ),
    "swag without endings": (
        "a.csv",
        "sent1,sent2,label\n",
        "no column ending0",
    ),
    "nothing": ("a.jsonl", "\n", "a.jsonl has no examples"),
    "unknown": ("a.tsv", "x", "ends in .csv (SWAG), .json or .txt (RACE) or"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_files_are_told_with_the_place(write, case):
    name, content, message = BAD[case]
    with pytest.raises(UserError) as error:
        read(write(name, content))
    assert message in str(error.value)


def test_number_of_choices_can_be_demanded(write):
    path = write("a.json", RACE)
    with pytest.raises(UserError, match="question 2: expected 4 choices. Rec"):
        read(path, num_choices=4)
