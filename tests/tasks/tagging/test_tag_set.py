"""The tags of a model: collected, given, kept, unknown."""

import logging

import numpy as np
import pytest

from modeling.errors import UserError
from modeling.tasks.tagging import TagSet, collect_tags


def test_every_type_gets_all_tags_of_the_learned_scheme(sentence):
    sentences = [sentence("a b c", "O I-Y I-X"), sentence("a", "I-X")]
    tags = collect_tags(sentences)
    assert tags.names == ("O", "B-X", "I-X", "B-Y", "I-Y")
    assert (tags.scheme, tags.file_scheme) == ("BIO", "IOB1")
    tags = collect_tags(sentences, "BIOES")
    assert tags.names[:5] == ("O", "B-X", "I-X", "E-X", "S-X")
    assert len(tags.names) == 9


@pytest.mark.parametrize("scheme", ["BIO", "BIOES"])
def test_files_of_any_scheme_are_learned_and_written_back(sentence, scheme):
    for text in ("I-X I-X B-X O", "B-X E-X S-X O", "B-X L-X U-X O"):
        data = sentence("a b c d", text)
        tags = collect_tags([data], scheme)
        assert tags.decode(tags.encode(data)) == text.split()


def test_ids_are_those_of_the_converted_tags(sentence):
    tags = collect_tags([sentence("a b", "O B-X")])
    ids = tags.encode(sentence("a b c", "I-X I-X O"))
    assert ids.tolist() == [1, 2, 0] and ids.dtype == np.int32
    assert tags.encode(sentence("a b")).tolist() == [-1, -1]


def test_a_slip_that_hides_the_scheme_is_told(sentence, caplog):
    caplog.set_level(logging.WARNING, "absl")
    slip = [sentence("a b", "O B-X"), sentence("a", "0")]
    assert collect_tags(slip).scheme == "plain"
    assert "mark chunks, as B-PER does, but not '0'" in caplog.text
    caplog.clear()
    collect_tags(slip, file_scheme="plain")
    collect_tags([sentence("a b", "NOUN B")])
    collect_tags([sentence("a b", "O B-X")])
    assert not caplog.text


@pytest.mark.parametrize(
    ("tags", "told"),
    [
        ("o b-per i-per", "Tags such as 'b-per', 'i-per' mark no chunks, as"),
        ("O b-per i-per", "Tags such as 'b-per', 'i-per' mark no chunks, as"),
        ("O u_per O", "Tags such as 'u_per' mark no chunks, as"),
        ("B-PER i-per O", "Some tags mark chunks, as B-PER does, but not 'i-p"),
        ("noun i-adj l-adj", ""),
        ("b i o", ""),
    ],
)
def test_small_letters_are_told(sentence, caplog, tags, told):
    caplog.set_level(logging.WARNING, "absl")
    found = collect_tags([sentence("a b c", tags)])
    assert found.scheme == "plain"
    assert (told in caplog.text) if told else not caplog.text


def test_word_segmentation_has_no_outside(sentence):
    tags = collect_tags([sentence("中 国 人", "B E S")])
    assert tags.names == ("B", "I")
    assert tags.decode([0, 1, 0]) == ["B", "E", "S"]
    assert tags.into_characters


def test_characters_are_told_from_words(sentence):
    tags = "O B-X"
    assert not collect_tags([sentence("a b", tags)]).into_characters
    assert not collect_tags([sentence("中国 人", tags)]).into_characters
    data = [sentence("a b", tags), sentence("中 b", tags)]
    assert collect_tags(data).into_characters


def test_plain_tags_and_given_ones(sentence):
    data = [sentence("a b c", "V N V")]
    assert collect_tags(data).names == ("N", "V")
    assert collect_tags(data, names=["V", "N", "P"]).names == ("V", "N", "P")
    tags = collect_tags([sentence("a", "B-X")], names=["O", "B-X", "B-Z"])
    assert tags.names == ("O", "B-X", "I-X", "B-Z", "I-Z")
    as_plain = collect_tags([sentence("a b", "B-X O")], file_scheme="plain")
    assert as_plain.names == ("B-X", "O") and as_plain.scheme == "plain"


def test_tags_are_kept_with_a_model(tmp_path, sentence):
    tags = collect_tags([sentence("a b", "O I-X")])
    tags.save(str(tmp_path))
    assert TagSet.load(str(tmp_path)) == tags
    (tmp_path / "tag_map.json").write_text('{"names": 3}')
    with pytest.raises(UserError, match="tag_map.json is not a tag map"):
        TagSet.load(str(tmp_path))
    with pytest.raises(UserError, match="Cannot read the tags of the model"):
        TagSet.load(str(tmp_path / "none"))


@pytest.mark.parametrize("tag", ["B-Y", "X", "Q-X"])
def test_unknown_tag_is_told_with_its_line(sentence, tag):
    tags = collect_tags([sentence("a b", "O B-X")])
    data = sentence("a b c", f"O O {tag}", line=8)
    with pytest.raises(UserError) as error:
        tags.encode(data)
    assert str(error.value).startswith(f"s.txt, line 10: unknown tag '{tag}'. ")
    assert "'O', 'B-X', 'I-X'" in str(error.value)


def test_sets_that_cannot_be(sentence):
    data = [sentence("a b", "O B-X")]
    with pytest.raises(UserError, match="learn must be one of BIO, BIOES"):
        collect_tags(data, "IOB1")
    with pytest.raises(UserError, match="file's scheme must be one of auto, "):
        collect_tags(data, file_scheme="IOB2")
    with pytest.raises(UserError, match="'V' is not of the scheme BIO, in wh"):
        collect_tags([sentence("a", "V")], file_scheme="BIO")
    with pytest.raises(UserError, match=r"two tags or more. .*\['O'\]"):
        collect_tags([sentence("a b", "O O")])
    with pytest.raises(UserError, match="stands twice"):
        collect_tags([sentence("a", "V")], names=["V", "V"])
