"""TaggingJob: a tagger of words from its sentences to its files."""

from __future__ import annotations

import dataclasses
import itertools
import os
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from absl import logging

from modeling.devices import is_chief
from modeling.finetuning.frozen_encoder import FrozenEncoderJob
from modeling.finetuning.job import JobOptions
from modeling.finetuning.predicting import Outputs, predict_examples
from modeling.finetuning.setup import Surroundings
from modeling.finetuning.trainer import FineTuning, MakeOptions
from modeling.output_files import remove_file, telling, write_json
from modeling.tasks.feature_based import ChosenLayers
from modeling.tasks.tagging import (
    TaggingOptions,
    TagSet,
    TagWriter,
    collect_tags,
    show,
)
from modeling.tasks.tagging.batches import TaggingExamples
from modeling.tasks.tagging.data import (
    SentenceChunk,
    TaggingData,
    TaggingFiles,
)
from modeling.tasks.tagging.metrics import TagCounts
from modeling.tasks.tagging.tag_set import AUTO, TAG_MAP, read_tag_names
from modeling.tasks.tagging.task import TaggingHead, TaggingTask
from modeling.training import TrainingSession

# Of sentences that are predicted and have tags.
TEST_RESULTS = "test_results.json"


@dataclasses.dataclass(frozen=True, kw_only=True)
class TaggerOptions(JobOptions):
    """How a tagger is built, trained and asked.

    Attributes:
      sentences: how they are laid out in rows.
      head: what stands on the words' vectors.
      chosen_layers: of a frozen encoder; None: it is fine-tuned.
      scheme: what chunks are learned in, "BIO" or "BIOES".
      file_scheme: what the files' are in, see `collect_tags`.
      tag_file: of all tags, one a line; None: those that the training file has.
    """

    sentences: TaggingOptions = TaggingOptions()
    head: TaggingHead = TaggingHead()
    chosen_layers: ChosenLayers | None = None
    scheme: str = "BIO"
    file_scheme: str = AUTO
    tag_file: str | None = None


