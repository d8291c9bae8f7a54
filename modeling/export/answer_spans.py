"""From scores of windows to answers, in a graph, as `tasks.squad` finds them.

Shapes: N = questions, R = windows of all of them, F = tokens of a row,
K = best starts and ends of a window, S = best spans of a question.
"""

from __future__ import annotations

from typing import NamedTuple

import tensorflow as tf

from modeling.export.graph_rows import (
    Rows,
    Spans,
    ceil_divide,
    first_largest,
    repeat,
)
from modeling.export.graph_tokenizer import GraphTokens
from modeling.tasks.squad import AnswerOptions, WindowOptions

# Spans looked at for each of the n best answers, of which some may be the same
# text.
_SPANS_PER_ANSWER = 5
_NEVER = -float("inf")


class Windows(NamedTuple):
    """Windows over the contexts of questions.

    Attributes:
      query: what stands before each: the question.
      part: its tokens of the context.
      owners: its question: int32 [R]
      counts: of each question its windows, one at least: int32 [N]
      starts: the first token, counted in the context: int32 [R]
    """

    query: Spans
    part: Spans
    owners: tf.Tensor
    counts: tf.Tensor
    starts: tf.Tensor


class Candidates(NamedTuple):
    """Spans that may be answers, best first.

    Attributes:
      firsts: first token in the context: int32 [N, S]
      lasts: last token: int32 [N, S]
      scores: -infinity where there is none: float64 [N, S]
    """

    firsts: tf.Tensor
    lasts: tf.Tensor
    scores: tf.Tensor


def cut_windows(
    question: GraphTokens, context: GraphTokens, options: WindowOptions
) -> Windows:
    """Windows as `tasks.windows.cut_windows`, and one for no context."""
    query, whole = Spans.of(question), Spans.of(context)
    query_lengths = tf.minimum(query.lengths, options.max_query_length)
    # [CLS] and two [SEP].
    size = options.max_seq_length - query_lengths - 3
    step = tf.minimum(size, options.doc_stride)
    counts = 1 + ceil_divide(whole.lengths - size, step)
    owners, nth = repeat(counts)
    starts = nth * tf.gather(step, owners)
    lengths = tf.minimum(
        tf.gather(size, owners), tf.gather(whole.lengths, owners) - starts
    )
    return Windows(
        Spans(
            query.ids,
            tf.gather(query.starts, owners),
            tf.gather(query_lengths, owners),
        ),
        Spans(whole.ids, tf.gather(whole.starts, owners) + starts, lengths),
        owners,
        counts,
        starts,
    )


def best_spans(
    windows: Windows, logits: Rows, options: AnswerOptions
) -> Candidates:
    """The best spans of every question; see `tasks.squad.n_best`."""
    start_logits = tf.cast(logits["start_logits"], tf.float64)
    end_logits = tf.cast(logits["end_logits"], tf.float64)
    length = tf.shape(start_logits)[1]
    # Padding takes no part, whatever else is in the batch.
    ends = (windows.query.lengths + windows.part.lengths + 3)[:, None]
    is_padding = tf.range(length)[None] >= ends
    never = tf.constant(_NEVER, tf.float64)
    start_logits = tf.where(is_padding, never, start_logits)
    end_logits = tf.where(is_padding, never, end_logits)
    count = tf.minimum(options.n_best_size, length)
    start_scores, start_places = tf.math.top_k(start_logits, count)
    end_scores, end_places = tf.math.top_k(end_logits, count)
    # Places in the row -> tokens of the window, as far as they are in it.
    shift = (windows.query.lengths + 2)[:, None]
    first, last = start_places - shift, end_places - shift
    in_window = _is_token(first, windows) & _shows_most(first, windows, length)
    start_scores = tf.where(in_window, start_scores, never)
    end_scores = tf.where(_is_token(last, windows), end_scores, never)
    # [R, K, K]
    tokens = last[:, None, :] - first[:, :, None] + 1
    good = (tokens > 0) & (tokens <= options.max_answer_length)
    scores = start_scores[:, :, None] + end_scores[:, None, :]
    scores = tf.where(good, scores, never)
    first = tf.broadcast_to(
        (first + windows.starts[:, None])[:, :, None], tf.shape(scores)
    )
    last = tf.broadcast_to(
        (last + windows.starts[:, None])[:, None, :], tf.shape(scores)
    )
    return _of_questions(windows, (first, last, scores), options)


def no_answer_scores(windows: Windows, logits: Rows) -> tf.Tensor:
    """The score of no answer, of the window where it is lowest: float64 [N]"""
    first = [logits[f"{side}_logits"][:, 0] for side in ("start", "end")]
    scores = tf.cast(first[0], tf.float64) + tf.cast(first[1], tf.float64)
    return tf.math.segment_min(scores, windows.owners)


def _is_token(places: tf.Tensor, windows: Windows) -> tf.Tensor:
    return (places >= 0) & (places < windows.part.lengths[:, None])


def _shows_most(
    places: tf.Tensor, windows: Windows, length: tf.Tensor
) -> tf.Tensor:
    """Whether no other window shows a token in more context: bool [R, K]

    See `tasks.windows.max_context_window`.
    """
    lengths = windows.part.lengths[:, None]
    # All tokens of all windows: [R, F]
    every = tf.broadcast_to(tf.range(length)[None], [tf.size(lengths), length])
    is_token = every < lengths
    context = tf.cast(tf.minimum(every, lengths - 1 - every), tf.float64)
    context += 0.01 * tf.cast(lengths, tf.float64)
    num_tokens = tf.size(windows.part.ids)
    tokens = tf.where(
        is_token, windows.part.starts[:, None] + every, num_tokens
    )
    # Of windows that show it equally well the first.
    owners = first_largest(context, tokens, num_tokens + 1) // length
    wanted = tf.clip_by_value(places, 0, length - 1)
    tokens = tf.gather(tokens, wanted, batch_dims=1)
    mine = tf.range(tf.size(lengths))[:, None]
    return tf.equal(tf.gather(owners, tokens), mine)


def _of_questions(
    windows: Windows,
    spans: tuple[tf.Tensor, tf.Tensor, tf.Tensor],
    options: AnswerOptions,
) -> Candidates:
    """The best of all windows' spans [R, K, K]; of equal ones the first."""

    def joined(values: tf.Tensor, fill: float) -> tf.Tensor:
        shape = [tf.shape(values)[0], tf.size(values[0])]
        ragged = tf.RaggedTensor.from_row_lengths(
            tf.reshape(values, shape), windows.counts, validate=False
        )
        filled = ragged.to_tensor(tf.cast(fill, values.dtype))
        return tf.reshape(filled, [tf.shape(filled)[0], -1])

    first, last, scores = spans
    scores = joined(scores, _NEVER)
    count = tf.minimum(
        _SPANS_PER_ANSWER * options.n_best_size, tf.shape(scores)[1]
    )
    scores, places = tf.math.top_k(scores, count)
    return Candidates(
        tf.gather(joined(first, 0), places, batch_dims=1),
        tf.gather(joined(last, 0), places, batch_dims=1),
        scores,
    )
