"""The same job as Apache Beam pipelines, for text beyond one machine.

Every step runs the function that local workers run, and the shards are the same
bytes. The tokenized text and the shards lie in directories that all machines
share under one name; between the steps only instances travel, 32 bytes each.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, BinaryIO

import numpy as np

from modeling.errors import UserError
from modeling.output_files import write_json
from modeling.pretraining.corpus import Corpus
from modeling.pretraining.encode import BlockEncoder, EncodedBlock
from modeling.pretraining.make_records import PairMaker, RecordMaker
from modeling.pretraining.pairs import INSTANCE, Run
from modeling.pretraining.resumable import read_json
from modeling.pretraining.shards import (
    INSTANCES_PER_PIECE,
    ShardSet,
    bucket_of,
    num_buckets,
    runs_for_workers,
    shard_bounds,
    sort_instances,
)
from modeling.pretraining.text import TextBlock, read_blocks

try:
    import apache_beam as beam
    from apache_beam.options.pipeline_options import PipelineOptions
except ImportError as error:
    raise UserError(
        "runner=beam needs Apache Beam: pip install apache-beam."
    ) from error


class BeamEncoder:
    """Encodes text in a pipeline; stands in for the `Workers` of a corpus.

    Every block becomes a file in the corpus's directory, which `map` reads back
    in order.

    Args:
      encoder: what is done to a block.
      text_files: the text.
      directory: of the corpus.
      options: arguments of the pipeline.
    """

    def __init__(
        self,
        encoder: BlockEncoder,
        text_files: Sequence[str],
        directory: str,
        options: Sequence[str],
    ) -> None:
        self._encoder, self._text_files = encoder, text_files
        self._directory = os.path.join(directory, "parts")
        self._options = options

    def map(
        self, name: str, blocks: Iterable[TextBlock]
    ) -> Iterator[tuple[TextBlock, EncodedBlock]]:
        """Yields blocks of the text, encoded.

        Raises:
          UserError: as the encoder, for the first block that cannot be encoded.
        """
        del name
        shutil.rmtree(self._directory, ignore_errors=True)
        os.makedirs(self._directory)
        with beam.Pipeline(options=PipelineOptions(self._options)) as pipeline:
            _ = (
                pipeline
                | "Files" >> beam.Create(sorted(set(self._text_files)))
                | "SpreadFiles" >> beam.Reshuffle()
                | "Read" >> beam.FlatMap(_read_file)
                | "SpreadBlocks" >> beam.Reshuffle()
                | "Encode"
                >> beam.ParDo(_Encode(self._encoder, self._directory))
            )
        for block in blocks:
            path = _part_name(self._directory, block)
            problem = read_json(_problem_name(path))
            if problem is not None:
                raise UserError(problem["message"])
            with np.load(path) as part:
                joins = part["joins"] if "joins" in part else None
                yield (
                    block,
                    EncodedBlock(
                        part["ids"], joins, part["lengths"], part["ends"]
                    ),
                )
        shutil.rmtree(self._directory)


def write_shards(
    shards: ShardSet,
    corpus: Corpus,
    pairs: PairMaker,
    records: RecordMaker,
    options: Sequence[str],
) -> dict[str, Any]:
    """Pairs, orders and writes in a pipeline; stands in for `ShardSet.write`.

    Args:
      shards: whose partial files are written.
      corpus: where the documents are.
      pairs: documents -> instances.
      records: instances -> records.
      options: arguments of the pipeline.

    Raises:
      UserError: more shards than instances.
    """
    shards.forget_records()
    number = num_buckets(corpus, pairs.options)
    runs = [tuple(run) for run in runs_for_workers(corpus, pairs.options)]
    with beam.Pipeline(options=PipelineOptions(options)) as pipeline:
        buckets = (
            pipeline
            | "Runs" >> beam.Create(runs)
            | "SpreadRuns" >> beam.Reshuffle()
            | "Pair" >> beam.ParDo(_Pair(pairs, number))
            | "GroupByBucket" >> beam.GroupByKey()
            | "Sort" >> beam.MapTuple(_sort)
        )
        counts = buckets | "Count" >> beam.MapTuple(_count)
        _ = (
            buckets
            | "Split"
            >> beam.FlatMap(
                _split,
                counts=beam.pvalue.AsDict(counts),
                num_shards=len(shards.partial_paths),
            )
            | "GroupByShard" >> beam.GroupByKey()
            | "Write" >> beam.ParDo(_Write(records, shards.partial_paths))
        )
    return shards.totals_of_records()


def _read_file(path: str) -> Iterator[TextBlock]:
    # What cannot be read is told by `BeamEncoder.map`, which reads it, too. An
    # error in a pipeline would be tried again, and end in a traceback.
    with contextlib.suppress(UserError):
        yield from read_blocks([path])


def _part_name(directory: str, block: TextBlock) -> str:
    """The same for the same block, whichever process has read it."""
    file = hashlib.sha256(block.path.encode()).hexdigest()[:16]
    return os.path.join(directory, f"{file}-{block.first_line:012}.npz")


def _problem_name(part: str) -> str:
    """The file that tells why a block could not be encoded."""
    return f"{part}.problem.json"


@contextlib.contextmanager
def _whole_file(path: str) -> Iterator[BinaryIO]:
    # A runner may run a step twice, even at the same time.
    temporary = f"{path}.{uuid.uuid4().hex}"
    with open(temporary, "wb") as file:
        yield file
    os.replace(temporary, path)


class _Encode(beam.DoFn):
    """Block -> file of arrays, or of what is wrong with the block."""

    def __init__(self, encoder: BlockEncoder, directory: str) -> None:
        self._encoder, self._directory = encoder, directory

    def process(self, element: TextBlock) -> None:
        block = TextBlock(*element)
        path = _part_name(self._directory, block)
        try:
            arrays = self._encoder(block)._asdict()
        except UserError as error:
            with _whole_file(_problem_name(path)) as output:
                output.write(json.dumps({"message": str(error)}).encode())
            return
        with _whole_file(path) as output:
            np.savez(
                output, **{k: v for k, v in arrays.items() if v is not None}
            )


class _Pair(beam.DoFn):
    """Run of documents -> (bucket, instances)."""

    def __init__(self, pairs: PairMaker, buckets: int) -> None:
        self._pairs, self._buckets = pairs, buckets

    def process(
        self, run: tuple[int, int, int, int]
    ) -> Iterator[tuple[int, bytes]]:
        instances = self._pairs(Run(*run))
        bucket = bucket_of(instances, self._buckets)
        for i in np.unique(bucket).tolist():
            yield i, instances[bucket == i].tobytes()


def _sort(bucket: int, pieces: Iterable[bytes]) -> tuple[int, bytes]:
    instances = np.frombuffer(b"".join(pieces), INSTANCE)
    return bucket, sort_instances(instances).tobytes()


def _count(bucket: int, data: bytes) -> tuple[int, int]:
    return bucket, len(data) // INSTANCE.itemsize


def _split(
    element: tuple[int, bytes], counts: Mapping[int, int], num_shards: int
) -> Iterator[tuple[int, tuple[int, bytes]]]:
    """Bucket -> (shard, (place in the global order, instances))."""
    bucket, data = element
    instances = np.frombuffer(data, INSTANCE)
    first = sum(count for i, count in counts.items() if i < bucket)
    total = sum(counts.values())
    for shard in range(num_shards):
        start, stop = shard_bounds(shard, num_shards, total)
        start, stop = max(start - first, 0), max(stop - first, 0)
        if start < min(stop, len(instances)):
            yield shard, (first + start, instances[start:stop].tobytes())


class _Write(beam.DoFn):
    """(shard, its instances) -> file of records, and what is in it."""

    def __init__(self, records: RecordMaker, paths: Sequence[str]) -> None:
        self._records, self._paths = records, list(paths)

    def process(self, element: tuple[int, Iterable[tuple[int, bytes]]]) -> None:
        shard, pieces = element
        path = self._paths[shard]
        data = b"".join(data for _, data in sorted(pieces))
        instances = np.frombuffer(data, INSTANCE)
        lengths, masked = np.zeros(1, np.int64), 0
        with _whole_file(path) as file:
            for start in range(0, len(instances), INSTANCES_PER_PIECE):
                piece = self._records(
                    instances[start : start + INSTANCES_PER_PIECE]
                )
                file.write(piece.data)
                lengths = lengths + piece.lengths
                masked += piece.masked
        state = {
            "instances": len(instances),
            "lengths": lengths.tolist(),
            "masked": masked,
        }
        write_json(f"{path}.json", {"state": state})
