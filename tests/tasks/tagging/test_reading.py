"""Sentences of CoNLL, JSONL and text, and what is wrong with files."""

import gzip

import pytest

from modeling.errors import UserError
from modeling.tasks.tagging import SentenceFile, split_text

CONLL = """-DOCSTART- -X- O O

EU NNP I-NP I-ORG
rejects VBZ I-VP O

Peter NNP I-NP I-PER

-DOCSTART- -X- O O
in IN I-PP O
"""


def read(path, **options):
    return list(SentenceFile(path, **options))


def test_conll_columns_and_documents(write):
    sentences = read(write("train.txt", CONLL))
    assert [s.words for s in sentences] == [
        ("EU", "rejects"),
        ("Peter",),
        ("in",),
    ]
    assert sentences[0].tags == ("I-ORG", "O")
    assert [s.document for s in sentences] == [0, 0, 1]
    assert sentences[0].text == "EU rejects"
    assert sentences[0].starts == (0, 3) and sentences[0].ends() == [2, 10]
    assert sentences[0].place(1).endswith("train.txt, line 4")
    other = read(write("pos.txt", CONLL), word_column=-1, tag_column=1)
    assert other[0].words == ("I-ORG", "O")
    assert other[0].tags == ("NNP", "VBZ")


def test_tabs_gzip_windows_lines_and_odd_white_space(tmp_path):
    content = "\ufeffNew York\tB-LOC\r\n\u3000\tO\r\n \r\na\tO\r\n"
    path = tmp_path / "dev.conll.gz"
    path.write_bytes(gzip.compress(content.encode()))
    sentences = read(str(path))
    assert [s.words for s in sentences] == [("New York", "\u3000"), ("a",)]
    assert all(s.document is None for s in sentences)


def test_spaces_behind_tags_are_no_part_of_them(write):
    content = "a b\tB-X  \n \tO \n"
    (sentence,) = read(write("train.txt", content))
    assert sentence.words == ("a b", " ")
    assert sentence.tags == ("B-X", "O")
    (sentence,) = read(write("other.txt", "a B-X  \nb O \n"))
    assert sentence.tags == ("B-X", "O")


def conllu(*words):
    """Lines of CoNLL-U, of number, word and tag each."""
    row = "{}\t{}\tlemma\t{}\tX\t_\t0\tx\t_\t_\n"
    return "".join(row.format(*word) for word in words) + "\n"


# By its name, or by its columns.
@pytest.mark.parametrize("name", ["en.conllu", "en.conll", "en.txt"])
def test_conllu(write, name):
    words = ("1-2", "don't", "_"), ("1", "do", "AUX"), ("2", "#", "SYM")
    content = (
        "# newdoc id = a\n# sent_id = 1\n# text = don't #\n"
        + conllu(*words, ("2.1", "", "_"))
        + "#newdoc\n# newdocument is a word of a comment\n"
        + conllu(("0.1", "", "_"), ("1", "so", "ADV"))
        + "# newpar\n"
        + conllu(("1", "no", "INTJ"))
    )
    first, second, third = read(write(name, content))
    assert first.words == ("do", "#") and first.tags == ("AUX", "SYM")
    assert first.place(1).endswith("line 6")
    assert second.words == ("so",) and third.words == ("no",)
    assert [s.document for s in (first, second, third)] == [0, 1, 1]


def test_conllu_of_which_no_tags_are_known(write):
    open_ones = conllu(("1", "do", "_"), ("2", "so", "_"))
    path = write("a.conllu", open_ones + conllu(("1", "a", "X")))
    first, second = read(path, needs_tags=False)
    assert first.tags is None and second.tags == ("X",)
    with pytest.raises(UserError, match="line 1: no tags to learn from"):
        read(path)
    # Of a column that was chosen, "_" may be a tag.
    first, _ = read(path, tag_column=-1)
    assert first.tags == ("_", "_")


def test_hashes_are_words_of_other_files(write):
    (sentence,) = read(write("a.txt", "# O\n#newdoc O\n1 O\n"))
    assert sentence.words == ("#", "#newdoc", "1")
    assert sentence.document is None
    nine = "\t".join(["1", *"abcdefgh"])
    (sentence,) = read(write("nine.txt", f"{nine}\n"))
    assert sentence.words == ("1",) and sentence.tags == ("h",)
    with pytest.raises(UserError, match="line 2: 2 col.* Drop comments, which"):
        read(write("b.txt", "# id 7\na O\n"))


def test_words_alone_can_be_predicted(write):
    (sentence,) = read(write("test.txt", "中\n国\n"), needs_tags=False)
    assert sentence.tags is None
    assert sentence.text == "中国" and sentence.starts == (0, 1)


