"""The layers of BERT's encoder, named after the scopes of Google's checkpoints.

Shapes: B = batch, F = from (query) length, T = to (key) length, N = attention
heads, H = size of a head, D = N * H = hidden size, I = intermediate size.
Activations travel as matrices [B * F, D]: a dense layer is then one plain
matrix product, which every back end fuses with its bias and activation.

Every layer makes its variables in `build`, from the config alone, so that they
exist before the first call and their paths depend on no caller.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
from keras import ops

from modeling.config import BertConfig
from modeling.network.activations import activation, value_and_slope
from modeling.network.dropout import Dropout, Seed
from modeling.network.fused import (
    activated,
    dropped_softmax,
    normalized_sum,
)
from modeling.network.places import all_rows, rows_at
from modeling.network.recompute import recomputed

Tensor = Any

# The original's stand-in for minus infinity. Being finite, a row that may
# attend to nothing still gets a softmax (over its raw scores).
_MASKED_SCORE = -10000.0


def initializer(config: BertConfig) -> keras.initializers.Initializer:
    """A fresh truncated normal: one object would give equal weights twice."""
    return keras.initializers.TruncatedNormal(stddev=config.initializer_range)


class Dense(keras.layers.Dense):
    """A dense layer that adds its bias, and applies its activation, in the
    precision of its variables.

    A bias's gradient is the sum of as many numbers as there are tokens: in
    bfloat16, kernels that sum in their own precision were seen to miss it by a
    quarter.
    """

    def add_weight(self, *args: Any, **kwargs: Any) -> Any:
        if kwargs.get("name") == "bias":
            kwargs["autocast"] = False
        return super().add_weight(*args, **kwargs)

    def call(self, inputs: Tensor, training: bool | None = None) -> Tensor:
        return ops.cast(super().call(inputs), self.compute_dtype)


def dense(
    config: BertConfig,
    units: int,
    name: str,
    dtype: Any,
    activation: Callable[[Tensor], Tensor] | None = None,
) -> Any:
    """A dense layer [rows, any] -> [rows, units], initialised as in BERT."""
    return Dense(
        units,
        activation,
        kernel_initializer=initializer(config),
        name=name,
        dtype=dtype,
    )


def layer_norm(config: BertConfig, dtype: Any) -> Any:
    """LayerNorm over the last axis, computed in float32."""
    return keras.layers.LayerNormalization(
        epsilon=config.layer_norm_eps, name="LayerNorm", dtype=dtype
    )


def attention_bias(
    input_mask: Tensor, block_ids: Tensor | None = None
) -> Tensor:
    """What is added to attention scores so that masked positions get none.

    Args:
      input_mask: [B, T], 1 for tokens that may be attended to, 0 for padding.
      block_ids: [B, T] or None. Where given, a token attends only to tokens
        with its own number: several packed sequences then share one row.

    Returns:
      float32 [B, 1, 1, T], or [B, 1, F, T] with `block_ids`.
    """
    allowed = ops.cast(input_mask, "float32")[:, None, None, :]
    if block_ids is not None:
        same = ops.equal(block_ids[:, :, None], block_ids[:, None, :])
        allowed = allowed * ops.cast(same, "float32")[:, None, :, :]
    return (1.0 - allowed) * _MASKED_SCORE


class SelfAttention(keras.layers.Layer):
    """Multi-head attention of a sequence to itself (original:
    `attention_layer`).
    """

    def __init__(
        self, config: BertConfig, site: int, fuse: bool = False, **kwargs: Any
    ) -> None:
        super().__init__(name="self", **kwargs)
        self.config = config
        self.fuse = fuse
        policy = self.dtype_policy
        self.query, self.key, self.value = (
            dense(config, config.hidden_size, name, policy)
            for name in ("query", "key", "value")
        )
        self.dropout = Dropout(
            config.attention_probs_dropout_prob, site, dtype=policy
        )

    def build(self, input_shape: Any = None) -> None:
        for layer in (self.query, self.key, self.value):
            layer.build((None, self.config.hidden_size))
        self.built = True

    def call(
        self,
        hidden: Tensor,
        bias: Tensor,
        seed: Seed | None = None,
        places: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Attends.

        Args:
          hidden: [B * F, D], or [number of places, D].
          bias: [B, 1, 1 or F, T], see `attention_bias`; F equals T.
          seed: of this step's dropout; None: no dropout.
          places: see `token_places`; None: `hidden` has all rows.

        Returns:
          The context, in the shape of `hidden`, and the probabilities
          [B, N, F, T].
        """
        batch, length = ops.shape(bias)[0], ops.shape(bias)[-1]
        # [B, N, F, H] each
        query, key, value = (
            self._split_heads(
                all_rows(project(hidden), places, batch * length), length
            )
            for project in (self.query, self.key, self.value)
        )

        # [B, N, F, T]; scaled before the product, which float16 may not hold.
        query = query * self.config.head_size**-0.5
        scores = ops.matmul(query, ops.swapaxes(key, -1, -2))
        if self.fuse:
            mask_seed = self.dropout.mask_seed(seed)
            dropped, probs = dropped_softmax(
                scores, bias, self.dropout.rate, mask_seed
            )
        else:
            scores = ops.cast(scores, "float32") + ops.cast(bias, "float32")
            probs = ops.cast(ops.softmax(scores, axis=-1), self.compute_dtype)
            dropped = self.dropout(probs, seed=seed)

        # [B, N, F, H] -> [B, F, N, H] -> [B * F, D]
        context = ops.matmul(dropped, value)
        context = ops.transpose(context, (0, 2, 1, 3))
        context = ops.reshape(context, (-1, self.config.hidden_size))
        return rows_at(context, places), probs

    def _split_heads(self, x: Tensor, length: Any) -> Tensor:
        # [B * F, D] -> [B, F, N, H] -> [B, N, F, H]
        heads, size = self.config.num_attention_heads, self.config.head_size
        x = ops.reshape(x, (-1, length, heads, size))
        return ops.transpose(x, (0, 2, 1, 3))


