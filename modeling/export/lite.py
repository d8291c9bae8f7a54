"""A LiteRT (TensorFlow Lite) file that takes tokens."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from modeling.errors import UserError
from modeling.export import parity
from modeling.export.exported import Arrays, Exporter
from modeling.export.parity import Tried
from modeling.export.saved_model import TOKEN_IDS

MODEL = "model.tflite"


def write_lite_model(
    exporter: Exporter, directory: str, precision: str
) -> dict[str, Any]:
    """Writes a model; returns its signature.

    Args:
      exporter: of the trained model.
      directory: where it goes.
      precision: of the weights: "int8" quantizes them, and what they are
        multiplied with as it comes ("dynamic range").

    Returns:
      Signature -> names of its inputs and outputs, which are numbers only.

    Raises:
      UserError: the network has an operation that LiteRT has not.
    """
    exported = exporter.build("float32", with_tokenizer=False)
    inputs = exported.row_inputs
    if any(shape.rank > 2 for shape in inputs.values()):
        raise UserError(
            "A LiteRT model has inputs of one shape, which choices of any "
            "number have not. Give --format=onnx or saved_model."
        )
    # Of other shapes the converter does not know what to make.
    specs = [
        tf.TensorSpec([1, exporter.max_seq_length - shape.shorter], tf.int32, n)
        for n, shape in inputs.items()
    ]

    @tf.function(input_signature=specs)
    def from_rows(*rows: tf.Tensor) -> dict[str, tf.Tensor]:
        return exported.numbers_of_rows(dict(zip(inputs, rows, strict=True)))

    function = from_rows.get_concrete_function()
    converter = tf.lite.TFLiteConverter.from_concrete_functions(
        [function], exported
    )
    if precision != "float32":
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if precision == "float16":
        converter.target_spec.supported_types = [tf.float16]
    content = _convert(converter)
    os.makedirs(directory, exist_ok=True)
    with open(os.path.join(directory, MODEL), "wb") as file:
        file.write(content)
    outputs = list(function.structured_outputs)
    return {TOKEN_IDS: {"inputs": list(inputs), "outputs": outputs}}


def _convert(converter: tf.lite.TFLiteConverter) -> bytes:
    try:
        return converter.convert()
    except Exception as error:
        # The converter has no exception of its own that is public.
        missing = re.search(r"^TF Select ops: (.+)$", str(error), re.MULTILINE)
        if missing is None:
            raise
        raise UserError(
            f"LiteRT has no operation {missing[1]}, which this network needs "
            '(Erf: for "hidden_act": "gelu_erf"). Give --format=onnx or '
            "saved_model."
        ) from error


def try_lite_model(exporter: Exporter, directory: str, precision: str) -> Tried:
    """Loads what was written and compares it with the training graph.

    Raises:
      Refused: it says something else.
    """
    run = _Runner(os.path.join(directory, MODEL))
    deviation = parity.compare_rows(exporter, run, precision)
    rows = dict.fromkeys(run.widths, np.ones((1, 1), np.int32))
    return Tried(deviation, parity.measure(lambda: run(rows), 1))


class _Runner:
    """The model as a function of a row, which it pads.

    Attributes:
      widths: of all inputs.
    """

    def __init__(self, path: str) -> None:
        interpreter = tf.lite.Interpreter(path)
        self._run = interpreter.get_signature_runner()
        self.widths: dict[str, int] = {
            name: details["shape"][1]
            for name, details in self._run.get_input_details().items()
        }

    def __call__(self, rows: Mapping[str, np.ndarray]) -> Arrays:
        padded = {
            name: np.pad(rows[name], [(0, 0), (0, width - rows[name].shape[1])])
            for name, width in self.widths.items()
        }
        return dict(self._run(**padded))
