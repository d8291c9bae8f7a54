"""Seconds of what surrounds the model in question answering.

  python -m benchmarks.squad --vocab_file=vocab.txt --data=dev-v1.1.json

The data (SQuAD, XQuAD ...) is repeated to the size of SQuAD 1.1's development
set, 10,570 questions. Windows are made with and without their cache, and
answers from scores that are drawn as a model gives them: noise, and high around
some place.
"""

from __future__ import annotations

import json
import os
import tempfile
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from absl import app, flags

from modeling.tasks.squad import (
    AnswerOptions,
    FeatureSet,
    WindowOptions,
    WindowScores,
    answer_questions,
    prepare_features,
    read_paragraphs,
    write_predictions,
)
from modeling.tokenization import load_tokenizer

_VOCAB = flags.DEFINE_string("vocab_file", None, "Vocabulary of the model.")
_DATA = flags.DEFINE_string("data", None, "Questions in SQuAD's JSON.")
_QUESTIONS = flags.DEFINE_integer("questions", 10570, "To answer.")
_WORKERS = flags.DEFINE_integer("num_workers", 2, "That make windows.")
flags.mark_flags_as_required(["vocab_file", "data"])

_PEAK, _WIDTH = 8.0, 6.0


def main(argv: list[str]) -> None:
    del argv
    tokenizer = load_tokenizer(_VOCAB.value)
    with tempfile.TemporaryDirectory() as directory:
        data = os.path.join(directory, "data.json")
        _repeat(_DATA.value, data, _QUESTIONS.value)

        def prepare() -> FeatureSet:
            return prepare_features(
                data,
                tokenizer,
                WindowOptions(),
                is_training=False,
                cache_dir=directory,
                num_workers=_WORKERS.value,
            )

        features = _timed("windows", prepare)
        _timed("windows from the cache", prepare)
        print(f"{len(features.questions)} questions, {len(features)} windows")

        options = AnswerOptions()
        scores = WindowScores(len(features), options.n_best_size)
        _timed("scores drawn and kept", lambda: _draw(scores, features))
        paragraphs = list(read_paragraphs(data))
        _timed(
            "answers and their files",
            lambda: write_predictions(
                answer_questions(
                    paragraphs, features, scores, tokenizer, options
                ),
                directory,
            ),
        )


def _repeat(source: str, target: str, questions: int) -> None:
    """Writes data over and over, with new ids, up to a number of questions."""
    with open(source, encoding="utf-8") as file:
        articles = json.load(file)["data"]
    repeated: list[Any] = []
    count = 0
    while count < questions:
        for article in json.loads(json.dumps(articles)):
            for paragraph in article["paragraphs"]:
                kept = paragraph["qas"][: questions - count]
                for question in kept:
                    question["id"] = f"{question['id']}-{count}"
                    count += 1
                paragraph["qas"] = kept
            repeated.append(article)
    with open(target, "w", encoding="utf-8") as file:
        json.dump({"data": repeated}, file)


def _draw(scores: WindowScores, features: FeatureSet) -> None:
    rng = np.random.default_rng(0)
    length = WindowOptions().max_seq_length
    for start in range(0, len(features), 64):
        windows = np.arange(start, min(start + 64, len(features)))
        place = features.lengths[windows, None] * rng.random((len(windows), 1))
        distance = np.arange(length) - place
        peak = _PEAK * np.exp(-((distance / _WIDTH) ** 2))
        noise = rng.normal(size=(2, *distance.shape))
        scores.put(windows, *(peak + noise).astype(np.float32))


def _timed(name: str, function: Callable[[], Any]) -> Any:
    start = time.perf_counter()
    result = function()
    print(f"{name}: {time.perf_counter() - start:.2f} s", flush=True)
    return result


if __name__ == "__main__":
    app.run(main)