class AddAndNorm(keras.layers.Layer):
    """Projection, dropout, residual and LayerNorm: the end of a sublayer."""

    def __init__(
        self,
        config: BertConfig,
        input_size: int,
        site: int,
        fuse: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(name="output", **kwargs)
        self.config = config
        self.fuse = fuse
        self.input_size = input_size
        policy = self.dtype_policy
        self.dense = dense(config, config.hidden_size, "dense", policy)
        self.dropout = Dropout(config.hidden_dropout_prob, site, dtype=policy)
        self.norm = layer_norm(config, policy)

    def build(self, input_shape: Any = None) -> None:
        self.dense.build((None, self.input_size))
        self.norm.build((None, self.config.hidden_size))
        self.built = True

    def call(
        self, x: Tensor, residual: Tensor, seed: Seed | None = None
    ) -> Tensor:
        """[B * F, input_size] and the residual [B * F, D] -> [B * F, D]."""
        if not self.fuse:
            x = self.dropout(self.dense(x), seed=seed)
            return self.norm(x + residual)
        return normalized_sum(
            ops.matmul(x, self.dense.kernel),
            self.dense.bias,
            residual,
            self.norm,
            self.dropout.rate,
            self.dropout.mask_seed(seed),
        )


class Attention(keras.layers.Layer):
    """Self-attention and the end of its sublayer."""

    def __init__(
        self, config: BertConfig, site: int, fuse: bool = False, **kwargs: Any
    ) -> None:
        super().__init__(name="attention", **kwargs)
        policy = self.dtype_policy
        self.attend = SelfAttention(config, site, fuse, dtype=policy)
        self.finish = AddAndNorm(
            config, config.hidden_size, site + 1, fuse, dtype=policy
        )

    def build(self, input_shape: Any = None) -> None:
        self.attend.build()
        self.finish.build()
        self.built = True

    def call(
        self,
        hidden: Tensor,
        bias: Tensor,
        seed: Seed | None = None,
        places: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        context, probs = self.attend(hidden, bias, seed=seed, places=places)
        return self.finish(context, hidden, seed=seed), probs


class Intermediate(keras.layers.Layer):
    """The widening half of the feed-forward sublayer: [B*F, D] -> [B*F, I]."""

    def __init__(
        self, config: BertConfig, fuse: bool = False, **kwargs: Any
    ) -> None:
        super().__init__(name="intermediate", **kwargs)
        self.config = config
        self.slope = value_and_slope(config.hidden_act) if fuse else None
        self.dense = dense(
            config,
            config.intermediate_size,
            "dense",
            self.dtype_policy,
            activation(config.hidden_act),
        )

    def build(self, input_shape: Any = None) -> None:
        self.dense.build((None, self.config.hidden_size))
        self.built = True

    def call(self, hidden: Tensor) -> Tensor:
        if self.slope is None:
            return self.dense(hidden)
        x = ops.matmul(hidden, self.dense.kernel)
        return activated(x, self.dense.bias, self.slope)


class TransformerLayer(keras.layers.Layer):
    """One block of the encoder (original: `transformer_model`)."""

    # Attention probabilities, attention output, feed-forward output.
    DROPOUT_SITES = 3

    def __init__(
        self,
        config: BertConfig,
        index: int,
        site: int,
        fuse: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(name=f"layer_{index}", **kwargs)
        policy = self.dtype_policy
        self.attention = Attention(config, site, fuse, dtype=policy)
        self.intermediate = Intermediate(config, fuse, dtype=policy)
        self.finish = AddAndNorm(
            config, config.intermediate_size, site + 2, fuse, dtype=policy
        )

    def build(self, input_shape: Any = None) -> None:
        self.attention.build()
        self.intermediate.build()
        self.finish.build()
        self.built = True

    def call(
        self,
        hidden: Tensor,
        bias: Tensor,
        seed: Seed | None = None,
        places: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        """[B * F, D] -> [B * F, D], and the attention [B, N, F, T]."""
        attended, probs = self.attention(hidden, bias, seed=seed, places=places)
        wide = self.intermediate(attended)
        return self.finish(wide, attended, seed=seed), probs


class Encoder(keras.layers.Layer):
    """The stack of blocks.

    Args:
      config: their sizes.
      site: number of the first dropout site.
      recompute: whether gradients compute what is inside a block again.
      fuse: see `BertModel`.
    """

    def __init__(
        self,
        config: BertConfig,
        site: int,
        recompute: bool = False,
        fuse: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(name="encoder", **kwargs)
        self.recompute = recompute
        self.blocks = [
            TransformerLayer(
                config,
                index,
                site + index * TransformerLayer.DROPOUT_SITES,
                fuse,
                dtype=self.dtype_policy,
            )
            for index in range(config.num_hidden_layers)
        ]

    def build(self, input_shape: Any = None) -> None:
        for block in self.blocks:
            block.build()
        self.built = True

    def call(
        self,
        hidden: Tensor,
        bias: Tensor,
        seed: Seed | None = None,
        return_probs: bool = False,
        places: Tensor | None = None,
    ) -> tuple[list[Tensor], list[Tensor]]:
        """[B * F, D] -> each block's output [B * F, D] and attention.

        Attention is returned on request only: what is returned is kept. With
        `places`, see `token_places`, what goes in and out has their rows only.
        """
        outputs, attentions = [], []
        for block in self.blocks:
            call = _returning(block, bias, places, return_probs)
            if self.recompute:
                results = recomputed(call, hidden, seed)
            else:
                results = call(hidden, seed)
            hidden = results[0]
            outputs.append(hidden)
            attentions.extend(results[1:])
        return outputs, attentions


def _returning(
    block: TransformerLayer, bias: Tensor, places: Tensor | None, probs: bool
) -> Callable[[Tensor, Seed | None], tuple[Tensor, ...]]:
    """The block as a function of what differs between its calls."""

    def call(hidden: Tensor, seed: Seed | None) -> tuple[Tensor, ...]:
        results = block(hidden, bias, seed=seed, places=places)
        return results[: 2 if probs else 1]

    return call
