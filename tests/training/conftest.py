"""The golden model without dropout, and its batches."""

import dataclasses
import json

import numpy as np
import pytest

from modeling.checkpoints import open_checkpoint
from modeling.config import BertConfig
from modeling.tasks.pretraining import PretrainingTask
from tests.training.harness import load_batches


@pytest.fixture(scope="session")
def golden_config(golden_dir) -> BertConfig:
    config = BertConfig.from_json_file(golden_dir / "bert_config.json")
    return dataclasses.replace(
        config, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0
    )


@pytest.fixture(scope="session")
def golden_weights(golden_dir) -> dict[str, np.ndarray]:
    reader = open_checkpoint(golden_dir / "bert_model.ckpt")
    return {name: reader.read(name) for name in reader.shapes}


@pytest.fixture(scope="session")
def golden_task(golden_config) -> PretrainingTask:
    return PretrainingTask(golden_config)


@pytest.fixture(scope="session")
def golden_batches(golden_dir):
    return load_batches(golden_dir / "optimizer" / "batches.npz")


@pytest.fixture(scope="session")
def golden_run(golden_dir):
    path = golden_dir / "optimizer" / "run.json"
    return json.loads(path.read_text(encoding="utf-8"))
