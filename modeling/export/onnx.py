"""An ONNX file that takes tokens."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import tensorflow as tf

from modeling.errors import UserError
from modeling.export import parity
from modeling.export.exported import Arrays, Exporter
from modeling.export.parity import Tried
from modeling.export.saved_model import TOKEN_IDS

MODEL = "model.onnx"
_OPSET = 17
_TIMED_ROWS = 16
# Of an input of rank 2, or 3.
_TIMED_SHAPE = (_TIMED_ROWS, 8, 8)


def write_onnx_model(
    exporter: Exporter, directory: str, precision: str
) -> dict[str, Any]:
    """Writes a model; returns its signature.

    Args:
      exporter: of the trained model.
      directory: where it goes.
      precision: of the weights: "float32", or "int8", which quantizes them, and
        what they are multiplied with as it comes.

    Returns:
      Signature -> names of its inputs and outputs, which are numbers only.

    Raises:
      UserError: the converter is not installed.
    """
    try:
        import tf2onnx
        from onnxruntime.quantization import QuantType, quantize_dynamic
    except ImportError as error:
        raise UserError(
            "The format onnx needs tf2onnx, onnx and onnxruntime. Install "
            "them: pip install 'bert-tf2[onnx]'"
        ) from error
    exported = exporter.build("float32", with_tokenizer=False)
    specs = exported.row_specs()

    @tf.function(input_signature=list(specs.values()), autograph=False)
    def numbers(*rows: tf.Tensor) -> dict[str, tf.Tensor]:
        return exported.numbers_of_rows(dict(zip(specs, rows, strict=True)))

    path = os.path.join(directory, MODEL)
    tf2onnx.convert.from_function(
        numbers, list(specs.values()), opset=_OPSET, output_path=path
    )
    if precision == "int8":
        whole = f"{path}.float32"
        os.rename(path, whole)
        quantize_dynamic(
            whole, path, per_channel=True, weight_type=QuantType.QInt8
        )
        os.remove(whole)
    outputs = list(numbers.get_concrete_function().structured_outputs)
    return {TOKEN_IDS: {"inputs": list(specs), "outputs": outputs}}


def try_onnx_model(exporter: Exporter, directory: str, precision: str) -> Tried:
    """Loads what was written and compares it with the training graph.

    Raises:
      Refused: it says something else.
    """
    import onnxruntime

    session = onnxruntime.InferenceSession(os.path.join(directory, MODEL))
    names = [output.name for output in session.get_outputs()]

    def run(rows: Arrays) -> Arrays:
        wanted = {i.name: rows[i.name] for i in session.get_inputs()}
        return dict(zip(names, session.run(None, wanted), strict=True))

    deviation = parity.compare_rows(exporter, run, precision)
    rows = {
        each.name: np.ones(_TIMED_SHAPE[: len(each.shape)], np.int32)
        for each in session.get_inputs()
    }
    return Tried(deviation, parity.measure(lambda: run(rows), _TIMED_ROWS))
