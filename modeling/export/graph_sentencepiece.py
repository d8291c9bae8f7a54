"""SentencePiece of raw strings in a TensorFlow graph, as ALBERT does it.

Shapes: N = texts, T = tokens.
"""

from __future__ import annotations

import re

import numpy as np
import tensorflow as tf

from modeling.errors import UserError
from modeling.export.graph_characters import (
    CharacterMap,
    Characters,
    with_final_sigmas,
)
from modeling.export.graph_tokenizer import GraphTokens
from modeling.tokenization import SentencePieceTokenizer
from modeling.tokenization.sentencepiece_tokenizer import normalize_text

# What `str.split` splits at.
_SPACES = "".join(c for c in map(chr, range(0x3001)) if c.isspace())


class GraphSentencePiece(tf.Module):
    """The ids of a `SentencePieceTokenizer`, in a graph; no offsets.

    Args:
      tokenizer: without special tokens that are kept in the text.

    Raises:
      UserError: tensorflow-text is not installed.
    """

    def __init__(self, tokenizer: SentencePieceTokenizer) -> None:
        super().__init__(name="sentencepiece")
        try:
            import tensorflow_text
        except ImportError as error:
            raise UserError(
                "Tokenization in a graph needs tensorflow-text. Install it: "
                "pip install 'tensorflow-text>=2.21.1'"
            ) from error
        self.cls_id, self.sep_id = tokenizer.cls_id, tokenizer.sep_id
        self.pad_id = tokenizer.pad_id
        self._compatible = self._small = None
        if tokenizer.strip_accents:
            self._compatible = CharacterMap(False, _decompose)
        if tokenizer.do_lower_case:
            self._small = CharacterMap(True, None)
        self._model = tensorflow_text.SentencepieceTokenizer(
            tokenizer.serialized_model, out_type=tf.int32
        )
        splits = tokenizer.number_splits
        lengths = np.ones(tokenizer.vocab_size, np.int32)
        for index, parts in splits.items():
            lengths[index] = len(parts)
        self._lengths = tf.constant(lengths)
        firsts = np.cumsum(lengths) - lengths
        parts = np.repeat(np.arange(tokenizer.vocab_size), lengths)
        for index, split in splits.items():
            parts[firsts[index] : firsts[index] + len(split)] = split
        self._firsts = tf.constant(firsts, tf.int32)
        self._parts = tf.constant(parts, tf.int32)

    def __call__(self, texts: tf.Tensor) -> GraphTokens:
        """Tokens of strings [N]; bytes that are not UTF-8 are passed over."""
        pieces = self._model.tokenize(self._normalized(texts))
        lengths = tf.gather(self._lengths, pieces.values)
        sources = tf.repeat(tf.range(tf.size(lengths)), lengths)
        ends = tf.cumsum(lengths)
        nth = tf.range(tf.size(sources)) - tf.gather(ends - lengths, sources)
        ids = tf.gather(pieces.values, sources)
        ids = tf.gather(self._parts, tf.gather(self._firsts, ids) + nth)
        splits = tf.gather(tf.concat([[0], ends], 0), pieces.row_splits)
        return GraphTokens(ids, splits, None, None)

    def _normalized(self, texts: tf.Tensor) -> tf.Tensor:
        """As `normalize_text`."""
        texts = tf.strings.unicode_transcode(
            texts, "UTF-8", "UTF-8", errors="ignore"
        )
        texts = tf.strings.regex_replace(texts, f"[{_SPACES}]+", " ")
        texts = tf.strings.strip(texts)
        texts = tf.strings.regex_replace(texts, "``|''", '"')
        if self._compatible is not None:
            characters, splits = self._compatible.decode(texts)
            texts = _encode(self._compatible.change(characters), splits)
        if self._small is not None:
            characters, splits = self._small.decode(texts)
            codes = with_final_sigmas(characters)
            characters = characters._replace(codes=codes)
            texts = _encode(self._small.change(characters), splits)
        return texts


def _encode(characters: Characters, splits: tf.Tensor) -> tf.Tensor:
    """Texts [N] of what became of their characters."""
    splits = tf.searchsorted(characters.sources, splits)
    codes = tf.RaggedTensor.from_row_splits(
        characters.codes, splits, validate=False
    )
    return tf.strings.unicode_encode(codes, "UTF-8")


def _decompose(character: str) -> str:
    if re.fullmatch(r"\s", character):
        return character
    return normalize_text(character, do_lower_case=False, strip_accents=True)
