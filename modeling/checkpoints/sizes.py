"""The sizes of a BERT encoder, read off the shapes of its variables."""

from __future__ import annotations

import re
from collections.abc import Mapping

from modeling.checkpoints.report import compare, listed
from modeling.config import BertConfig
from modeling.errors import UserError

WORD_EMBEDDINGS = "bert/embeddings/word_embeddings"
_TYPE_EMBEDDINGS = "bert/embeddings/token_type_embeddings"
_POSITION_EMBEDDINGS = "bert/embeddings/position_embeddings"
_LAYER = re.compile(r"bert/encoder/layer_(\d+)/")
# Size -> (variable, axis) that shows it.
_SHOWN_BY = {
    "vocab_size": (WORD_EMBEDDINGS, 0),
    "hidden_size": (WORD_EMBEDDINGS, 1),
    "type_vocab_size": (_TYPE_EMBEDDINGS, 0),
    "max_position_embeddings": (_POSITION_EMBEDDINGS, 0),
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


def check_encoder(
    config: BertConfig, checkpoint: str, shapes: Mapping[str, tuple[int, ...]]
) -> None:
    """Checks that a checkpoint has the whole encoder of a config.

    The pooler may be missing, as from models that have no use for it.

    Args:
      config: of the model.
      checkpoint: its path.
      shapes: of its arrays.

    Raises:
      UserError: sizes that differ, or variables that are missing or of another
        shape.
    """
    stated, found = sizes_of(config), deduce_sizes(shapes)
    problems = size_differences(stated, found)
    problems += [
        f"Only one of them has a {size} (see position_embedding_type)."
        for size in sorted(stated.keys() ^ found.keys())
    ]
    if problems:
        raise UserError(
            "\n  ".join([f"The config contradicts {checkpoint}.", *problems])
        )
    report = compare(checkpoint, encoder_shapes(config), shapes)
    if report.missing:
        problems.append(f"It lacks {listed(report.missing)}.")
    problems += map(str, report.shape_clash)
    if problems:
        raise UserError(
            "\n  ".join([f"The encoder of {checkpoint} is damaged.", *problems])
        )


def encoder_shapes(config: BertConfig) -> dict[str, tuple[int, ...]]:
    """The shape of every variable of an encoder but its pooler's."""
    hidden, wide = config.hidden_size, config.intermediate_size
    shapes: dict[str, tuple[int, ...]] = {
        WORD_EMBEDDINGS: (config.vocab_size, hidden),
        _TYPE_EMBEDDINGS: (config.type_vocab_size, hidden),
    }
    if config.position_embedding_type == "learned":
        shapes[_POSITION_EMBEDDINGS] = config.max_position_embeddings, hidden
    norms = ["bert/embeddings/LayerNorm"]
    for layer in range(config.num_hidden_layers):
        scope = f"bert/encoder/layer_{layer}"
        for name, inputs, outputs in (
            ("attention/self/query", hidden, hidden),
            ("attention/self/key", hidden, hidden),
            ("attention/self/value", hidden, hidden),
            ("attention/output/dense", hidden, hidden),
            ("intermediate/dense", hidden, wide),
            ("output/dense", wide, hidden),
        ):
            shapes[f"{scope}/{name}/kernel"] = inputs, outputs
            shapes[f"{scope}/{name}/bias"] = (outputs,)
        norms += [f"{scope}/attention/output/LayerNorm"]
        norms += [f"{scope}/output/LayerNorm"]
    for norm in norms:
        shapes[f"{norm}/gamma"] = shapes[f"{norm}/beta"] = (hidden,)
    return shapes


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
