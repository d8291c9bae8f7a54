"""What every exported model has: rows of a text, and outputs of rows."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, Protocol

import keras
import numpy as np
import tensorflow as tf

from modeling.export.graph_rows import Rows
from modeling.export.graph_tokenizer import GraphTokenizer
from modeling.export.samples import Sample

TOKENS = ("input_ids", "input_mask", "segment_ids")

Outputs = dict[str, tf.Tensor]
Arrays = dict[str, np.ndarray]


def graph_of_rows(function: Callable[[Rows], Any], rank: int = 2) -> Any:
    """A function of rows of any size, [N, F] or [N, windows, F], as a graph."""
    spec = tf.TensorSpec([None] * rank, tf.int32)
    return tf.function(
        function, input_signature=[dict.fromkeys(TOKENS, spec)], autograph=False
    )


class RowInput(NamedTuple):
    """The shape of an input of rows.

    Attributes:
      rank: 2 of [N, F]; 3 where a text has several rows, [N, rows, F].
      shorter: by how much it is than a row of tokens.
    """

    rank: int = 2
    shorter: int = 0

    def feature(self, max_seq_length: int) -> tf.io.FixedLenFeature:
        """How a `tf.train.Example` holds it."""
        shape = [max_seq_length - self.shorter]
        if self.rank == 2:
            return tf.io.FixedLenFeature(shape, tf.int64)
        return tf.io.FixedLenSequenceFeature(
            shape, tf.int64, allow_missing=True
        )


class Exported(tf.Module):
    """A network with the tokenizer that feeds it, as it will be saved.

    Args:
      network: with its weights.
      tokenizer: in the graph.

    Attributes:
      row_inputs: what `from_rows` takes.
      text_ranks: of texts that are not [N]: 2 for [N, any].
    """

    row_inputs: Mapping[str, RowInput] = dict.fromkeys(TOKENS, RowInput())
    text_ranks: Mapping[str, int] = {}

    def __init__(
        self, network: keras.Model, tokenizer: GraphTokenizer | None
    ) -> None:
        super().__init__()
        self.tokenizer = tokenizer
        # Of the network only the variables are saved: a Keras model brings
        # functions of its own. A method hides it from `tf.Module`.
        self.weights = [variable.value for variable in network.weights]
        # Texts of a batch differ in length; formats for devices want shapes.
        getattr(network, "bert", network).skip_padding = tokenizer is not None
        self._vocab_size = network.config.vocab_size
        self._type_vocab_size = network.config.type_vocab_size
        self.network = network.__call__
        # One graph for all signatures.
        self.from_rows = tf.function(self.of_rows, autograph=False)

    def from_texts(self, *texts: tf.Tensor) -> Outputs:
        """What is said of strings [N], one tensor for each input."""
        raise NotImplementedError

    def of_rows(self, rows: Rows) -> Outputs:
        """What is said of rows of tokens, int32 [N, F]; `from_rows` is the same
        as a function of its own.
        """
        raise NotImplementedError

    def row_specs(self) -> dict[str, tf.TensorSpec]:
        """Of rows of any size, by name."""
        return {
            name: tf.TensorSpec([None] * shape.rank, tf.int32, name)
            for name, shape in self.row_inputs.items()
        }

    def check_rows(self, rows: Rows) -> None:
        """Has the graph refuse numbers of which it would make something: zeros
        on a GPU, or a word's vector of another text of the batch.
        """
        sizes = {
            "input_ids": self._vocab_size,
            "input_mask": 2,
            "segment_ids": self._type_vocab_size,
            "word_positions": tf.shape(rows["input_ids"])[-1],
            "word_mask": 2,
        }
        for name, values in rows.items():
            size = tf.cast(sizes[name], values.dtype)
            is_wrong = (values < 0) | (values >= size)
            tf.debugging.Assert(
                ~tf.reduce_any(is_wrong),
                [
                    f"{name} must be from 0 to",
                    size - 1,
                    "Received:",
                    tf.boolean_mask(values, is_wrong)[:1],
                ],
            )

    def numbers_of_rows(self, rows: Rows) -> Outputs:
        """The same without strings, which formats for devices do not have."""
        outputs = self.of_rows(rows)
        return {k: v for k, v in outputs.items() if v.dtype != tf.string}


class Exporter(Protocol):
    """A trained model of one family of tasks that can be exported.

    Attributes:
      exported: what it builds.
      task: its name in `model_info.json`.
      inputs: names of the strings that it takes.
      max_seq_length: the longest row in tokens.
    """

    exported: type[Exported]
    task: str
    inputs: tuple[str, ...]
    max_seq_length: int

    def build(self, precision: str, with_tokenizer: bool = True) -> Exported:
        """The network, cut at the highest layer that is used.

        Args:
          precision: a Keras dtype policy, of weights and computation.
          with_tokenizer: whether it takes texts.
        """

    def samples(self) -> list[Sample]:
        """Texts that the export is tried with."""

    def row(self, sample: Sample) -> tuple[Arrays, Arrays] | None:
        """The row of a text, int32 [1, F], by the tokenizer of training, and
        what the training graph says of it; None where there is no one row.
        """

    def expected(self, sample: Sample) -> Arrays:
        """What the training graph says of a text, in float32 and uncut."""

    def describe(self) -> dict[str, Any]:
        """What `model_info.json` tells beside what all models have."""