class TaggingJob(FrozenEncoderJob):
    """Trains, evaluates and asks a tagger.

    Tags are those that training has kept where there is no training.

    Args:
      files: of the sentences.
      surroundings: what the job begins with and where it works.
      options: see there.
    """

    _options: TaggerOptions

    def __init__(
        self,
        files: TaggingFiles,
        surroundings: Surroundings,
        options: TaggerOptions,
    ) -> None:
        is_frozen = options.chosen_layers is not None
        super().__init__(surroundings, options, is_frozen)
        self._files = files
        self.tag_set = self._find_tags()
        self._data = TaggingData(
            files,
            self.tag_set,
            surroundings.start.tokenizer,
            options.sentences,
            self._cache_dir,
            options.num_workers,
        )
        frozen = _ENCODER if is_frozen else _POOLER
        self.setup = surroundings.setup(
            TaggingTask(
                surroundings.start.config,
                self.tag_set,
                options.head,
                options.chosen_layers,
                **options.network(),
            ),
            _NEW,
            lambda path: (
                not path.startswith(frozen) and surroundings.is_trained(path)
            ),
        )

    def fine_tuning(self, training_options: MakeOptions) -> FineTuning:
        """The training of this job, as its loop's options ask for it."""
        has_dev = self._files.has("dev")
        with self.phases.phase("tokenization"):
            self._data.examples("train")
            if has_dev:
                # What is wrong with it is told before there is training.
                self._data.examples("dev")
        return FineTuning(
            self.setup,
            self._training_examples,
            training_options,
            self._settings(self._shaping()),
            self.evaluate if has_dev else None,
        )

    def check_data(self, evaluate: bool, predict: bool) -> None:
        """Reads what is predicted; `fine_tuning` reads the rest."""
        if predict:
            self._data.check_to_predict()

    def keep_description(self) -> None:
        """Writes the tags as well."""
        super().keep_description()
        if is_chief(self.setup.strategy):
            self.tag_set.save(self.setup.output_dir)

    def evaluate(self, session: TrainingSession) -> dict[str, Any]:
        """Numbers of the weights as they are, over the dev sentences.

        Returns:
          eval_loss and loss: the mean over all words.
          eval_accuracy, and of chunks eval_precision, eval_recall, eval_f1,
            eval_macro_f1: see `TagCounts.results`.
          score, per_type: see there.
        """
        examples = self._examples("dev", session)
        batches = self._recipe.prediction_batches(self._options.eval_batch_size)
        with session.phases.phase("evaluation"):
            outputs = predict_examples(session.predictor, examples, batches)
            said = self._decode(session, self._data.examples("dev"), outputs)
            right = self._right_tags(self._data.examples("dev"))
            counts = TagCounts(self.tag_set.file_scheme)
            counts.add(right, said)
        loss = float(np.sum(outputs["losses"])) / counts.words
        found = {"eval_loss": loss, "loss": loss}
        for name, value in counts.results().items():
            is_own = isinstance(value, float) and name != "score"
            found[f"eval_{name}" if is_own else name] = value
        return found

    def write_evaluations(self, session: TrainingSession, step: int) -> None:
        """Evaluates the dev sentences; `eval_results.txt` has every type.

        Raises:
          UserError: there are none.
        """
        self._write_evaluation(
            step, lambda: _with_types(self.evaluate(session))
        )

    def predict(self, session: TrainingSession) -> None:
        """Writes tags of any number of sentences as they come.

        Where they have tags, how many are right is written as well; where not,
        what an earlier prediction has said of it is removed.
        """
        counts = TagCounts(self.tag_set.file_scheme)
        directory = self._make_prediction_dir()
        with (
            telling(directory),
            TagWriter(directory, self.tag_set.file_scheme) as writer,
        ):

            def write(chunk: SentenceChunk, outputs: Outputs) -> None:
                said = self._decode(session, chunk.examples, outputs)
                writer.write(chunk.sentences, said)
                self._count(counts, chunk, said)

            self._predict_stream(
                session,
                ((c, c.examples) for c in self._data.stream_to_predict()),
                write,
                directory,
            )
        with telling(directory):
            _write_results(counts, os.path.join(directory, TEST_RESULTS))

    def answer(self, session: TrainingSession, line: str) -> str:
        """What the model finds in a line, see `show`."""
        chunk = self._data.single(line)
        outputs = predict_examples(
            session.predictor,
            chunk.examples,
            self._recipe.prediction_batches(1),
        )
        (said,) = self._decode(session, chunk.examples, outputs)
        return show(chunk.sentences[0], said, self.tag_set.file_scheme)

    def _find_tags(self) -> TagSet:
        directory = self._surroundings.output_dir
        if not self._surroundings.do_train and (
            not self._files.has("train")
            or os.path.exists(os.path.join(directory, TAG_MAP))
        ):
            return TagSet.load(directory)
        options = self._options
        names = read_tag_names(options.tag_file) if options.tag_file else ()
        with self.phases.phase("tags"):
            return collect_tags(
                self._files.open("train"),
                options.scheme,
                options.file_scheme,
                names,
            )

    def _shaping(self) -> dict[str, Any]:
        """What of this kind of task shapes the weights."""
        own = self._options.own()
        return {
            **{k: own[k] for k in ("sentences", "head", "chosen_layers")},
            "tags": dataclasses.asdict(self.tag_set),
            "training_data": self._data.training_digest(),
        }

    def _decode(
        self,
        session: TrainingSession,
        examples: TaggingExamples,
        outputs: Outputs,
    ) -> list[list[str]]:
        """The best tags of every sentence."""
        scores = examples.scores(outputs["scores"])
        decoder = self.setup.task.decoder(session.model)
        return self._names(examples.decode(scores, decoder))

    def _count(
        self,
        counts: TagCounts,
        chunk: SentenceChunk,
        said: list[list[str]],
    ) -> None:
        """Adds what is right of sentences that have tags."""
        tagged = [s.tags is not None for s in chunk.sentences]
        if any(tagged):
            right = self._right_tags(chunk.examples)
            counts.add(
                itertools.compress(right, tagged),
                itertools.compress(said, tagged),
            )

    def _right_tags(self, examples: TaggingExamples) -> list[list[str]]:
        """Tags that the file has, written as predictions are."""
        encoded = examples.encoded
        return self._names(
            np.split(encoded.tags, encoded.sentence_starts[1:-1])
        )

    def _names(self, ids: Iterable[np.ndarray]) -> list[list[str]]:
        return [self.tag_set.decode(of_sentence) for of_sentence in ids]


_ENCODER, _POOLER = "bert/", "bert/pooler/"
# The pooler takes no part: without a gradient it would only decay.
_NEW = (
    "output_weights",
    "output_bias",
    "layer_mix",
    "bilstm",
    "crf",
    "bert/pooler",
)


def _write_results(counts: TagCounts, path: str) -> None:
    """Writes what is right, or removes what an earlier prediction has said."""
    if not counts.words:
        remove_file(path)
        return
    results = counts.results()
    write_json(path, results)
    for name, value in results.items():
        logging.info("  test %s = %s", name, value)


def _with_types(results: Mapping[str, Any]) -> dict[str, Any]:
    """With the numbers of every type by names of their own."""
    flat = {
        f"eval_{name}_{kind}": value
        for kind, values in results["per_type"].items()
        for name, value in values.items()
        if isinstance(value, float)
    }
    return {**results, **flat}
