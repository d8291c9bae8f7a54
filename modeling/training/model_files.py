"""What lies beside a model's weights, for other scripts and tools."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Mapping

from modeling.config import BertConfig
from modeling.output_files import whole_file
from modeling.training.any_files import copy_whole


@dataclasses.dataclass(frozen=True)
class ModelFiles:
    """Config and vocabulary of an exported model.

    Attributes:
      config: written as `bert_config.json`.
      vocabulary: files of the vocabulary, copied under standard names: name
        there -> path; empty where it is not known.
      do_lower_case: whether the model is uncased; None: not known.
    """

    config: BertConfig
    vocabulary: Mapping[str, str] = dataclasses.field(default_factory=dict)
    do_lower_case: bool | None = None

    def write(self, directory: str) -> None:
        """Writes them, each in place of an earlier one once it is whole.

        Raises:
          OSError: one cannot be written.
        """
        _write(directory, "bert_config.json", self.config.to_json_string())
        for name, path in self.vocabulary.items():
            target = os.path.join(directory, name)
            if os.path.abspath(path) != os.path.abspath(target):
                copy_whole(path, target)
        if self.do_lower_case is not None:
            values = {"do_lower_case": self.do_lower_case}
            _write(directory, "tokenizer_config.json", json.dumps(values))


def _write(directory: str, name: str, text: str) -> None:
    with whole_file(os.path.join(directory, name)) as file:
        file.write(text if text.endswith("\n") else f"{text}\n")
