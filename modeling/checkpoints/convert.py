"""Conversion of a checkpoint to another format, or to the same without slots.

What the numbers mean is carried over, not the words for it: Google's "gelu"
is the tanh approximation, Hugging Face's is the exact function.
"""

from __future__ import annotations

import dataclasses
import math
import os
import shutil
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
from absl import logging

from modeling.checkpoints.files import check_space, staged_directory
from modeling.checkpoints.google import write_google_checkpoint
from modeling.checkpoints.grow import NewVocabulary
from modeling.checkpoints.huggingface import (
    CONFIG_FILE,
    TOKENIZER_FILE,
    WEIGHTS_FILE,
    write_huggingface_directory,
)
from modeling.checkpoints.huggingface_names import huggingface_key
from modeling.checkpoints.keras_files import write_keras_weights
from modeling.checkpoints.opening import open_checkpoint
from modeling.checkpoints.reader import (
    BERT_CONFIG_FILE,
    VOCAB_FILE,
    CheckpointReader,
)
from modeling.checkpoints.report import listed
from modeling.checkpoints.sizes import WORD_EMBEDDINGS, check_encoder
from modeling.config import BertConfig
from modeling.errors import UserError

_Arrays = Mapping[str, np.ndarray]


@dataclasses.dataclass(frozen=True)
class ConversionOptions:
    """What to write, and what the checkpoint itself does not say.

    Attributes:
      to: one of `FORMATS`.
      config_file: instead of the config beside the checkpoint.
      vocab_file: instead of the vocabulary beside the checkpoint.
      spm_model_file: instead of the SentencePiece model beside it.
      hidden_act: the activation that the weights were trained with, where
        the config is known to name another.
      do_lower_case: of the tokenizer, written beside the model; None: as the
        config says, or for Hugging Face as the vocabulary shows.
      strip_accents: likewise; None: as the config says.
      new_vocabulary: to put in the place of the one that the checkpoint was
        trained with.
      keep_optimizer: keep optimizer slots and the step counter.
      overwrite: replace existing files.
    """

    to: str
    config_file: str | None = None
    vocab_file: str | None = None
    spm_model_file: str | None = None
    hidden_act: str | None = None
    do_lower_case: bool | None = None
    strip_accents: bool | None = None
    new_vocabulary: NewVocabulary | None = None
    keep_optimizer: bool = False
    overwrite: bool = False

    def __post_init__(self) -> None:
        if self.to not in FORMATS:
            raise UserError(
                f"The format must be one of {', '.join(FORMATS)}. Received: "
                f"{self.to!r}"
            )
        for file in filter(None, (self.vocab_file, self.spm_model_file)):
            if not os.path.isfile(file):
                raise UserError(f"There is no vocabulary {file}.")
        if self.new_vocabulary and self.keep_optimizer:
            raise UserError(
                "The optimizer's state cannot be kept with a new vocabulary: "
                "it has none for the new rows."
            )


@dataclasses.dataclass(frozen=True)
class ConversionReport:
    """What was written.

    Attributes:
      source: path of the checkpoint that was read.
      source_format: its format.
      files: what was written.
      left_out: variables that the format has no place for.
      variables: number of arrays written.
      parameters: their elements.
      size: of all files in bytes.
      seconds: from opening the checkpoint to the last file.
      hidden_act: the function that the new config stands for, in our terms.
    """

    source: str
    source_format: str
    files: tuple[Path, ...]
    left_out: tuple[str, ...]
    variables: int
    parameters: int
    size: int
    seconds: float
    hidden_act: str

    def summary(self) -> str:
        """A few lines for the user."""
        lines = [
            f"Read {self.source} ({self.source_format}).",
            f"Wrote {self.variables} variables, {self.parameters:,} "
            f"parameters, {self.size:,} bytes in {self.seconds:.1f} s; "
            f"hidden_act is {self.hidden_act}:",
            *(f"  {file}" for file in self.files),
        ]
        if self.left_out:
            lines.append(
                f"Left out, having no place there: {listed(self.left_out)}"
            )
        return "\n".join(lines)


