"""FrozenEncoderJob: a job whose encoder may stay as it is."""

from __future__ import annotations

from typing import Protocol

from modeling.finetuning.job import Job, JobOptions
from modeling.finetuning.kept_outputs import (
    DigestibleExamples,
    keep_encoder_outputs,
)
from modeling.finetuning.setup import Surroundings
from modeling.tasks.array_input import Examples
from modeling.training import TrainingSession


class SplitData(Protocol):
    """A task's examples in tokens."""

    def examples(self, split: str) -> DigestibleExamples:
        """A split, mapped from the cache."""


class FrozenEncoderJob(Job):
    """A job whose task may learn from what a frozen encoder tells.

    That is computed once for each split. A subclass sets `_data` when it is
    made.

    Args:
      surroundings, options: see `Job`.
      is_frozen: whether the encoder is.
    """

    _data: SplitData

    def __init__(
        self, surroundings: Surroundings, options: JobOptions, is_frozen: bool
    ) -> None:
        super().__init__(surroundings, options)
        self._is_frozen = is_frozen
        self._told: dict[str, Examples] = {}

    def _training_examples(self, session: TrainingSession) -> Examples:
        if self._is_frozen:
            # The encoder that is asked is the one to begin with.
            session.initialize()
        return self._examples("train", session)

    def _examples(self, split: str, session: TrainingSession) -> Examples:
        """A split as the model takes it."""
        with self.phases.phase("tokenization"):
            examples = self._data.examples(split)
        if not self._is_frozen:
            return examples
        if split not in self._told:
            # The encoder is the same in all trials.
            self._told[split] = keep_encoder_outputs(
                session,
                examples,
                self._recipe.prediction_batches(self._options.eval_batch_size),
                self._cache_dir,
            )
        return self._told[split]
