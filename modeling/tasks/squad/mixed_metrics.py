"""EM and F1 for Chinese, as the evaluation of CMRC 2018 defines them.

It is used for DRCD as well. Chinese is compared by character, what stands
between by word. The two answers agree in their longest common run, not in all
characters that they share.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from modeling.tasks.squad.metrics import question_scores

# Punctuation that does not count. What is not listed counts, such as "‘" and
# "…", as it does there.
_IGNORED = str.maketrans(
    "", "", "-:_*^/\\~`+=，。：？！“”；’《》·、「」（）－～『』"
)
# A character of the evaluation's range, or a word: figures such as 1,000.5 hold
# together, "'s" stands alone, as does any other mark. The evaluation leaves the
# words to NLTK, which makes the same of all but rare English.
_SEGMENT = re.compile(
    "[\u4e00-\u9fa5]"
    r"|[^\W\u4e00-\u9fa5]+(?:\.[^\W\u4e00-\u9fa5]+|,\d+)*"
    r"|'[^\W\u4e00-\u9fa5]+"
    r"|[^\w\s]"
)


def mixed_metrics(
    targets: Mapping[str, Sequence[str]], predictions: Mapping[str, str]
) -> dict[str, float]:
    """EM and F1 in per cent, and the mean of the two that CMRC 2018 ranks by.

    Args:
      targets: right answers; the best-scored one counts.
      predictions: a question without one counts as wrong.

    Returns:
      `exact`, `f1`, `average`, `total` and `missing` (questions without a
      prediction).
    """
    total = max(len(targets), 1)
    exact, f1 = (
        100.0 * sum(question_scores(targets, predictions, s).values()) / total
        for s in (mixed_exact_match, mixed_f1_score)
    )
    return {
        "exact": exact,
        "f1": f1,
        "average": (exact + f1) / 2,
        "total": len(targets),
        "missing": len(targets.keys() - predictions.keys()),
    }


def mixed_exact_match(gold: str, prediction: str) -> float:
    """Whether two answers differ in case and punctuation only."""
    return float(_plain(gold) == _plain(prediction))


def mixed_f1_score(gold: str, prediction: str) -> float:
    """F1 of the longest common run of segments."""
    gold_segments, segments = mixed_segments(gold), mixed_segments(prediction)
    common = _longest_common_run(gold_segments, segments)
    if not common:
        return 0.0
    # 2PR / (P + R), for P = common / segments, R = common / gold segments.
    return 2 * common / (len(segments) + len(gold_segments))


def mixed_segments(text: str) -> list[str]:
    """Chinese characters and other words: "中国NBA" -> 中, 国, nba."""
    return _SEGMENT.findall(_plain(text))


def _plain(text: str) -> str:
    return text.lower().strip().translate(_IGNORED)


def _longest_common_run(first: Sequence[str], second: Sequence[str]) -> int:
    longest = 0
    # Of the runs that end at a place of `first`, by their end in `second`.
    ending = [0] * (len(second) + 1)
    for segment in first:
        previous = 0
        for index, other in enumerate(second, 1):
            run = previous + 1 if segment == other else 0
            previous, ending[index] = ending[index], run
            longest = max(longest, run)
    return longest
