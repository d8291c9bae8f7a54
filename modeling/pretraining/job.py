"""The whole job: files of text in, shards of records out."""

from __future__ import annotations

import dataclasses
import hashlib
import os
from typing import Any

from absl import logging

from modeling.errors import UserError
from modeling.output_files import write_json
from modeling.pretraining.corpus_writer import (
    Encoders,
    open_corpus,
    prepare_corpus,
)
from modeling.pretraining.encode import BlockEncoder, id_type
from modeling.pretraining.make_records import PairMaker, RecordMaker
from modeling.pretraining.options import InstanceOptions
from modeling.pretraining.report import Report, log_instances
from modeling.pretraining.resumable import only_run, writing
from modeling.pretraining.shards import ShardSet
from modeling.pretraining.vocabulary import RecordVocabulary
from modeling.pretraining.words import WordOptions, segmenter_version
from modeling.progress import Phases
from modeling.records import RecordMetadata, vocabulary_digest
from modeling.records.files import (
    corpus_name,
    lies_beside,
    partial_name,
    report_name,
    shard_names,
)
from modeling.text_files import find_files, is_read_once
from modeling.tokenization import (
    Tokenizer,
    describe_case_mismatch,
    load_tokenizer,
)
from modeling.workers import Workers

# Of what the functions of tokenization make of a text.
_CORPUS_VERSION = 2


@dataclasses.dataclass(frozen=True)
class TokenizerFiles:
    """A vocabulary and how text is read with it; see `load_tokenizer`."""

    vocab_file: str | None = None
    spm_model_file: str | None = None
    do_lower_case: bool = True
    strip_accents: bool | None = None

    def load(self) -> Tokenizer:
        """Raises `UserError` as `load_tokenizer` does."""
        return load_tokenizer(**dataclasses.asdict(self))


@dataclasses.dataclass(frozen=True)
class PretrainingDataJob:
    """What to read, what to make of it and where to write it.

    Attributes:
      input_file: comma-separated files and globs.
      output_file: comma-separated files.
      tokenizer: the vocabulary.
      options: instances and their masks.
      words: where words and spans come from.
      num_shards: files that a single output_file is split in.
      num_workers: processes.
      gzip: whether records are compressed.
      corpus_dir: of the tokenized text; "" for one beside the output.
      show_instances: instances that are logged, by the local runner.
      runner: "local" or "beam".
      beam_options: arguments of the Beam pipelines.

    Raises:
      UserError: settings that contradict one another.
    """

    input_file: str
    output_file: str
    tokenizer: TokenizerFiles
    options: InstanceOptions = dataclasses.field(
        default_factory=InstanceOptions
    )
    words: WordOptions = dataclasses.field(default_factory=WordOptions)
    num_shards: int = 1
    num_workers: int = 1
    gzip: bool = False
    corpus_dir: str = ""
    show_instances: int = 20
    runner: str = "local"
    beam_options: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name in ("num_shards", "num_workers"):
            if getattr(self, name) < 1:
                raise UserError(
                    f"{name} must be positive. Received: {getattr(self, name)}"
                )
        if self.show_instances < 0:
            raise UserError(
                "show_instances must not be negative. Received: "
                f"{self.show_instances}"
            )
        if self.num_shards > 1 and "," in self.output_file:
            raise UserError(
                "Name one output_file to be split in num_shards, or name every "
                f"shard. Received: num_shards={self.num_shards}, "
                f"output_file={self.output_file}"
            )
        method = self.options.masking.method
        if method == "span" and not self.words.has_spans:
            raise UserError(
                "masking=span needs spans: give a span_dictionary, or mark "
                "them in the text as [[span]] with marked_spans."
            )
        if method not in ("span", "none") and self.words.span_dictionary:
            raise UserError(
                "A span_dictionary goes with masking=span or none. Received: "
                f"masking={method}"
            )
        if method == "token" and not self.words.in_tokens:
            raise UserError(
                "masking=token masks single tokens, whatever words they belong "
                "to. With segmented text, a dictionary or marks, use "
                "masking=whole_word, ngram, span or none."
            )

    @property
    def output_name(self) -> str:
        """What the whole output is called."""
        return self.output_file.split(",")[0].strip()

    @property
    def output_files(self) -> list[str]:
        """The shards."""
        if self.num_shards > 1:
            return shard_names(self.output_name, self.num_shards)
        return [name.strip() for name in self.output_file.split(",")]


