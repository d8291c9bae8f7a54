"""What is computed: layers, combination, pooling, words, windows, batches."""

import numpy as np
import pytest

from modeling.devices import make_strategy
from modeling.errors import UserError
from modeling.features import FeatureExtractor, FeatureOptions
from modeling.features import extractor as extractor_module
from modeling.network import BertModel
from tests.features.conftest import LINES

LAYERS = ("embeddings", 0, -1)


@pytest.fixture(scope="module")
def direct(model, pretrained):
    """Features of single lines, computed the plain way."""

    def run(line):
        tokenizer = pretrained.tokenizer
        texts = line.split(" ||| ")
        ids, segments = [tokenizer.cls_id], [0]
        for segment, text in enumerate(texts):
            piece = [*tokenizer.encode(text), tokenizer.sep_id]
            ids += piece
            segments += [segment] * len(piece)
        outputs = model(
            {
                "input_ids": np.array([ids], np.int32),
                "segment_ids": np.array([segments], np.int32),
            }
        )
        layers = [outputs["embedding_output"], *outputs["all_encoder_layers"]]
        stacked = np.stack([layers[0][0], layers[1][0], layers[-1][0]], axis=1)
        return stacked, outputs["pooled_output"].numpy()

    return run


def assert_close(actual, expected):
    np.testing.assert_allclose(actual, expected, atol=1e-5)


def test_layers_in_the_order_of_the_input(extract, direct):
    features = extract(layers=LAYERS, batch_tokens=40)
    assert [line.index for line in features] == list(range(len(LINES)))
    for line, text in zip(features, LINES, strict=True):
        assert_close(line.values, direct(text)[0])
    assert features[1].tokens == ["[CLS]", "he", "##l", "##lo", "[SEP]"]
    assert features[2].tokens == ["[CLS]", "[SEP]"]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"combine": "concat"}, lambda x: x.reshape(len(x), 1, -1)),
        ({"combine": "sum"}, lambda x: x.sum(1, keepdims=True)),
        ({"combine": "mean"}, lambda x: x.mean(1, keepdims=True)),
        (
            {"combine": "weighted", "layer_weights": (0.5, -1.0, 2.0)},
            lambda x: (x * [[[0.5], [-1.0], [2.0]]]).sum(1, keepdims=True),
        ),
        ({"pooling": "cls"}, lambda x: x[0]),
        ({"pooling": "mean"}, lambda x: x.mean(0)),
        ({"pooling": "max"}, lambda x: x.max(0)),
        (
            {"pooling": "max", "combine": "sum"},
            lambda x: x.sum(1, keepdims=True).max(0),
        ),
    ],
)
def test_combination_and_pooling(extract, direct, options, expected):
    for line in extract(layers=LAYERS, **options):
        assert_close(line.values, expected(direct(LINES[line.index])[0]))


def test_pooled_is_the_poolers_output(extract, direct):
    for line in extract(pooling="pooled"):
        assert_close(line.values, direct(LINES[line.index])[1])


def test_words(extract):
    pieces = extract(["hello ||| the unaffable runningness"])[0]
    assert pieces.tokens[1:4] == ["he", "##l", "##lo"]
    words = ["[CLS]", "hello", "[SEP]", "the", "unaffable", "runningness"]
    words.append("[SEP]")
    for how in ("first", "mean"):
        line = extract(["hello ||| the unaffable runningness"], word_pieces=how)
        assert line[0].tokens == words
        hello = pieces.values[1:4]
        expected = hello[0] if how == "first" else hello.mean(0)
        assert_close(line[0].values[1], expected)
        assert_close(line[0].values[2], pieces.values[4])


def test_windows_average_where_they_overlap(extract):
    options = {"max_seq_length": 16, "window_overlap": 4}
    text = "the cat wanted to go home and the street was over . " * 3
    (line,) = extract([text.strip()], long_inputs="windows", **options)
    whole = extract([text.strip()], max_seq_length=100)[0]
    assert line.tokens == whole.tokens
    # Token 3 stands in the first window alone, which is the cut line.
    cut = extract([text.strip()], **options)[0]
    assert len(cut.tokens) == 16
    assert_close(line.values[3], cut.values[3])
    # Tokens 11 to 14 stand in the second window as well.
    second = extract([" ".join(whole.tokens[11:25])])[0]
    expected = (cut.values[11:15] + second.values[1:5]) / 2
    assert_close(line.values[11:15], expected)


