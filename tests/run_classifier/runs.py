"""Tiny runs of run_classifier.py: their sentences and what they leave."""

import json
import random

from tests import scripts

GOOD = ("good", "great", "fine", "nice", "happy")
BAD = ("bad", "awful", "poor", "sad", "ugly")
OTHER = ("the", "a", "film", "it", "was", "very", "and", "of")


def sentences(count, seed):
    """(text, whether it is good): the longer ones have more to say."""
    rng = random.Random(seed)
    for _ in range(count):
        good = rng.random() < 0.5
        words = rng.choices(OTHER, k=rng.randint(1, 9))
        words += rng.choices(GOOD if good else BAD, k=2)
        rng.shuffle(words)
        yield " ".join(words), good


def report_of(directory):
    return json.loads((directory / "eval_results.json").read_text())


def weights_of(directory, name="bert_model.ckpt"):
    return scripts.weights_of(directory / name)


def rows_of(path):
    return [line.split("\t") for line in path.read_text().splitlines()]


def run_script(*arguments, **options):
    return scripts.run_script("run_classifier", *arguments, **options)
