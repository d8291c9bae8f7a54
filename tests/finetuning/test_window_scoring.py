"""What is kept of padding's scores."""

import types

import numpy as np
import pytest

from modeling.finetuning import Recipe
from modeling.finetuning.window_scoring import score_windows
from modeling.progress import Phases
from modeling.tasks.squad import (
    FeatureSet,
    Paragraph,
    Question,
    WindowOptions,
)
from modeling.tokenization import FastTokenizer


class _Predictor:
    """Scores the later places higher, padding's highest of all."""

    replicas = 2

    def predict(self, batches):
        for indices, arrays in batches:
            shape = arrays["input_ids"].shape
            logits = np.tile(
                np.arange(shape[1], dtype=np.float32), [shape[0], 1]
            )
            yield indices, {"start_logits": logits, "end_logits": -logits}


@pytest.mark.parametrize("length_batching", [True, False])
def test_padding_counts_only_where_all_rows_have_one_length(length_batching):
    vocab = {t: i for i, t in enumerate("[PAD] [UNK] [CLS] [SEP] a".split())}
    paragraphs = [
        Paragraph("a " * words, (Question(str(words), "a"),))
        for words in (1, 9, 4)
    ]
    features = FeatureSet.of(
        paragraphs, FastTokenizer(vocab), WindowOptions(16, 8, 4)
    )
    session = types.SimpleNamespace(
        predictor=_Predictor(),
        phases=Phases(),
    )
    recipe = Recipe(max_seq_length=16, length_batching=length_batching)
    scores = score_windows(session, features, recipe, 3, 2)
    assert not len(scores.missing)
    last = features.lengths - 1 if length_batching else [15] * 3
    assert features.lengths.tolist() == [5, 13, 8]
    assert scores.starts[:, 0].tolist() == list(last)
    assert scores.ends.tolist() == [[0, 1]] * 3
