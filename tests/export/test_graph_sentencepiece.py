"""SentencePiece in the graph gives what the tokenizer of training gives."""

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
def test_tokens_are_those_of_training(model_file, random_texts, lower, strip):  # noqa: F811
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
        "```a''' '''' ` ''",
        " \u0301 e\u0301 \u0301",
        "\u0301a",
        "  ",
        "\u00bd\u0301 \u0301a\u0301 \u00b2\u0301",
        "the model said 7,7,7, 195, 1957,",
        "\u4e2d\u6587\U0001f600\u0301x",
        "he said " * 40,
    ]
    tokens = function(tf.constant(texts))
    columns = [
        tf.RaggedTensor.from_row_splits(values, tokens.splits).to_list()
        for values in (tokens.ids, tokens.starts, tokens.ends)
    ]
    for text, ids, starts, ends in zip(texts, *columns, strict=True):
        assert ids == tokenizer.encode(text), text
        encoding = tokenizer.encode_with_offsets(text)
        assert list(zip(starts, ends, strict=True)) == encoding.offsets, text
