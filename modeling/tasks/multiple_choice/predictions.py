"""Files of chosen answers."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import orjson

from modeling.output_files import whole_file
from modeling.tasks.multiple_choice.examples import ChoiceExample

PREDICTIONS_TSV = "predictions.tsv"
PREDICTIONS_JSONL = "predictions.jsonl"


class ChoiceWriter:
    """Writes predictions as they come, in the order of the examples.

    In a `with` block; the files take their names when it is left without an
    exception:
      predictions.tsv: id, number of the chosen answer from 0, and the
        probabilities of all, separated by spaces.
      predictions.jsonl: the same as objects, with the answer's text.

    Args:
      directory: of the files; it must exist.
    """

    def __init__(self, directory: str) -> None:
        self._directory, self._count = directory, 0
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> ChoiceWriter:
        with contextlib.ExitStack() as stack:
            self._tsv, self._jsonl = (
                stack.enter_context(
                    whole_file(os.path.join(self._directory, name))
                )
                for name in (PREDICTIONS_TSV, PREDICTIONS_JSONL)
            )
            self._stack = stack.pop_all()
        self._tsv.write("id\tprediction\tprobabilities\n")
        return self

    def __exit__(self, *exception: Any) -> bool | None:
        return self._stack.__exit__(*exception)

    def write(
        self,
        examples: Sequence[ChoiceExample],
        probabilities: Sequence[np.ndarray],
    ) -> None:
        """Adds predictions.

        Args:
          examples: what was predicted.
          probabilities: of each one's choices, and of any that only filled the
            batch: [choices or more] for each
        """
        for example, row in zip(examples, probabilities, strict=True):
            row_id = example.row_id
            if row_id is None:
                row_id = str(self._count)
            self._count += 1
            # str() of a float32 tells as many digits as it has.
            row = np.asarray(row[: len(example.choices)], np.float32)
            chosen = int(row.argmax())
            numbers = " ".join(map(str, row))
            cell = re.sub(r"[\t\n\r]", " ", row_id)
            self._tsv.write(f"{cell}\t{chosen}\t{numbers}\n")
            values = {
                "id": row_id,
                "prediction": chosen,
                "choice": example.choices[chosen],
                "probabilities": row,
            }
            line = orjson.dumps(values, option=orjson.OPT_SERIALIZE_NUMPY)
            self._jsonl.write(line.decode() + "\n")
