"""Encoded examples on disk."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator

from modeling.tasks.array_cache import CacheEntry, cached
from modeling.tasks.classification.encoding import ExampleEncoder
from modeling.tasks.classification.examples import InputExample
from modeling.tasks.token_rows import EncodedExamples, stream

# Goes up with every change of what the same examples become.
_VERSION = 1


def encode_cached(
    encoder: ExampleEncoder,
    examples: Iterable[InputExample],
    cache_dir: str,
    num_workers: int = 1,
) -> EncodedExamples:
    """Encodes examples, or opens what an earlier run has made of the same.

    Memory holds a few hundred examples at a time, however many there are.

    Args:
      encoder: makes rows of the examples.
      examples: iterated over twice, first for their digest.
      cache_dir: see `CacheEntry`.
      num_workers: processes that tokenize.

    Returns:
      The examples, mapped from the files.

    Raises:
      UserError: an example with an unknown label, or a directory that cannot
        be written.
    """
    shaping = {
        "version": _VERSION,
        "tokenizer": encoder.tokenizer.digest(),
        "labels": dataclasses.asdict(encoder.labels),
        "options": dataclasses.asdict(encoder.options),
    }
    content = ((e.text_a, e.text_b, e.label) for e in examples)

    def make() -> Iterator[tuple[int, EncodedExamples]]:
        for chunk, encoded in stream(encoder, examples, num_workers):
            yield len(chunk), encoded

    entry = CacheEntry(cache_dir, shaping, content)
    return cached(EncodedExamples, entry, make)
