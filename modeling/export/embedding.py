"""An encoder that takes raw strings and gives vectors."""

from __future__ import annotations

import dataclasses
import functools
from typing import Any

import numpy as np
import tensorflow as tf

from modeling.errors import UserError
from modeling.export.exported import Arrays, Exported, Outputs, Sample
from modeling.export.graph_rows import Rows, Spans, cut, lay_out
from modeling.export.graph_tokenizer import GraphTokenizer
from modeling.export.layers import count_blocks
from modeling.export.samples import TEXTS
from modeling.export.trained import TrainedModel
from modeling.features import FeatureExtractor, FeatureOptions
from modeling.features.vectors import choose_vectors
from modeling.network import BertModel


class TextEncoder(Exported):
    """Vectors of texts.

    Outputs: with pooling `embedding`, float32 [N, D], or [N, vectors, D] of
    layers that are not combined; without it `vectors` of tokens, [N, F, D] or
    [N, F, vectors, D], and `lengths`, how many tokens each text has, int32 [N].
    """

    def __init__(
        self,
        network: BertModel,
        tokenizer: GraphTokenizer | None,
        options: FeatureOptions,
    ) -> None:
        super().__init__(network, tokenizer)
        self._options = options

    def from_texts(self, text: tf.Tensor) -> Outputs:
        spans = Spans.of(self.tokenizer(text))
        parts = cut(spans, None, self._options.max_seq_length)
        return self.from_rows(lay_out(self.tokenizer, *parts))

    def of_rows(self, rows: Rows) -> Outputs:
        mask = rows["input_mask"]
        vectors = choose_vectors(self.network(rows), mask, self._options)
        if len(self._options.labels) == 1:
            vectors = tf.squeeze(vectors, axis=-2)
        if self._options.pooling != "none":
            return {"embedding": vectors}
        return {"vectors": vectors, "lengths": tf.reduce_sum(mask, axis=1)}


class EncoderExporter:
    """See `Exporter`.

    Args:
      trained: any model with an encoder.
      options: of the vectors; lengths are those of the model.

    Raises:
      UserError: options that the model or a graph cannot meet.
    """

    exported = TextEncoder
    inputs = ("text",)

    def __init__(self, trained: TrainedModel, options: FeatureOptions) -> None:
        if options.word_pieces != "all" or options.long_inputs != "truncate":
            raise UserError(
                "An exported encoder gives vectors of pieces and cuts longer "
                f"texts. Received: word_pieces={options.word_pieces}, "
                f"long_inputs={options.long_inputs}"
            )
        self._trained = trained
        self.max_seq_length = trained.max_seq_length
        num_layers = trained.config.num_hidden_layers
        options = dataclasses.replace(
            options, max_seq_length=self.max_seq_length
        ).resolve(num_layers)
        # The pooler stands on the last block.
        self._blocks = num_layers
        if options.pooling != "pooled":
            layers, self._blocks = count_blocks(options.layers, num_layers)
            options = dataclasses.replace(options, layers=layers)
        self._options = options
        pooled = options.pooling != "none"
        self.task = "embedding" if pooled else "features"

    def build(self, precision: str, with_tokenizer: bool = True) -> TextEncoder:
        network = self._network(self._blocks, precision)
        tokenizer = self._trained.graph_tokenizer() if with_tokenizer else None
        return TextEncoder(network, tokenizer, self._options)

    def samples(self) -> list[Sample]:
        return TEXTS

    def row(self, sample: Sample) -> tuple[Arrays, Arrays]:
        tokenizer, room = self._trained.tokenizer, self.max_seq_length - 2
        ids = tokenizer.encode(sample[0])[:room]
        ids = np.array([[tokenizer.cls_id, *ids, tokenizer.sep_id]], np.int32)
        rows = {
            "input_ids": ids,
            "input_mask": np.ones_like(ids),
            "segment_ids": np.zeros_like(ids),
        }
        return rows, self.expected(sample)

    def expected(self, sample: Sample) -> Arrays:
        # A line's end is no text's end: `extract_features.py` reads lines.
        (features,) = self._extractor.extract([sample[0]])
        values = features.values[None]
        if len(self._options.labels) == 1:
            values = values.squeeze(-2)
        if self._options.pooling != "none":
            return {"embedding": values}
        return {"vectors": values}

    def describe(self) -> dict[str, Any]:
        options = self._options
        return {
            "layers": list(options.layers),
            "combine": options.combine,
            "layer_weights": list(options.layer_weights),
            "pooling": options.pooling,
            "blocks": self._blocks,
        }

    @functools.cached_property
    def _extractor(self) -> FeatureExtractor:
        """What `extract_features.py` computes with."""
        network = self._network(
            self._trained.config.num_hidden_layers, "float32"
        )
        return FeatureExtractor(network, self._trained.tokenizer, self._options)

    def _network(self, blocks: int, precision: str) -> BertModel:
        network = BertModel(self._trained.cut_config(blocks), dtype=precision)
        uses_pooler = self._options.pooling == "pooled"
        self._trained.load(network, () if uses_pooler else ("bert/pooler",))
        return network
