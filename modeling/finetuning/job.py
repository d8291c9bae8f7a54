"""Job: what the jobs of all kinds of tasks have in common."""

from __future__ import annotations

import abc
import dataclasses
import os
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping, Sequence, Sized
from typing import Any, TypeVar

from absl import logging

from modeling.devices import is_chief
from modeling.finetuning.freezing import frozen_parts
from modeling.finetuning.predicting import Outputs, predict_chunks
from modeling.finetuning.setup import Setup, Surroundings, default_cache
from modeling.finetuning.trainer import FineTuning, MakeOptions
from modeling.output_files import telling
from modeling.progress import Phases, Progress
from modeling.tasks.array_input import Examples
from modeling.training import TrainingSession, write_evaluation
from modeling.training.any_files import make_directory

# Examples that are predicted together.
ChunkT = TypeVar("ChunkT", bound=Sized)
# Of the data that a task is judged by, and predicts; further sets have names
# that begin with these.
DEV, TEST = "dev", "test"


@dataclasses.dataclass(frozen=True, kw_only=True)
class JobOptions:
    """How a model is built and asked, whatever its task.

    Attributes:
      policy: the network's Keras dtype policy.
      use_one_hot_embeddings: see `BertModel`.
      recompute: see `BertModel`.
      eval_batch_size, predict_batch_size: rows of full length in a batch.
      prediction_dir: of predictions; None: the output directory.
      cache_dir: of tokenized examples; None: below the output directory.
      num_workers: processes that tokenize.
    """

    policy: str = "float32"
    use_one_hot_embeddings: bool = False
    recompute: bool = False
    eval_batch_size: int = 8
    predict_batch_size: int = 8
    prediction_dir: str | None = None
    cache_dir: str | None = None
    num_workers: int = 1

    def network(self) -> dict[str, Any]:
        """Those that every task hands to its network."""
        return {
            "policy": self.policy,
            "use_one_hot_embeddings": self.use_one_hot_embeddings,
            "recompute": self.recompute,
        }

    def own(self) -> dict[str, Any]:
        """Those that a task's job adds, as JSON values."""
        values = dataclasses.asdict(self)
        for field in dataclasses.fields(JobOptions):
            del values[field.name]
        return values


class Job(abc.ABC):
    """Trains, evaluates and asks a model of one kind of task.

    A subclass sets `setup` when it is made.

    Args:
      surroundings: what the job begins with and where it works.
      options: of its kind.

    Attributes:
      setup: the task on its devices.
      phases: seconds of what is done before there is a model.
    """

    setup: Setup

    def __init__(self, surroundings: Surroundings, options: JobOptions) -> None:
        self.phases = Phases()
        self._surroundings, self._options = surroundings, options
        self._recipe = surroundings.recipe
        self._cache_dir = options.cache_dir or default_cache(
            surroundings.output_dir
        )

    @abc.abstractmethod
    def fine_tuning(self, training_options: MakeOptions) -> FineTuning:
        """The training of this job, as its loop's options ask for it."""

    @abc.abstractmethod
    def write_evaluations(self, session: TrainingSession, step: int) -> None:
        """Evaluates the weights as they are and writes the results."""

    @abc.abstractmethod
    def predict(self, session: TrainingSession) -> None:
        """Writes predictions."""

    @abc.abstractmethod
    def answer(self, session: TrainingSession, line: str) -> str:
        """What the model says of a typed line, of which it knows the form."""

    def check_data(self, evaluate: bool, predict: bool) -> None:
        """Tells before a training what is wrong with the data used after it.

        To be overridden where that can be told.

        Args:
          evaluate, predict: whether there will be such.
        """
        del evaluate, predict

    def keep_description(self) -> None:
        """Writes what calls without training need to know.

        To be extended where a task has more to say than its flags.
        """
        self.setup.keep()

    def _settings(self, own: Mapping[str, Any]) -> dict[str, Any]:
        """What shapes the weights, beside the trial and the recipe.

        Args:
          own: of the task's kind, the digest of what is trained on among them.
        """
        config = self.setup.start.config
        return {
            **own,
            "policy": self._options.policy,
            "use_one_hot_embeddings": self._options.use_one_hot_embeddings,
            "init_checkpoint": self.setup.init_checkpoint,
            "frozen": frozen_parts(
                self.setup.trainable, config.num_hidden_layers
            ),
        }

    def _write_evaluation(
        self,
        step: int,
        evaluate: Callable[[], Mapping[str, Any]],
        split: str = DEV,
    ) -> None:
        """Evaluates, and writes the results.

        Args:
          step: of the weights.
          evaluate: gives results.
          split: what is evaluated; all but the first have directories of their
            own.
        """
        started = time.perf_counter()
        results = {
            "global_step": step,
            **evaluate(),
            "seconds": time.perf_counter() - started,
        }
        if is_chief(self.setup.strategy):
            directory = _directory(self.setup.output_dir, split, DEV)
            with telling(directory):
                write_evaluation(directory, results, self._shown(results))

    def _shown(self, results: Mapping[str, Any]) -> Sequence[str]:
        """Results that `eval_results.txt` has; the JSON file has all."""
        return [
            name
            for name in results
            if name.startswith("eval_") or name in ("global_step", "loss")
        ]

    def _make_prediction_dir(self, split: str = TEST) -> str:
        """Where predictions go; of further sets, into their own directory."""
        directory = self._options.prediction_dir or self.setup.output_dir
        directory = _directory(directory, split, TEST)
        if not is_chief(self.setup.strategy):
            # All hosts predict together; one writes what counts.
            directory = tempfile.mkdtemp()
        with telling(directory):
            make_directory(directory)
        return directory

    def _predict_stream(
        self,
        session: TrainingSession,
        chunks: Iterable[tuple[ChunkT, Examples]],
        write: Callable[[ChunkT, Outputs], None],
        directory: str,
    ) -> None:
        """Predicts examples as they come, holding two chunks or so in memory.

        Args:
          session: of the model.
          chunks: examples, and what they are in tokens.
          write: takes a chunk's examples and outputs, in their order.
          directory: where it writes to, for the log.
        """
        started, count = time.perf_counter(), 0
        batches = self._recipe.prediction_batches(
            self._options.predict_batch_size
        )
        with (
            session.phases.phase("prediction"),
            Progress("Predicting", "examples") as progress,
        ):
            for chunk in predict_chunks(session.predictor, chunks, batches):
                write(chunk.item, chunk.outputs)
                count += len(chunk.item)
                progress.advance(len(chunk.item))
        seconds = time.perf_counter() - started
        logging.info(
            "%d predictions in %s, %.1f a second.",
            count,
            directory,
            count / seconds,
        )


def _directory(directory: str, split: str, first: str) -> str:
    return directory if split == first else os.path.join(directory, split)
