"""The encoder under a tagger of words, fine-tuned or frozen.

Shapes: B = rows, F = tokens of a row, W = words of a row, K = tags, L = layers,
D = hidden size.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from modeling.config import BertConfig
from modeling.network.crf import Crf
from modeling.network.dropout import Seed
from modeling.network.headed import FeatureModel, HeadedModel
from modeling.network.places import gather_positions
from modeling.network.tag_chains import Allowed

Tensor = Any

_TOKEN_INPUTS = ("input_ids", "input_mask", "segment_ids")


class _Tagger(HeadedModel):
    """Scores of tags from a vector a word; the CRF of its tags' order.

    The CRF adds its variables `crf/...` to the model. Its likelihood and its
    decoding know of sentences, so they are asked of `crf` itself.
    """

    def _make_crf(self, allowed: Sequence[Any] | None) -> None:
        self.crf = None
        if allowed is not None:
            parts = (np.array(part, bool) for part in allowed)
            self.crf = Crf(Allowed(*parts))
            self.crf.build()

    def _score(
        self, words: Tensor, word_mask: Tensor, seed: Seed | None
    ) -> Tensor:
        """[B, W, size] -> [B, W, K]"""
        if self.lstm is not None:
            words = ops.cast(words, self.variable_dtype)
            words = self.lstm(words, word_mask)
        return self._head(words, seed)


@keras.saving.register_keras_serializable("bert")
class BertTagger(_Tagger):
    """BERT with scores of tags for every word, read off its first token
    (paper, section 5.3).

    Inputs: those of `BertModel`, and of words, integers [batch, words]:
      word_positions: of each word's first token.
      word_mask: 1 for words, 0 for padding.

    Output: scores [batch, words, tags] in the precision of the variables: the
    logits of a softmax, or the emissions of `crf`.

    Args:
      config: sizes and activation.
      num_tags: how many tags there are.
      allowed: the three arrays of `Allowed`, for a CRF; None: there is none.
      lstm_layers: of a BiLSTM over the words; 0: none.
      lstm_size: of its outputs; 0: the encoder's.
      use_one_hot_embeddings: see `Embeddings`.
      recompute: see `BertModel`.
      dtype: a Keras dtype policy, of the encoder.
    """

    def __init__(
        self,
        config: BertConfig | Mapping[str, Any],
        num_tags: int,
        allowed: Sequence[Any] | None = None,
        lstm_layers: int = 0,
        lstm_size: int = 0,
        use_one_hot_embeddings: bool = False,
        recompute: bool = False,
        name: str = "bert_tagger",
        dtype: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            config,
            options={
                "num_tags": num_tags,
                "allowed": _as_lists(allowed),
                "lstm_layers": lstm_layers,
                "lstm_size": lstm_size,
                "use_one_hot_embeddings": use_one_hot_embeddings,
                "recompute": recompute,
            },
            name=name,
            dtype=dtype,
            **kwargs,
        )
        self._make_encoder(use_one_hot_embeddings, recompute)
        size = self._make_lstm(lstm_layers, lstm_size, self.config.hidden_size)
        self._make_head(num_tags, size)
        self._make_crf(allowed)
        self.built = True

    def call(
        self,
        inputs: Mapping[str, Tensor],
        training: bool = False,
        dropout_seed: Seed | None = None,
    ) -> Tensor:
        seed = self._seed(training, dropout_seed)
        outputs = self.bert(
            _tokens(inputs), training=training, dropout_seed=seed
        )
        words = _gather(outputs["sequence_output"], inputs["word_positions"])
        return self._score(words, inputs["word_mask"], seed)


@keras.saving.register_keras_serializable("bert")
class FeatureTagger(_Tagger, FeatureModel):
    """A tagger over chosen layers of a frozen BERT (paper, table 7).

    Inputs: those of `BertTagger`; or, in place of `input_ids` and
    `segment_ids`, `hidden`, what `encode` has made of them. Output: as there.

    Args:
      config: sizes and activation.
      num_tags: how many tags there are.
      allowed: see `BertTagger`.
      layers: of the encoder, see `stack_layers`.
      combine: how they become one vector, see `LayerMix`.
      lstm_layers: of a BiLSTM over the words; 0: none; the paper has two.
      lstm_size: of its outputs; 0: the encoder's.
      use_one_hot_embeddings: see `Embeddings`.
      dtype: a Keras dtype policy, of the encoder.
    """

    def __init__(
        self,
        config: BertConfig | Mapping[str, Any],
        num_tags: int,
        allowed: Sequence[Any] | None = None,
        layers: Sequence[int | str] = (-1, -2, -3, -4),
        combine: str = "concat",
        lstm_layers: int = 0,
        lstm_size: int = 0,
        use_one_hot_embeddings: bool = False,
        name: str = "feature_tagger",
        dtype: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            config,
            options={
                "num_tags": num_tags,
                "allowed": _as_lists(allowed),
                "layers": tuple(layers),
                "combine": combine,
                "lstm_layers": lstm_layers,
                "lstm_size": lstm_size,
                "use_one_hot_embeddings": use_one_hot_embeddings,
            },
            name=name,
            dtype=dtype,
            **kwargs,
        )
        self._make_network(
            num_tags,
            layers,
            combine,
            lstm_layers,
            lstm_size,
            use_one_hot_embeddings,
        )
        self._make_crf(allowed)
        self.built = True

    def encode(self, inputs: Mapping[str, Tensor]) -> Tensor:
        """What the frozen encoder tells of each token: [B, F, L, D]."""
        return self._encode_tokens(_tokens(inputs))

    def call(
        self,
        inputs: Mapping[str, Tensor],
        training: bool = False,
        dropout_seed: Seed | None = None,
    ) -> Tensor:
        hidden = inputs.get("hidden")
        if hidden is None:
            hidden = self.encode(inputs)
        batch, length, layers, size = ops.shape(hidden)
        # Gathering knows no layers: they stand side by side meanwhile.
        flat = ops.reshape(hidden, (batch, length, layers * size))
        words = _gather(flat, inputs["word_positions"])
        words = ops.reshape(words, (batch, -1, layers, size))
        words = self.mix(ops.cast(words, self.variable_dtype))
        seed = self._seed(training, dropout_seed)
        return self._score(words, inputs["word_mask"], seed)


def _as_lists(allowed: Sequence[Any] | None) -> list[Any] | None:
    """As JSON holds them."""
    if allowed is None:
        return None
    return [np.asarray(part).tolist() for part in allowed]


def _tokens(inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: inputs[name] for name in _TOKEN_INPUTS if name in inputs}


def _gather(tokens: Tensor, positions: Tensor) -> Tensor:
    """[B, F, D] and [B, W] -> [B, W, D]."""
    gathered = gather_positions(tokens, positions)
    shape = (*ops.shape(positions), tokens.shape[-1])
    return ops.reshape(gathered, shape)
