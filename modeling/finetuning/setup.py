"""Setup: what all trainings and predictions of a call have in common."""

from __future__ import annotations

import dataclasses
import json
import os
import tempfile
from collections.abc import Callable, Mapping
from typing import Any

import tensorflow as tf

from modeling.devices import is_chief
from modeling.errors import UserError
from modeling.finetuning.recipe import Recipe
from modeling.finetuning.start import Start
from modeling.output_files import write_json
from modeling.training import BestScore, Task, TrainingSession
from modeling.training.any_files import make_directory

# What calls without training read of it.
KEPT = "model_flags.json"
# Beside `bert_model.ckpt`, which takes its weights when training ends.
BEST_MODEL = "best_model.ckpt"
_MODEL = "bert_model.ckpt"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Surroundings:
    """What a job begins with and where it works, whatever its task.

    Attributes:
      start: config, tokenizer and their files.
      strategy: the devices.
      output_dir: of all files.
      recipe: how long to train, and in which batches.
      do_train: whether there is to be training; else what a training has kept
        in `output_dir` counts.
      init_checkpoint: weights to begin with, or None.
      xla: whether XLA compiles the network.
      trainable: told the path of a variable, whether it is trained; None: all
        are.
      kept: what calls without training need to know, as JSON values.
    """

    start: Start
    strategy: tf.distribute.Strategy
    output_dir: str
    recipe: Recipe
    do_train: bool = True
    init_checkpoint: str | None = None
    xla: bool = False
    trainable: Callable[[str], bool] | None = None
    kept: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    def is_trained(self, path: str) -> bool:
        """Whether the variable of a path is trained."""
        return self.trainable is None or self.trainable(path)

    def setup(
        self,
        task: Task,
        head: tuple[str, ...],
        trainable: Callable[[str], bool] | None = None,
    ) -> Setup:
        """With a task.

        Args:
          task: what is learned.
          head: see `Setup`.
          trainable: as above, where the task knows better.
        """
        values = vars(self) | {"trainable": trainable or self.trainable}
        return Setup(task=task, head=head, **values)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Setup(Surroundings):
    """A task on its devices.

    Attributes:
      task: what is learned.
      head: variables, or whole scopes, that `init_checkpoint` need not have.
    """

    task: Task
    head: tuple[str, ...]

    def keep(self) -> None:
        """Writes what calls without training read, beside the weights."""
        if not is_chief(self.strategy):
            return
        make_directory(self.output_dir)
        self.start.model_files.write(self.output_dir)
        write_json(os.path.join(self.output_dir, KEPT), self.kept)

    def session(
        self, directory: str | None = None, seed: int = 0
    ) -> TrainingSession:
        """The model, with weights that nothing has been read into.

        Args:
          directory: of its files, instead of `output_dir`.
          seed: of the random initializer.
        """
        return TrainingSession(
            self.task,
            self.strategy,
            directory or self.output_dir,
            self.start.model_files,
            seed=seed,
            init_checkpoint=self.init_checkpoint,
            xla=self.xla,
            trainable=self.trainable,
            expected_new=self.head,
        )

    def trained_session(self) -> tuple[TrainingSession, int]:
        """The trained model, and the step of its weights.

        Those are, in this order: the best that a training has found, its
        newest checkpoint, the model that it has written, `init_checkpoint`.
        """
        session = self.session()
        best = BestScore(self.output_dir).step
        if best is not None and self._has(BEST_MODEL):
            session.load(BEST_MODEL)
            return session, best
        if session.has_checkpoint or not self._has(_MODEL):
            return session, session.initialize()
        session.load(_MODEL)
        return session, 0

    def _has(self, name: str) -> bool:
        return tf.io.gfile.exists(
            os.path.join(self.output_dir, f"{name}.index")
        )


def read_kept(directory: str) -> dict[str, Any]:
    """What a training has kept; nothing where there was none.

    Raises:
      UserError: the file is damaged.
    """
    path = os.path.join(directory, KEPT)
    if not tf.io.gfile.exists(path):
        return {}
    advice = "Remove it, and give the flags that the model was trained with."
    with tf.io.gfile.GFile(path) as file:
        try:
            kept = json.loads(file.read())
        except ValueError as error:
            raise UserError(
                f"{path} is not JSON ({error}). {advice}"
            ) from error
    if not isinstance(kept, dict):
        raise UserError(f"{path} holds no flags by name. {advice}")
    return kept


def default_cache(output_dir: str) -> str:
    """Where tokenized examples are kept, on a disk of this machine."""
    if "://" in output_dir:
        return os.path.join(tempfile.gettempdir(), "bert_cache")
    return os.path.join(output_dir, "cache")
