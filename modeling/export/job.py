"""From the folder of a trained model to one that can be served."""

from __future__ import annotations

import contextlib
import dataclasses
import glob
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from absl import logging

from modeling.errors import UserError
from modeling.export.answering import AnswererExporter
from modeling.export.choosing import ChoiceExporter
from modeling.export.classification import ClassifierExporter
from modeling.export.embedding import EncoderExporter
from modeling.export.exported import Exporter
from modeling.export.lite import MODEL as LITE_FILE
from modeling.export.lite import try_lite_model, write_lite_model
from modeling.export.onnx import MODEL as ONNX_FILE
from modeling.export.onnx import try_onnx_model, write_onnx_model
from modeling.export.parity import Tried
from modeling.export.saved_model import try_saved_model, write_saved_model
from modeling.export.tagging import TaggerExporter
from modeling.export.trained import TrainedModel
from modeling.features import FeatureOptions
from modeling.finetuning.setup import KEPT
from modeling.output_files import write_json
from modeling.tasks.classification.labels import LABEL_MAP
from modeling.tasks.squad import AnswerOptions
from modeling.tasks.tagging.tag_set import TAG_MAP

INFO = "assets.extra/model_info.json"
# What a model is, by what lies in its folder; AUTO finds it.
AUTO = "auto"
CLASSIFICATION = "classification"
QUESTION_ANSWERING = "question_answering"
TAGGING = "tagging"
MULTIPLE_CHOICE = "multiple_choice"
FEATURES = "features"
TASKS = (
    AUTO,
    CLASSIFICATION,
    QUESTION_ANSWERING,
    TAGGING,
    MULTIPLE_CHOICE,
    FEATURES,
)


class _Format(NamedTuple):
    """How models of a format are written and tried, and what they may be; and
    the file by which their folders are known.
    """

    file: str
    write: Callable[[Exporter, str, str], dict[str, Any]]
    attempt: Callable[[Exporter, str, str], Tried]
    precisions: tuple[str, ...]


_FORMATS = {
    "saved_model": _Format(
        "saved_model.pb",
        write_saved_model,
        try_saved_model,
        ("float32", "bfloat16", "float16"),
    ),
    "tflite": _Format(
        LITE_FILE,
        write_lite_model,
        try_lite_model,
        ("float32", "float16", "int8"),
    ),
    "onnx": _Format(
        ONNX_FILE, write_onnx_model, try_onnx_model, ("float32", "int8")
    ),
}
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")


@dataclasses.dataclass(frozen=True)
class ExportOptions:
    """What is exported, and how.

    Attributes:
      task: one of `TASKS`.
      file_format: "saved_model", or "tflite" or "onnx" for a file that takes
        tokens.
      precision: of the weights: "float32", "bfloat16" or "float16"; with
        "tflite" also "int8", but not "bfloat16"; with "onnx" "float32" or
        "int8".
      max_seq_length: the longest row; None: as the model was trained with.
      pairs: whether a classifier takes pairs of texts; None: as far as the
        folder says.
      features: of an encoder without a head.
      answers: of a question answerer.

    Raises:
      UserError: options that do not go together.
    """

    task: str = AUTO
    file_format: str = "saved_model"
    precision: str = "float32"
    max_seq_length: int | None = None
    pairs: bool | None = None
    features: FeatureOptions = FeatureOptions(
        layers=(-1,), combine="none", pooling="mean"
    )
    answers: AnswerOptions = AnswerOptions()

    def __post_init__(self) -> None:
        if self.file_format not in _FORMATS:
            raise UserError(
                f"The format must be one of {', '.join(_FORMATS)}. Received: "
                f"{self.file_format!r}"
            )
        precisions = _FORMATS[self.file_format].precisions
        if self.precision not in precisions:
            raise UserError(
                f"A model in the format {self.file_format} has weights of "
                f"{', '.join(precisions)}. Received: {self.precision!r}"
            )