def create_pretraining_data(job: PretrainingDataJob) -> dict[str, Any]:
    """Runs a job, logs its report and returns it.

    Raises:
      UserError: anything wrong with the files or settings. What can be checked
        is checked before any work; earlier outputs are replaced only by whole
        ones.

    Source: `create_pretraining_data.main`.
    """
    run = _Run(job)
    lock = f"{partial_name(job.output_name)}.lock"
    with writing(job.output_name), only_run(lock, job.output_name):
        totals = run.on_beam() if job.runner == "beam" else run.locally()
        report = Report(run.corpus["counts"], totals, job.options)
        run.shards.commit(run.describe(report))
        values = report.as_json(run.phases)
        write_json(report_name(job.output_name), values)
    report.log(run.phases)
    return values


class _Run:
    """A job that was checked, and what it has made so far.

    Attributes:
      corpus: what `prepare_corpus` tells, once it has.
      shards: of the output, once there is a corpus.
    """

    def __init__(self, job: PretrainingDataJob) -> None:
        self._job, self.phases = job, Phases()
        self._text_files = find_files(
            job.input_file,
            # Of a run that was killed, or of the one before.
            leave_out=lambda path: lies_beside(
                path, [job.output_name, *job.output_files]
            ),
        )
        _check_inputs(job, self._text_files)
        _check_outputs(job, self._text_files)
        self._tokenizer = job.tokenizer.load()
        mismatch = describe_case_mismatch(
            self._tokenizer.do_lower_case, self._tokenizer.vocab
        )
        if mismatch:
            logging.warning("%s", mismatch)
        self._vocabulary = RecordVocabulary.of(self._tokenizer)
        self._settings = _corpus_settings(job, self._tokenizer)
        self._directory = job.corpus_dir or corpus_name(job.output_name)
        self._encoder = BlockEncoder(self._tokenizer, job.words)
        self._pairs = PairMaker(self._directory, job.options)
        self._records = RecordMaker(
            self._directory, job.options, self._vocabulary, job.gzip
        )
        self.corpus: dict[str, Any] = {}
        self.shards: ShardSet

    def locally(self) -> dict[str, Any]:
        """Writes the shards with processes of this machine."""
        functions = {
            "encode": self._encoder,
            "pair": self._pairs,
            "record": self._records,
            # Makes the processes start, so that their start is timed apart.
            "greet": int,
        }
        job, phases = self._job, self.phases
        with Workers(functions, job.num_workers) as workers:
            with phases.phase("starting"):
                for _ in workers.map("greet", range(job.num_workers)):
                    pass
            self._tokenize(workers)
            with phases.phase("pairing"):
                self.shards.pair(
                    workers, open_corpus(self._directory), job.options
                )
            with phases.phase("writing"):
                totals = self.shards.write(workers)
        first = self.shards.read_instances(0, job.show_instances)
        log_instances(self._records, first, self._tokenizer)
        return totals

    def on_beam(self) -> dict[str, Any]:
        """Writes the shards with pipelines of Apache Beam."""
        # Here, as few have it.
        from modeling.pretraining import beam_runner

        options = self._job.beam_options
        self._tokenize(
            beam_runner.BeamEncoder(
                self._encoder, self._text_files, self._directory, options
            )
        )
        with self.phases.phase("pairing and writing"):
            return beam_runner.write_shards(
                self.shards,
                open_corpus(self._directory),
                self._pairs,
                self._records,
                options,
            )

    def describe(self, report: Report) -> RecordMetadata:
        """What the records were made of."""
        job, tokenizer = self._job, self._tokenizer
        return RecordMetadata(
            files=[os.path.basename(path) for path in job.output_files],
            compression="GZIP" if job.gzip else "",
            vocabulary={
                "digest": self._settings["vocabulary"],
                "size": tokenizer.vocab_size,
                "do_lower_case": tokenizer.do_lower_case,
                "pad_id": self._vocabulary.pad_id,
                **self._vocabulary.masking.as_json(),
            },
            options=dataclasses.asdict(job.options),
            words=self._settings["words"],
            counts=report.counts(),
            text=self.corpus["text"],
        )

    def _tokenize(self, workers: Encoders) -> None:
        with self.phases.phase("tokenizing"):
            self.corpus = prepare_corpus(
                self._directory,
                self._text_files,
                self._settings,
                workers,
                self._tokenizer.unk_id,
            )
        _check_documents(self.corpus["counts"]["documents"], self._job.options)
        self.shards = ShardSet(
            self._job.output_name,
            self._job.output_files,
            {
                "corpus": self.corpus,
                "options": dataclasses.asdict(self._job.options),
                "gzip": self._job.gzip,
            },
        )