def convert_checkpoint(
    source: str | os.PathLike[str],
    output: str | os.PathLike[str],
    options: ConversionOptions,
) -> ConversionReport:
    """Writes a checkpoint in another format, with its config and vocabulary.

    Args:
      source: anything that `open_checkpoint` takes.
      output: a directory, or in it the name of a `.ckpt` prefix (Google) or of
        a `.weights.h5` file (Keras).
      options: see the class.

    Raises:
      UserError: the checkpoint cannot be read, its config is missing or
        contradicts its weights, the encoder is not whole, the format cannot
        hold it, the output exists, or there is no space for it. Nothing has
        been written then.
    """
    started = time.monotonic()
    layout = FORMATS[options.to]
    reader = open_checkpoint(source)
    config = _amended(_config(reader, options), options)
    shapes = _new_shapes(reader, options)
    names, left_out = _select(reader, options)
    vocab_file, spm_file = _vocabularies(reader, options, config)

    directory, name = _location(Path(output), layout)
    files = layout.files(name)
    if vocab_file:
        files += layout.vocab_files
    if spm_file:
        files.append(spm_file.name)
    _check_absent(directory, files, options.overwrite)
    parameters = sum(math.prod(shapes[name]) for name in names)
    check_space(directory, 4 * parameters)  # float32
    with staged_directory(directory) as staging:
        arrays = reader.arrays(names)
        if options.new_vocabulary:
            arrays = options.new_vocabulary.apply(arrays)
        layout.write(staging / name, arrays, config, vocab_file)
        if spm_file:
            shutil.copyfile(spm_file, staging / spm_file.name)
    paths = tuple(directory / file for file in files)
    return ConversionReport(
        source=reader.path,
        source_format=reader.format,
        files=paths,
        left_out=tuple(left_out),
        variables=len(names),
        parameters=parameters,
        size=sum(path.stat().st_size for path in paths),
        seconds=time.monotonic() - started,
        hidden_act=config.hidden_act,
    )


def _config(reader: CheckpointReader, options: ConversionOptions) -> BertConfig:
    if options.config_file:
        config = BertConfig.from_json_file(options.config_file)
    else:
        config = reader.config
    if config is None:
        raise UserError(
            f"There is no config beside {reader.path}. Give the one that the "
            "model was trained with: --bert_config_file=..."
        )
    if WORD_EMBEDDINGS not in reader.shapes:
        raise UserError(
            f"{reader.path} is no checkpoint of BERT: it has no "
            f"{WORD_EMBEDDINGS}, but {listed(reader.weights, 3)}."
        )
    check_encoder(config, reader.path, reader.shapes)
    return config


def _amended(config: BertConfig, options: ConversionOptions) -> BertConfig:
    """The config with what the user says about the model."""
    tokenizer = {
        "do_lower_case": options.do_lower_case,
        "strip_accents": options.strip_accents,
    }
    said = {key: said for key, said in tokenizer.items() if said is not None}
    new = options.new_vocabulary
    return dataclasses.replace(
        config,
        vocab_size=new.size if new else config.vocab_size,
        hidden_act=options.hidden_act or config.hidden_act,
        extra={**config.extra, **said},
    )


def _new_shapes(
    reader: CheckpointReader, options: ConversionOptions
) -> dict[str, tuple[int, ...]]:
    """The shape that every array will have."""
    new = options.new_vocabulary
    if new is None:
        return reader.shapes
    new.check(reader.shapes[WORD_EMBEDDINGS][0])
    return {k: new.shape(k, shape) for k, shape in reader.shapes.items()}


