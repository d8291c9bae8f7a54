"""Which measure a data set is judged by, and all that it says."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

from modeling.tasks.squad.metrics import best_thresholds, squad_metrics
from modeling.tasks.squad.mixed_metrics import mixed_metrics
from modeling.tasks.squad.prediction_files import Predictions
from modeling.tasks.squad.questions import Paragraph
from modeling.tokenization.unicode_tables import CJK_CLASS

METRICS = ("squad", "cmrc", "drcd")

_CHINESE = re.compile(f"[{CJK_CLASS}]")
_WORD_CHARACTER = re.compile(r"\w")
# Share of Chinese characters above which a text is Chinese: Chinese prose lies
# near one, and Latin letters count one by one.
_CHINESE_SHARE = 0.3


def is_chinese(paragraphs: Iterable[Paragraph]) -> bool:
    """Whether the contexts are, for the most part."""
    chinese = characters = 0
    for paragraph in paragraphs:
        chinese += len(_CHINESE.findall(paragraph.context))
        characters += len(_WORD_CHARACTER.findall(paragraph.context))
    return chinese > _CHINESE_SHARE * characters


def evaluate_answers(
    metric: str, targets: Mapping[str, Sequence[str]], predictions: Predictions
) -> dict[str, float]:
    """EM and F1 as the data set's own evaluation counts them.

    Args:
      metric: one of `METRICS`.
      targets: right answers by question, of a set that has some.
      predictions: what was answered.

    Returns:
      What `squad_metrics` says, with `best_thresholds` where questions may have
      no answer; or `mixed_metrics` of CMRC 2018 and DRCD. And `score`, that
      which weights are chosen by: F1, under the best threshold; of CMRC 2018
      and DRCD the mean of EM and F1.
    """
    if metric != "squad":
        results = mixed_metrics(targets, predictions.texts)
        return {**results, "score": results["average"]}
    results = squad_metrics(targets, predictions.texts)
    if not predictions.null_odds:
        return {**results, "score": results["f1"]}
    results |= best_thresholds(
        targets, predictions.best_texts, predictions.null_odds
    )
    return {**results, "score": results["best_f1"]}
