"""Instances in a global random order -> shards, and what a killed run leaves.

Pairing gives instances document by document. They go to buckets, each a range
of the global order; a bucket fits in memory, is sorted and goes to the end of
one file. Every shard is then a run of that file, and every piece of a shard can
be made by any worker.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from absl import logging

from modeling.errors import UserError
from modeling.output_files import sync, write_json
from modeling.pretraining.corpus import Corpus
from modeling.pretraining.make_records import Records
from modeling.pretraining.options import InstanceOptions
from modeling.pretraining.pairs import INSTANCE, Run, cut_in_runs
from modeling.pretraining.resumable import GrowingFiles, read_json
from modeling.progress import Progress
from modeling.records import RecordMetadata
from modeling.records.files import metadata_name, partial_name
from modeling.workers import Workers

# Of a worker's task. Pairing is fast, so its tasks are long.
_TOKENS_PER_RUN = 1 << 20
INSTANCES_PER_PIECE = 1 << 14
# Of what is sorted in memory.
_INSTANCES_PER_BUCKET = 1 << 20


class ShardSet:
    """All shards of an output.

    Args:
      name: of the output.
      paths: of the shards.
      settings: all that shapes them, as JSON values.
    """

    def __init__(
        self, name: str, paths: Sequence[str], settings: Mapping[str, Any]
    ) -> None:
        self._name, self._paths = name, list(paths)
        self._settings = {**settings, "shards": self._paths}
        self._instances = f"{partial_name(name)}.instances"
        self._count = 0

    @property
    def partial_paths(self) -> list[str]:
        """What the shards are called until they are whole."""
        return [partial_name(path) for path in self._paths]

    def pair(
        self, workers: Workers, corpus: Corpus, options: InstanceOptions
    ) -> None:
        """Makes all instances and sorts them, unless a killed run has.

        Args:
          workers: with a `PairMaker` under the name "pair".
          corpus: where the documents are.
          options: those of the `PairMaker`.

        Raises:
          UserError: more shards than instances.
        """
        description = f"{self._instances}.json"
        done = read_json(description)
        if done is None or done["settings"] != self._settings:
            with contextlib.suppress(FileNotFoundError):
                os.remove(description)
            count = self._sort(self._fill_buckets(workers, corpus, options))
            done = {"settings": self._settings, "count": count}
            write_json(description, done)
        self._count = done["count"]
        if self._count < len(self._paths):
            raise self._too_many_shards()

    def read_instances(self, start: int, stop: int) -> np.ndarray:
        """A run of the global order: INSTANCE [up to stop - start]"""
        return np.fromfile(
            self._instances,
            INSTANCE,
            min(stop, self._count) - start,
            offset=start * INSTANCE.itemsize,
        )

    def write(self, workers: Workers) -> dict[str, Any]:
        """Writes what is missing of the shards, under temporary names.

        Args:
          workers: with a `RecordMaker` under the name "record".

        Returns:
          What all `Records` sum up to: `instances`, `lengths`, `masked`.
        """
        states = []
        for shard in range(len(self._paths)):
            with self._open(shard) as files:
                states.append(files.state or {"instances": 0})
        done = sum(state["instances"] for state in states)
        if done:
            logging.info("Going on after %d instances.", done)
        pieces = workers.map("record", self._missing_pieces(states))
        with Progress("Writing", "instances", self._count, done) as progress:
            for shard, state in enumerate(states):
                self._write_shard(shard, state, pieces, progress)
        return self.totals_of_records()

    def totals_of_records(self) -> dict[str, Any]:
        """What the records beside the partial shards sum up to.

        Raises:
          UserError: a shard for which there was no instance.
        """
        found = [read_json(_record_name(path)) for path in self._paths]
        if None in found:
            raise self._too_many_shards()
        states = [record["state"] for record in found]
        return {
            "instances": sum(state["instances"] for state in states),
            "lengths": np.sum([state["lengths"] for state in states], axis=0),
            "masked": sum(state["masked"] for state in states),
        }

    def forget_records(self) -> None:
        """Makes nothing of the partial shards count, for a new start."""
        for path in self._paths:
            with contextlib.suppress(FileNotFoundError):
                os.remove(_record_name(path))

    def commit(self, metadata: RecordMetadata) -> None:
        """Gives everything its name; the metadata, which come last, vouch."""
        described = {os.path.dirname(path): path for path in self._paths[::-1]}
        described[os.path.dirname(self._name)] = self._name
        descriptions = [metadata_name(name) for name in described.values()]
        for path in descriptions:
            with contextlib.suppress(FileNotFoundError):
                os.remove(path)
        for path in self._paths:
            os.replace(partial_name(path), path)
            os.remove(_record_name(path))
        for path in descriptions:
            write_json(path, metadata.as_json())
        # Never a description of what is gone.
        for path in (f"{self._instances}.json", self._instances):
            with contextlib.suppress(FileNotFoundError):
                os.remove(path)

    def _too_many_shards(self) -> UserError:
        return UserError(
            f"There are fewer instances than the {len(self._paths)} shards "
            "asked for. Use fewer shards, or a larger dupe_factor."
        )

    def _fill_buckets(
        self, workers: Workers, corpus: Corpus, options: InstanceOptions
    ) -> list[str]:
        number = num_buckets(corpus, options)
        buckets = [f"{self._instances}.{i:05}" for i in range(number)]
        for path in buckets:
            open(path, "wb").close()
        runs = runs_for_workers(corpus, options)
        sentences = int(corpus.documents[-1])
        with Progress("Pairing", "sentences", sentences) as progress:
            for run, instances in workers.map("pair", runs):
                bucket = bucket_of(instances, number)
                for i in np.unique(bucket):
                    with open(buckets[i], "ab") as file:
                        file.write(instances[bucket == i])
                progress.advance(run.end - run.start)
        return buckets

    def _sort(self, buckets: list[str]) -> int:
        count = 0
        with open(self._instances, "wb") as file:
            for path in buckets:
                instances = sort_instances(np.fromfile(path, INSTANCE))
                file.write(instances)
                count += len(instances)
                os.remove(path)
            sync(file)
        return count

    def _bounds(self, shard: int) -> tuple[int, int]:
        return shard_bounds(shard, len(self._paths), self._count)

    def _missing_pieces(
        self, states: Sequence[Mapping[str, Any]]
    ) -> Iterator[np.ndarray]:
        for shard, state in enumerate(states):
            start, stop = self._bounds(shard)
            for first in range(
                start + state["instances"], stop, INSTANCES_PER_PIECE
            ):
                last = min(first + INSTANCES_PER_PIECE, stop)
                yield self.read_instances(first, last)

    def _write_shard(
        self,
        shard: int,
        state: dict[str, Any],
        pieces: Iterator[tuple[np.ndarray, Records]],
        progress: Progress,
    ) -> None:
        start, stop = self._bounds(shard)
        with self._open(shard) as files:
            while state["instances"] < stop - start:
                instances, records = next(pieces)
                files.append(partial_name(self._paths[shard]), records.data)
                lengths = np.add(state.get("lengths", 0), records.lengths)
                state["instances"] += len(instances)
                state["lengths"] = lengths.tolist()
                state["masked"] = state.get("masked", 0) + records.masked
                files.count(state)
                progress.advance(len(instances))
            files.count(state, now=True)

    def _open(self, shard: int) -> GrowingFiles:
        path = self._paths[shard]
        return GrowingFiles(
            _record_name(path), [partial_name(path)], self._settings
        )


def _record_name(path: str) -> str:
    """What tells how much of a partial shard counts."""
    return f"{partial_name(path)}.json"


def runs_for_workers(corpus: Corpus, options: InstanceOptions) -> Iterator[Run]:
    """Cuts a corpus in runs of documents, each the work of one call."""
    return cut_in_runs(corpus, max(1, _TOKENS_PER_RUN // options.dupe_factor))


def num_buckets(corpus: Corpus, options: InstanceOptions) -> int:
    """How many parts of the global order can be sorted in memory."""
    # Few instances are shorter than half the room.
    expected = options.dupe_factor * (
        2 * int(corpus.sentences[-1]) // options.room + corpus.num_documents
    )
    return 1 + expected // _INSTANCES_PER_BUCKET


def sort_instances(instances: np.ndarray) -> np.ndarray:
    """Puts INSTANCE [any] in the global order."""
    return instances[np.argsort(instances["key"], kind="stable")]


def bucket_of(instances: np.ndarray, num_buckets: int) -> np.ndarray:
    """The part of the global order that each instance falls in: int64 [any]"""
    high = instances["key"] >> np.uint64(32)
    return (high * np.uint64(num_buckets) >> np.uint64(32)).astype(np.int64)


def shard_bounds(shard: int, num_shards: int, count: int) -> tuple[int, int]:
    """The run of the global order that makes up a shard."""
    return shard * count // num_shards, (shard + 1) * count // num_shards
