"""From lines to rows: truncation as the original's, and windows."""

import json

import numpy as np
import pytest

from modeling.features import FeatureOptions
from modeling.features.rows import RowBuilder, split_pair
from modeling.text_files import read_lines
from modeling.tokenization import load_tokenizer


def build(tokenizer, lines, **options):
    return list(
        RowBuilder(tokenizer, FeatureOptions(**options)).build(lines, 0)
    )


@pytest.mark.golden
def test_features_are_the_originals(golden_dir):
    directory = golden_dir / "extract_features"
    settings = json.loads((directory / "run.json").read_text())
    tokenizer = load_tokenizer(
        golden_dir / "vocab.txt", do_lower_case=settings["do_lower_case"]
    )
    expected = [
        json.loads(line)
        for line in (directory / "features.jsonl").read_text().splitlines()
    ]
    lines = read_lines([str(directory / "input.txt")])
    length = settings["max_seq_length"]
    actual = build(tokenizer, lines, max_seq_length=length)
    assert len(actual) == len(expected)
    for line, feature in zip(actual, expected, strict=True):
        (row,) = line.rows
        size = sum(feature["input_mask"])
        assert line.index == feature["unique_id"]
        assert list(row.ids) == feature["input_ids"][:size]
        types = [0] * row.first_length + [1] * (size - row.first_length)
        assert types == feature["input_type_ids"][:size]


@pytest.mark.parametrize(
    "line", ["a " * 41, "a " * 41 + "||| b c", "x y ||| " + "a " * 41]
)
def test_windows_cover_every_token(pretrained, line):
    (built,) = build(
        pretrained.tokenizer,
        [line.strip()],
        max_seq_length=16,
        long_inputs="windows",
        window_overlap=4,
    )
    assert len(built.rows) > 2
    assert not built.is_cut
    covered = np.zeros(len(built.ids), int)
    for row in built.rows:
        assert len(row.ids) <= 16
        assert list(row.ids) == [built.ids[place] for place in row.places]
        # The first segment ends with the first [SEP].
        sep = pretrained.tokenizer.sep_id
        assert row.first_length == list(row.ids).index(sep) + 1
        covered[row.places] += 1
    assert covered.min() >= 1
    assert covered[0] == len(built.rows)
    # Neighbours share four tokens.
    assert (covered == 2).sum() >= 4 * (len(built.rows) - 1)


def test_both_texts_too_long_for_windows(pretrained):
    line = "a " * 30 + "||| " + "b " * 40
    (built,) = build(
        pretrained.tokenizer,
        [line.strip()],
        max_seq_length=16,
        long_inputs="windows",
        window_overlap=2,
    )
    assert built.is_cut
    assert len(built.ids) == 3 + 6 + 40


def test_short_lines_have_one_row_either_way(pretrained):
    for long_inputs in ("truncate", "windows"):
        (built,) = build(
            pretrained.tokenizer, ["the cat"], long_inputs=long_inputs
        )
        assert len(built.rows) == 1
        assert built.rows[0].places is None


@pytest.mark.parametrize(
    ("line", "pair"),
    [
        ("a ||| b", ("a", "b")),
        ("first ||| second ||| third", ("first ||| second", "third")),
        ("a|||b", ("a|||b", None)),
        ("||| b", ("||| b", None)),
        ("", ("", None)),
    ],
)
def test_pairs(line, pair):
    assert split_pair(line) == pair
