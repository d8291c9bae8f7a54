"""BertModel: the encoder as a Keras model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras
from keras import ops

from modeling.config import BertConfig
from modeling.network.base import ConfiguredModel
from modeling.network.dropout import Seed
from modeling.network.embeddings import Embeddings
from modeling.network.layers import Encoder, attention_bias
from modeling.network.places import all_rows, rows_at, token_places
from modeling.network.pooler import Pooler

Tensor = Any


@keras.saving.register_keras_serializable("bert")
class BertModel(ConfiguredModel):
    """The BERT encoder (Devlin et al. 2018; original: `BertModel`).

    Variable paths are the names in Google's checkpoints, `bert/embeddings/
    word_embeddings` and so on.

    Inputs, a dictionary of int32 [batch, length]; only the first is needed:
      input_ids: token ids.
      input_mask: 1 for tokens, 0 for padding. Default: all ones.
      segment_ids: 0 for the first segment, 1 for the second. Default: zeros.
      position_ids: rows of the position table. Default: 0, 1, 2 ...
      block_ids: where given, tokens attend only to tokens with their own
        number, so that several sequences may share one row.
      cls_positions: [batch, instances]: where given, the tokens that are
        pooled instead of each row's first.

    Outputs, a dictionary:
      sequence_output: [batch, length, hidden_size], the last block's.
      pooled_output: [batch, hidden_size], the first token through a tanh
        layer; [batch, instances, hidden_size] with `cls_positions`.
      all_encoder_layers: a list of [batch, length, hidden_size], one a block.
      embedding_output: [batch, length, hidden_size], before the first block.
      attention_probs: only on request: a list of [batch, heads, length,
        length], one a block, before dropout.

    Args:
      config: sizes and activation.
      use_one_hot_embeddings: see `Embeddings`.
      recompute: whether gradients compute what is inside a block again
        instead of keeping it: less memory, a third more arithmetic, the same
        numbers.
      fuse: whether a block's element-wise arithmetic is compiled to a few
        passes over memory. For CPUs and batches of one shape; the numbers
        differ by rounding.
      name: first part of every variable path.
      dtype: a Keras dtype policy, such as "mixed_bfloat16".

    Attributes:
      skip_padding: may be set: whether blocks compute tokens alone, in time for
        tokens instead of positions. Outputs are zeros at padding. Shapes then
        depend on the mask, which compilers do not take.

    Example:
      >>> model = BertModel(BertConfig(vocab_size=100, hidden_size=16,
      ...     num_hidden_layers=2, num_attention_heads=4,
      ...     intermediate_size=32))
      >>> outputs = model({"input_ids": [[2, 7, 9, 3]]})
      >>> tuple(outputs["sequence_output"].shape)
      (1, 4, 16)
    """

    def __init__(
        self,
        config: BertConfig | Mapping[str, Any],
        use_one_hot_embeddings: bool = False,
        recompute: bool = False,
        fuse: bool = False,
        name: str = "bert",
        dtype: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            config,
            options={
                "use_one_hot_embeddings": use_one_hot_embeddings,
                "recompute": recompute,
                "fuse": fuse,
            },
            name=name,
            dtype=dtype,
            **kwargs,
        )
        policy = self.dtype_policy
        self.embeddings = Embeddings(
            self.config, 0, use_one_hot_embeddings, dtype=policy
        )
        self.encoder = Encoder(self.config, 1, recompute, fuse, dtype=policy)
        self.pooler = Pooler(self.config, dtype=policy)
        self.seed_generator = keras.random.SeedGenerator()
        self.skip_padding = False
        self.build()

    @property
    def embedding_table(self) -> keras.Variable:
        """The word embeddings [vocab_size, hidden_size], for tied decoding."""
        return self.embeddings.word_embeddings

    def build(self, input_shape: Any = None) -> None:
        for layer in (self.embeddings, self.encoder, self.pooler):
            layer.build()
        self.built = True

    def call(
        self,
        inputs: Mapping[str, Tensor],
        training: bool = False,
        dropout_seed: Seed | None = None,
        return_attention_probs: bool = False,
    ) -> dict[str, Any]:
        """Encodes a batch.

        Args:
          inputs: see the class.
          training: whether to drop out.
          dropout_seed: two integers; the masks depend on them alone. Default:
            the next ones of the model's own generator.
          return_attention_probs: adds `attention_probs` to the outputs.
        """
        seed = None
        if training:
            seed = dropout_seed
            if seed is None:
                seed = self.seed_generator.next()
        input_ids = inputs["input_ids"]
        input_mask = inputs.get("input_mask")
        if input_mask is None:
            input_mask = ops.ones_like(input_ids)
        segment_ids = inputs.get("segment_ids")
        if segment_ids is None:
            segment_ids = ops.zeros_like(input_ids)

        embedding_output = self.embeddings(
            input_ids,
            segment_ids,
            position_ids=inputs.get("position_ids"),
            seed=seed,
        )
        # [B, F, D] -> [B * F, D]
        batch, length = ops.shape(input_ids)
        size = self.config.hidden_size
        places = token_places(input_mask) if self.skip_padding else None
        layers, attention_probs = self.encoder(
            rows_at(ops.reshape(embedding_output, (-1, size)), places),
            attention_bias(input_mask, inputs.get("block_ids")),
            seed=seed,
            return_probs=return_attention_probs,
            places=places,
        )
        # [B * F, D] -> [B, F, D]
        layers = [
            ops.reshape(
                all_rows(x, places, batch * length), (batch, length, size)
            )
            for x in layers
        ]
        outputs = {
            "sequence_output": layers[-1],
            "pooled_output": self.pooler(
                layers[-1], inputs.get("cls_positions")
            ),
            "all_encoder_layers": layers,
            "embedding_output": embedding_output,
        }
        if return_attention_probs:
            outputs["attention_probs"] = attention_probs
        return outputs
