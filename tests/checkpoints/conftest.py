"""A tiny model's arrays, and the golden checkpoint copied to be damaged."""

import pathlib
import shutil

import numpy as np
import pytest

from modeling.checkpoints.google import write_google_checkpoint
from modeling.config import BertConfig
from modeling.network import BertPretrainer

CONFIG = BertConfig(
    vocab_size=20,
    hidden_size=8,
    num_hidden_layers=2,
    num_attention_heads=2,
    intermediate_size=12,
    max_position_embeddings=16,
    type_vocab_size=2,
)
PREFIX = "bert_model.ckpt"


def random_like(model):
    """Arrays under a model's variable paths, no two alike."""
    rng = np.random.default_rng(0)
    return {
        variable.path: rng.normal(size=variable.shape).astype(np.float32)
        for variable in model.weights
    }


@pytest.fixture(scope="session")
def config():
    return CONFIG


@pytest.fixture(scope="session")
def arrays():
    """Every variable of a tiny pre-training model."""
    return random_like(BertPretrainer(CONFIG))


@pytest.fixture
def tiny_checkpoint(tmp_path, arrays, config):
    """A release in Google's format: prefix, config, vocabulary."""
    directory = tmp_path / "release"
    write_google_checkpoint(directory / PREFIX, arrays)
    (directory / "bert_config.json").write_text(config.to_json_string())
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    words += [f"w{i}" for i in range(config.vocab_size - len(words))]
    (directory / "vocab.txt").write_text("\n".join(words) + "\n")
    return directory / PREFIX


@pytest.fixture
def golden_copy(tmp_path, golden_dir) -> pathlib.Path:
    """The golden checkpoint's prefix, in a directory that may be changed."""
    directory = tmp_path / "golden"
    directory.mkdir()
    for file in golden_dir.glob("bert_*"):
        shutil.copyfile(file, directory / file.name)
    return directory / PREFIX
