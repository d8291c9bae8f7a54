"""A question answerer that takes raw strings."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from modeling.export.answer_spans import (
    Candidates,
    best_spans,
    cut_windows,
    no_answer_scores,
)
from modeling.export.exported import (
    TOKENS,
    Arrays,
    Exported,
    Outputs,
    Sample,
    graph_of_rows,
)
from modeling.export.graph_rows import Rows, in_batches, lay_out
from modeling.export.graph_tokenizer import GraphTokenizer, GraphTokens
from modeling.export.samples import QUESTIONS
from modeling.export.trained import TrainedModel
from modeling.network import BertQuestionAnswerer
from modeling.tasks.squad import (
    AnswerOptions,
    FeatureSet,
    Paragraph,
    Question,
    WindowOptions,
    WindowScores,
    answer_questions,
)
from modeling.tasks.squad.answers import NOTHING_FOUND
from modeling.tasks.squad.task import SquadTask

_UNUSED = ("bert/pooler",)
_SIDES = ("start", "end")


class TextAnswerer(Exported):
    """Answers to questions, found in a context.

    Outputs: `answer`, string [N], the characters of the context that its tokens
    stand for, "" where there is none; `score`, its probability among the best
    answers, float32 [N]; `start` and `end`, its first character and one past
    its last, int32 [N], -1 where there is none. Of rows: `start_logits` and
    `end_logits`, float32 [N, F].
    """

    def __init__(
        self,
        task: SquadTask,
        network: BertQuestionAnswerer,
        tokenizer: GraphTokenizer | None,
        windows: WindowOptions,
        answers: AnswerOptions,
    ) -> None:
        super().__init__(network, tokenizer)
        self._task, self._windows, self._answers = task, windows, answers

    def from_texts(self, question: tf.Tensor, context: tf.Tensor) -> Outputs:
        # Offsets count characters, of which bytes that are not UTF-8 are none.
        context = tf.strings.unicode_transcode(
            context, "UTF-8", "UTF-8", errors="ignore"
        )
        tokens = self.tokenizer(context)
        windows = cut_windows(self.tokenizer(question), tokens, self._windows)
        rows = lay_out(self.tokenizer, windows.query, windows.part)
        logits = in_batches(self.from_rows, rows)
        spans = best_spans(windows, logits, self._answers)
        nothing = None
        if self._answers.version_2_with_negative:
            nothing = no_answer_scores(windows, logits)
        return self._choose(context, tokens, spans, nothing)

    def of_rows(self, rows: Rows) -> Outputs:
        return self._task.outputs(self.network, rows)

    def _choose(
        self,
        context: tf.Tensor,
        tokens: GraphTokens,
        spans: Candidates,
        nothing: tf.Tensor | None,
    ) -> Outputs:
        """The best answers of different texts, and of them the one to give."""
        exists = tf.math.is_finite(spans.scores)
        # [N, S]
        base = tokens.splits[:-1, None]
        starts = _at(tokens.starts, base + spans.firsts, exists)
        ends = _at(tokens.ends, base + spans.lasts, exists)
        texts = tf.strings.substr(
            tf.broadcast_to(context[:, None], tf.shape(starts)),
            starts,
            ends - starts,
            unit="UTF8_CHAR",
        )
        # Tokens of SentencePiece may stand for no character.
        counts = exists & (ends > starts)
        counts &= ~_has_equal_before(texts, counts)
        before = tf.cumsum(tf.cast(counts, tf.int32), axis=1, exclusive=True)
        if nothing is not None:
            # It is one of the n best where it comes among them.
            before += tf.cast(nothing[:, None] > spans.scores, tf.int32)
        counts &= before < self._answers.n_best_size
        never = tf.constant(-float("inf"), tf.float64)
        scores = tf.where(counts, spans.scores, never)

        best = tf.argmax(scores, axis=1, output_type=tf.int32)
        best_scores = tf.reduce_max(scores, axis=1)
        found = tf.math.is_finite(best_scores)
        total = tf.reduce_logsumexp(scores, axis=1)
        if nothing is not None:
            total = tf.reduce_logsumexp(tf.stack([total, nothing]), axis=0)
            odds = nothing - best_scores
            found &= odds <= self._answers.null_score_diff_threshold
        given = (
            best_scores
            if nothing is None
            else tf.where(found, best_scores, nothing)
        )
        share = tf.exp(given - total)
        share = tf.where(tf.math.is_finite(given), share, tf.zeros_like(share))

        def chosen(values: tf.Tensor, otherwise: Any) -> tf.Tensor:
            value = tf.gather(values, best, batch_dims=1)
            return tf.where(found, value, otherwise)

        return {
            "answer": chosen(texts, ""),
            "score": tf.cast(share, tf.float32),
            "start": chosen(starts, -1),
            "end": chosen(ends, -1),
        }


class AnswererExporter:
    """See `Exporter`.

    Args:
      trained: by `run_squad.py`.
      answers: how answers are made of scores.
    """

    exported = TextAnswerer
    task = "question_answering"
    inputs = ("question", "context")

    def __init__(self, trained: TrainedModel, answers: AnswerOptions) -> None:
        self._trained = trained
        self.max_seq_length = trained.max_seq_length
        kept = trained.kept
        with_negative = kept["version_2_with_negative"]
        self._windows = WindowOptions(
            self.max_seq_length,
            kept["doc_stride"],
            kept["max_query_length"],
            with_negative,
        )
        self._answers = dataclasses.replace(
            answers,
            version_2_with_negative=with_negative,
            # The original's way back to the text knows words, which a graph
            # does not.
            answer_text="offsets",
        )

    def build(
        self, precision: str, with_tokenizer: bool = True
    ) -> TextAnswerer:
        task, network = self._network(precision)
        tokenizer = self._trained.graph_tokenizer() if with_tokenizer else None
        return TextAnswerer(
            task, network, tokenizer, self._windows, self._answers
        )

    def samples(self) -> list[Sample]:
        return QUESTIONS

    def row(self, sample: Sample) -> tuple[Arrays, Arrays] | None:
        _, features = self._features(sample)
        if not len(features):
            # Of no context.
            return None
        rows = _row(features, 0)
        logits = self._trained_graph(rows)
        return rows, {name: v.numpy() for name, v in logits.items()}

    def expected(self, sample: Sample) -> Arrays:
        paragraph, features = self._features(sample)
        scores = WindowScores(len(features), self._answers.n_best_size)
        for window in range(len(features)):
            # Alone: padding would compete with the text.
            logits = self._trained_graph(_row(features, window))
            sides = [logits[f"{side}_logits"].numpy() for side in _SIDES]
            scores.put(np.array([window]), *sides)
        (said,) = answer_questions(
            [paragraph],
            features,
            scores,
            self._trained.tokenizer,
            self._answers,
        )
        if said.text == NOTHING_FOUND and said.text not in sample[1]:
            return {"score": np.float32([0.0]), "answer": np.array([b""])}
        shares = {entry.text: entry.probability for entry in said.n_best}
        return {
            "score": np.float32([shares[said.text]]),
            "answer": np.array([said.text.encode()]),
        }

    def describe(self) -> dict[str, Any]:
        return {
            **dataclasses.asdict(self._windows),
            **dataclasses.asdict(self._answers),
        }

    def _features(self, sample: Sample) -> tuple[Paragraph, FeatureSet]:
        text, context = sample
        paragraph = Paragraph(context, (Question("sample", text),))
        features = FeatureSet.of(
            [paragraph], self._trained.tokenizer, self._windows
        )
        return paragraph, features

    @functools.cached_property
    def _trained_graph(self) -> Callable[[Arrays], Outputs]:
        task, network = self._network("float32")
        return graph_of_rows(lambda rows: task.outputs(network, rows))

    def _network(self, precision: str) -> tuple[SquadTask, Any]:
        task = SquadTask(self._trained.config, precision)
        network = task.build_model()
        self._trained.load(network, _UNUSED)
        return task, network


def _row(features: FeatureSet, window: int) -> Arrays:
    """The row of a window, without padding: int32 [1, F]"""
    columns = features.columns([window], int(features.lengths[window]))
    return {name: columns[name] for name in TOKENS}


def _at(values: tf.Tensor, places: tf.Tensor, exists: tf.Tensor) -> tf.Tensor:
    """Values at places that exist, else 0: int32 [N, S]"""
    values = tf.concat([values, [0]], 0)
    places = tf.where(exists, places, tf.size(values) - 1)
    return tf.gather(values, places)


def _has_equal_before(texts: tf.Tensor, counts: tf.Tensor) -> tf.Tensor:
    """Whether an earlier one that counts is the same text: bool [N, S]"""
    same = tf.equal(texts[:, :, None], texts[:, None, :]) & counts[:, None, :]
    size = tf.shape(texts)[1]
    earlier = tf.range(size)[None, :] < tf.range(size)[:, None]
    return tf.reduce_any(same & earlier, axis=2)
