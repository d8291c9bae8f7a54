"""Characters of texts in a graph, and what becomes of them.

Shapes: N = texts, M = characters, of which there are ever fewer, or more where
one is decomposed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import tensorflow as tf

from modeling.export import characters as c

# Pages have 256 code points.
_PAGE_BITS = 8
_PAGE_MASK = 255


class Characters(NamedTuple):
    """Characters of all texts, end to end.

    Attributes:
      codes: code points: int32 [M]
      sources: of each the place among all decoded characters of the one that
        it comes from: int32 [M]
      chunks: a number that chunks have in common, which are split at white
        space and CJK characters and never look at one another: int32 [M]
      properties: see `CharacterTables`: int32 [M]
    """

    codes: tf.Tensor
    sources: tf.Tensor
    chunks: tf.Tensor
    properties: tf.Tensor

    def keep(self, wanted: tf.Tensor) -> Characters:
        """Those that are wanted: bool [M]"""
        kept = tf.where(wanted)[:, 0]
        return Characters(*(tf.gather(values, kept) for values in self))

    def has(self, bits: int) -> tf.Tensor:
        """Which have a property: bool [M]"""
        return tf.not_equal(tf.bitwise.bitwise_and(self.properties, bits), 0)


class CharacterMap(tf.Module):
    """Looks up what characters are and what they become.

    Args:
      lower: whether they are lower-cased.
      decompose: see `character_tables`.
    """

    def __init__(
        self, lower: bool, decompose: Callable[[str], str] | None
    ) -> None:
        super().__init__(name="characters")
        self._is_identity = not lower and decompose is None
        tables = c.character_tables(lower, decompose)
        # As tensors, they are stored once for all signatures.
        self._tables = c.CharacterTables(*map(tf.constant, tables))

    def decode(self, texts: tf.Tensor) -> tuple[Characters, tf.Tensor]:
        """Characters of strings [N], each text a chunk; and where each text's
        begin, and the end of the last: int32 [N + 1].

        Bytes that are not UTF-8 are passed over.
        """
        decoded = tf.strings.unicode_decode(texts, "UTF-8", errors="ignore")
        codes = decoded.values
        rows = tf.cast(decoded.value_rowids(), tf.int32)
        sources = tf.range(tf.size(codes))
        characters = Characters(codes, sources, rows, self._properties(codes))
        return characters, tf.cast(decoded.row_splits, tf.int32)

    def read(self, characters: Characters) -> Characters:
        """The same, with the properties that this map has of them."""
        return characters._replace(
            properties=self._properties(characters.codes)
        )

    def change(self, characters: Characters) -> Characters:
        """Lower-cased and decomposed characters."""
        if self._is_identity:
            return characters
        codes = characters.codes
        changes = tf.gather(self._tables.changes, self._addresses(codes))
        lengths = tf.bitwise.right_shift(characters.properties, c.LENGTH_SHIFT)
        characters = tf.cond(
            tf.reduce_any(tf.not_equal(lengths, 1)),
            lambda: self._expanded(characters, changes, lengths),
            lambda: characters._replace(codes=codes + changes),
        )
        return characters._replace(
            properties=self._properties(characters.codes)
        )

    def _expanded(
        self, characters: Characters, changes: tf.Tensor, lengths: tf.Tensor
    ) -> Characters:
        """Characters of which some become several."""
        sources = tf.repeat(tf.range(tf.size(lengths)), lengths)
        firsts = tf.cumsum(lengths, exclusive=True)
        nth = tf.range(tf.size(sources)) - tf.gather(firsts, sources)
        expanded = Characters(
            *(tf.gather(values, sources) for values in characters)
        )
        changes = tf.gather(changes, sources)
        is_single = tf.equal(tf.gather(lengths, sources), 1)
        entries = tf.where(is_single, 0, changes + nth)
        codes = tf.where(
            is_single,
            expanded.codes + changes,
            tf.gather(self._tables.expansions, entries),
        )
        return expanded._replace(codes=codes)

    def _addresses(self, codes: tf.Tensor) -> tf.Tensor:
        """Where the tables have the code points."""
        numbers = tf.bitwise.right_shift(codes, _PAGE_BITS)
        places = tf.bitwise.bitwise_and(codes, _PAGE_MASK)
        return tf.gather(self._tables.pages, numbers) + places

    def _properties(self, codes: tf.Tensor) -> tf.Tensor:
        return tf.gather(self._tables.properties, self._addresses(codes))


def with_final_sigmas(characters: Characters) -> tf.Tensor:
    """Code points, of which capital sigmas that end a word are small."""
    is_sigma = tf.equal(characters.codes, c.SIGMA)
    return tf.cond(
        tf.reduce_any(is_sigma),
        lambda: _lower_sigmas(characters, is_sigma),
        lambda: characters.codes,
    )


def _lower_sigmas(characters: Characters, is_sigma: tf.Tensor) -> tf.Tensor:
    """A sigma is final behind a letter and not before one.

    What is neither a letter nor not one, such as an accent, is passed over, and
    what is to be dropped.
    """
    counts = ~characters.has(c.CASE_IGNORABLE | c.DROPPED)
    telling = tf.where(counts)[:, 0]
    is_letter = tf.gather(characters.has(c.CASED), telling)
    chunks = tf.gather(characters.chunks, telling)
    sigmas = tf.where(is_sigma)
    mine = tf.gather(characters.chunks, sigmas[:, 0])
    # Sigmas are letters themselves: `at` is each one's place among those.
    at = tf.searchsorted(telling, sigmas[:, 0], out_type=tf.int64)

    def is_letter_at(place: tf.Tensor) -> tf.Tensor:
        last = tf.size(telling, tf.int64) - 1
        inside = tf.clip_by_value(place, 0, last)
        same = tf.equal(tf.gather(chunks, inside), mine)
        same &= tf.equal(inside, place)
        return tf.gather(is_letter, inside) & same

    is_final = is_letter_at(at - 1) & ~is_letter_at(at + 1)
    small = tf.where(is_final, c.FINAL_SIGMA, c.SMALL_SIGMA)
    return tf.tensor_scatter_nd_update(characters.codes, sigmas, small)
