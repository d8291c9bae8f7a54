"""From scores to answers (original: `write_predictions`)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from modeling.tasks.squad import encode
from modeling.tasks.squad.features import FeatureSet
from modeling.tasks.squad.n_best import NULL, Spans, best_spans, softmax
from modeling.tasks.squad.options import AnswerOptions
from modeling.tasks.squad.questions import Paragraph, Question
from modeling.tasks.squad.scores import WindowScores
from modeling.tasks.squad.span_texts import SpanTexts, TextMaker
from modeling.tokenization import Tokenizer

# What the original says where it finds no answer and there must be one.
NOTHING_FOUND = "empty"
# How far no answer lies above the best answer where no window has a span that
# can be one, so that no answer is right whatever the threshold. The original
# stops there: with an AttributeError, or for a paragraph without tokens with an
# IndexError. The figure is its null score before it has seen a window.
ODDS_OF_NOTHING = 1000000.0


class NBestEntry(NamedTuple):
    """One of the best answers; the names are those of the JSON file."""

    text: str
    probability: float
    start_logit: float
    end_logit: float


_NOTHING = NBestEntry(NOTHING_FOUND, 1.0, 0.0, 0.0)


class Answered(NamedTuple):
    """What is predicted for a question.

    Attributes:
      id: of the question.
      text: the answer, "" for none.
      n_best: the best answers, best first.
      best_text: the best answer that is one, "" where none was found.
      null_odds: how far the score of no answer lies above that of `best_text`;
        None where every question has an answer.
    """

    id: str
    text: str
    n_best: list[NBestEntry]
    best_text: str
    null_odds: float | None


def answer_questions(
    paragraphs: Sequence[Paragraph],
    features: FeatureSet,
    scores: WindowScores,
    tokenizer: Tokenizer,
    options: AnswerOptions,
) -> Iterator[Answered]:
    """Yields what is predicted for every question, in order.

    One process does some 3,000 questions a second; handing scores to others and
    answers back costs as much as they would save.

    Args:
      paragraphs: the data.
      features: of the same paragraphs, not made for training.
      scores: of all windows, as many of each as the options' n_best_size.
      tokenizer: that made the features.
      options: of the answers.

    Raises:
      UserError: options that do not fit the tokenizer.
      ValueError: features or scores that do not belong to the paragraphs or
        options, or scores that are missing or not numbers.
    """
    if len(scores.missing):
        raise ValueError(
            f"{len(scores.missing)} windows have no scores, or not numbers: "
            f"the first is {scores.missing[0]}."
        )
    questions = sum(len(paragraph.questions) for paragraph in paragraphs)
    if (questions, len(features)) != (
        len(features.questions),
        len(scores.starts),
    ):
        raise ValueError(
            f"{questions} questions, but features of "
            f"{len(features.questions)}; {len(features)} windows, but scores "
            f"of {len(scores.starts)}."
        )
    if scores.starts.shape[1] != options.n_best_size:
        raise ValueError(
            f"n_best_size is {options.n_best_size}, but of every window "
            f"{scores.starts.shape[1]} scores were kept."
        )
    answerer = _Answerer(options)
    text_maker = TextMaker(tokenizer, options)
    number = 0
    for index, paragraph in enumerate(paragraphs):
        texts = text_maker.of_paragraph(
            paragraph.context, *features.tokens_of_paragraph(index)
        )
        for question in paragraph.questions:
            part = slice(*features.first_windows[number : number + 2])
            spans = best_spans(
                features.windows[part],
                int(features.questions[number, encode.QUERY_LENGTH]),
                scores.part(part),
                options.max_answer_length,
                options.version_2_with_negative,
            )
            yield answerer.answer(question, spans, texts)
            number += 1


class _Answerer:
    """Chooses among the spans of a question."""

    def __init__(self, options: AnswerOptions) -> None:
        self._options = options

    def answer(
        self, question: Question, spans: Spans, texts: SpanTexts
    ) -> Answered:
        """The question's best answers, and the one that is given."""
        n_best = self._n_best(spans, texts)
        if self._options.version_2_with_negative:
            return self._choose_or_none(question, n_best, spans)
        text = n_best[0].text
        best_text = "" if n_best == [_NOTHING] else text
        return Answered(question.id, text, n_best, best_text, None)

    def _n_best(self, spans: Spans, texts: SpanTexts) -> list[NBestEntry]:
        """The best spans of different texts."""
        found: dict[str, tuple[float, float]] = {}
        for first, last, *logits in zip(*spans, strict=True):
            if len(found) >= self._options.n_best_size:
                break
            text = "" if first == NULL else texts.of(first, last)
            # SentencePiece has tokens that stand for no character.
            if text or first == NULL:
                found.setdefault(text, logits)
        if self._options.version_2_with_negative:
            # So there may be one more than asked for.
            found.setdefault("", _null_logits(spans))
        if not found:
            return [_NOTHING]
        probabilities = softmax([start + end for start, end in found.values()])
        return [
            NBestEntry(text, probability, *logits)
            for (text, logits), probability in zip(
                found.items(), probabilities, strict=True
            )
        ]

    def _choose_or_none(
        self, question: Question, n_best: list[NBestEntry], spans: Spans
    ) -> Answered:
        """Weighs the best answer against none."""
        best = next((entry for entry in n_best if entry.text), None)
        if best is None:
            return Answered(question.id, "", n_best, "", ODDS_OF_NOTHING)
        null_start, null_end = _null_logits(spans)
        odds = null_start + null_end - best.start_logit - best.end_logit
        is_null = odds > self._options.null_score_diff_threshold
        text = "" if is_null else best.text
        return Answered(question.id, text, n_best, best.text, odds)


def _null_logits(spans: Spans) -> tuple[float, float]:
    if NULL not in spans.firsts:  # a paragraph without tokens
        return 0.0, 0.0
    index = spans.firsts.index(NULL)
    return spans.start_logits[index], spans.end_logits[index]
