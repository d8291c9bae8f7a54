"""Files of predictions: the original's, readable ones, and GLUE's."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Sequence
from typing import IO, Any

import numpy as np
import orjson

from modeling.output_files import whole_file
from modeling.tasks.classification.data_set import DataSet
from modeling.tasks.classification.examples import InputExample
from modeling.tasks.classification.labels import Labels

TEST_RESULTS = "test_results.tsv"
PREDICTIONS_TSV = "predictions.tsv"
PREDICTIONS_JSONL = "predictions.jsonl"

# A label is predicted, in multi-label sets, from this probability on.
THRESHOLD = 0.5
# The range of GLUE's only set of numbers, STS-B.
_GLUE_SCORES = (0.0, 5.0)


class PredictionWriter:
    """Writes predictions as they come, in the order of the examples.

    In a `with` block; the files take their names when it is left without an
    exception:
      test_results.tsv: a line of probabilities an example, without header, as
        in the original; in regression the number.
      predictions.tsv: id, label and the probability of every class, by header.
      predictions.jsonl: the same as objects.
      a file for GLUE, where one is asked for: index and label.

    Args:
      directory: of the files; it must exist.
      labels: of the model.
      submission: name of the file for GLUE, None for none.
    """

    def __init__(
        self,
        directory: str,
        labels: Labels,
        submission: str | None = None,
    ) -> None:
        self._directory, self._labels = directory, labels
        self._submission = submission
        self._stack = contextlib.ExitStack()
        self._count = 0

    def __enter__(self) -> PredictionWriter:
        with contextlib.ExitStack() as stack:
            self._results = self._open(stack, TEST_RESULTS)
            self._tsv = self._open(stack, PREDICTIONS_TSV)
            self._jsonl = self._open(stack, PREDICTIONS_JSONL)
            self._glue = None
            if self._submission is not None:
                self._glue = self._open(stack, self._submission)
                self._glue.write("index\tprediction\n")
            self._stack = stack.pop_all()
        names = [_cell(f"p({name})") for name in self._labels.names]
        self._tsv.write("\t".join(["id", "prediction", *names]) + "\n")
        return self

    def __exit__(self, *exception: Any) -> bool | None:
        return self._stack.__exit__(*exception)

    def write(
        self, examples: Sequence[InputExample], outputs: np.ndarray
    ) -> None:
        """Adds predictions.

        Args:
          examples: what was predicted.
          outputs: probabilities, float32 [N, L], or numbers, [N].
        """
        # str() of a float32 tells as many digits as it has.
        outputs = np.asarray(outputs, np.float32).reshape(len(examples), -1)
        predicted = decide(self._labels, outputs)
        for example, row, label in zip(
            examples, outputs, predicted, strict=True
        ):
            row_id = example.row_id
            if row_id is None:
                row_id = str(self._count)
            self._count += 1
            numbers = "\t".join(map(str, row))
            self._results.write(numbers + "\n")
            self._write_tsv(row_id, label, numbers)
            self._write_jsonl(row_id, label, row)
            if self._glue is not None:
                self._glue.write(f"{_cell(row_id)}\t{self._for_glue(label)}\n")

    def _open(self, stack: contextlib.ExitStack, name: str) -> IO[str]:
        path = os.path.join(self._directory, name)
        return stack.enter_context(whole_file(path))

    def _write_tsv(self, row_id: str, label: Any, numbers: str) -> None:
        if self._labels.kind == "regression":
            cells = [_cell(row_id), numbers]
        else:
            names = [label] if isinstance(label, str) else label
            cells = [_cell(row_id), _cell(",".join(names)), numbers]
        self._tsv.write("\t".join(cells) + "\n")

    def _write_jsonl(self, row_id: str, label: Any, row: np.ndarray) -> None:
        values: dict[str, Any] = {"id": row_id, "prediction": label}
        if self._labels.kind != "regression":
            names = self._labels.names
            values["probabilities"] = dict(zip(names, row, strict=True))
        line = orjson.dumps(values, option=orjson.OPT_SERIALIZE_NUMPY)
        self._jsonl.write(line.decode() + "\n")

    def _for_glue(self, label: Any) -> str:
        if self._labels.kind != "regression":
            return str(label)
        low, high = _GLUE_SCORES
        return f"{min(max(label, low), high):.3f}"


def decide(labels: Labels, outputs: np.ndarray) -> list[Any]:
    """What a model says: a class, a list of classes, or a number, for each.

    Args:
      labels: of the model.
      outputs: probabilities or numbers: [N, L]
    """
    if labels.kind == "regression":
        return outputs[:, 0].tolist()
    names = labels.names
    if labels.kind == "classification":
        return [names[index] for index in outputs.argmax(axis=1)]
    return [
        [
            name
            for name, probability in zip(names, row, strict=True)
            if probability >= THRESHOLD
        ]
        for row in outputs
    ]


def submission_name(data_set: DataSet, split: str) -> str | None:
    """GLUE's name for the predictions of a split, None where it has none."""
    files = data_set.files.get(split, ())
    return next((file.submission for file in files if file.submission), None)


def _cell(text: str) -> str:
    """Text without the characters that end a cell."""
    return text.replace("\t", " ").replace("\n", " ").replace("\r", " ")
