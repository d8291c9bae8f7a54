"""What features to extract: layers, how they combine, one vector or many."""

from __future__ import annotations

import dataclasses

from modeling.errors import UserError
from modeling.network.layer_choice import ALL, resolve_layers

COMBINE = ("none", "concat", "sum", "mean", "weighted")
POOLING = ("none", "cls", "pooled", "mean", "max")
WORD_PIECES = ("all", "first", "mean")
LONG_INPUTS = ("truncate", "windows")


@dataclasses.dataclass(frozen=True)
class FeatureOptions:
    """Which vectors to compute for a line of text.

    Attributes:
      layers: indices into the encoder's blocks as in the original, 0 the
        first and -1 the last; "embeddings" for the layer below them; or
        "all" alone, for it and every block.
      combine: "none" keeps a vector for every layer; "concat", "sum", "mean"
        and "weighted" (a sum with `layer_weights`) make one of them.
      layer_weights: a factor for each layer, with combine "weighted" only.
      pooling: "none" keeps a vector for every token; "cls" is the first
        token's, "pooled" the pooler's output (layers do not matter then),
        "mean" and "max" are taken over all tokens, [CLS] and [SEP] included.
      word_pieces: "all" keeps every piece; "first" and "mean" give one vector
        a word, of its first piece or the mean of all.
      max_seq_length: longest row in tokens, [CLS] and [SEP] included.
      long_inputs: "truncate" cuts longer lines as the original; "windows"
        covers them by overlapping rows and averages where they overlap.
      window_overlap: tokens that neighbouring windows share.
      batch_tokens: most tokens in one batch, padding included.

    Raises:
      UserError: options that contradict one another.
    """

    layers: tuple[int | str, ...] = (-1, -2, -3, -4)
    combine: str = "none"
    layer_weights: tuple[float, ...] = ()
    pooling: str = "none"
    word_pieces: str = "all"
    max_seq_length: int = 128
    long_inputs: str = "truncate"
    window_overlap: int = 32
    batch_tokens: int = 2048

    def __post_init__(self) -> None:
        if not self.layers:
            raise UserError("layers is empty: name at least one layer.")
        if self.combine == "weighted":
            known = self.layers != (ALL,)
            if known and len(self.layer_weights) != len(self.layers):
                raise UserError(
                    "combine=weighted needs one layer_weights number for each "
                    f"of the {len(self.layers)} layers. Received: "
                    f"{list(self.layer_weights)}"
                )
        elif self.layer_weights:
            raise UserError(
                "layer_weights is used only with combine=weighted. Received: "
                f"combine={self.combine}"
            )
        if self.pooling != "none" and self.word_pieces != "all":
            raise UserError(
                f"pooling={self.pooling} gives one vector a line, so "
                f"word_pieces={self.word_pieces} has no meaning. Drop either."
            )
        if self.pooling == "pooled" and self.combine != "none":
            raise UserError(
                "pooling=pooled is the pooler's output, which is made of no "
                f"chosen layers: combine={self.combine} has no meaning."
            )
        if self.max_seq_length < 3:
            raise UserError(
                "max_seq_length must have room for [CLS], a token and [SEP]. "
                f"Received: {self.max_seq_length}"
            )
        if self.long_inputs == "windows":
            # The longer text of a pair may get half the room, see `rows.py`.
            room = max(1, (self.max_seq_length - 3) // 2)
            if not 0 <= self.window_overlap < room:
                raise UserError(
                    f"window_overlap must be below {room}, half of what "
                    f"max_seq_length={self.max_seq_length} leaves for text, so "
                    f"that windows advance. Received: {self.window_overlap}"
                )
        if self.batch_tokens < 1:
            raise UserError(
                f"batch_tokens must be positive. Received: {self.batch_tokens}"
            )

    @property
    def labels(self) -> list[dict[str, object]]:
        """What each vector of a token (or line) holds, as JSON keys."""
        if self.pooling == "pooled":
            return [{"index": "pooled"}]
        if self.combine == "none":
            return [{"index": layer} for layer in self.layers]
        label = {"index": list(self.layers), "combine": self.combine}
        if self.combine == "weighted":
            label["weights"] = list(self.layer_weights)
        return [label]

    def resolve(self, num_hidden_layers: int) -> FeatureOptions:
        """The same for an encoder of so many blocks: "all" spelt out.

        Raises:
          UserError: a layer that the encoder does not have.
        """
        if self.pooling == "pooled" and self.layers != (ALL,):
            return self
        layers = resolve_layers(self.layers, num_hidden_layers)
        return dataclasses.replace(self, layers=layers)
