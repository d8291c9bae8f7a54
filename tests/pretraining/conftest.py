"""A vocabulary, small corpora and a reader of records."""

import json
import subprocess
import sys

import numpy as np
import pytest

from modeling.pretraining import (
    InstanceOptions,
    MaskingOptions,
    PretrainingDataJob,
    TokenizerFiles,
    create_pretraining_data,
)
from modeling.tokenization import load_tokenizer
from tests.conftest import ROOT

VOCAB = ROOT / "tests" / "golden" / "vocab.txt"
SENTENCE = "the dog ran over the street and wanted to go home"


@pytest.fixture(scope="session")
def tokenizer():
    return load_tokenizer(VOCAB)


@pytest.fixture(scope="session")
def golden_corpus(golden_dir, tmp_path_factory):
    """The text that corpus_stats.json is about: 5 MB."""
    path = tmp_path_factory.mktemp("text") / "corpus.txt"
    settings = golden_dir / "pretraining" / "corpus_stats.json"
    command = json.loads(settings.read_text())["corpus"]["made_by"].split()
    script = golden_dir / "pretraining" / command[0]
    arguments = [golden_dir / command[1], *command[2:4], path]
    subprocess.run([sys.executable, script, *arguments], check=True)
    return path


@pytest.fixture
def text(tmp_path):
    """Forty documents of one to nine sentences of one to eleven words."""
    rng = np.random.default_rng(0)
    words = SENTENCE.split()
    path = tmp_path / "text.txt"
    with open(path, "w") as file:
        for _ in range(40):
            for _ in range(rng.integers(1, 10)):
                count = rng.integers(1, len(words) + 1)
                file.write(" ".join(words[:count]) + "\n")
            file.write("\n")
    return path


@pytest.fixture
def make_job(tmp_path, text):
    """A job of small instances; keywords go to where they belong."""

    def make(**changes):
        def pick(target, **values):
            names = target.__dataclass_fields__.keys() & changes.keys()
            return target(**values | {n: changes.pop(n) for n in names})

        masking = pick(MaskingOptions, max_predictions_per_seq=5)
        options = pick(
            InstanceOptions, masking=masking, max_seq_length=32, dupe_factor=3
        )
        files = TokenizerFiles(vocab_file=changes.pop("vocab_file", str(VOCAB)))
        values = {
            "input_file": str(text),
            "output_file": str(tmp_path / "out.tfrecord"),
            "show_instances": 0,
            **changes,
        }
        return PretrainingDataJob(tokenizer=files, options=options, **values)

    return make


@pytest.fixture
def run_job(make_job):
    """Makes a job and runs it; returns job and report."""

    def run(**changes):
        job = make_job(**changes)
        return job, create_pretraining_data(job)

    return run