class Export(NamedTuple):
    """What was exported.

    Attributes:
      directory: of the version.
      megabytes: of all its files.
      tried: how it did.
    """

    directory: str
    megabytes: float
    tried: Tried


def export_model(
    model_dir: str,
    export_dir: str,
    options: ExportOptions,
    name: str | None = None,
    version: int | None = None,
) -> Export:
    """Writes <export_dir>/<name>/<version>/, which is there only when it is
    whole and says what the trained model says.

    Args:
      model_dir: of the trained model.
      export_dir: where models are served from; made if need be.
      options: see there.
      name: of the model; None: that of `model_dir`.
      version: None: one more than the highest there.

    Raises:
      UserError: there is no such model, options that are not for it, versions
        in another format, or one that is there already or cannot be written.
      Refused: the export does not say what the trained model says.
    """
    directory = _version_directory(model_dir, export_dir, name, version)
    _refuse_other_formats(os.path.dirname(directory), options.file_format)
    trained = TrainedModel.open(model_dir, options.max_seq_length)
    exporter = find_exporter(trained, options)
    logging.info("Exporting %s: %s", model_dir, exporter.task)
    file_format = _FORMATS[options.file_format]
    with _staged(directory) as temporary:
        signatures = file_format.write(exporter, temporary, options.precision)
        tried = file_format.attempt(exporter, temporary, options.precision)
        _describe(temporary, directory, trained, exporter, options, signatures)
    return Export(directory, _megabytes(directory), tried)


def find_exporter(trained: TrainedModel, options: ExportOptions) -> Exporter:
    """What a folder holds, as the options want it.

    Raises:
      UserError: it is not what they say, of a task that is not exported, or
        options say something of another task.
    """
    kept = trained.kept
    holds = FEATURES
    if trained.has(LABEL_MAP):
        holds = CLASSIFICATION
    elif trained.has(TAG_MAP):
        holds = TAGGING
    elif "max_query_length" in kept:
        holds = QUESTION_ANSWERING
    elif trained.chooses():
        holds = MULTIPLE_CHOICE
    elif kept and options.task == AUTO:
        raise UserError(
            f"{trained.directory} holds a model of a task that cannot be "
            f"exported; its {KEPT} has {', '.join(kept)}. --task=features "
            "exports its encoder."
        )
    task = holds if options.task == AUTO else options.task
    if task not in (holds, FEATURES):
        raise UserError(
            f"{trained.directory} holds no model for --task={task} but one for "
            f"{holds}."
        )
    _refuse_unused(task, options)
    return _EXPORTERS[task](trained, options)


_EXPORTERS: dict[str, Callable[[TrainedModel, ExportOptions], Exporter]] = {
    CLASSIFICATION: lambda trained, o: ClassifierExporter(trained, o.pairs),
    QUESTION_ANSWERING: lambda trained, o: AnswererExporter(trained, o.answers),
    TAGGING: lambda trained, o: TaggerExporter(trained),
    MULTIPLE_CHOICE: lambda trained, o: ChoiceExporter(trained),
    FEATURES: lambda trained, o: EncoderExporter(trained, o.features),
}


def _refuse_unused(task: str, options: ExportOptions) -> None:
    """Raises `UserError` for options that are not of the task."""
    usual = ExportOptions()
    for names, wanted, given in (
        ("--pairs", CLASSIFICATION, bool(options.pairs)),
        (
            "--layers, --combine, --layer_weights, --pooling",
            FEATURES,
            options.features != usual.features,
        ),
        (
            "--max_answer_length, --null_score_diff_threshold",
            QUESTION_ANSWERING,
            options.answers != usual.answers,
        ),
    ):
        if given and task != wanted:
            raise UserError(
                f"For --task={wanted} alone: {names}. Exported is a model for "
                f"{task}. Leave them out, or give --task={wanted}."
            )


