"""A pre-trained model's files: config, vocabulary, case and weights."""

from __future__ import annotations

import dataclasses
import os
from typing import NamedTuple

from absl import logging

from modeling.checkpoints import CheckpointReader, open_checkpoint
from modeling.config import BertConfig
from modeling.errors import UserError
from modeling.tokenization import (
    Tokenizer,
    describe_case_mismatch,
    load_tokenizer,
    read_case_setting,
    validate_case_matches_checkpoint,
)


class Pretrained(NamedTuple):
    """What a job needs to know before it builds a network.

    Attributes:
      checkpoint: the opened checkpoint; nothing of it is read yet.
      config: the network's sizes.
      tokenizer: as the model was trained with.
    """

    checkpoint: CheckpointReader
    config: BertConfig
    tokenizer: Tokenizer


@dataclasses.dataclass(frozen=True)
class PretrainedFiles:
    """Where a pre-trained model lies.

    Only the checkpoint is needed: what is not named is looked for beside it.

    Attributes:
      init_checkpoint: anything that `open_checkpoint` takes.
      bert_config_file: Google's `bert_config.json` or Hugging Face's
        `config.json`.
      vocab_file: WordPiece vocabulary.
      spm_model_file: SentencePiece model, instead of `vocab_file`.
      do_lower_case: None: as the model's files say, else true.
      strip_accents: None: as `do_lower_case`.
    """

    init_checkpoint: str
    bert_config_file: str | None = None
    vocab_file: str | None = None
    spm_model_file: str | None = None
    do_lower_case: bool | None = None
    strip_accents: bool | None = None

    def load(self) -> Pretrained:
        """Opens all of them and checks that they belong together.

        Raises:
          UserError: a file is missing or unreadable, or the case contradicts
            the checkpoint's name.
        """
        checkpoint = open_checkpoint(self.init_checkpoint)
        config = self._config(checkpoint)
        do_lower_case = self._case(checkpoint)
        validate_case_matches_checkpoint(do_lower_case, checkpoint.path)
        vocab_file, spm_model_file = self._vocabulary(checkpoint)
        tokenizer = load_tokenizer(
            vocab_file, spm_model_file, do_lower_case, self.strip_accents
        )
        mismatch = describe_case_mismatch(do_lower_case, tokenizer.vocab)
        if mismatch is not None:
            logging.warning("%s", mismatch)
        return Pretrained(checkpoint, config, tokenizer)

    def _config(self, checkpoint: CheckpointReader) -> BertConfig:
        if self.bert_config_file:
            return BertConfig.from_json_file(self.bert_config_file)
        if checkpoint.config is None:
            raise UserError(
                f"There is no config beside {checkpoint.path}. Give "
                "--bert_config_file."
            )
        return checkpoint.config

    def _vocabulary(
        self, checkpoint: CheckpointReader
    ) -> tuple[str | None, str | None]:
        if self.vocab_file or self.spm_model_file:
            return self.vocab_file, self.spm_model_file
        if checkpoint.vocab_file is not None:
            return str(checkpoint.vocab_file), None
        if checkpoint.spm_model_file is not None:
            return None, str(checkpoint.spm_model_file)
        raise UserError(
            f"There is no vocabulary beside {checkpoint.path}. Give "
            "--vocab_file or --spm_model_file."
        )

    def _case(self, checkpoint: CheckpointReader) -> bool:
        """The user's word, or that of the first file that has one."""
        if self.do_lower_case is not None:
            return self.do_lower_case
        near = (
            self.vocab_file,
            self.spm_model_file,
            self.bert_config_file,
            checkpoint.path,
        )
        for path in filter(None, near):
            if "://" in path:
                continue
            directory = path if os.path.isdir(path) else os.path.dirname(path)
            setting = read_case_setting(directory)
            if setting is not None:
                logging.info("%s says do_lower_case=%s", directory, setting)
                return setting
        return True