def test_jsonl(write):
    lines = """{"tokens": ["a", "b"], "tags": ["O", "B-X"], "document": "p"}

{"words": ["b"], "labels": ["O"], "document": "p", "id": 7}
{"tokens": ["a", "b"], "tags": ["O", "O"], "text": "a (b a)", "document": 3}
{"tokens": ["a"], "tags": ["O"]}
"""
    sentences = read(write("train.jsonl", lines))
    assert [s.document for s in sentences] == [0, 0, 1, None]
    assert [s.row_id for s in sentences] == [None, "7", None, None]
    assert sentences[0].tags == ("O", "B-X")
    assert sentences[2].starts == (0, 3)
    assert sentences[2].place(1).endswith("train.jsonl, line 4, word 2")


def test_null_says_nothing(write):
    lines = """{"tokens": ["a"], "tags": null, "text": null, "document": null}
{"tokens": null, "text": "b c", "id": null}
"""
    first, second = read(write("test.jsonl", lines), needs_tags=False)
    assert (first.words, first.tags, first.document) == (("a",), None, None)
    assert second.words == ("b", "c") and second.row_id is None
    with pytest.raises(UserError, match="line 1, word 1: no tags to learn"):
        read(write("train.jsonl", lines))


def test_texts_are_split_in_words_or_characters(write):
    text = "他叫 Li,19!"
    words = split_text(text, into_characters=False)
    assert words.words == ("他", "叫", "Li", ",", "19", "!")
    assert words.starts == (0, 1, 3, 5, 6, 8)
    characters = split_text(text, into_characters=True)
    assert characters.words == tuple("他叫Li,19!")
    path = write("texts.txt", f"{text}\n\na\tb\n")
    first, second = read(path, file_format="text", needs_tags=False)
    assert first.words == words.words and first.text == text
    assert second.words == ("a", "b") and second.lines == (3,)
    jsonl = write("texts.jsonl", '{"text": "他叫 Li,19!", "id": "x"}\n')
    (sentence,) = read(jsonl, needs_tags=False, into_characters=True)
    assert sentence.words == characters.words and sentence.row_id == "x"


# Name and content of a file, what the message must say.
BAD = {
    "ragged": (
        "a.txt",
        "a X O\nb X O\n\nc O\n",
        r"a.txt, line 4: 2 columns, where line 1 has 3. Received: 'c O'",
    ),
    "carriage returns": (
        "a.txt",
        "a O\rb O\r",
        "a.txt, line 1: a carriage return within the line. Received: 'a O",
    ),
    "no tags": (
        "a.txt",
        "a\nb\n",
        "a.txt, line 1: no column of tags, only 'a'",
    ),
    "empty word": (
        "a.txt",
        "a\tO\n\tO\n",
        "line 2, column 1: the cell is empty",
    ),
    "empty tag": (
        "a.txt",
        "a\tO\nb\t\n",
        "line 2, column 2: the cell is empty",
    ),
    "nothing": ("a.txt", "-DOCSTART- O\n\n\n", "a.txt has no sentences"),
    "not JSON": ("a.jsonl", '\n{"tokens": [\n', "a.jsonl, line 2: not JSON"),
    "no words": (
        "a.jsonl",
        '{"tags": []}',
        "line 1: the key 'tokens' or 'words'",
    ),
    "empty sentence": (
        "a.jsonl",
        '{"tokens": [], "tags": []}',
        "a.jsonl, line 1: the sentence has no words",
    ),
    "too few tags": (
        "a.jsonl",
        '{"tokens": ["a", "b"], "tags": ["O"]}',
        "a.jsonl, line 1: 2 words, but 1 tags",
    ),
    "tags missing": (
        "a.jsonl",
        '{"tokens": ["a", "b"]}',
        "a.jsonl, line 1, word 1: no tags to learn from",
    ),
    "numbers": (
        "a.jsonl",
        '{"tokens": ["a", "b"], "tags": [0, 1]}',
        "line 1: 'tags' must be a list of texts. Received: 0 as number 1",
    ),
    "word empty": (
        "a.jsonl",
        '{"tokens": ["a", ""], "tags": ["O", "O"]}',
        "line 1: word 2 is empty",
    ),
    "not in the text": (
        "a.jsonl",
        '{"tokens": ["a", "b"], "tags": ["O", "O"], "text": "b a"}',
        'line 1: word 2, "b", is not in the text behind the word before',
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_files_are_told_with_the_line(write, case):
    name, content, message = BAD[case]
    with pytest.raises(UserError) as error:
        read(write(name, content))
    assert message.replace("\\", "") in str(error.value)


def test_columns_and_formats_that_do_not_exist(write):
    path = write("a.txt", "a X O\n")
    with pytest.raises(UserError, match="line 1: no column 3 for the tag, the"):
        read(path, tag_column=3)
    with pytest.raises(UserError, match="no column -4 for the word"):
        read(path, word_column=-4)
    with pytest.raises(UserError, match="one of conll, jsonl, text. Received"):
        read(path, file_format="csv")
