"""What a fine-tuning begins with: config, tokenizer and their files."""

from __future__ import annotations

import dataclasses
import os
from typing import NamedTuple

from absl import logging

from modeling.config import BertConfig
from modeling.errors import UserError
from modeling.pretrained import PretrainedFiles
from modeling.tokenization import Tokenizer, read_case_setting
from modeling.training import ModelFiles


class Start(NamedTuple):
    """A model's config and tokenizer, and what is written beside its weights.

    Attributes:
      config: the network's sizes.
      tokenizer: as the model was trained with.
      model_files: the same as files.
    """

    config: BertConfig
    tokenizer: Tokenizer
    model_files: ModelFiles


def find_start(
    files: PretrainedFiles,
    output_dir: str,
    do_train: bool,
    max_seq_length: int,
) -> Start:
    """Opens what flags name, and without training, what training has written.

    Args:
      files: as the user named them.
      output_dir: of the training.
      do_train: whether there is to be training: its files then do not matter.
      max_seq_length: the longest row.

    Raises:
      UserError: a file is missing, or they do not belong together.
    """
    if not do_train:
        files = _trained_files(files, output_dir)
    found = files.load()
    _check(found.config, found.tokenizer, max_seq_length)
    model_files = ModelFiles(
        found.config, found.vocabulary, found.do_lower_case
    )
    return Start(found.config, found.tokenizer, model_files)


def _trained_files(files: PretrainedFiles, output_dir: str) -> PretrainedFiles:
    """Names, where the user did not, the files beside the trained model."""
    if not os.path.isdir(output_dir):
        return files
    names = os.listdir(output_dir)

    def path(name: str | None) -> str | None:
        return os.path.join(output_dir, name) if name in names else None

    vocab_file, spm_model_file = files.vocab_file, files.spm_model_file
    if vocab_file is None and spm_model_file is None:
        models = [name for name in names if name.endswith(".model")]
        vocab_file = path("vocab.txt")
        spm_model_file = None if vocab_file else path(next(iter(models), None))
    case = files.do_lower_case
    return dataclasses.replace(
        files,
        bert_config_file=files.bert_config_file or path("bert_config.json"),
        vocab_file=vocab_file,
        spm_model_file=spm_model_file,
        do_lower_case=read_case_setting(output_dir) if case is None else case,
    )


def _check(
    config: BertConfig, tokenizer: Tokenizer, max_seq_length: int
) -> None:
    learned = config.position_embedding_type == "learned"
    if learned and max_seq_length > config.max_position_embeddings:
        raise UserError(
            f"Cannot use max_seq_length {max_seq_length}: the model was "
            f"trained with at most {config.max_position_embeddings} positions "
            "(max_position_embeddings)."
        )
    size, rows = tokenizer.vocab_size, config.vocab_size
    if size > rows:
        raise UserError(
            f"The vocabulary has {size} entries, the model's table {rows} rows "
            "(vocab_size in its config). Give the vocabulary that came with "
            "the model."
        )
    if size < rows:
        logging.warning(
            "The vocabulary has %d entries, the model's table %d rows. Is it "
            "the vocabulary that came with the model?",
            size,
            rows,
        )
