"""A SavedModel that takes texts, tokens or records, as TensorFlow Serving
loads it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf
from absl import logging

from modeling.export import parity
from modeling.export.exported import Arrays, Exported, Exporter, Sample
from modeling.export.parity import Tried

TEXT, TOKEN_IDS, EXAMPLES = "serving_default", "token_ids", "examples"


def write_saved_model(
    exporter: Exporter, directory: str, precision: str
) -> dict[str, Any]:
    """Writes a model; returns its signatures.

    Args:
      exporter: of the trained model.
      directory: a new one.
      precision: of weights and computation.

    Returns:
      Signature -> names of its inputs and outputs.
    """
    exported = exporter.build(precision)
    signatures = _signatures(exported, exporter)
    with _only_warnings():
        tf.saved_model.save(exported, directory, signatures)
    return {
        name: {
            "inputs": list(function.structured_input_signature[1]),
            "outputs": list(function.structured_outputs),
        }
        for name, function in signatures.items()
    }


def try_saved_model(
    exporter: Exporter, directory: str, precision: str
) -> Tried:
    """Loads what was written and compares it with the training graph.

    Raises:
      Refused: it says something else.
    """
    loaded = tf.saved_model.load(directory)
    text = loaded.signatures[TEXT]
    tokens = loaded.signatures[TOKEN_IDS]
    records = loaded.signatures[EXAMPLES]

    def ask(samples: Sequence[Sample]) -> dict[str, np.ndarray]:
        columns = zip(exporter.inputs, zip(*samples, strict=True), strict=True)
        return _numpy(text(**{n: tf.constant(c) for n, c in columns}))

    def ask_rows(rows: Arrays) -> dict[str, np.ndarray]:
        return _numpy(tokens(**_tensors(rows)))

    def ask_records(rows: Arrays) -> dict[str, np.ndarray]:
        record = _record(exporter, rows)
        return _numpy(records(**{EXAMPLES: tf.constant([record])}))

    deviation = max(
        parity.compare_texts(exporter, ask, precision),
        parity.compare_rows(exporter, ask_rows, precision),
        parity.compare_rows(
            exporter, ask_records, precision, "a tf.train.Example"
        ),
    )
    sentences = exporter.samples()[:1] * 16
    return Tried(deviation, parity.measure(lambda: ask(sentences), 16))


@contextlib.contextmanager
def _only_warnings() -> Iterator[None]:
    """TensorFlow logs the inner names of every tensor that a function takes."""
    verbosity = logging.get_verbosity()
    logging.set_verbosity(min(verbosity, logging.WARNING))
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)


def _signatures(exported: Exported, exporter: Exporter) -> dict[str, Any]:
    texts = {
        name: tf.TensorSpec(
            [None] * exported.text_ranks.get(name, 1), tf.string, name
        )
        for name in exporter.inputs
    }
    features = {
        name: shape.feature(exporter.max_seq_length)
        for name, shape in exported.row_inputs.items()
    }

    def from_texts(**named: tf.Tensor) -> dict[str, tf.Tensor]:
        return exported.from_texts(*(named[n] for n in exporter.inputs))

    def from_rows(**rows: tf.Tensor) -> dict[str, tf.Tensor]:
        exported.check_rows(rows)
        return exported.from_rows(rows)

    def from_examples(**named: tf.Tensor) -> dict[str, tf.Tensor]:
        columns = tf.io.parse_example(named[EXAMPLES], features)
        exported.check_rows(columns)
        return exported.from_rows(
            {name: tf.cast(v, tf.int32) for name, v in columns.items()}
        )

    return {
        TEXT: _concrete(from_texts, texts),
        TOKEN_IDS: _concrete(from_rows, exported.row_specs()),
        EXAMPLES: _concrete(
            from_examples,
            {EXAMPLES: tf.TensorSpec([None], tf.string, EXAMPLES)},
        ),
    }


def _record(exporter: Exporter, rows: Arrays) -> bytes:
    """A row, or the rows of choices, as a serialized `tf.train.Example`."""
    features = {}
    for name, values in rows.items():
        shorter = exporter.exported.row_inputs[name].shorter
        padding = exporter.max_seq_length - shorter - values.shape[-1]
        widths = [(0, 0)] * (values.ndim - 1) + [(0, padding)]
        numbers = np.pad(values, widths).reshape(-1)
        features[name] = tf.train.Feature(
            int64_list=tf.train.Int64List(value=numbers)
        )
    return tf.train.Example(
        features=tf.train.Features(feature=features)
    ).SerializeToString()


def _concrete(function: Any, specs: Mapping[str, tf.TensorSpec]) -> Any:
    traced = tf.function(function, autograph=False)
    return traced.get_concrete_function(**specs)


def _tensors(rows: Arrays) -> dict[str, tf.Tensor]:
    return {name: tf.constant(v, tf.int32) for name, v in rows.items()}


def _numpy(outputs: Mapping[str, tf.Tensor]) -> dict[str, np.ndarray]:
    return {name: values.numpy() for name, values in outputs.items()}
