"""initialize_model: a checkpoint's weights into a model, with a report."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from absl import logging

from modeling.checkpoints.opening import open_checkpoint
from modeling.checkpoints.reader import CheckpointReader
from modeling.checkpoints.report import LoadReport, compare, listed
from modeling.checkpoints.sizes import (
    WORD_EMBEDDINGS,
    deduce_sizes,
    size_differences,
)
from modeling.config import BertConfig
from modeling.errors import UserError

if TYPE_CHECKING:
    import keras

_ENCODER = "bert/"
# Models without a use for it are often saved without it.
_POOLER = "bert/pooler/"
# These shape no variable, so that nothing else would tell a difference.
_INVISIBLE_ERRORS = ("num_attention_heads", "position_embedding_type")
_INVISIBLE_WARNINGS = ("hidden_act", "layer_norm_eps")


def initialize_model(
    model: keras.Model,
    init_checkpoint: str | os.PathLike[str],
    *,
    vocab_size: int | None = None,
    expected_new: Sequence[str] = (),
    allow_partial: bool = False,
) -> LoadReport:
    """Assigns a checkpoint's arrays to the variables of the same names.

    The original (`get_assignment_map_from_checkpoint`) keeps the intersection
    of both sides in silence. Here everything that makes a model compute
    something else than the checkpoint's is an error or a warning. No variable
    changes before all checks have passed, but for that of the numbers
    themselves.

    Args:
      model: its `weights` are assigned; optimizer and metrics are not touched.
      init_checkpoint: anything that `open_checkpoint` takes.
      vocab_size: of the tokenizer that will feed the model.
      expected_new: variables, or whole scopes, that the checkpoint need not
        have: they are left as initialized without a warning. With one, where
        the checkpoint has them in another shape: it is of another task.
      allow_partial: lets the model use a part of the checkpoint's encoder, say
        its first layers, or a part of its word table.

    Returns:
      What was assigned and what was not; logged as well.

    Raises:
      UserError: the checkpoint cannot be read, shares no variable with the
        model, belongs to a model of other sizes, layers or vocabulary, or holds
        numbers that are not finite.
    """
    reader = open_checkpoint(init_checkpoint)
    variables = {variable.path: variable for variable in model.weights}
    shapes = {name: tuple(v.shape) for name, v in variables.items()}
    theirs = dict(reader.shapes)
    for name in [n for n in shapes if _is_below(n, expected_new)]:
        if theirs.get(name, shapes[name]) != shapes[name]:
            logging.warning(
                "%s has %s for another task, of shape %s instead of %s: it "
                "begins anew.",
                reader.path,
                name,
                list(theirs.pop(name)),
                list(shapes[name]),
            )
    report = compare(reader.path, shapes, theirs)
    new = [name for name in report.missing if _is_below(name, expected_new)]

    _check_vocabulary(vocab_size, reader, allow_partial)
    _check_any_match(report)
    _check_shapes(report, shapes, reader)
    _check_invisible(getattr(model, "config", None), reader)
    _check_encoder(report, new, shapes, reader, allow_partial)

    for name in report.matched:
        variables[name].assign(_read_finite(reader, name))
    log = logging.info if len(new) == len(report.missing) else logging.warning
    log("%s", report.summary())
    return report


def _read_finite(reader: CheckpointReader, name: str) -> np.ndarray:
    values = reader.read(name)
    bad = values.size - int(np.isfinite(values).sum())
    if bad:
        raise UserError(
            f"{reader.path}: {bad} of {values.size} numbers of {name} are not "
            "finite (nan or inf), so that nothing can be computed with them. "
            "The training that wrote them has diverged, or the file is "
            "damaged: give another checkpoint."
        )
    return values


def _is_below(name: str, scopes: Sequence[str]) -> bool:
    return any(name == s or name.startswith(f"{s}/") for s in scopes)


def _check_vocabulary(
    vocab_size: int | None, reader: CheckpointReader, allow_partial: bool
) -> None:
    rows = deduce_sizes(reader.shapes).get("vocab_size")
    if vocab_size is None or rows is None or vocab_size == rows:
        return
    if vocab_size < rows and allow_partial:
        return
    spare = ""
    if vocab_size < rows:
        spare = (
            " Should that be this one, and the table have rows to spare, give "
            "a copy with [unused...] lines added for them."
        )
    raise UserError(
        f"A vocabulary of {vocab_size} entries against a table of {rows} words "
        f"({WORD_EMBEDDINGS} in {reader.path}): its ids would mean other words "
        "to this checkpoint. Give the vocab.txt that came with the checkpoint."
        f"{spare}"
    )


def _check_any_match(report: LoadReport) -> None:
    if report.matched or report.shape_clash:
        return
    raise UserError(
        f"{report.checkpoint} has no variable of the model. It has "
        f"{listed(report.unexpected, 3) or 'no weights at all'}; the model has "
        f"{listed(report.missing, 3)}. Is this a checkpoint of BERT?"
    )


def _check_shapes(
    report: LoadReport,
    model_shapes: dict[str, tuple[int, ...]],
    reader: CheckpointReader,
) -> None:
    if not report.shape_clash:
        return
    differences = _differences(model_shapes, reader)
    words, rows = (
        deduce_sizes(shapes).get("vocab_size")
        for shapes in (model_shapes, reader.shapes)
    )
    if words and rows and words != rows:
        differences.append(
            f"That is a vocabulary of {words} against a table of {rows}."
        )
    remedy = "Give the bert_config.json that came with the checkpoint."
    if not differences:
        remedy = "Is the head that of another task or set of labels?"
        if any(clash.name.startswith(_ENCODER) for clash in report.shape_clash):
            remedy = "Its encoder is damaged: copy or download it again."
    lines = [
        f"{report.checkpoint} does not fit the model.",
        *differences,
        remedy,
        *_first_lines(report.shape_clash),
    ]
    raise UserError("\n  ".join(lines))


def _check_encoder(
    report: LoadReport,
    new: Sequence[str],
    model_shapes: dict[str, tuple[int, ...]],
    reader: CheckpointReader,
    allow_partial: bool,
) -> None:
    missing = [
        name
        for name in report.missing
        if name.startswith(_ENCODER)
        and not name.startswith(_POOLER)
        and name not in new
    ]
    unexpected = [n for n in report.unexpected if n.startswith(_ENCODER)]
    differences = _differences(model_shapes, reader)
    if missing:
        lines = [
            f"{report.checkpoint} lacks a part of the encoder.",
            *differences,
            "Give the bert_config.json that came with the checkpoint.",
            f"Not in the checkpoint: {listed(missing)}",
        ]
        raise UserError("\n  ".join(lines))
    if unexpected and not allow_partial:
        lines = [
            f"{report.checkpoint} has more of an encoder than the model, which "
            "would compute something else without it.",
            *differences,
            "Give the bert_config.json that came with the checkpoint; a "
            "smaller model on purpose needs allow_partial.",
            f"Not in the model: {listed(unexpected)}",
        ]
        raise UserError("\n  ".join(lines))


def _differences(
    model_shapes: dict[str, tuple[int, ...]], reader: CheckpointReader
) -> list[str]:
    return size_differences(
        deduce_sizes(model_shapes), deduce_sizes(reader.shapes)
    )


def _check_invisible(
    config: BertConfig | None, reader: CheckpointReader
) -> None:
    """Compares with the checkpoint's own config what shapes do not show."""
    theirs = reader.config
    if config is None or theirs is None:
        return
    for key in _INVISIBLE_ERRORS:
        if getattr(config, key) != getattr(theirs, key):
            raise UserError(
                f"The model's config says {key} {getattr(config, key)}, the "
                f"config of {reader.path} says {getattr(theirs, key)}. The "
                "weights fit both, but mean something only with the latter."
            )
    for key in _INVISIBLE_WARNINGS:
        if getattr(config, key) != getattr(theirs, key):
            logging.warning(
                "The model runs with %s %s, but the config of %s says %s.%s",
                key,
                getattr(config, key),
                reader.path,
                getattr(theirs, key),
                _GELU_NOTE if key == "hidden_act" else "",
            )


_GELU_NOTE = (
    ' ("gelu" is the tanh approximation, as in Google\'s code; "gelu_erf" is '
    'the exact function, which Hugging Face calls "gelu".)'
)


def _first_lines(items: Sequence[object], limit: int = 10) -> list[str]:
    lines = [str(item) for item in items[:limit]]
    if len(items) > limit:
        lines.append(f"and {len(items) - limit} more")
    return lines
