"""Examples that share rows: layouts, batches, and the same numbers."""

import types

import numpy as np
import pytest
import tensorflow as tf

from modeling.config import BertConfig
from modeling.finetuning import predict_examples
from modeling.tasks.array_input import ArrayInput
from modeling.tasks.classification import Labels
from modeling.tasks.classification.task import ClassificationTask
from modeling.tasks.length_batches import BatchOptions
from modeling.tasks.packed_input import PackedInput, arrange
from modeling.tasks.token_rows import EncodedExamples
from modeling.training import Predictor, Share

CONFIG = BertConfig(
    vocab_size=50,
    hidden_size=8,
    num_hidden_layers=2,
    num_attention_heads=2,
    intermediate_size=16,
    max_position_embeddings=16,
    type_vocab_size=2,
    initializer_range=0.5,
)
# Rows of 16 tokens hold two examples at most.
LENGTH, PLACES = 16, 2
LABELS = {
    "classification": Labels("classification", ("a", "b", "c")),
    "multi_label": Labels("multi_label", ("a", "b", "c")),
    "regression": Labels("regression"),
}


def make_examples(kind="classification", count=30, most=12):
    """Pairs of 3 to 12 tokens."""
    from modeling.tasks.row_batches import RowExamples

    rng = np.random.default_rng(0)
    lengths = rng.integers(3, most + 1, count)
    starts = np.concatenate([[0], np.cumsum(lengths)])
    targets = {
        "classification": rng.integers(0, 3, count).astype(np.int32),
        "multi_label": rng.integers(0, 2, (count, 3)).astype(np.float32),
        "regression": rng.normal(size=count).astype(np.float32),
    }
    encoded = EncodedExamples(
        rng.integers(5, 50, starts[-1]).astype(np.uint16),
        starts,
        rng.integers(2, lengths).astype(np.int32),
        np.arange(count + 1),
        targets[kind],
    )
    return RowExamples(encoded)


def packed_options(**values):
    return BatchOptions(**values, buckets=(LENGTH,), packed=True)


