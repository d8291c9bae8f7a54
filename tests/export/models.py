"""Folders of tiny trained models, and how they are exported."""

import json

import numpy as np
import tensorflow as tf
from absl.testing import flagsaver

from modeling.checkpoints.google import write_google_checkpoint
from modeling.config import BertConfig
from modeling.finetuning.setup import KEPT
from tests.conftest import ROOT
from tests.scripts import load_script

VOCAB = ROOT / "tests" / "golden" / "vocab.txt"
READING = {"max_seq_length": 32, "doc_stride": None, "strip_accents": None}
ENCODER_FLAGS = {
    "feature_based": False,
    "layers": "-1,-2,-3,-4",
    "combine": "concat",
    "lstm_layers": 0,
    "lstm_size": 0,
}
CONFIG = BertConfig(
    vocab_size=2371,
    hidden_size=16,
    num_hidden_layers=2,
    num_attention_heads=2,
    intermediate_size=32,
    max_position_embeddings=64,
    initializer_range=0.4,
)


def write_model(directory, network, kept=None, labels=None, lower=True):
    """A folder as training leaves it."""
    directory.mkdir()
    rng = np.random.default_rng(7)
    weights = {
        v.path: v.numpy() + rng.normal(0, 0.1, v.shape).astype(np.float32)
        for v in network.weights
    }
    write_google_checkpoint(str(directory / "bert_model.ckpt"), weights)
    (directory / "bert_config.json").write_text(CONFIG.to_json_string())
    (directory / "vocab.txt").write_bytes(VOCAB.read_bytes())
    (directory / "tokenizer_config.json").write_text(
        json.dumps({"do_lower_case": lower})
    )
    if kept is not None:
        (directory / KEPT).write_text(json.dumps(kept))
    if labels is not None:
        labels.save(str(directory))
    return directory


def export(model_dir, export_dir, **given):
    script = load_script("export_model")
    names = {"model_dir": str(model_dir), "export_dir": str(export_dir)}
    with flagsaver.flagsaver(**{**names, **given}):
        script.main([])


def load(directory):
    loaded = tf.saved_model.load(str(directory))
    info = directory / "assets.extra" / "model_info.json"
    return loaded.signatures, json.loads(info.read_text())