@contextlib.contextmanager
def _staged(directory: str) -> Iterator[str]:
    """A temporary directory that becomes `directory` once it is whole.

    Raises:
      UserError: something cannot be written, or `directory` has come meanwhile.
    """
    parent = os.path.dirname(directory)
    try:
        os.makedirs(parent, exist_ok=True)
        # Beside the model, where a rename is one step and no server looks.
        temporary = tempfile.mkdtemp(
            prefix=".exporting-", dir=os.path.dirname(parent)
        )
        try:
            yield temporary
            os.chmod(temporary, 0o755)
            os.rename(temporary, directory)
        except BaseException:
            shutil.rmtree(temporary, ignore_errors=True)
            _remove_empty(parent)
            raise
    except OSError as error:
        raise UserError(f"{directory} cannot be written: {error}") from error


def _version_directory(
    model_dir: str, export_dir: str, name: str | None, version: int | None
) -> str:
    if "://" in export_dir:
        raise UserError(
            "A model is exported to a local directory, from which it can be "
            f"copied as it is. Received: {export_dir}"
        )
    if name is None:
        name = os.path.basename(os.path.abspath(model_dir))
    if not _NAME.fullmatch(name):
        raise UserError(
            "A model's name is part of its address: letters, digits, _, . and "
            f"-, the first a letter or digit. Received: {name!r}. Give --name."
        )
    parent = os.path.join(export_dir, name)
    if version is None:
        there = os.listdir(parent) if os.path.isdir(parent) else []
        version = 1 + max((int(n) for n in there if n.isdigit()), default=0)
    directory = os.path.join(parent, str(version))
    if os.path.exists(directory):
        raise UserError(
            f"{directory} is there already, and may be in use. Give another "
            "--version, or none for the next."
        )
    return directory


def _refuse_other_formats(parent: str, file_format: str) -> None:
    """Raises `UserError` where a model has versions in another format.

    TensorFlow Serving takes the highest version, and fails where that is no
    SavedModel.
    """
    for other, known in _FORMATS.items():
        pattern = os.path.join(glob.escape(parent), "*", known.file)
        if other != file_format and glob.glob(pattern):
            name = os.path.basename(parent)
            raise UserError(
                f"{parent} has versions in the format {other}, and what serves "
                "them cannot load a later one in another. Received: "
                f"--format={file_format}. Give --name, such as "
                f"--name={name}-{file_format}, or another --export_dir."
            )


def _describe(
    temporary: str,
    directory: str,
    trained: TrainedModel,
    exporter: Exporter,
    options: ExportOptions,
    signatures: dict[str, Any],
) -> None:
    """Writes what a server tells its users, and the vocabulary."""
    extra = os.path.join(temporary, os.path.dirname(INFO))
    os.makedirs(extra, exist_ok=True)
    for name, path in trained.vocabulary.items():
        shutil.copyfile(path, os.path.join(extra, name))
    tokenizer = trained.tokenizer
    parent, version = os.path.split(directory)
    write_json(
        os.path.join(temporary, INFO),
        {
            "name": os.path.basename(parent),
            "version": int(version),
            "task": exporter.task,
            "inputs": list(exporter.inputs),
            "signatures": signatures,
            "format": options.file_format,
            "precision": options.precision,
            "max_seq_length": exporter.max_seq_length,
            "vocab_size": trained.config.vocab_size,
            "type_vocab_size": trained.config.type_vocab_size,
            "do_lower_case": tokenizer.do_lower_case,
            "strip_accents": tokenizer.strip_accents,
            "vocabulary": list(trained.vocabulary),
            **exporter.describe(),
        },
    )


def _megabytes(directory: str) -> float:
    return (
        sum(
            os.path.getsize(os.path.join(parent, name))
            for parent, _, names in os.walk(directory)
            for name in names
        )
        / 1e6
    )


def _remove_empty(directory: str) -> None:
    try:
        os.rmdir(directory)
    except OSError:
        # Other versions are there.
        pass
