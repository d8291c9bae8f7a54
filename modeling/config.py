"""BertConfig: the shape of a BERT model, read from and written to JSON."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Mapping
from typing import Any

from absl import logging

from modeling.errors import UserError

# What each name means to the network. Google's "gelu" is the tanh
# approximation; the erf form, which Hugging Face calls "gelu", has its own.
ACTIVATIONS = ("gelu", "gelu_erf", "relu", "tanh", "linear")
POSITION_EMBEDDINGS = ("learned", "sinusoidal")

_HF_ACTIVATIONS = {
    "gelu": "gelu_erf",
    "gelu_python": "gelu_erf",
    "gelu_new": "gelu",
    "gelu_pytorch_tanh": "gelu",
    "gelu_fast": "gelu",
    "relu": "relu",
    "tanh": "tanh",
    "linear": "linear",
}
_TO_HF_ACTIVATION = {
    "gelu_erf": "gelu",
    "gelu": "gelu_new",
    "relu": "relu",
    "tanh": "tanh",
    "linear": "linear",
}
# Read by others: the tokenizer, or nobody.
_NOT_OF_THE_NETWORK = {"do_lower_case", "strip_accents", "pad_token_id"}
# Only Hugging Face writes these keys, and now always one of them.
_HF_MARKS = ("model_type", "architectures", "transformers_version")
# Its oldest files, of pytorch-pretrained-bert, have only this name to tell.
_HF_FILE = "config.json"


@dataclasses.dataclass(frozen=True)
class BertConfig:
    """Sizes and choices that define a BERT network.

    Field names and defaults are those of `bert_config.json`, plus three of
    ours that are written only when they differ from the original's behaviour.

    Attributes:
      vocab_size: rows of the word-embedding table.
      hidden_size: width of the encoder, a multiple of `num_attention_heads`.
      num_hidden_layers: number of Transformer blocks.
      num_attention_heads: heads per block.
      intermediate_size: width of the feed-forward layer.
      hidden_act: "gelu" (tanh approximation, as in Google's code), "gelu_erf"
        (exact, what Hugging Face calls "gelu"), "relu", "tanh" or "linear".
      hidden_dropout_prob: dropout of embeddings and of each sublayer's output.
      attention_probs_dropout_prob: dropout of the attention probabilities.
      max_position_embeddings: rows of the position table; the longest input.
      type_vocab_size: rows of the segment table. Google's released models
        have 2, the class default is 16 as in the original.
      initializer_range: standard deviation of the truncated normal.
      position_embedding_type: "learned" or "sinusoidal" (Vaswani et al. 2017,
        section 3.5; no variable, any length).
      layer_norm_eps: epsilon of every LayerNorm.
      extra: keys that this class does not know, kept for writing back.

    Raises:
      UserError: a value that no network can have, naming key and value.

    Example:
      >>> config = BertConfig(vocab_size=30522, type_vocab_size=2)
      >>> config.head_size
      64
    """

    vocab_size: int
    hidden_size: int = 768
    num_hidden_layers: int = 12
    num_attention_heads: int = 12
    intermediate_size: int = 3072
    hidden_act: str = "gelu"
    hidden_dropout_prob: float = 0.1
    attention_probs_dropout_prob: float = 0.1
    max_position_embeddings: int = 512
    type_vocab_size: int = 16
    initializer_range: float = 0.02
    position_embedding_type: str = "learned"
    layer_norm_eps: float = 1e-12
    extra: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    def __post_init__(self) -> None:
        for key in _SIZES:
            _check_size(key, getattr(self, key))
        for key in _RATES:
            _check_number(key, getattr(self, key), 0.0, below=1.0)
        _check_number("initializer_range", self.initializer_range, 0.0)
        _check_number("layer_norm_eps", self.layer_norm_eps, 0.0)
        _check_choice("hidden_act", self.hidden_act, ACTIVATIONS)
        _check_choice(
            "position_embedding_type",
            self.position_embedding_type,
            POSITION_EMBEDDINGS,
        )
        if self.hidden_size % self.num_attention_heads:
            raise UserError(
                "hidden_size must be a multiple of num_attention_heads. "
                f"Received: hidden_size={self.hidden_size}, "
                f"num_attention_heads={self.num_attention_heads}"
            )
        if (
            self.position_embedding_type == "sinusoidal"
            and self.hidden_size % 2
        ):
            raise UserError(
                "Sinusoidal positions need an even hidden_size. Received: "
                f"{self.hidden_size}"
            )

    @property
    def head_size(self) -> int:
        """Width of one attention head."""
        return self.hidden_size // self.num_attention_heads

    @property
    def max_length(self) -> int | None:
        """The longest input in tokens, `None` where there is no limit."""
        if self.position_embedding_type == "sinusoidal":
            return None
        return self.max_position_embeddings

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> BertConfig:
        """Builds a config from the keys of either Google or Hugging Face.

        Keys of neither are kept in `extra` and named in one warning.
        """
        if not isinstance(values, Mapping):
            raise UserError(
                f"A BERT config must be a JSON object. Received: {values!r:.80}"
            )
        if any(mark in values for mark in _HF_MARKS):
            values = _from_huggingface(values)
        else:
            values = _from_google(values)
        if "vocab_size" not in values:
            raise UserError("The BERT config lacks the key vocab_size.")
        known = {k: v for k, v in values.items() if k in _FIELDS}
        # Already sorted out once when it comes from a saved model.
        extra = dict(known.pop("extra", {}))
        unknown = {k: v for k, v in values.items() if k not in _FIELDS}
        unused = sorted(unknown.keys() - _NOT_OF_THE_NETWORK)
        if unused:
            logging.warning(
                "BERT config: kept but not used: %s", ", ".join(unused)
            )
        return cls(**known, extra={**extra, **unknown})

    @classmethod
    def from_json_file(cls, path: str | os.PathLike[str]) -> BertConfig:
        """Reads `bert_config.json`, or `config.json` of Hugging Face.

        Raises:
          UserError: no such file, not JSON, or an impossible value.
        """
        try:
            with open(path, encoding="utf-8") as file:
                values = json.load(file)
        except OSError as error:
            raise UserError(
                f"Cannot read the BERT config {path}: {error.strerror}"
            ) from error
        except ValueError as error:  # JSON and UTF-8 errors both
            raise UserError(
                f"The BERT config {path} is not JSON: {error}"
            ) from error
        is_object = isinstance(values, dict) and values
        if is_object and os.path.basename(path) == _HF_FILE:
            values = {"model_type": "bert", **values}
        try:
            return cls.from_dict(values)
        except UserError as error:
            raise UserError(f"{path}: {error}") from error

    def to_dict(self) -> dict[str, Any]:
        """The keys of Google's `bert_config.json`, `extra` among them."""
        values = {key: getattr(self, key) for key in _GOOGLE_KEYS}
        for field in _OWN_FIELDS:
            if getattr(self, field.name) != field.default:
                values[field.name] = getattr(self, field.name)
        return {**values, **self.extra}

    def to_json_string(self) -> str:
        """`to_dict` as JSON, sorted and indented as Google's files are."""
        return json.dumps(self.to_dict(), indent=2, sort_keys=True) + "\n"

    def to_huggingface_dict(self) -> dict[str, Any]:
        """The same model in the keys of Hugging Face's `config.json`."""
        if self.position_embedding_type != "learned":
            raise UserError(
                "Hugging Face's BertModel has no sinusoidal positions, so this "
                "model cannot be written in its format."
            )
        values = {key: getattr(self, key) for key in _GOOGLE_KEYS}
        return {
            **self.extra,
            **values,
            "architectures": ["BertModel"],
            "hidden_act": _TO_HF_ACTIVATION[self.hidden_act],
            "layer_norm_eps": self.layer_norm_eps,
            "model_type": "bert",
            "pad_token_id": self.extra.get("pad_token_id", 0),
        }


_FIELDS = {field.name: field for field in dataclasses.fields(BertConfig)}
_OWN_FIELDS = [
    _FIELDS["position_embedding_type"],
    _FIELDS["layer_norm_eps"],
]
_GOOGLE_KEYS = [
    name
    for name in _FIELDS
    if name not in ("position_embedding_type", "layer_norm_eps", "extra")
]
_SIZES = [name for name, field in _FIELDS.items() if field.type == "int"]
_RATES = ("hidden_dropout_prob", "attention_probs_dropout_prob")


def _from_google(values: Mapping[str, Any]) -> dict[str, Any]:
    # Case does not count and nothing is "linear" in the original's
    # `get_activation`.
    activation = values.get("hidden_act", "gelu")
    if activation in (None, ""):
        activation = "linear"
    if isinstance(activation, str):
        activation = activation.lower()
    return {**values, "hidden_act": activation}


def _from_huggingface(values: Mapping[str, Any]) -> dict[str, Any]:
    values = dict(values)
    model_type = values.pop("model_type", "bert")
    if model_type != "bert":
        raise UserError(
            "Only BERT models can be read. Received a Hugging Face config "
            f"with model_type={model_type!r}."
        )
    activation = values.get("hidden_act", "gelu")
    _check_choice("hidden_act", activation, tuple(_HF_ACTIVATIONS))
    if values.get("is_decoder"):
        raise UserError(
            "Only encoders can be read. Received a Hugging Face config with "
            "is_decoder=True, whose tokens attend to earlier ones alone."
        )
    positions = values.pop("position_embedding_type", "absolute")
    if positions != "absolute":
        raise UserError(
            "Only absolute positions can be read from Hugging Face. Received: "
            f"position_embedding_type={positions!r}"
        )
    # transformers leaves a value out when it is the default of its class.
    values = {"vocab_size": 30522, "type_vocab_size": 2, **values}
    values["hidden_act"] = _HF_ACTIVATIONS[activation]
    extra = {k: values.pop(k) for k in list(values) if k not in _FIELDS}
    # These say nothing about the network and are written anew.
    for key in (*_HF_MARKS, "use_cache", "gradient_checkpointing"):
        extra.pop(key, None)
    return {**values, "extra": extra}


def _check_size(key: str, value: Any) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise UserError(
            f"{key} must be a positive integer. Received: {value!r}"
        )


def _check_number(
    key: str, value: Any, least: float, below: float = float("inf")
) -> None:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or not least <= value < below:
        limit = f" and below {below:g}" if below != float("inf") else ""
        raise UserError(
            f"{key} must be a number of at least {least:g}{limit}. "
            f"Received: {value!r}"
        )


def _check_choice(key: str, value: Any, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise UserError(
            f"{key} must be one of {', '.join(choices)}. Received: {value!r}"
        )
