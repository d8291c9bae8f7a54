"""The vectors that are asked for, of an encoder's outputs, in a graph."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import tensorflow as tf

from modeling.features.options import FeatureOptions
from modeling.network.layer_choice import EMBEDDINGS


def choose_vectors(
    outputs: Mapping[str, Any], input_mask: tf.Tensor, options: FeatureOptions
) -> tf.Tensor:
    """Chosen layers, combined and pooled as the options say.

    Args:
      outputs: of `BertModel`.
      input_mask: 1 for tokens: [B, F]
      options: with layers that the encoder has.

    Returns:
      float32 [B, F, vectors, size], or [B, vectors, size] with pooling.
    """
    if options.pooling == "pooled":
        return tf.cast(outputs["pooled_output"], tf.float32)[:, None, :]
    layers = [
        tf.cast(_layer(outputs, layer), tf.float32) for layer in options.layers
    ]
    # [B, F, vectors, size]
    vectors = tf.stack(_combine(layers, options), axis=2)
    return _pool(vectors, input_mask, options.pooling)


def _layer(outputs: Mapping[str, Any], layer: int | str) -> tf.Tensor:
    if layer == EMBEDDINGS:
        return outputs["embedding_output"]
    return outputs["all_encoder_layers"][layer]


def _combine(
    layers: list[tf.Tensor], options: FeatureOptions
) -> list[tf.Tensor]:
    combine = options.combine
    if combine == "concat":
        return [tf.concat(layers, axis=-1)]
    if combine == "sum":
        return [tf.add_n(layers)]
    if combine == "mean":
        return [tf.add_n(layers) / len(layers)]
    if combine == "weighted":
        weighted = zip(options.layer_weights, layers, strict=True)
        return [tf.add_n([weight * layer for weight, layer in weighted])]
    return layers


def _pool(vectors: tf.Tensor, input_mask: tf.Tensor, pooling: str) -> tf.Tensor:
    if pooling == "cls":
        return vectors[:, 0]
    mask = tf.cast(input_mask, tf.float32)[:, :, None, None]
    if pooling == "mean":
        count = tf.maximum(tf.reduce_sum(mask, axis=1), 1.0)
        return tf.reduce_sum(vectors * mask, axis=1) / count
    if pooling == "max":
        lowest = vectors.dtype.min
        return tf.reduce_max(tf.where(mask > 0, vectors, lowest), axis=1)
    return vectors
