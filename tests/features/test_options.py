"""Options that contradict one another are told."""

import pytest

from modeling.errors import UserError
from modeling.features import FeatureOptions, parse_layers


def test_layers():
    assert parse_layers("-1,-2,-3,-4") == (-1, -2, -3, -4)
    assert parse_layers(" embeddings, 0 ") == ("embeddings", 0)
    options = FeatureOptions(layers=parse_layers("all")).resolve(3)
    assert options.layers == ("embeddings", 0, 1, 2)


@pytest.mark.parametrize("text", ["", "1,", "one", "1.5", "all,1", "embedding"])
def test_what_is_no_layer(text):
    with pytest.raises(UserError, match="neither a number nor"):
        parse_layers(text)


@pytest.mark.parametrize("layer", [3, -4])
def test_layers_out_of_range(layer):
    with pytest.raises(UserError, match=f"{layer} is out of range.*3 blocks"):
        FeatureOptions(layers=(layer,)).resolve(3)


def test_the_pooler_needs_no_layers():
    assert FeatureOptions(pooling="pooled").resolve(2).labels == [
        {"index": "pooled"}
    ]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"layers": ()}, "layers is empty"),
        ({"combine": "weighted"}, "one layer_weights number.*4 layers"),
        ({"layer_weights": (1.0,)}, "only with combine=weighted"),
        ({"pooling": "mean", "word_pieces": "first"}, "one vector a line"),
        ({"pooling": "pooled", "combine": "sum"}, "combine=sum has no mean"),
        ({"max_seq_length": 2}, "room for.*Received: 2"),
        ({"batch_tokens": 0}, "batch_tokens must be positive"),
        (
            {"long_inputs": "windows", "max_seq_length": 20},
            "window_overlap must be below 8.*Received: 32",
        ),
    ],
)
def test_contradictions(options, message):
    with pytest.raises(UserError, match=message):
        FeatureOptions(**options)


def test_weights_for_all_layers_are_counted_when_they_are_known():
    options = FeatureOptions(
        layers=("all",), combine="weighted", layer_weights=(1.0, 2.0)
    )
    assert options.resolve(1).layers == ("embeddings", 0)
    with pytest.raises(UserError, match="3 layers"):
        options.resolve(2)
