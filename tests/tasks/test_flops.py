"""Operations of a step: by hand, and against the products of its graph."""

import math

import numpy as np
import pytest
import tensorflow as tf

from modeling.config import BertConfig
from modeling.tasks.classification import Labels
from modeling.tasks.classification.task import ClassificationTask
from modeling.tasks.feature_based import ChosenLayers, FeatureBased
from modeling.tasks.flops import lstm_part, training_flops
from modeling.tasks.multiple_choice.task import ChoiceTask
from modeling.tasks.pretraining import PretrainingTask
from modeling.tasks.squad.task import SquadTask
from modeling.tasks.tagging.tag_set import TagSet
from modeling.tasks.tagging.task import TaggingHead, TaggingTask

CONFIG = BertConfig(
    vocab_size=100,
    hidden_size=4,
    num_hidden_layers=2,
    num_attention_heads=2,
    intermediate_size=8,
)
_LABELS = Labels("classification", ("a", "b", "c"))
_TAGS = TagSet(("O", "B-X", "I-X"), "BIO", "BIO")
# Three rows of five tokens. A token of a block: query, key, value and output
# 4 * 2 * 16 = 128, the feed-forward layers 2 * 2 * 32 = 128, attention to 5
# tokens in 2 heads of size 2: scores and context 2 * 2 * (5 * 2) * 2 = 80.
_BLOCK = (3 * 5) * (128 + 128 + 80)


def everything(scope):
    return True


def rows(*shape):
    names = ("input_ids", "input_mask", "segment_ids")
    return {name: np.ones(shape, np.int32) for name in names}


def pretraining_batch(rows_, length, predictions):
    places = np.zeros((rows_, predictions), np.int32)
    return {
        **rows(rows_, length),
        "masked_lm_positions": places,
        "masked_lm_ids": places,
        "masked_lm_weights": np.ones_like(places, np.float32),
        "next_sentence_labels": np.zeros((rows_, 1), np.int32),
        "next_sentence_weights": np.ones((rows_, 1), np.float32),
    }


def classification_batch(*shape, places=None):
    batch = rows(*shape)
    examples = shape[:1]
    if places is not None:
        examples = (shape[0], places)
        batch["position_ids"] = batch["segment_ids"]
        batch["block_ids"] = batch["input_mask"]
        batch["cls_positions"] = np.zeros(examples, np.int32)
    return {
        **batch,
        "targets": np.zeros(examples, np.int32),
        # Rows that fill a batch up are computed as well.
        "example_weights": np.zeros(examples, np.float32),
    }


def tagging_batch(rows_, length):
    words = np.zeros((rows_, length - 2), np.int32)
    names = ("word_positions", "word_mask", "word_begins", "word_closes")
    return {
        **rows(rows_, length),
        **dict.fromkeys((*names, "targets"), words),
        "word_weights": np.ones_like(words, np.float32),
    }


def flops_of(task, batch, is_trained=everything):
    shapes = {name: values.shape for name, values in batch.items()}
    return task.flops(shapes, is_trained)


def test_a_step_of_pretraining():
    # A prediction: transform 2 * 16, decoder 2 * 4 * 100.
    words = (3 * 2) * (32 + 800)
    # A row: pooler 2 * 16, two classes 2 * 4 * 2.
    pairs = 3 * (32 + 16)
    batch = pretraining_batch(3, 5, 2)
    found = flops_of(PretrainingTask(CONFIG), batch)
    assert found == 3 * (2 * _BLOCK + words + pairs)
    alone = flops_of(PretrainingTask(CONFIG, next_sentence=False), batch)
    assert alone == 3 * (2 * _BLOCK + words)


def test_bert_base():
    task = PretrainingTask(BertConfig(vocab_size=30522, type_vocab_size=2))
    # Its 85 million weights in blocks, six operations each and token.
    blocks = 6 * 84_934_656 * 8 * 128
    # Attention is 2.8% of that, the decoder at 20 of 128 positions 4.3%.
    total = flops_of(task, pretraining_batch(8, 128, 20))
    assert blocks * 1.06 < total < blocks * 1.08


def test_below_what_is_trained_there_is_no_backward_pass():
    task = ClassificationTask(CONFIG, _LABELS)
    batch = classification_batch(3, 5)
    # Pooler 2 * 16, three classes 2 * 4 * 3.
    pooler, head = 3 * 32, 3 * 24
    forward = 2 * _BLOCK + pooler + head

    def of(*trained):
        return flops_of(task, batch, lambda scope: scope.startswith(trained))

    assert of("bert/", "output") == 3 * forward
    # The head alone, and the head and the pooler: of the lowest, only the
    # weights have gradients.
    assert of("output") == forward + head
    assert of("output", "bert/pooler/") == forward + 2 * head + pooler
    # The upper block: query, key and value (96 a token) need no gradient of
    # what they take.
    upper = of("output", "bert/pooler/", "bert/encoder/layer_1/")
    assert upper == (forward + 2 * (head + pooler) + 2 * _BLOCK - (3 * 5) * 96)
    # The embeddings below frozen blocks: gradients go through, none is of
    # weights.
    through = of("output", "bert/embeddings/")
    dense = (3 * 5) * 256
    assert through == (forward + 2 * head + pooler + 2 * (2 * _BLOCK - dense))


