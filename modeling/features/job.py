"""The whole job: files of text in, one output of features out."""

from __future__ import annotations

import dataclasses
import itertools
import os
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Protocol

import tensorflow as tf
from absl import logging

from modeling.checkpoints import CheckpointReader, initialize_model
from modeling.errors import UserError
from modeling.features.extractor import (
    FeatureExtractor,
    LineFeatures,
    check_fit,
)
from modeling.features.jsonl import STDOUT, JsonlFile, JsonlStdout
from modeling.features.options import FeatureOptions
from modeling.features.shards import ShardWriter
from modeling.network import BertModel
from modeling.pretrained import Pretrained, PretrainedFiles
from modeling.progress import Progress
from modeling.text_files import STDIN, find_files, is_read_once, read_lines

PRECISIONS = {"float32": "float32", "bfloat16": "mixed_bfloat16"}

_POOLER = "bert/pooler/dense/kernel"


@dataclasses.dataclass(frozen=True)
class ExtractionJob:
    """What to read, what to compute and where to write it.

    Attributes:
      files: of the pre-trained model.
      input_file: comma-separated files and globs, "-" for standard input.
      output_file: a file; gzipped if it ends in ".gz"; "-" for standard
        output; or the directory of a binary format.
      options: what is computed.
      output_format: "jsonl", "npz" or "npy".
      precision: a key of `PRECISIONS`.
      resume: go on with what an interrupted run left.
      use_one_hot_embeddings: see `Embeddings`.
    """

    files: PretrainedFiles
    input_file: str
    output_file: str
    options: FeatureOptions
    output_format: str = "jsonl"
    precision: str = "float32"
    resume: bool = False
    use_one_hot_embeddings: bool = False


class Writer(Protocol):
    """Where features go."""

    @property
    def lines_done(self) -> int:
        """Input lines that an interrupted run has finished."""

    def write(self, window: Sequence[LineFeatures]) -> None:
        """Takes the next lines."""

    def finish(self) -> None:
        """Called once, when all lines are written."""


def extract_features(
    job: ExtractionJob,
    strategy: tf.distribute.Strategy | None = None,
    static_shapes: bool = False,
    started: float | None = None,
) -> None:
    """Runs a job and logs its report.

    Args:
      job: what to do.
      strategy: replicas to compute on.
      static_shapes: see `ModelFunction`.
      started: when the program began, on the clock `time.perf_counter`, for
        the report to count its imports.

    Raises:
      UserError: anything wrong with the files or settings. Whatever can be
        checked is checked before the model is built.
    """
    start = time.perf_counter() if started is None else started
    input_files = find_files(job.input_file, allow_stdin=True)
    _check_output(job, input_files)
    pretrained = job.files.load()
    check_fit(pretrained.config, pretrained.tokenizer, job.options)
    _check_pooler(pretrained.checkpoint, job.options)
    lines = _first_line_checked(read_lines(input_files))

    extractor = FeatureExtractor(
        _load_model(job, pretrained, strategy),
        pretrained.tokenizer,
        job.options,
        strategy,
        static_shapes,
    )
    settings = _settings(
        job, pretrained.checkpoint.path, extractor.options, input_files
    )
    writer = _open_writer(job, extractor.options, settings)
    extractor.phases.seconds["start"] = time.perf_counter() - start
    try:
        _run(extractor, writer, lines)
    except KeyboardInterrupt:
        logging.warning(
            "Interrupted with %d lines written. --resume goes on after them.",
            writer.lines_done,
        )
        raise
    _log_report(extractor, time.perf_counter() - start)


def _run(
    extractor: FeatureExtractor, writer: Writer, lines: Iterator[str]
) -> None:
    done = writer.lines_done
    skipped = sum(1 for _ in itertools.islice(lines, done))
    if skipped < done:
        raise UserError(
            f"The interrupted run has finished {done} lines, but the input "
            f"has only {skipped}. Is it the same input?"
        )
    # Writing overlaps with the computation of the next window. One window is
    # written at a time, so that no more than two are ever in memory.
    with (
        ThreadPoolExecutor(1) as pool,
        Progress("Extracting", "lines", done=done) as progress,
    ):
        written: Future | None = None
        for window in extractor.extract_windows(lines, done):
            if written is not None:
                written.result()
            written = pool.submit(_write, extractor, writer, window)
            progress.advance(len(window))
        if written is not None:
            written.result()
    with extractor.phases.phase("writing"):
        writer.finish()