@pytest.mark.parametrize("pooling", ["mean", "max", "cls"])
def test_windows_are_pooled(extract, pooling):
    options = {"max_seq_length": 16, "window_overlap": 0, "pooling": pooling}
    words = ["the"] * 14 + ["cat"] * 7
    (line,) = extract([" ".join(words)], long_inputs="windows", **options)
    parts = [
        extract([" ".join(part)], **options)[0].values
        for part in (words[:14], words[14:])
    ]
    expected = np.average(parts, axis=0, weights=[16, 9])
    if pooling == "max":
        expected = np.max(parts, axis=0)
    assert_close(line.values, expected)


def test_batches_and_windows_change_nothing(extract, monkeypatch):
    expected = extract(LINES * 5)
    monkeypatch.setattr(extractor_module, "_WINDOW_TOKENS", 50)
    monkeypatch.setattr(extractor_module, "_CHUNK_LINES", 3)
    actual = extract(LINES * 5, batch_tokens=1)
    assert [line.index for line in actual] == list(range(40))
    for line, other in zip(actual, expected, strict=True):
        assert line.tokens == other.tokens
        assert_close(line.values, other.values)


def test_little_is_computed_on_padding(model, pretrained):
    options = FeatureOptions(layers=(-1,), batch_tokens=256)
    extractor = FeatureExtractor(model, pretrained.tokenizer, options)
    lines = ["a " * n for n in np.random.default_rng(0).integers(1, 100, 400)]
    list(extractor.extract(lines))
    counts = extractor.counts
    assert counts.lines == 400
    assert counts.tokens == sum(len(line) // 2 + 2 for line in lines)
    assert 0 < counts.padding_share < 0.03


def test_static_shapes_compute_the_same(model, pretrained, extract):
    options = FeatureOptions(layers=(-1,), max_seq_length=32, batch_tokens=64)
    extractor = FeatureExtractor(
        model, pretrained.tokenizer, options, static_shapes=True
    )
    actual = list(extractor.extract(LINES))
    expected = extract(max_seq_length=32)
    for line, other in zip(actual, expected, strict=True):
        assert_close(line.values, other.values)


def test_replicas_compute_the_same(pretrained, extract):
    strategy = make_strategy("mirrored")
    # tests/conftest.py has split the CPU in two.
    assert strategy.num_replicas_in_sync == 2
    with strategy.scope():
        model = BertModel(pretrained.config)
    for variable in model.weights:
        variable.assign(pretrained.checkpoint.read(variable.path))
    options = FeatureOptions(layers=(-1,), batch_tokens=64)
    extractor = FeatureExtractor(model, pretrained.tokenizer, options, strategy)
    actual = list(extractor.extract(LINES))
    for line, other in zip(actual, extract(), strict=True):
        assert_close(line.values, other.values)


def test_what_does_not_fit_the_model(model, pretrained):
    tokenizer = pretrained.tokenizer
    with pytest.raises(UserError, match="200.*max_position_embeddings=128"):
        FeatureExtractor(
            model, tokenizer, FeatureOptions((-1,), max_seq_length=200)
        )
    with pytest.raises(UserError, match="-9 is out of range"):
        FeatureExtractor(model, tokenizer, FeatureOptions((-9,)))


def test_damaged_weights_are_told(pretrained):
    model = BertModel(pretrained.config)
    model.pooler.dense.bias.assign(model.pooler.dense.bias + np.nan)
    extractor = FeatureExtractor(
        model,
        pretrained.tokenizer,
        FeatureOptions((-1,), pooling="pooled"),
    )
    with pytest.raises(UserError, match="line 1.*not finite"):
        list(extractor.extract(["a", "b"]))
