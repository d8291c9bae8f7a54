"""A tiny model, data that it learns, and calls of the script."""

import pytest
from absl import logging
from absl.testing import flagsaver

from tests.run_classifier.runs import BAD, GOOD, OTHER, sentences
from tests.scripts import load_script, write_tiny_model


@pytest.fixture(autouse=True)
def _tell_everything():
    logging.set_verbosity(logging.INFO)


@pytest.fixture(scope="session")
def model_dir(tmp_path_factory):
    """A config of a tiny model, with a vocabulary of whole words."""
    directory = tmp_path_factory.mktemp("tiny")
    words = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
    words = [*words, *GOOD, *BAD, *OTHER]
    return write_tiny_model(directory, words)


@pytest.fixture(scope="session")
def data_dir(tmp_path_factory):
    """A data set that a tiny model learns in a few steps."""
    directory = tmp_path_factory.mktemp("data")
    for split, count in (("train", 160), ("dev", 40), ("test", 20)):
        lines = ["id\ttext\tlabel"] + [
            f"{split}{row}\t{text}\t{'good' if good else 'bad'}"
            for row, (text, good) in enumerate(sentences(count, split))
        ]
        (directory / f"{split}.tsv").write_text("\n".join(lines) + "\n")
    return directory


@pytest.fixture
def run(model_dir, data_dir, tmp_path):
    """Calls the script with a small run's flags and those given."""

    def call(processors=None, **values):
        defaults = {
            "task_name": "auto",
            "data_dir": str(data_dir),
            "output_dir": str(tmp_path / "out"),
            "max_seq_length": 16,
            "learning_rate": 2e-3,
            "train_batch_size": 16,
        }
        if "bert_config_file" not in values and (
            values.get("do_train") or values.get("dry_run")
        ):
            defaults["bert_config_file"] = str(model_dir / "bert_config.json")
            defaults["vocab_file"] = str(model_dir / "vocab.txt")
        script = load_script("run_classifier")
        script.PROCESSORS.update(processors or {})
        with flagsaver.flagsaver(**{**defaults, **values}):
            script.main([])
        return tmp_path / "out"

    return call


@pytest.fixture(scope="session")
def trained(model_dir, data_dir, tmp_path_factory):
    """A trained model that tests may copy, not change."""
    out = tmp_path_factory.mktemp("trained")
    script = load_script("run_classifier")
    with flagsaver.flagsaver(
        task_name="auto",
        data_dir=str(data_dir),
        output_dir=str(out),
        bert_config_file=str(model_dir / "bert_config.json"),
        vocab_file=str(model_dir / "vocab.txt"),
        max_seq_length=12,
        pooling="mean",
        learning_rate=2e-3,
        train_batch_size=16,
        num_train_epochs=4.0,
        do_train=True,
    ):
        script.main([])
    return out