def _write(
    extractor: FeatureExtractor, writer: Writer, window: Sequence[LineFeatures]
) -> None:
    with extractor.phases.phase("writing"):
        writer.write(window)


def _first_line_checked(lines: Iterator[str]) -> Iterator[str]:
    """Reads one line now, so that an unreadable input is told of at once."""
    return itertools.chain([next(lines)], lines)


def _load_model(
    job: ExtractionJob,
    pretrained: Pretrained,
    strategy: tf.distribute.Strategy | None,
) -> BertModel:
    with (strategy or tf.distribute.get_strategy()).scope():
        model = BertModel(
            pretrained.config,
            use_one_hot_embeddings=job.use_one_hot_embeddings,
            dtype=PRECISIONS[job.precision],
        )
    initialize_model(
        model,
        job.files.init_checkpoint,
        vocab_size=pretrained.tokenizer.vocab_size,
    )
    return model


def _check_pooler(
    checkpoint: CheckpointReader, options: FeatureOptions
) -> None:
    """Of other jobs' models the pooler may be missing; here it is asked for."""
    if options.pooling == "pooled" and _POOLER not in checkpoint.shapes:
        raise UserError(
            f"{checkpoint.path} has no pooler, whose output pooling=pooled is. "
            "Use pooling=cls or mean."
        )


def _check_output(job: ExtractionJob, input_files: Sequence[str]) -> None:
    path = job.output_file
    if path == STDOUT:
        if job.output_format != "jsonl" or job.resume:
            raise UserError(
                "Standard output takes JSON lines only, and cannot be resumed. "
                f"Received: output_format={job.output_format}, "
                f"resume={job.resume}. Name a file."
            )
        return
    if not path:
        raise UserError("The output file's name is empty.")
    if os.path.abspath(path) in map(os.path.abspath, input_files):
        raise UserError(f"{path} is both input and output.")
    if is_read_once(path):
        raise UserError(
            f"The output {path} is a pipe or device, which cannot take its "
            f"name when whole. Use --output_file={STDOUT} and redirect it."
        )
    if job.output_format == "jsonl" and os.path.isdir(path):
        raise UserError(f"The output {path} is a directory. Name a file in it.")
    if job.output_format != "jsonl" and os.path.isfile(path):
        raise UserError(
            f"The output {path} is a file, but {job.output_format} shards go "
            "to a directory."
        )
    directory = os.path.dirname(os.path.abspath(path))
    if not os.path.isdir(directory):
        raise UserError(f"The output's directory {directory} does not exist.")
    if not os.access(directory, os.W_OK):
        raise UserError(f"The output's directory {directory} is not writable.")


def _open_writer(
    job: ExtractionJob, options: FeatureOptions, settings: dict[str, object]
) -> Writer:
    if job.output_file == STDOUT:
        return JsonlStdout(options)
    if job.output_format == "jsonl":
        return JsonlFile(job.output_file, options, settings, job.resume)
    return ShardWriter(
        job.output_file, job.output_format, options, settings, job.resume
    )


def _settings(
    job: ExtractionJob,
    checkpoint: str,
    options: FeatureOptions,
    input_files: Sequence[str],
) -> dict[str, object]:
    """All that shapes the output, for a resumed run to compare."""
    shaping = dataclasses.asdict(options)
    # Whoever ran out of memory goes on with less.
    del shaping["batch_tokens"]
    sizes = [
        None if path == STDIN or "://" in path else os.path.getsize(path)
        for path in input_files
    ]
    return {
        "input": list(zip(input_files, sizes, strict=True)),
        "output_format": job.output_format,
        "precision": job.precision,
        **dataclasses.asdict(job.files),
        # A directory's newest may be another by now.
        "init_checkpoint": checkpoint,
        **shaping,
    }


def _log_report(extractor: FeatureExtractor, seconds: float) -> None:
    counts, phases = extractor.counts, extractor.phases
    if counts.cut_lines:
        logging.warning(
            "%d of %d lines were longer than max_seq_length=%d and were cut; "
            "long_inputs=windows covers them whole.",
            counts.cut_lines,
            counts.lines,
            extractor.options.max_seq_length,
        )
    computing = phases.seconds["model"] or float("inf")
    logging.info(
        "%d lines, %d tokens, %.1f%% padding, %.0f tokens/s in the model",
        counts.lines,
        counts.tokens,
        100 * counts.padding_share,
        counts.tokens / computing,
    )
    logging.info("Seconds: %s; %.2f s in all", phases, seconds)
