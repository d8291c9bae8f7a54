"""What is written: schema, compression, shards, and resuming."""

import gzip
import json

import numpy as np
import pytest

from modeling.errors import UserError
from modeling.features import FeatureOptions, LineFeatures, read_shards
from modeling.features import shards as shards_module
from modeling.features.jsonl import JsonlFile, JsonLines
from modeling.features.shards import ShardWriter

SETTINGS = {"input": [["a.txt", 9]], "precision": "float32"}


def make_lines(count, pooled=False, first=0):
    rng = np.random.default_rng(5)
    lines = []
    for index in range(first, first + count):
        tokens = ["[CLS]", "Ünï", "##日"][: 1 + index % 3]
        shape = (2, 4) if pooled else (len(tokens), 2, 4)
        values = rng.normal(size=shape).astype(np.float32)
        lines.append(LineFeatures(index, tokens, values))
    return lines


def options(**changes):
    return FeatureOptions(**{"layers": (-1, 0), **changes})


def test_json_is_the_originals():
    values = np.array([[[0.1234564, -1e-9], [2.0, -3.5]]], np.float32)
    line = JsonLines(options()).encode(LineFeatures(7, ["[CLS]"], values))
    assert line == (
        b'{"linex_index":7,"features":[{"token":"[CLS]","layers":['
        b'{"index":-1,"values":[0.123456,-0.0]},'
        b'{"index":0,"values":[2.0,-3.5]}]}]}\n'
    )


@pytest.mark.parametrize(
    ("changes", "label"),
    [
        ({"combine": "sum"}, {"index": [-1, 0], "combine": "sum"}),
        (
            {"combine": "weighted", "layer_weights": (0.5, 2.0)},
            {"index": [-1, 0], "combine": "weighted", "weights": [0.5, 2.0]},
        ),
        ({"layers": ("embeddings",)}, {"index": "embeddings"}),
    ],
)
def test_json_says_what_it_holds(changes, label):
    values = np.zeros((1, 1, 2), np.float32)
    line = LineFeatures(0, ["[CLS]"], values)
    (layer,) = json.loads(JsonLines(options(**changes)).encode(line))[
        "features"
    ][0]["layers"]
    assert layer == {**label, "values": [0.0, 0.0]}


def test_json_of_pooled_lines():
    line = LineFeatures(3, ["[CLS]", "a"], np.ones((2, 2), np.float32))
    content = json.loads(JsonLines(options(pooling="max")).encode(line))
    assert content == {
        "linex_index": 3,
        "pooling": "max",
        "layers": [
            {"index": -1, "values": [1.0, 1.0]},
            {"index": 0, "values": [1.0, 1.0]},
        ],
    }


@pytest.mark.parametrize("name", ["out.jsonl", "out.jsonl.gz"])
def test_killed_and_resumed_the_bytes_are_the_same(name, tmp_path):
    lines = make_lines(7)
    whole = JsonlFile(
        str(tmp_path / "whole" / name), options(), SETTINGS, False
    )
    whole.write(lines[:3])
    whole.write(lines[3:5])
    whole.write(lines[5:])
    whole.finish()

    path = tmp_path / name
    path.write_text("an earlier output")
    killed = JsonlFile(str(path), options(), SETTINGS, False)
    killed.write(lines[:3])
    # Killed while it wrote the next window: half a line is there, uncounted.
    with open(f"{path}.partial", "ab") as file:
        file.write(b'{"linex_index":3,"fea')
    assert path.read_text() == "an earlier output"

    resumed = JsonlFile(str(path), options(), SETTINGS, True)
    assert resumed.lines_done == 3
    resumed.write(lines[3:5])
    resumed.write(lines[5:])
    resumed.finish()
    assert path.read_bytes() == (tmp_path / "whole" / name).read_bytes()
    assert sorted(p.name for p in tmp_path.iterdir()) == [name, "whole"]

    opener = gzip.open if name.endswith(".gz") else open
    with opener(path, "rt", encoding="utf-8") as file:
        indices = [json.loads(line)["linex_index"] for line in file]
    assert indices == list(range(7))