def _select(
    reader: CheckpointReader, options: ConversionOptions
) -> tuple[list[str], list[str]]:
    """The names to write, and those that the new format cannot hold."""
    if options.keep_optimizer:
        if (reader.format, options.to) != ("google", "google"):
            raise UserError(
                "Only Google's format holds the optimizer's state, so it can "
                "be kept only from google to google. Received: "
                f"{reader.format} to {options.to}"
            )
        return list(reader.shapes), []
    names = reader.weights
    if options.to != "huggingface":
        return names, []
    left_out = [name for name in names if huggingface_key(name) is None]
    if left_out:
        logging.warning("Hugging Face has no place for %s", listed(left_out))
    return [name for name in names if name not in left_out], left_out


def _vocabularies(
    reader: CheckpointReader, options: ConversionOptions, config: BertConfig
) -> tuple[Path | None, Path | None]:
    """The WordPiece and the SentencePiece file to go with the weights."""
    vocab_file, spm_file = (
        Path(given) if given else beside
        for given, beside in (
            (options.vocab_file, reader.vocab_file),
            (options.spm_model_file, reader.spm_model_file),
        )
    )
    if options.new_vocabulary:
        vocab_file = options.new_vocabulary.file
    if vocab_file:
        entries = len(vocab_file.read_bytes().splitlines())
        if entries != config.vocab_size:
            logging.warning(
                "%s has %d lines, the table of words %d rows",
                vocab_file,
                entries,
                config.vocab_size,
            )
    return vocab_file, spm_file


def _location(output: Path, layout: _Layout) -> tuple[Path, str]:
    if layout.suffix and output.name.endswith(layout.suffix):
        return output.parent, output.name
    return output, layout.default_name


def _check_absent(directory: Path, files: list[str], overwrite: bool) -> None:
    existing = [file for file in files if (directory / file).exists()]
    if existing and not overwrite:
        raise UserError(
            f"{directory} already has {', '.join(existing)}. Choose another "
            "directory, or replace the files with --overwrite."
        )


def _write_google(
    file: Path,
    arrays: _Arrays,
    config: BertConfig,
    vocab_file: Path | None,
) -> None:
    write_google_checkpoint(file, arrays)
    text = config.to_json_string()
    (file.parent / BERT_CONFIG_FILE).write_text(text, encoding="utf-8")
    if vocab_file:
        shutil.copyfile(vocab_file, file.parent / VOCAB_FILE)


def _write_huggingface(
    file: Path,
    arrays: _Arrays,
    config: BertConfig,
    vocab_file: Path | None,
) -> None:
    write_huggingface_directory(file.parent, arrays, config, vocab_file)


def _write_keras(
    file: Path,
    arrays: _Arrays,
    config: BertConfig,
    vocab_file: Path | None,
) -> None:
    write_keras_weights(file, arrays, config)
    if vocab_file:
        shutil.copyfile(vocab_file, file.parent / VOCAB_FILE)


@dataclasses.dataclass(frozen=True)
class _Layout:
    """The files of a format.

    Attributes:
      default_name: of the weights, or the prefix of their names.
      suffix: ending of other names that may be given; "": none may.
      files: from that name to the files that are always written.
      vocab_files: those that are written where there is a vocabulary.
      write: writes all of them into the directory of its first argument.
    """

    default_name: str
    suffix: str
    files: Callable[[str], list[str]]
    vocab_files: tuple[str, ...]
    write: Callable[[Path, _Arrays, BertConfig, Path | None], None]


FORMATS = {
    "google": _Layout(
        "bert_model.ckpt",
        ".ckpt",
        lambda name: [
            f"{name}.data-00000-of-00001",
            f"{name}.index",
            BERT_CONFIG_FILE,
        ],
        (VOCAB_FILE,),
        _write_google,
    ),
    "huggingface": _Layout(
        WEIGHTS_FILE,
        "",
        lambda name: [name, CONFIG_FILE],
        (VOCAB_FILE, TOKENIZER_FILE),
        _write_huggingface,
    ),
    "keras": _Layout(
        "bert_model.weights.h5",
        ".weights.h5",
        lambda name: [name, BERT_CONFIG_FILE],
        (VOCAB_FILE,),
        _write_keras,
    ),
}
