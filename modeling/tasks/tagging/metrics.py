"""Metrics of tagging: (targets, predictions) -> numbers, as conlleval's."""

from __future__ import annotations

import collections
from collections.abc import Iterable, Sequence
from typing import Any

from modeling.errors import UserError
from modeling.tasks.tagging.schemes import PLAIN, find_chunks

Tags = Iterable[Sequence[str]]
# What reports call chunks without a type.
_NO_TYPE = "chunk"


def evaluate(targets: Tags, predictions: Tags, scheme: str) -> dict[str, Any]:
    """Precision, recall and F1 of chunks, and the accuracy of words.

    Args:
      targets: the right tags of every sentence.
      predictions: tags of the same words, in the same scheme.
      scheme: "plain" where every word's tag stands for itself.

    Returns:
      See `TagCounts.results`.

    Raises:
      UserError: no words to evaluate.
    """
    counts = TagCounts(scheme)
    counts.add(targets, predictions)
    return counts.results()


class TagCounts:
    """Counts what is right, of any number of sentences.

    A chunk is right if its type and all of its words are, as conlleval and
    seqeval count; theirs is also the reading of sequences that no scheme
    allows.

    Args:
      scheme: "plain" where every word's tag stands for itself.
    """

    def __init__(self, scheme: str) -> None:
        self._scheme = scheme
        self._real: collections.Counter[str] = collections.Counter()
        self._said: collections.Counter[str] = collections.Counter()
        self._right: collections.Counter[str] = collections.Counter()
        self.words = self._right_words = 0

    def add(self, targets: Tags, predictions: Tags) -> None:
        """Takes the right tags of sentences, and those predicted."""
        for target, prediction in zip(targets, predictions, strict=True):
            self.words += len(target)
            self._right_words += sum(
                a == b for a, b in zip(target, prediction, strict=True)
            )
            found = _things(target, self._scheme)
            given = _things(prediction, self._scheme)
            self._real.update(kind for kind, *_ in found)
            self._said.update(kind for kind, *_ in given)
            self._right.update(kind for kind, *_ in found & given)

    def results(self) -> dict[str, Any]:
        """Numbers of all that was added.

        Returns:
          accuracy: the share of words with the right tag.
          precision, recall, f1: over all chunks; not in "plain".
          macro_f1: the mean of the types' F1, of those that occur.
          per_type: precision, recall, f1, the number of targets and of
            predictions of every type; in "plain", of every tag.
          score: what the best model is chosen by: F1, in "plain" accuracy.

        Raises:
          UserError: there were no words.
        """
        real, said, right = self._real, self._said, self._right
        if not self.words:
            raise UserError("There are no words to evaluate.")
        per_type = {
            kind or _NO_TYPE: {
                **_scores(right[kind], said[kind], real[kind]),
                "targets": real[kind],
                "predictions": said[kind],
            }
            for kind in sorted({*real, *said})
        }
        f1s = [values["f1"] for values in per_type.values()]
        values = {
            "accuracy": self._right_words / self.words,
            "macro_f1": sum(f1s) / len(f1s) if f1s else 0.0,
            "per_type": per_type,
        }
        if self._scheme == PLAIN:
            return {**values, "score": values["accuracy"]}
        overall = _scores(right.total(), said.total(), real.total())
        return {**values, **overall, "score": overall["f1"]}


def _things(tags: Sequence[str], scheme: str) -> set[tuple[str, int, int]]:
    """What is right or wrong as a whole: type, first word and the end."""
    if scheme == PLAIN:
        return {(tag, place, place + 1) for place, tag in enumerate(tags)}
    return set(find_chunks(tags))


def _scores(right: int, said: int, real: int) -> dict[str, float]:
    precision = right / said if said else 0.0
    recall = right / real if real else 0.0
    both = precision + recall
    f1 = 2 * precision * recall / both if both else 0.0
    return {"precision": precision, "recall": recall, "f1": f1}
