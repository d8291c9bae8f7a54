"""Folders of tiny trained models, and how they are exported."""

import json

import keras
import numpy as np
import tensorflow as tf
from absl.testing import flagsaver

from modeling.checkpoints.google import write_google_checkpoint
from modeling.config import BertConfig
from modeling.finetuning.setup import KEPT
from modeling.network import (
    BertClassifier,
    BertMultipleChoice,
    BertQuestionAnswerer,
)
from modeling.tasks.classification import Labels
from modeling.tasks.feature_based import ChosenLayers
from modeling.tasks.tagging.task import TaggingHead, TaggingTask
from tests.conftest import ROOT
from tests.scripts import load_script

LABEL_NAMES = ("bad", "good", "neutral")
TYPED_TAGS = ("O", "B-LOC", "I-LOC", "B-PER", "I-PER")
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


def classifier(directory, kind="classification", lower=True, **kept):
    names = () if kind == "regression" else LABEL_NAMES
    labels = Labels(kind, names)
    kept = {**READING, **ENCODER_FLAGS, "pooling": "cls", **kept}
    network = BertClassifier(
        CONFIG, labels.num_outputs, pooling=kept["pooling"]
    )
    return write_model(directory, network, kept, labels, lower)


def answerer(directory, **kept):
    kept = {
        **READING,
        "doc_stride": 8,
        "max_query_length": 6,
        "version_2_with_negative": False,
        **kept,
    }
    return write_model(directory, BertQuestionAnswerer(CONFIG), kept)


def tagger(directory, tag_set, head="softmax", **kept):
    kept = {
        **READING,
        **ENCODER_FLAGS,
        "head": head,
        "document_context": False,
        **kept,
    }
    chosen = None
    if kept["feature_based"]:
        chosen = ChosenLayers((0, "embeddings"), kept["combine"])
        kept["layers"] = "0,embeddings"
    task = TaggingTask(
        CONFIG,
        tag_set,
        TaggingHead.of(head, kept["lstm_layers"], kept["lstm_size"]),
        chosen,
    )
    # With others, by chance, a text may have no entity at all.
    keras.utils.set_random_seed(1)
    write_model(directory, task.build_model(), kept)
    tag_set.save(str(directory))
    return directory


def chooser(directory):
    kept = {name: READING[name] for name in ("max_seq_length", "strip_accents")}
    return write_model(directory, BertMultipleChoice(CONFIG), kept)


def export(model_dir, export_dir, **given):
    script = load_script("export_model")
    names = {"model_dir": str(model_dir), "export_dir": str(export_dir)}
    with flagsaver.flagsaver(**{**names, **given}):
        script.main([])


def record(**numbers):
    """Arrays as a serialized `tf.train.Example`."""
    feature = {
        name: tf.train.Feature(
            int64_list=tf.train.Int64List(value=np.reshape(values, -1))
        )
        for name, values in numbers.items()
    }
    features = tf.train.Features(feature=feature)
    return tf.train.Example(features=features).SerializeToString()


def load(directory):
    loaded = tf.saved_model.load(str(directory))
    info = directory / "assets.extra" / "model_info.json"
    return loaded.signatures, json.loads(info.read_text())
