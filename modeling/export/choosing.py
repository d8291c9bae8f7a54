"""A model that chooses among answers and takes raw strings."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from modeling.export.exported import (
    TOKENS,
    Arrays,
    Exported,
    Outputs,
    RowInput,
    Sample,
    graph_of_rows,
)
from modeling.export.graph_rows import Rows, Spans, lay_out
from modeling.export.graph_tokenizer import GraphTokenizer
from modeling.export.samples import CHOICES
from modeling.export.trained import TrainedModel
from modeling.tasks.multiple_choice import ChoiceEncoder, ChoiceExample
from modeling.tasks.multiple_choice.task import ChoiceTask
from modeling.tasks.row_batches import RowExamples

# The blank of `ChoiceExample.around_choice`, with what is before and behind it;
# RE2 has no look-around.
_BLANK = "(?s)^((?:|.*?[^A-Za-z0-9_])[A-Za-z0-9]*)_+(|[^A-Za-z0-9_].*)$"


class TextChooser(Exported):
    """Which of several answers is right.

    Outputs: `choice`, its number from 0, int32 [N], and `probabilities`, 0
    where there is no choice, float32 [N, C].
    """

    row_inputs = dict.fromkeys(TOKENS, RowInput(rank=3))
    text_ranks = {"choices": 2}

    def __init__(
        self,
        network: Any,
        tokenizer: GraphTokenizer | None,
        max_seq_length: int,
    ) -> None:
        super().__init__(network, tokenizer)
        self._max_seq_length = max_seq_length

    def from_texts(
        self, context: tf.Tensor, question: tf.Tensor, choices: tf.Tensor
    ) -> Outputs:
        before, behind = around_blank(question)
        shape = tf.shape(choices)
        # Of every choice its question: [N * C]
        owners = tf.repeat(tf.range(shape[0]), shape[1])

        def spans(texts: tf.Tensor) -> Spans:
            found = Spans.of(self.tokenizer(texts))
            return Spans(
                found.ids,
                tf.gather(found.starts, owners),
                tf.gather(found.lengths, owners),
            )

        chosen = Spans.of(self.tokenizer(tf.reshape(choices, [-1])))
        first, second = _cut(
            spans(context),
            (spans(before), chosen, spans(behind)),
            self._max_seq_length - 3,
        )
        rows = lay_out(self.tokenizer, first, second, ends_empty=True)
        length = tf.shape(rows["input_ids"])[1]
        exists = tf.cast(tf.not_equal(choices, ""), tf.int32)[:, :, None]
        return self.from_rows(
            {
                name: tf.reshape(values, [*tf.unstack(shape), length]) * exists
                for name, values in rows.items()
            }
        )

    def of_rows(self, rows: Rows) -> Outputs:
        logits = tf.cast(self.network(rows), tf.float32)
        exists = tf.reduce_max(rows["input_mask"], axis=-1)
        return {
            "choice": tf.argmax(logits, axis=-1, output_type=tf.int32),
            "probabilities": tf.nn.softmax(logits)
            * tf.cast(exists, tf.float32),
        }


class ChoiceExporter:
    """See `Exporter`.

    Args:
      trained: by `run_multiple_choice.py`.
    """

    exported = TextChooser
    task = "multiple_choice"
    inputs = ("context", "question", "choices")

    def __init__(self, trained: TrainedModel) -> None:
        self._trained = trained
        self.max_seq_length = trained.max_seq_length
        self._encoder = ChoiceEncoder(trained.tokenizer, self.max_seq_length)

    def build(self, precision: str, with_tokenizer: bool = True) -> TextChooser:
        _, network = self._network(precision)
        tokenizer = self._trained.graph_tokenizer() if with_tokenizer else None
        return TextChooser(network, tokenizer, self.max_seq_length)

    def samples(self) -> list[Sample]:
        return CHOICES

    def row(self, sample: Sample) -> tuple[Arrays, Arrays]:
        context, question, choices = sample
        example = ChoiceExample(
            context, question, tuple(choice for choice in choices if choice)
        )
        examples = RowExamples(self._encoder([example]), grouped=True)
        length = int(examples.lengths()[0])
        features = examples.arrays(np.array([0]), length, 1)
        rows = {name: features[name] for name in TOKENS}
        return rows, {"probabilities": self._trained_graph(rows).numpy()}

    def expected(self, sample: Sample) -> Arrays:
        return self.row(sample)[1]

    def describe(self) -> dict[str, Any]:
        return {}

    @functools.cached_property
    def _trained_graph(self) -> Callable[[Arrays], tf.Tensor]:
        task, network = self._network("float32")

        def probabilities(rows: Rows) -> tf.Tensor:
            # Any answer is as good as another for these.
            targets = tf.zeros(tf.shape(rows["input_ids"])[:1], tf.int32)
            features = {**rows, "targets": targets}
            return task.outputs(network, features)["probabilities"]

        return graph_of_rows(probabilities, rank=3)

    def _network(self, precision: str) -> tuple[ChoiceTask, Any]:
        task = ChoiceTask(self._trained.config, precision)
        network = task.build_model()
        self._trained.load(network)
        return task, network


def around_blank(question: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """The parts before and behind a choice: `ChoiceExample.around_choice`."""
    has_blank = tf.strings.regex_full_match(question, _BLANK)
    # A question without a blank stays as it is.
    before = tf.strings.regex_replace(question, _BLANK, r"\1")
    behind = tf.strings.regex_replace(question, _BLANK, r"\2")
    return before, tf.where(has_blank, behind, "")


def _cut(
    context: Spans, around: tuple[Spans, Spans, Spans], room: int
) -> tuple[Spans, Spans]:
    """Both segments of every row, as `ChoiceEncoder` cuts them.

    Args:
      context: of every choice.
      around: what stands before the choice, the choice, and what is behind it.
      room: tokens of a row, to which a choice is cut.
    """
    before, choice, behind = around
    in_choice = tf.minimum(choice.lengths, room)
    left = room - in_choice
    in_before = tf.minimum(before.lengths, left)
    left -= in_before
    in_behind = tf.minimum(behind.lengths, left)
    left -= in_behind
    context = context._replace(lengths=tf.minimum(context.lengths, left))
    # Its end is next to the choice.
    starts = [
        before.starts + before.lengths - in_before,
        choice.starts + tf.size(before.ids),
        behind.starts + tf.size(before.ids) + tf.size(choice.ids),
    ]
    lengths = tf.stack([in_before, in_choice, in_behind], axis=1)
    firsts = tf.reshape(tf.stack(starts, axis=1), [-1])
    parts = tf.ragged.range(firsts, firsts + tf.reshape(lengths, [-1]))
    ids = tf.gather(tf.concat([s.ids for s in around], 0), parts.values)
    totals = tf.reduce_sum(lengths, axis=1)
    return context, Spans(ids, tf.cumsum(totals, exclusive=True), totals)
