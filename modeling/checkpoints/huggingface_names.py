"""Google's variable names and the keys of Hugging Face's BERT, both ways.

The scopes are the same up to their separators; what differs is the last part
and that PyTorch stores a dense layer's kernel as [out, in]. Heads are stored
[classes, hidden] by both.
"""

from __future__ import annotations

import re

_HEADS = {
    "cls/predictions/output_bias": "cls.predictions.bias",
    "cls/seq_relationship/output_weights": "cls.seq_relationship.weight",
    "cls/seq_relationship/output_bias": "cls.seq_relationship.bias",
    "cls/squad/output_weights": "qa_outputs.weight",
    "cls/squad/output_bias": "qa_outputs.bias",
    "output_weights": "classifier.weight",
    "output_bias": "classifier.bias",
}
_FROM_HEADS = {key: name for name, key in _HEADS.items()} | {
    # Tied to cls.predictions.bias; some files hold only this one.
    "cls.predictions.decoder.bias": "cls/predictions/output_bias",
}
_TO_LAST = {"kernel": "weight", "gamma": "weight", "beta": "bias"}
# Roots under which the scopes match part by part.
_ROOTS = ("embeddings", "encoder", "pooler")
# The decoder is the word-embedding table again; the buffers hold 0, 1, 2 ...
_NOT_WEIGHTS = re.compile(
    r"cls\.predictions\.decoder\.weight|.*\.(position_ids|token_type_ids)"
)


def huggingface_key(name: str) -> str | None:
    """The key of a variable under `BertFor...`; None: there is none."""
    if name in _HEADS:
        return _HEADS[name]
    if not name.startswith(("bert/", "cls/predictions/transform/")):
        return None
    *scopes, last = name.split("/")
    if last.endswith("_embeddings"):
        scopes, last = [*scopes, last], "weight"
    key = ".".join([*scopes, _TO_LAST.get(last, last)])
    return re.sub(r"\.layer_(\d+)\.", r".layer.\1.", key)


def google_name(key: str) -> str | None:
    """The variable that a key holds; None: one that BERT does not have.

    Keys may come without the prefix `bert.`, and LayerNorm's with the older
    endings `gamma` and `beta`.
    """
    if key in _FROM_HEADS:
        return _FROM_HEADS[key]
    bare = key.removeprefix("bert.")
    if bare.split(".")[0] in _ROOTS:
        key = f"bert.{bare}"
    elif not key.startswith("cls.predictions.transform."):
        return None
    key = re.sub(r"\.layer\.(\d+)\.", r".layer_\1.", key)
    *scopes, last = key.split(".")
    if scopes[-1].endswith("_embeddings"):
        return "/".join(scopes)
    if last == "weight":
        last = "gamma" if scopes[-1] == "LayerNorm" else "kernel"
    elif last == "bias" and scopes[-1] == "LayerNorm":
        last = "beta"
    return "/".join([*scopes, last])


def is_weight(key: str) -> bool:
    """Whether a key holds numbers of its own: no buffer, no second copy."""
    return not _NOT_WEIGHTS.fullmatch(key)


def is_transposed(name: str) -> bool:
    """Whether the two formats store a variable as each other's transpose."""
    return name.endswith("/kernel")
