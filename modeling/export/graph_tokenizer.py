"""Ids of texts as a TensorFlow graph makes them."""

from __future__ import annotations

from typing import NamedTuple, Protocol

import tensorflow as tf


class GraphTokens(NamedTuple):
    """Tokens of N texts, without [CLS] and [SEP].

    Those of all texts stand end to end.

    Attributes:
      ids: int32 [T]
      splits: where each text's tokens begin, and the end of the last: int32
        [N + 1]
      starts: of each token the first character in its text: int32 [T]
      ends: one past the last: int32 [T]
    """

    ids: tf.Tensor
    splits: tf.Tensor
    starts: tf.Tensor
    ends: tf.Tensor


class GraphTokenizer(Protocol):
    """Gives the ids of a `Tokenizer` of `modeling.tokenization`, in a graph.

    Attributes:
      cls_id, sep_id, pad_id: of the special tokens.
    """

    cls_id: int
    sep_id: int
    pad_id: int

    def __call__(self, texts: tf.Tensor) -> GraphTokens:
        """Tokens of strings [N]; bytes that are not UTF-8 are passed over."""
