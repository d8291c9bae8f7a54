"""BestScore: which evaluation was the best, and when to give up hope."""

from __future__ import annotations

import json
import os
from typing import Any

import tensorflow as tf

from modeling.output_files import remove_file, write_json

_FILE = "best.json"


class BestScore:
    """Scores of evaluations during training, kept over interruptions.

    Args:
      directory: where they are written.
      patience: evaluations without a better score after which training ends;
        0: never.
      resume: whether scores of an earlier run count.
    """

    def __init__(
        self, directory: str, patience: int = 0, resume: bool = True
    ) -> None:
        self._path = os.path.join(directory, _FILE)
        self._patience = patience
        self._scores: dict[int, float] = {}
        if resume and tf.io.gfile.exists(self._path):
            with tf.io.gfile.GFile(self._path) as file:
                values: dict[str, Any] = json.loads(file.read())
            self._scores = {int(k): v for k, v in values["scores"].items()}

    @property
    def step(self) -> int | None:
        """Of the best score, the earliest of equal ones; None: none yet."""
        if not self._scores:
            return None
        return max(sorted(self._scores), key=self._scores.__getitem__)

    def knows(self, step: int) -> bool:
        """Whether the weights of a step have been scored."""
        return step in self._scores

    def add(self, step: int, score: float) -> bool:
        """Takes note of a score, the higher the better.

        Returns:
          Whether it is the best so far. Steps after it, of a run that was
          interrupted, are forgotten.
        """
        self._scores = {k: v for k, v in self._scores.items() if k < step}
        self._scores[step] = score
        return self.step == step

    def write(self) -> None:
        """Keeps what is known; called once the weights of `step` are kept."""
        write_json(self._path, {"best_step": self.step, "scores": self._scores})

    def remove(self) -> None:
        """Forgets what is kept, once there are weights without a score."""
        remove_file(self._path)

    @property
    def is_hopeless(self) -> bool:
        """Whether the last `patience` evaluations gave nothing better."""
        later = [step for step in self._scores if step > (self.step or 0)]
        return bool(self._patience) and len(later) >= self._patience
