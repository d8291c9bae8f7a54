"""WordPiece of raw strings in a TensorFlow graph, as the reference does it.

Neither `BertTokenizer` of tensorflow-text gives the original's ids: one folds
full-width punctuation, the other folds case. Here characters are looked up in
tables that the reference has made (`characters`), and only whole words are
handed to tensorflow-text, whose pieces are those of the reference.

Shapes: as in `graph_characters`; T = tokens.
"""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from modeling.errors import UserError
from modeling.export import characters as c
from modeling.export.graph_characters import (
    CharacterMap,
    Characters,
    with_final_sigmas,
)
from modeling.export.graph_tokenizer import GraphTokens
from modeling.tokenization import FastTokenizer, unicode_tables

# Of words; longer ones are unknown.
_MAX_CHARACTERS = 200
_BYTES_OF_CHARACTER = 4
# Combining classes are below.
_CLASSES = 256
# Is in no word, and so for what is to be unknown.
_NOTHING = " "


class GraphWordpiece(tf.Module):
    """The ids of a `FastTokenizer`, and of the reference, in a graph.

    Args:
      tokenizer: WordPiece, without special tokens that are kept in the text.

    Raises:
      UserError: a vocabulary without [UNK].

    Example:
      >>> tokens = GraphWordpiece(tokenizer)(tf.constant(["Unaffable!", "a"]))
      >>> tokens.ids.numpy(), tokens.splits.numpy()
      (array([14477, 20961,  3468,   999,  1037]), array([0, 4, 5]))
    """

    def __init__(self, tokenizer: FastTokenizer) -> None:
        super().__init__(name="wordpiece")
        if tokenizer.special_tokens:
            raise ValueError(
                "Special tokens in texts cannot be kept in a graph. Received: "
                f"{tokenizer.special_tokens}"
            )
        self.cls_id, self.sep_id = tokenizer.cls_id, tokenizer.sep_id
        self.pad_id = tokenizer.pad_id
        self._unk_id = tokenizer.unk_id
        self._lower = tokenizer.do_lower_case
        self._strip = tokenizer.strip_accents
        self._map = CharacterMap(
            self._lower, _decompose if self._strip else None
        )
        self._lengths = tf.constant(_piece_lengths(tokenizer))
        self._wordpiece = _wordpiece(tokenizer)

    def __call__(self, texts: tf.Tensor) -> GraphTokens:
        """Tokens of strings [N]; bytes that are not UTF-8 are passed over."""
        characters, splits = self._map.decode(texts)
        characters = self._map.change(self._chunks(characters))
        ends = characters.sources + 1
        if self._strip:
            characters, ends = tf.cond(
                tf.reduce_any(characters.has(c.MARK)),
                lambda: _without_marks(characters),
                lambda: (characters, ends),
            )
        return self._pieces(characters, ends, splits)

    def _chunks(self, characters: Characters) -> Characters:
        """Characters that stay, of texts that are chunks, in smaller chunks."""
        # A number that is higher from a separator on; for a CJK character, and
        # then again for what follows it.
        is_cjk = tf.cast(characters.has(c.CJK), tf.int32)
        breaks = tf.cast(characters.has(c.SEPARATOR), tf.int32) + 2 * is_cjk
        chunks = tf.cumsum(breaks) - is_cjk + characters.chunks
        characters = characters._replace(chunks=chunks)
        if self._lower:
            codes = with_final_sigmas(characters)
            characters = characters._replace(codes=codes)
        return characters.keep(~characters.has(c.DROPPED | c.SEPARATOR))

    def _pieces(
        self, characters: Characters, ends: tf.Tensor, splits: tf.Tensor
    ) -> GraphTokens:
        """Words, split at punctuation, and then pieces.

        Args:
          characters: those of words.
          ends: of each the source after its last.
          splits: where each text begins among the sources.
        """
        is_mark = characters.has(c.PUNCTUATION)
        begins = is_mark | _is_first(characters.chunks)
        begins |= tf.concat([[False], is_mark], 0)[: tf.size(begins)]
        word_starts = tf.cast(tf.where(begins)[:, 0], tf.int32)
        word_splits = tf.concat([word_starts, [tf.size(begins)]], 0)
        words = tf.strings.unicode_encode(
            tf.RaggedTensor.from_row_splits(
                characters.codes, word_splits, validate=False
            ),
            "UTF-8",
        )
        word_lengths = word_splits[1:] - word_splits[:-1]
        is_long = word_lengths > _MAX_CHARACTERS
        words = tf.where(is_long, _NOTHING, words)
        pieces = self._wordpiece.tokenize(words)
        ids = pieces.values
        # The pieces' characters make up all characters.
        lengths = tf.where(
            tf.equal(ids, self._unk_id),
            tf.gather(word_lengths, pieces.value_rowids()),
            tf.gather(self._lengths, ids),
        )
        piece_ends = tf.cumsum(lengths)
        word_sources = tf.gather(characters.sources, word_starts)
        first_words = tf.searchsorted(word_sources, splits)
        token_splits = tf.cast(
            tf.gather(pieces.row_splits, first_words), tf.int32
        )
        # From places among the characters of all texts to those in each.
        before = tf.repeat(splits[:-1], token_splits[1:] - token_splits[:-1])
        sources = tf.gather(characters.sources, piece_ends - lengths)
        return GraphTokens(
            ids,
            token_splits,
            sources - before,
            tf.gather(ends, piece_ends - 1) - before,
        )