def test_a_bilstm():
    """Against the weights of one: each is used once a token, two operations."""
    size, width, layers = 6, 10, 2
    part = lstm_part(7, width, size, layers)
    weights = 0
    for _ in range(layers):
        # Two directions, four gates each of 3 numbers.
        weights += 2 * (width * 12 + 3 * 12)
        width = size
    assert part.weights == 7 * 2 * weights
    assert part.lowest == 7 * 2 * (2 * 10 * 12)
    assert training_flops([part], everything) == 3 * part.weights - part.lowest


def test_feature_based_steps_are_not_counted():
    task = ClassificationTask(CONFIG, _LABELS, feature_based=FeatureBased())
    assert task.flops({}, everything) is None
    task = TaggingTask(CONFIG, _TAGS, chosen_layers=ChosenLayers())
    assert task.flops({}, everything) is None


def products_of(task, batch, is_trained):
    """Operations of the matrix products that a step's graph needs."""
    model = task.build_model()
    variables = [v for v in model.trainable_variables if is_trained(v.path)]

    def step(features):
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            values = [v.value for v in variables]
            tape.watch(values)
            seed = tf.constant([1, 2], tf.uint32)
            sums = task.sums(model, features, training=True, dropout_seed=seed)
            loss = task.loss(sums, task.weights(features))
        gradients = tape.gradient(loss, values)
        return loss, [g for g in gradients if g is not None]

    features = {name: tf.constant(values) for name, values in batch.items()}
    graph = tf.function(step).get_concrete_function(features).graph
    waiting, seen, total = [t.op for t in graph.outputs], set(), 0
    while waiting:
        op = waiting.pop()
        if op.name in seen:
            continue
        seen.add(op.name)
        waiting += [t.op for t in op.inputs] + list(op.control_inputs)
        # Segments are looked up by a product.
        is_product = op.type in ("MatMul", "BatchMatMulV2")
        if is_product and "/embeddings" not in op.name:
            flag = "transpose_a" if op.type == "MatMul" else "adj_x"
            inner = op.inputs[0].shape[-2 if op.get_attr(flag) else -1]
            total += 2 * math.prod(op.outputs[0].shape) * inner
    return total


_JOBS = {
    "pretraining": (PretrainingTask(CONFIG), pretraining_batch(3, 5, 2)),
    "without pairs": (
        PretrainingTask(CONFIG, next_sentence=False),
        pretraining_batch(3, 5, 2),
    ),
    "classes": (
        ClassificationTask(CONFIG, _LABELS),
        classification_batch(3, 5),
    ),
    "mean": (
        ClassificationTask(CONFIG, _LABELS, pooling="mean"),
        classification_batch(3, 5),
    ),
    "windows": (
        ClassificationTask(CONFIG, _LABELS),
        classification_batch(3, 4, 5),
    ),
    "packed": (
        ClassificationTask(CONFIG, _LABELS),
        classification_batch(3, 5, places=2),
    ),
    "choices": (ChoiceTask(CONFIG), classification_batch(3, 4, 5)),
    "answers": (
        SquadTask(CONFIG),
        {
            **classification_batch(3, 5),
            "start_positions": np.zeros(3, np.int32),
            "end_positions": np.zeros(3, np.int32),
        },
    ),
    "tags": (TaggingTask(CONFIG, _TAGS), tagging_batch(3, 6)),
    "chains of tags": (
        TaggingTask(CONFIG, _TAGS, TaggingHead(crf=True)),
        tagging_batch(3, 6),
    ),
}
_TRAINED = {
    "all": everything,
    "no embeddings": lambda path: not path.startswith("bert/embeddings/"),
    "upper": lambda path: (
        not path.startswith(("bert/embeddings/", "bert/encoder/layer_0/"))
    ),
    "no pooler": lambda path: not path.startswith("bert/pooler/"),
    "head": lambda path: not path.startswith("bert/"),
}


@pytest.mark.parametrize(
    ("name", "trained"),
    [
        *((name, "all") for name in _JOBS),
        *(("classes", trained) for trained in _TRAINED if trained != "all"),
        ("mean", "upper"),
        ("answers", "upper"),
        ("chains of tags", "upper"),
        ("tags", "head"),
    ],
)
def test_as_many_as_the_graph_has(name, trained):
    task, batch = _JOBS[name]
    is_trained = _TRAINED[trained]
    found = flops_of(task, batch, is_trained)
    assert found == products_of(task, batch, is_trained)