def _check_inputs(job: PretrainingDataJob, text_files: list[str]) -> None:
    read_once = [path for path in text_files if is_read_once(path)]
    if read_once and job.runner == "beam":
        raise UserError(
            f"{read_once[0]} can be read only once, and runner=beam reads the "
            "text in several processes. Write it to a file first."
        )


def _check_outputs(job: PretrainingDataJob, text_files: list[str]) -> None:
    outputs = job.output_files
    if "" in outputs:
        raise UserError(
            f"An output has no name. Received: output_file={job.output_file!r}"
        )
    if len(set(map(os.path.abspath, outputs))) < len(outputs):
        raise UserError(f"Two outputs have one name: {', '.join(outputs)}")
    read = (
        *text_files,
        job.tokenizer.vocab_file,
        job.tokenizer.spm_model_file,
        job.words.word_dictionary,
        job.words.span_dictionary,
    )
    inputs = {os.path.abspath(path) for path in read if path}
    for path in outputs:
        if "://" in path:
            raise UserError(
                f"The output {path} is not a file of this machine or of a "
                "file system that it mounts. Write the records to such a file "
                "and copy them."
            )
        directory = os.path.dirname(os.path.abspath(path))
        if not os.path.isdir(directory):
            raise UserError(
                f"The output's directory {directory} does not exist."
            )
        if not os.access(directory, os.W_OK):
            raise UserError(
                f"The output's directory {directory} is not writable."
            )
        if os.path.isdir(path):
            raise UserError(
                f"The output {path} is a directory. Name a file in it."
            )
        if os.path.abspath(path) in inputs:
            raise UserError(
                f"{path} is both input and output. Name other input, or write "
                "elsewhere."
            )


def _check_documents(documents: int, options: InstanceOptions) -> None:
    if documents > 1 or options.sentence_pairs == "none":
        return
    raise UserError(
        "The text is a single document, so there is no other document to draw "
        f"the random segments of sentence_pairs={options.sentence_pairs} from. "
        "A blank line, or the end of a file, ends a document: separate the "
        "documents so, or use sentence_pairs=none."
    )


def _corpus_settings(
    job: PretrainingDataJob, tokenizer: Tokenizer
) -> dict[str, Any]:
    """All but the text that shapes a tokenized corpus."""
    words = dataclasses.asdict(job.words)
    for name in ("word_dictionary", "span_dictionary"):
        words[name] = _file_digest(words[name])
    words["segmenter"] = segmenter_version(job.words)
    return {
        "version": _CORPUS_VERSION,
        "vocabulary": vocabulary_digest(tokenizer.vocab),
        "spm_model": _file_digest(job.tokenizer.spm_model_file),
        "do_lower_case": tokenizer.do_lower_case,
        "strip_accents": job.tokenizer.strip_accents,
        "words": words,
        "id_type": id_type(tokenizer),
        "has_joins": not job.words.in_tokens,
    }


def _file_digest(path: str | None) -> str:
    if not path:
        return ""
    try:
        with open(path, "rb") as file:
            return hashlib.sha256(file.read()).hexdigest()
    except OSError as error:
        raise UserError(f"Cannot read {path}: {error.strerror}") from error
