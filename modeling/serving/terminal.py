"""Answers to lines by a loaded model, without a server."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import orjson

from modeling.errors import UserError
from modeling.serving.limits import Limits, RequestRefused
from modeling.serving.model import Model
from modeling.serving.repository import find_models
from modeling.serving.rest import answer_predict, parse_predict
from modeling.serving.signatures import DEFAULT_SIGNATURE


class LineAnswerer:
    """Line -> what the model says of it.

    Lines and answers are those of `--interactive` in the script that trained
    the model; vectors are JSON.

    Args:
      model: that takes texts.

    Raises:
      UserError: it takes something else.
    """

    def __init__(self, model: Model) -> None:
        signature = model.signatures.get(DEFAULT_SIGNATURE)
        if signature is None or not signature.takes_texts:
            raise UserError(f"{model.directory} takes no texts.")
        self._model = model
        # In the order of people, where it is known.
        self._inputs = model.info.get("inputs", list(signature.inputs))
        # All texts behind the others.
        self._has_choices = signature.inputs[self._inputs[-1]].is_choices

    @classmethod
    def open(cls, directory: str, name: str | None = None) -> LineAnswerer:
        """Loads the newest version of a model.

        Args:
          directory: see `find_models`.
          name: None: the only one.

        Raises:
          UserError: no such model, several to choose from, or one that cannot
            be loaded.
        """
        models = find_models(directory)
        if name is None and len(models) == 1:
            (name,) = models
        if name not in models:
            raise UserError(
                f"{directory} has the models {', '.join(models) or 'none'}: "
                f"--name must be one. Received: {name}"
            )
        versions = models[name]
        folder = versions[max(versions)]
        try:
            model = Model.load(folder)
        except Exception as error:
            raise UserError(f"{folder} cannot be loaded: {error}") from error
        return cls(model)

    def __call__(self, line: str) -> str:
        """Raises `UserError` for a line with too few or too many texts."""
        row = self._row(line)
        try:
            query = parse_predict({"instances": [row]}, self._model, Limits())
        except RequestRefused as refused:
            raise UserError(refused.reason) from refused
        answers = self._model.compute(query.signature, query.rows)
        (said,) = answer_predict(query, self._model, answers)["predictions"]
        show = _SHOWN.get(self._model.task)
        if show is not None:
            return show(said, row, self._model.info)
        return orjson.dumps(said, option=orjson.OPT_SERIALIZE_NUMPY).decode()

    def _row(self, line: str) -> dict[str, Any]:
        """A line's texts, by input."""
        texts: list[Any] = line.split("\t")
        count, wanted = len(texts), len(self._inputs)
        if self._has_choices and count >= wanted:
            texts[wanted - 1 :] = [texts[wanted - 1 :]]
        if len(texts) != wanted:
            raise UserError(
                f"A line has {' <tab> '.join(self._inputs)}. Received: "
                f"{count} texts"
            )
        return dict(zip(self._inputs, texts, strict=True))


_Said = Mapping[str, Any]


def _show_label(said: _Said, row: _Said, info: _Said) -> str:
    return f"{said['label']}\t{max(said['probabilities']):.4f}"


def _show_labels(said: _Said, row: _Said, info: _Said) -> str:
    columns = zip(
        info["labels"], said["labels"], said["probabilities"], strict=True
    )
    given = [f"{name}\t{share:.4f}" for name, given, share in columns if given]
    return "\t".join(given) or "-"


def _show_score(said: float, row: _Said, info: _Said) -> str:
    return f"{said:.4f}"


def _show_answer(said: _Said, row: _Said, info: _Said) -> str:
    return f"{said['answer'] or '-'}\t{said['score']:.4f}"


def _show_tags(said: _Said, row: _Said, info: _Said) -> str:
    if "entity_types" not in said:
        places = zip(said["word_starts"], said["word_ends"], strict=True)
        words = [row["text"][start:end] for start, end in places]
        pairs = zip(words, said["tags"], strict=True)
        return " ".join(f"{word}/{tag}" for word, tag in pairs)
    texts, types = said["entity_texts"], said["entity_types"]
    if texts and not any(types):
        # Words that characters make.
        return " ".join(texts)
    pairs = zip(types, texts, strict=True)
    return "\t".join(f"{kind}\t{text}" for kind, text in pairs) or "-"


def _show_choice(said: _Said, row: _Said, info: _Said) -> str:
    number = said["choice"]
    return f"{row['choices'][number]}\t{said['probabilities'][number]:.4f}"


_SHOWN: dict[str | None, Callable[[Any, _Said, _Said], str]] = {
    "classification": _show_label,
    "multi_label": _show_labels,
    "regression": _show_score,
    "question_answering": _show_answer,
    "tagging": _show_tags,
    "multiple_choice": _show_choice,
}
