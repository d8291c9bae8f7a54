"""The sizes of a BERT encoder, read off the shapes of its variables."""

from __future__ import annotations

import re
from collections.abc import Mapping

from modeling.config import BertConfig

WORD_EMBEDDINGS = "bert/embeddings/word_embeddings"
_LAYER = re.compile(r"bert/encoder/layer_(\d+)/")
# Size -> (variable, axis) that shows it.
_SHOWN_BY = {
    "vocab_size": (WORD_EMBEDDINGS, 0),
    "hidden_size": (WORD_EMBEDDINGS, 1),
    "type_vocab_size": ("bert/embeddings/token_type_embeddings", 0),
    "max_position_embeddings": ("bert/embeddings/position_embeddings", 0),
    "intermediate_size": ("bert/encoder/layer_0/intermediate/dense/kernel", 1),
}


def deduce_sizes(shapes: Mapping[str, tuple[int, ...]]) -> dict[str, int]:
    """The sizes, under their names in `BertConfig`, that shapes tell.

    The number of attention heads is not among them: it shapes no variable.
    """
    sizes = {
        size: shapes[name][axis]
        for size, (name, axis) in _SHOWN_BY.items()
        if len(shapes.get(name, ())) == 2
    }
    layers = [int(m[1]) for name in shapes if (m := _LAYER.match(name))]
    if layers:
        sizes["num_hidden_layers"] = max(layers) + 1
    return sizes


def sizes_of(config: BertConfig) -> dict[str, int]:
    """The same sizes as a config states them."""
    sizes = {name: getattr(config, name) for name in _SHOWN_BY}
    sizes["num_hidden_layers"] = config.num_hidden_layers
    if config.position_embedding_type != "learned":
        del sizes["max_position_embeddings"]
    return sizes


def size_differences(
    config_sizes: Mapping[str, int], checkpoint_sizes: Mapping[str, int]
) -> list[str]:
    """One sentence for each size that both state, and differently."""
    return [
        f"The config says {name} {value}, the checkpoint has "
        f"{checkpoint_sizes[name]}."
        for name, value in config_sizes.items()
        if checkpoint_sizes.get(name, value) != value
    ]
