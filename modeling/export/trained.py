"""The folder of a model that is to be exported."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping, Sequence
from typing import Any

import keras

from modeling.checkpoints import initialize_model, open_checkpoint
from modeling.config import BertConfig
from modeling.errors import UserError
from modeling.export.graph_tokenizer import GraphTokenizer
from modeling.finetuning import read_kept
from modeling.pretrained import PretrainedFiles
from modeling.tokenization import FastTokenizer, Tokenizer

_MODEL = "bert_model.ckpt"
# Of a model that says nothing of it.
_USUAL_LENGTH = 128
_SHORTEST = 3


@dataclasses.dataclass(frozen=True)
class TrainedModel:
    """A model with what its training has kept beside it.

    Attributes:
      directory: of all files.
      checkpoint: its weights, as `open_checkpoint` takes them.
      config: of the network.
      tokenizer: as it was trained with.
      kept: what training has kept; nothing for a model that is only
        pre-trained.
      max_seq_length: the longest row in tokens.
      vocabulary: its file: name beside an exported model -> path.
    """

    directory: str
    checkpoint: str
    config: BertConfig
    tokenizer: Tokenizer
    kept: Mapping[str, Any]
    max_seq_length: int
    vocabulary: Mapping[str, str]

    @classmethod
    def open(
        cls, directory: str, max_seq_length: int | None = None
    ) -> TrainedModel:
        """Opens an output directory of training, a release of Google's, or a
        Hugging Face directory.

        Args:
          directory: of the model.
          max_seq_length: None: as the model was trained with, else 128.

        Raises:
          UserError: there is no model, or it has no rows so long.
        """
        if not os.path.isdir(directory):
            raise UserError(
                f"There is no directory {directory}. --model_dir is where the "
                "trained model lies."
            )
        kept = read_kept(directory)
        checkpoint = os.path.join(directory, _MODEL)
        if not os.path.exists(f"{checkpoint}.index"):
            checkpoint = directory
        files = PretrainedFiles(
            checkpoint, strip_accents=kept.get("strip_accents")
        ).load()
        limit = files.config.max_length
        length = max_seq_length or kept.get("max_seq_length")
        if length is None:
            length = min(limit or _USUAL_LENGTH, _USUAL_LENGTH)
        if length < _SHORTEST or (limit is not None and length > limit):
            raise UserError(
                f"max_seq_length must be from {_SHORTEST} to {limit}, the "
                f"model's max_position_embeddings. Received: {length}"
            )
        return cls(
            directory,
            checkpoint,
            files.config,
            files.tokenizer,
            kept,
            length,
            files.vocabulary,
        )

    def has(self, name: str) -> bool:
        """Whether a file of the name is there."""
        return os.path.exists(os.path.join(self.directory, name))

    def chooses(self) -> bool:
        """Whether its head scores choices: the one that has no bias."""
        names = open_checkpoint(self.checkpoint).weights
        return "output_weights" in names and "output_bias" not in names

    def cut_config(self, num_layers: int) -> BertConfig:
        """The config of the first blocks, one at least."""
        return dataclasses.replace(
            self.config, num_hidden_layers=max(num_layers, 1)
        )

    def load(self, model: keras.Model, new: Sequence[str] = ()) -> None:
        """Reads the weights into a model that may have fewer blocks.

        Args:
          model: of the same config otherwise.
          new: variables, or whole scopes, that the model does not use.

        Raises:
          UserError: the checkpoint lacks others.
        """
        report = initialize_model(
            model, self.checkpoint, expected_new=new, allow_partial=True
        )
        missing = [
            name
            for name in report.missing
            if not any(name == n or name.startswith(f"{n}/") for n in new)
        ]
        if missing:
            raise UserError(
                f"{self.checkpoint} is not the model that {self.directory} "
                f"describes: it lacks {', '.join(missing)}."
            )

    def graph_tokenizer(self) -> GraphTokenizer:
        """The tokenizer in a graph; raises `UserError` where there is none."""
        if isinstance(self.tokenizer, FastTokenizer):
            from modeling.export.graph_wordpiece import GraphWordpiece

            return GraphWordpiece(self.tokenizer)
        from modeling.export.graph_sentencepiece import GraphSentencePiece

        return GraphSentencePiece(self.tokenizer)
