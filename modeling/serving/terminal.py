"""Answers to lines by a loaded model, without a server."""

from __future__ import annotations

from typing import Any

import orjson

from modeling.errors import UserError
from modeling.serving.limits import Limits, RequestRefused
from modeling.serving.model import DEFAULT_SIGNATURE, Model
from modeling.serving.repository import find_models
from modeling.serving.rest import answer_predict, parse_predict


class LineAnswerer:
    """Line -> what the model says of it, as JSON.

    Args:
      model: that takes texts.

    Raises:
      UserError: it takes something else.
    """

    def __init__(self, model: Model) -> None:
        signature = model.signatures.get(DEFAULT_SIGNATURE)
        if signature is None or not all(
            tensor.is_string for tensor in signature.inputs.values()
        ):
            raise UserError(f"{model.directory} takes no texts.")
        self._model = model
        # In the order of people, where it is known.
        self._inputs = model.info.get("inputs", list(signature.inputs))

    @classmethod
    def open(cls, directory: str, name: str | None = None) -> LineAnswerer:
        """Loads the newest version of a model.

        Args:
          directory: see `find_models`.
          name: None: the only one.

        Raises:
          UserError: no such model, or several to choose from.
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
        return cls(Model.load(versions[max(versions)]))

    def __call__(self, line: str) -> str:
        """Raises `UserError` for a line with too few or too many texts."""
        texts = line.split("\t")
        if len(texts) != len(self._inputs):
            raise UserError(
                f"A line has {' <tab> '.join(self._inputs)}. Received: "
                f"{len(texts)} texts"
            )
        message = {"instances": [dict(zip(self._inputs, texts, strict=True))]}
        try:
            query = parse_predict(message, self._model, Limits())
        except RequestRefused as refused:
            raise UserError(refused.reason) from refused
        answers = self._model.compute(query.signature, query.rows)
        said: dict[str, Any] = answer_predict(query, self._model, answers)
        return orjson.dumps(
            said["predictions"][0], option=orjson.OPT_SERIALIZE_NUMPY
        ).decode()