def share(host=0, num_hosts=1, replicas=1):
    return Share(host, num_hosts, 8 // num_hosts, replicas)


def take(data, count, share=None, position=(0, 0, 0)):
    """(features, position) of some batches."""
    dataset = data.training(share or _ALONE, np.array(position, np.int64))
    return [
        ({k: v.numpy() for k, v in features.items()}, place.numpy().tolist())
        for features, place in dataset.take(count)
    ]


_ALONE = share()


def texts_of(features):
    """(tokens, segments, target) of every example, from its row."""
    for row, place in zip(
        *np.nonzero(features["example_weights"]), strict=True
    ):
        here = features["block_ids"][row] == place + 1
        positions = features["position_ids"][row][here]
        assert positions.tolist() == list(range(len(positions)))
        assert features["cls_positions"][row, place] == np.argmax(here)
        yield (
            tuple(features["input_ids"][row][here]),
            tuple(features["segment_ids"][row][here]),
            features["targets"][row, place].tolist(),
        )


def expected_of(examples, indices):
    encoded = examples.encoded
    for index in indices:
        start, end = encoded.row_starts[index : index + 2]
        first = encoded.first_lengths[index]
        yield (
            tuple(encoded.ids[start:end]),
            tuple(int(place >= first) for place in range(end - start)),
            encoded.targets[index].tolist(),
        )


@pytest.mark.parametrize("kind", LABELS)
def test_rows_hold_examples_whole(kind):
    examples = make_examples(kind)
    data = arrange(examples, packed_options(batch_size=7))
    assert data.batches_per_epoch() == 5
    found = []
    for features, _ in take(data, 5):
        rows, length = features["input_ids"].shape
        assert length == LENGTH and rows < 7
        assert features["cls_positions"].shape == (rows, PLACES)
        padding = features["block_ids"] == 0
        np.testing.assert_array_equal(features["input_mask"], ~padding)
        assert not features["input_ids"][padding].any()
        found += texts_of(features)
    assert sorted(found) == sorted(expected_of(examples, range(30)))


def test_batches_have_the_examples_that_they_would_have_alone():
    """Those of batches that are not sorted by length, as the original's."""
    examples = make_examples()
    packed = PackedInput(examples, packed_options(batch_size=7), seed=3)
    plain = BatchOptions(7, window=1, buckets=(LENGTH,))
    alone = ArrayInput(examples, plain, seed=3)
    for (ours, after), (theirs, place) in zip(
        take(packed, 12), take(alone, 12), strict=True
    ):
        assert after == place
        rows = [
            tuple(ids[mask > 0])
            for ids, mask in zip(
                theirs["input_ids"], theirs["input_mask"], strict=True
            )
            if mask.any()
        ]
        assert sorted(ids for ids, *_ in texts_of(ours)) == sorted(rows)


def test_batches_of_tokens_have_one_shape_and_full_rows():
    examples = make_examples(count=400, most=8)
    data = PackedInput(examples, packed_options(batch_size=None, max_tokens=70))
    spec = data.training(_ALONE, np.zeros(3, np.int64)).element_spec[0]
    assert spec["input_ids"].shape == [4, LENGTH]
    batches = take(data, data.batches_per_epoch())
    assert {f["input_ids"].shape for f, _ in batches} == {(4, LENGTH)}
    found = [text for features, _ in batches for text in texts_of(features)]
    assert sorted(found) == sorted(expected_of(examples, range(400)))
    # But for the last of each window, no place is left where one would fit.
    places = np.mean([f["example_weights"].mean() for f, _ in batches])
    assert places > 0.95


def test_few_numbers_of_rows_where_compilers_want_them():
    data = PackedInput(
        make_examples(), packed_options(batch_size=7, row_multiple=4)
    )
    rows = {len(f["input_ids"]) for f, _ in take(data, 5)}
    assert rows <= {4, 8}


def test_hosts_and_replicas_share_each_batch():
    examples = make_examples()
    data = PackedInput(examples, packed_options(batch_size=7), micro_batches=2)
    whole = take(data, 5)
    parts = [take(data, 10, share(h, num_hosts=2, replicas=2)) for h in (0, 1)]
    for number, (features, _) in enumerate(whole):
        of_hosts = [p[0] for h in parts for p in h[2 * number : 2 * number + 2]]
        assert len({p["input_ids"].shape for p in of_hosts}) == 1
        assert len(of_hosts[0]["input_ids"]) % 2 == 0
        found = [text for part in of_hosts for text in texts_of(part)]
        assert sorted(found) == sorted(texts_of(features))


def test_training_goes_on_where_it_was():
    data = PackedInput(make_examples(), packed_options(batch_size=7), seed=3)
    whole = take(data, 8)
    rest = take(data, 3, position=whole[4][1])
    for (ours, place), (theirs, expected) in zip(rest, whole[5:], strict=True):
        assert place == expected
        for name, values in theirs.items():
            np.testing.assert_array_equal(ours[name], values)


def test_examples_may_be_sampled():
    examples = make_examples()
    data = PackedInput(
        examples,
        packed_options(batch_size=4),
        order=lambda epoch: np.array([5, 5, 9, 2 + epoch]),
    )
    assert data.batches_per_epoch() == 1
    for epoch, (features, _) in enumerate(take(data, 2)):
        expected = expected_of(examples, [5, 5, 9, 2 + epoch])
        assert sorted(texts_of(features)) == sorted(expected)


class Model:
    """A task's model, and what gives features and gradients of a batch."""

    def __init__(self, kind, pooling):
        self.task = ClassificationTask(CONFIG, LABELS[kind], pooling)
        self.model = self.task.build_model()

    def loss_and_gradients(self, features):
        features = {k: tf.constant(v) for k, v in features.items()}
        with tf.GradientTape() as tape:
            sums = self.task.sums(self.model, features)
            loss = self.task.loss(sums, self.task.weights(features))
        variables = [v.value for v in self.model.trainable_variables]
        gradients = tape.gradient(loss, variables, unconnected_gradients="zero")
        return float(loss), gradients


@pytest.mark.parametrize("pooling", ["cls", "mean", "max"])
@pytest.mark.parametrize("kind", LABELS)
def test_loss_and_gradients_are_those_of_rows_of_their_own(kind, pooling):
    examples = make_examples(kind)
    model = Model(kind, pooling)
    packed = PackedInput(examples, packed_options(batch_size=7))
    alone = ArrayInput(examples, BatchOptions(7, window=1, buckets=(LENGTH,)))
    for (ours, _), (theirs, _) in zip(
        take(packed, 2), take(alone, 2), strict=True
    ):
        loss, gradients = model.loss_and_gradients(ours)
        expected, others = model.loss_and_gradients(theirs)
        assert loss == pytest.approx(expected, rel=1e-5)
        assert loss > 0.01
        for one, other in zip(gradients, others, strict=True):
            # What is clipped counts looked-up rows one by one, in the same
            # tables.
            assert type(one) is type(other)
            np.testing.assert_allclose(
                tf.convert_to_tensor(one),
                tf.convert_to_tensor(other),
                atol=1e-5,
            )
            norms = [float(tf.linalg.global_norm([g])) for g in (one, other)]
            assert norms[0] == pytest.approx(norms[1], rel=1e-4, abs=1e-6)


@pytest.mark.parametrize("replicas", [1, 3])
def test_predictions_stand_in_the_order_of_the_examples(replicas):
    examples = make_examples()
    model = Model("classification", "mean")
    predictor = Predictor(model.task, model.model, tf.distribute.get_strategy())
    expected = predict_examples(predictor, examples, BatchOptions(5))
    options = packed_options(batch_size=None, max_tokens=64)
    spread = types.SimpleNamespace(replicas=replicas, predict=predictor.predict)
    ours = predict_examples(spread, examples, options)
    assert len(ours["outputs"]) == 30
    for name, rows in expected.items():
        np.testing.assert_allclose(ours[name], rows, atol=1e-5)
