"""A pre-trained model's files: config, vocabulary, case and weights."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Sequence
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
      checkpoint: the opened checkpoint, of which nothing is read yet; None
        where none was named.
      config: the network's sizes.
      tokenizer: as the model was trained with.
      vocabulary: its file: name beside an exported model -> path.
      do_lower_case: its case.
    """

    checkpoint: CheckpointReader | None
    config: BertConfig
    tokenizer: Tokenizer
    vocabulary: dict[str, str]
    do_lower_case: bool


@dataclasses.dataclass(frozen=True)
class PretrainedFiles:
    """Where a pre-trained model lies.

    Only the checkpoint is needed: what is not named is looked for beside it.

    Attributes:
      init_checkpoint: anything that `open_checkpoint` takes; None for a model
        that begins with random weights, whose other files are then named.
      bert_config_file: Google's `bert_config.json` or Hugging Face's
        `config.json`.
      vocab_file: WordPiece vocabulary.
      spm_model_file: SentencePiece model, instead of `vocab_file`.
      do_lower_case: None: as the model's files say, else true.
      strip_accents: None: as `do_lower_case`.
    """

    init_checkpoint: str | None = None
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
        checkpoint = None
        if self.init_checkpoint is not None:
            checkpoint = open_checkpoint(self.init_checkpoint)
        config = self._config(checkpoint)
        do_lower_case = self._case(checkpoint)
        if checkpoint is not None:
            validate_case_matches_checkpoint(do_lower_case, checkpoint.path)
        vocab_file, spm_model_file = self._vocabulary(checkpoint)
        tokenizer = load_tokenizer(
            vocab_file, spm_model_file, do_lower_case, self.strip_accents
        )
        mismatch = describe_case_mismatch(do_lower_case, tokenizer.vocab)
        if mismatch is not None:
            logging.warning("%s", mismatch)
        path = vocab_file or spm_model_file
        name = "vocab.txt" if vocab_file else os.path.basename(path)
        return Pretrained(
            checkpoint, config, tokenizer, {name: path}, do_lower_case
        )

    def _config(self, checkpoint: CheckpointReader | None) -> BertConfig:
        if self.bert_config_file:
            return BertConfig.from_json_file(self.bert_config_file)
        if checkpoint is None:
            raise UserError("Give --bert_config_file or --init_checkpoint.")
        if checkpoint.config is None:
            raise UserError(
                f"There is no config beside {checkpoint.path}. Give "
                "--bert_config_file."
            )
        return checkpoint.config

    def _vocabulary(
        self, checkpoint: CheckpointReader | None
    ) -> tuple[str | None, str | None]:
        if self.vocab_file or self.spm_model_file:
            return self.vocab_file, self.spm_model_file
        if checkpoint is None:
            raise UserError(
                "Give --vocab_file or --spm_model_file, or --init_checkpoint."
            )
        if checkpoint.vocab_file is not None:
            return str(checkpoint.vocab_file), None
        if checkpoint.spm_model_file is not None:
            return None, str(checkpoint.spm_model_file)
        raise UserError(
            f"There is no vocabulary beside {checkpoint.path}. Give "
            "--vocab_file or --spm_model_file."
        )

    def _case(self, checkpoint: CheckpointReader | None) -> bool:
        """The user's word, or that of the first file that has one."""
        if self.do_lower_case is not None:
            return self.do_lower_case
        near = (
            self.vocab_file,
            self.spm_model_file,
            self.bert_config_file,
            checkpoint.path if checkpoint else None,
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


class ModelVocabulary(NamedTuple):
    """The vocabulary of a model that is to be trained, as far as it is known.

    Attributes:
      files: name beside an exported model -> path; empty where none is known.
      tokenizer: of them; None likewise.
    """

    files: dict[str, str]
    tokenizer: Tokenizer | None


def find_vocabulary(
    vocab_file: str | None,
    beside: Sequence[str | None],
    do_lower_case: bool | None = None,
) -> ModelVocabulary:
    """Loads the vocabulary of a model, or looks for it beside its files.

    Args:
      vocab_file: WordPiece vocabulary, or SentencePiece model (`.model`); None:
        the first `vocab.txt`, or `*.model` file that is alone of its kind,
        beside other files.
      beside: those files.
      do_lower_case: None: as the model's files say, else true.

    Raises:
      UserError: the file cannot be read.
    """
    directories = [
        path if os.path.isdir(path) else os.path.dirname(path) or "."
        for path in filter(None, beside)
        if "://" not in path
    ]
    if vocab_file is None:
        candidates = map(_vocabulary_in, filter(os.path.isdir, directories))
        vocab_file = next(filter(None, candidates), None)
    if vocab_file is None:
        return ModelVocabulary({}, None)
    if do_lower_case is None:
        settings = [
            read_case_setting(directory)
            for directory in (os.path.dirname(vocab_file) or ".", *directories)
        ]
        known = [setting for setting in settings if setting is not None]
        do_lower_case = known[0] if known else True
    is_sentencepiece = vocab_file.endswith(".model")
    tokenizer = load_tokenizer(
        None if is_sentencepiece else vocab_file,
        vocab_file if is_sentencepiece else None,
        do_lower_case,
        None,
    )
    name = os.path.basename(vocab_file) if is_sentencepiece else "vocab.txt"
    return ModelVocabulary({name: vocab_file}, tokenizer)


def _vocabulary_in(directory: str) -> str | None:
    names = os.listdir(directory)
    models = [name for name in names if name.endswith(".model")]
    if "vocab.txt" in names:
        return os.path.join(directory, "vocab.txt")
    return os.path.join(directory, models[0]) if len(models) == 1 else None
