"""A tiny model and the golden one, made once."""

import numpy as np
import pytest

from modeling.checkpoints import open_checkpoint
from modeling.config import BertConfig
from modeling.network import BertModel, BertPretrainer


@pytest.fixture(scope="session")
def tiny_config() -> BertConfig:
    return BertConfig(
        vocab_size=50,
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=24,
        max_position_embeddings=20,
        type_vocab_size=2,
    )


@pytest.fixture(scope="session")
def tiny_model(tiny_config) -> BertModel:
    return spread(BertModel(tiny_config))


@pytest.fixture(scope="session")
def golden_config(golden_dir) -> BertConfig:
    return BertConfig.from_json_file(golden_dir / "bert_config.json")


@pytest.fixture(scope="session")
def golden_weights(golden_dir) -> dict[str, np.ndarray]:
    """The golden checkpoint's arrays."""
    reader = open_checkpoint(golden_dir / "bert_model.ckpt")
    return {name: reader.read(name) for name in reader.shapes}


@pytest.fixture(scope="session")
def golden_pretrainer(golden_config, golden_weights) -> BertPretrainer:
    return assign(BertPretrainer(golden_config), golden_weights)


def assign(model, arrays):
    """Gives every variable the array of its path."""
    for variable in model.weights:
        variable.assign(arrays[variable.path])
    return model


def spread(model):
    """Makes every variable random and none of them negligible."""
    rng = np.random.default_rng(1)
    for variable in model.weights:
        variable.assign(rng.normal(0.1, 0.4, variable.shape))
    return model