@pytest.fixture(autouse=True)
def whole_directory(tmp_path):
    (tmp_path / "whole").mkdir()


@pytest.mark.parametrize("shard_format", ["npz", "npy"])
@pytest.mark.parametrize("pooled", [False, True])
def test_shards_killed_and_resumed(shard_format, pooled, tmp_path, monkeypatch):
    monkeypatch.setattr(shards_module, "_SHARD_BYTES", 200)
    lines = make_lines(20, pooled)
    path = str(tmp_path / "features")
    kind = options(pooling="mean" if pooled else "none")
    arguments = (path, shard_format, kind, SETTINGS)

    killed = ShardWriter(*arguments, False)
    killed.write(lines[:9])
    killed.write(lines[9:10])  # not a full shard: lost with the process
    resumed = ShardWriter(*arguments, True)
    assert resumed.lines_done == 9
    resumed.write(lines[9:15])
    resumed.write(lines[15:])
    resumed.finish()

    actual = list(read_shards(path))
    assert [line.index for line in actual] == list(range(20))
    for line, expected in zip(actual, lines, strict=True):
        assert line.tokens == expected.tokens
        np.testing.assert_array_equal(line.values, expected.values)
    with open(f"{path}/index.json", encoding="utf-8") as file:
        index = json.load(file)
    assert index["vectors"] == [{"index": -1}, {"index": 0}]
    assert len(index["shards"]) > 1
    assert index["settings"] == SETTINGS

    # A second run takes the first one's place.
    again = ShardWriter(*arguments, False)
    again.write(lines[:2])
    again.finish()
    assert len(list(read_shards(path))) == 2
    assert {p.name for p in tmp_path.iterdir()} == {"features", "whole"}


def test_other_settings_cannot_resume(tmp_path):
    path = str(tmp_path / "out.jsonl")
    JsonlFile(path, options(), SETTINGS, False).write(make_lines(2))
    other = {**SETTINGS, "precision": "bfloat16"}
    with pytest.raises(
        UserError, match="(?s)other settings.*'float32', is 'bfloat16'"
    ):
        JsonlFile(path, options(), other, True)
    # The partial output is still there for the right settings.
    assert JsonlFile(path, options(), SETTINGS, True).lines_done == 2


def test_without_resume_an_interrupted_run_is_started_over(tmp_path, caplog):
    path = str(tmp_path / "out.jsonl")
    JsonlFile(path, options(), SETTINGS, False).write(make_lines(2))
    started_over = JsonlFile(path, options(), SETTINGS, False)
    assert "Starting over" in caplog.text
    assert started_over.lines_done == 0
    started_over.write(make_lines(1))
    started_over.finish()
    with open(path, encoding="utf-8") as file:
        assert len(file.readlines()) == 1


def test_resuming_nothing_starts(tmp_path):
    path = str(tmp_path / "out.jsonl")
    assert JsonlFile(path, options(), SETTINGS, True).lines_done == 0


def test_partial_output_gone(tmp_path):
    path = tmp_path / "out.jsonl"
    JsonlFile(str(path), options(), SETTINGS, False).write(make_lines(2))
    (tmp_path / "out.jsonl.partial").unlink()
    with pytest.raises(UserError, match="out.jsonl.partial is gone"):
        JsonlFile(str(path), options(), SETTINGS, True)


def test_a_place_that_cannot_be_written_is_told():
    with pytest.raises(UserError, match="Cannot write /dev/full"):
        # /dev/full is no directory, so that there is no place to write to.
        file = JsonlFile("/dev/full/out.jsonl", options(), SETTINGS, False)
        file.write(make_lines(1))


def test_a_directory_of_something_else_is_not_replaced(tmp_path):
    with pytest.raises(UserError, match="holds no features"):
        ShardWriter(str(tmp_path), "npz", options(), SETTINGS, False)


def test_a_missing_shard_is_told(tmp_path):
    path = tmp_path / "features"
    writer = ShardWriter(str(path), "npz", options(), SETTINGS, False)
    writer.write(make_lines(2))
    writer.finish()
    (path / "features-00000.npz").unlink()
    with pytest.raises(UserError, match="features-00000.npz is missing"):
        list(read_shards(path))
