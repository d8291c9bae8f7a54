"""Requests of bert-as-service's clients.

{"id": 7, "texts": ["a text"], "is_tokenized": false} is answered by
{"id": 7, "results": [[0.1, ...]], "status": 200}
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from modeling.serving.limits import Limits, RequestRefused
from modeling.serving.model import Model
from modeling.serving.rest import Query, join
from modeling.serving.signatures import DEFAULT_SIGNATURE, Outputs, Row

TOKEN_IDS = "token_ids"
# What vectors are called in the outputs: one a text, or one a token.
_VECTORS = ("embedding", "vectors")


class Encoder:
    """Vectors of texts by one model.

    Args:
      model: with a signature for texts.
    """

    def __init__(self, model: Model) -> None:
        self.model = model
        self._vocabulary: dict[str, int] | None = None

    @staticmethod
    def fits(model: Model) -> bool:
        """Whether a model gives vectors."""
        signature = model.signatures.get(DEFAULT_SIGNATURE)
        return (
            signature is not None
            and list(signature.inputs) == ["text"]
            and any(name in signature.outputs for name in _VECTORS)
        )

    def parse(self, message: Any, limits: Limits) -> Query:
        """Reads the body of a request.

        Raises:
          RequestRefused: it is no such body, or too much.
        """
        if not isinstance(message, dict) or "id" not in message:
            raise RequestRefused(
                400, 'The body must be an object with "id" and "texts".'
            )
        if not isinstance(message["id"], str | int | float | None):
            # Anything else might be too deep to be said again.
            raise RequestRefused(400, '"id" must be a number or a string.')
        texts = message.get("texts")
        if not isinstance(texts, list) or not texts:
            raise RequestRefused(
                400, '"texts" must be a list that is not empty.'
            )
        limits.check_texts(len(texts))
        tokenized = message.get("is_tokenized", False)
        if not isinstance(tokenized, bool):
            raise RequestRefused(400, '"is_tokenized" must be true or false.')
        if tokenized:
            rows = [self._tokens(t, i) for i, t in enumerate(texts)]
            return Query(TOKEN_IDS, rows)
        rows = []
        for index, text in enumerate(texts):
            if not isinstance(text, str):
                raise RequestRefused(400, f"texts[{index}] must be a string.")
            rows.append((text.encode(),))
            limits.check_text(rows[-1][0], f"texts[{index}]")
        return Query(DEFAULT_SIGNATURE, rows)

    def answer(
        self, message: dict[str, Any], answers: Sequence[Outputs]
    ) -> dict[str, Any]:
        """The body that answers."""
        name = next(name for name in _VECTORS if name in answers[0])
        vectors = join([row[name] for row in answers], name)
        return {"id": message["id"], "results": vectors, "status": 200}

    def _tokens(self, tokens: Any, index: int) -> Row:
        """Pieces of the vocabulary, cut to the model's length."""
        if not isinstance(tokens, list) or not all(
            isinstance(token, str) for token in tokens
        ):
            raise RequestRefused(
                400, f"texts[{index}] must be a list of tokens."
            )
        vocabulary = self._load_vocabulary()
        unknown = vocabulary["[UNK]"]
        tokens = tokens[: self.model.info["max_seq_length"] - 2]
        ids = np.array(
            [
                vocabulary["[CLS]"],
                *(vocabulary.get(token, unknown) for token in tokens),
                vocabulary["[SEP]"],
            ],
            np.int32,
        )
        values = {
            "input_ids": ids,
            "input_mask": np.ones_like(ids),
            "segment_ids": np.zeros_like(ids),
        }
        inputs = self.model.signatures[TOKEN_IDS].inputs
        return tuple(values[name] for name in inputs)

    def _load_vocabulary(self) -> dict[str, int]:
        if self._vocabulary is None:
            # Here: the package brings all tokenizers.
            from modeling.tokenization.vocabulary import load_vocab

            path = self.model.vocabulary_file
            if path is None or TOKEN_IDS not in self.model.signatures:
                raise RequestRefused(
                    400,
                    "The model has no vocab.txt: it takes no tokens, but texts "
                    'with "is_tokenized": false.',
                )
            self._vocabulary = load_vocab(path)
        return self._vocabulary
