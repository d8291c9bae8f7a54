"""From tags of words to the chunks that they mark, in a graph.

Shapes: V = words of all texts, K = tags, E = chunks of all texts.
"""

from __future__ import annotations

import itertools
from typing import NamedTuple

import tensorflow as tf

from modeling.tasks.tagging import TagSet
from modeling.tasks.tagging.schemes import (
    OUTSIDE,
    Chunk,
    find_chunks,
    write_chunks,
)

# What a word is in its chunk: whether this is right behind another of its type,
# and whether the word is its first, and its last.
_ROLES = tuple(itertools.product((False, True), repeat=3))


class Chunks(NamedTuple):
    """Words that belong together.

    Attributes:
      tags: of every word, in the training file's scheme: string [V]
      types: what chunks are: string [E]
      firsts: their first words: int32 [E]
      lasts: their last words: int32 [E]
    """

    tags: tf.Tensor
    types: tf.Tensor
    firsts: tf.Tensor
    lasts: tf.Tensor


class ChunkFinder(tf.Module):
    """Finds chunks as `schemes.find_chunks`, spells tags as `TagSet.decode`.

    Whether a word goes on with a chunk follows from its tag and the one before,
    so that tables tell all of it.

    Args:
      tag_set: of tags that mark chunks.
    """

    def __init__(self, tag_set: TagSet) -> None:
        super().__init__(name="chunks")
        names = tag_set.names
        types = [next((c.type for c in find_chunks([n])), None) for n in names]
        self._is_in = tf.constant([kind is not None for kind in types])
        self._types = tf.constant([kind or "" for kind in types])
        # [before, after]
        self._goes_on = tf.constant(
            [[_goes_on(before, after) for after in names] for before in names]
        )
        self._is_behind = tf.constant(
            [[None is not a == b for b in types] for a in types]
        )
        self._spelled = tf.constant(
            [
                [_spell(kind, tag_set.file_scheme, *role) for role in _ROLES]
                for kind in types
            ]
        )

    def __call__(self, ids: tf.Tensor, bases: tf.Tensor) -> Chunks:
        """Chunks of words.

        Args:
          ids: of tags: int32 [V]
          bases: what words of a text have in common, and of no others: [V]
        """
        pairs = tf.stack([ids[:-1], ids[1:]], axis=1)
        same_text = tf.equal(bases[:-1], bases[1:])
        # Of a word and the one before it.
        joined = tf.gather_nd(self._goes_on, pairs) & same_text
        behind = tf.gather_nd(self._is_behind, pairs) & same_text
        is_in = tf.gather(self._is_in, ids)
        is_first = is_in & ~tf.concat([[False], joined], 0)
        is_last = is_in & ~tf.concat([joined, [False]], 0)
        is_behind = tf.concat([[False], behind], 0) & is_in
        role = tf.zeros_like(ids)
        for flag in (is_behind, is_first, is_last):
            role = 2 * role + tf.cast(flag, tf.int32)
        firsts = tf.cast(tf.where(is_first)[:, 0], tf.int32)
        return Chunks(
            tf.gather_nd(self._spelled, tf.stack([ids, role], axis=1)),
            tf.gather(self._types, tf.gather(ids, firsts)),
            firsts,
            tf.cast(tf.where(is_last)[:, 0], tf.int32),
        )


def _goes_on(before: str, after: str) -> bool:
    """Whether two tags mark one chunk of two words."""
    return any(c.end - c.start == 2 for c in find_chunks([before, after]))


def _spell(
    kind: str | None,
    scheme: str,
    is_behind: bool,
    is_first: bool,
    is_last: bool,
) -> str:
    """The tag of a word in a chunk of a type; None: in no chunk."""
    if kind is None:
        return OUTSIDE
    start = int(is_behind)
    end = start + 3 - is_first - is_last
    chunks = [Chunk(kind, 0, 1)] * start + [Chunk(kind, start, end)]
    return write_chunks(chunks, end, scheme)[start if is_first else start + 1]
