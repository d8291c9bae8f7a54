"""SentencePiece in the graph gives the ids of the tokenizer of training."""

import pytest
import tensorflow as tf

from modeling.export.graph_sentencepiece import GraphSentencePiece
from modeling.tokenization import SentencePieceTokenizer
from tests.tokenization.conftest import random_texts  # noqa: F401
from tests.tokenization.test_sentencepiece_tokenizer import (  # noqa: F401
    model_file,
)


@pytest.mark.parametrize("strip", [True, False])
@pytest.mark.parametrize("lower", [True, False])
def test_ids_are_those_of_training(model_file, random_texts, lower, strip):  # noqa: F811
    tokenizer = SentencePieceTokenizer(model_file, lower, strip)
    function = tf.function(
        GraphSentencePiece(tokenizer),
        input_signature=[tf.TensorSpec([None], tf.string)],
    )
    texts = [
        *random_texts,
        "",
        "In 2000, 1999, and 3,000: ``quoted'' '' text.",
        "ΟΔΥΣΣΕΥΣ, \U0001d6ba ΑΣ\u0301. İ \u00a8 a",
        "\t a\x1c\x85 b \u3000",
    ]
    tokens = function(tf.constant(texts))
    got = tf.RaggedTensor.from_row_splits(tokens.ids, tokens.splits).to_list()
    for text, ids in zip(texts, got, strict=True):
        assert ids == tokenizer.encode(text), text