def _without_marks(characters: Characters) -> tuple[Characters, tf.Tensor]:
    """Characters without accents, and the ends of their spans.

    An accent belongs to the character before it.
    """
    is_mark = characters.has(c.MARK)
    moves = ~is_mark & (_combining_classes(characters) > 0)
    characters = tf.cond(
        tf.reduce_any(moves),
        lambda: _in_canonical_order(characters),
        lambda: characters,
    )
    is_mark = characters.has(c.MARK)
    kept = characters.keep(~is_mark)
    # A character goes on up to the next that stays or is of another chunk.
    goes_on = is_mark & ~_is_first(characters.chunks)
    owners = tf.cumsum(tf.cast(~goes_on, tf.int32)) - 1
    ends = tf.math.segment_max(characters.sources + 1, owners)
    return kept, tf.gather(ends, tf.boolean_mask(owners, ~is_mark))


def _in_canonical_order(characters: Characters) -> Characters:
    """Every run of combining characters sorted by their class.

    The sources stay, so that they never fall.
    """
    classes = _combining_classes(characters)
    begins = tf.equal(classes, 0) | _is_first(characters.chunks)
    runs = tf.cumsum(tf.cast(begins, tf.int64))
    keys = runs * _CLASSES + tf.cast(classes, tf.int64)
    order = tf.argsort(keys, stable=True)
    return characters._replace(
        codes=tf.gather(characters.codes, order),
        properties=tf.gather(characters.properties, order),
    )


def _combining_classes(characters: Characters) -> tf.Tensor:
    shifted = tf.bitwise.right_shift(characters.properties, c.COMBINING_SHIFT)
    return tf.bitwise.bitwise_and(shifted, _CLASSES - 1)


def _is_first(chunks: tf.Tensor) -> tf.Tensor:
    """Which are the first of their chunk: bool [M]"""
    before = tf.concat([[-1], chunks[:-1]], 0)[: tf.size(chunks)]
    return tf.not_equal(chunks, before)


def _decompose(character: str) -> str:
    """As `unicode_tables.strip_accents` begins."""
    return "".join(part for part, _ in unicode_tables.decompose(character))


def _piece_lengths(tokenizer: FastTokenizer) -> np.ndarray:
    """Characters of every piece, without "##": int32 [vocab_size]"""
    lengths = np.zeros(tokenizer.vocab_size, np.int32)
    for token, index in tokenizer.vocab.items():
        lengths[index] = len(token.removeprefix("##"))
    return lengths


def _wordpiece(tokenizer: FastTokenizer) -> tf.Module:
    """tensorflow-text's, which splits single words."""
    try:
        import tensorflow_text
    except ImportError as error:
        raise UserError(
            "Tokenization in a graph needs tensorflow-text. Install it: pip "
            "install 'tensorflow-text>=2.21.1'"
        ) from error
    tokens = [
        # Ids may be missing where lines of the file are blank or repeated.
        tokenizer.inv_vocab.get(index) or f"{_NOTHING}{index}"
        for index in range(tokenizer.vocab_size)
    ]
    return tensorflow_text.FastWordpieceTokenizer(
        tokens,
        max_bytes_per_word=_MAX_CHARACTERS * _BYTES_OF_CHARACTER,
        token_out_type=tf.int32,
        unknown_token=tokenizer.inv_vocab[tokenizer.unk_id],
        no_pretokenization=True,
    )
