"""SquadTask: the original's logits and loss, whatever fills a batch."""

import numpy as np
import pytest

from modeling.checkpoints import open_checkpoint
from modeling.config import BertConfig
from modeling.tasks.squad import (
    FIRST_UNIQUE_ID,
    FeatureSet,
    Paragraph,
    Predictions,
    Question,
    read_paragraphs,
)
from modeling.tasks.squad.batches import SquadExamples
from modeling.tasks.squad.evaluation import evaluate_answers, is_chinese
from modeling.tasks.squad.task import SquadTask


@pytest.fixture(scope="module")
def golden(squad_dir):
    with np.load(squad_dir / "model_outputs.npz") as arrays:
        return dict(arrays)


@pytest.fixture(scope="module")
def task(golden_dir):
    path = str(golden_dir / "bert_config.json")
    return SquadTask(BertConfig.from_json_file(path))


@pytest.fixture(scope="module")
def model(task, golden, golden_dir):
    model = task.build_model()
    reader = open_checkpoint(str(golden_dir / "bert_model.ckpt"))
    for variable in model.weights:
        name = variable.path.removeprefix("cls/squad/")
        array = golden[name] if name in golden else reader.read(name)
        variable.assign(array)
    return model


@pytest.fixture(scope="module")
def examples(squad_dir, golden_tokenizer, golden_options):
    paragraphs = list(read_paragraphs(str(squad_dir / "train-v1.1.json")))
    return SquadExamples(
        FeatureSet.of(
            paragraphs, golden_tokenizer(True), golden_options(False), True
        )
    )


def loss_of(task, model, features):
    weights = task.weights(features)
    return float(task.loss(task.sums(model, features), weights))


@pytest.mark.golden
def test_logits_and_loss_are_the_originals(task, model, examples, golden):
    windows = golden["unique_ids"] - FIRST_UNIQUE_ID
    # Rows that only fill the batch change nothing.
    features = examples.arrays(windows, 64, 11)
    for name in ("input_ids", "input_mask", "segment_ids"):
        np.testing.assert_array_equal(features[name][:8], golden[name])
    outputs = task.outputs(model, features)
    for name in ("start_logits", "end_logits"):
        np.testing.assert_allclose(outputs[name][:8], golden[name], atol=1e-4)
    loss = loss_of(task, model, features)
    assert loss == pytest.approx(float(golden["total_loss"]), rel=1e-5)
    assert float(task.weights(features)["sequences"]) == 8


def test_padding_is_among_the_choices(task, model, examples):
    short = np.flatnonzero(examples.lengths() <= 40)[:3]
    losses = [
        loss_of(task, model, examples.arrays(short, length, 3))
        for length in (40, 64)
    ]
    assert losses[0] < losses[1]


def test_accuracy_counts_spans_that_are_right_on_both_sides(
    task, model, examples
):
    features = examples.arrays(np.arange(3), 64, 4)
    outputs = task.outputs(model, features)
    features["start_positions"] = np.argmax(outputs["start_logits"], 1)
    ends = np.argmax(outputs["end_logits"], 1)
    features["end_positions"] = ends + [0, 1, 0, 0]
    sums, weights = task.sums(model, features), task.weights(features)
    assert task.metrics(
        {k: float(v) for k, v in sums.items()},
        {k: float(v) for k, v in weights.items()},
    ) == {"accuracy": pytest.approx(2 / 3)}


def test_a_batch_has_the_shapes_it_says(examples):
    arrays = examples.arrays(np.array([0, 5]), 64, 3)
    for name, spec in examples.signature().items():
        assert spec.shape.is_compatible_with(arrays[name].shape), name
        assert spec.dtype == arrays[name].dtype, name
    assert arrays.keys() == examples.signature().keys()
    assert arrays["example_weights"].tolist() == [1, 1, 0]
    assert len(examples.rows_per_example()) == len(examples.lengths())


def test_other_windows_and_other_answers_have_another_digest(make_features):
    def digest(context="steve smith in japan", doc_stride=2, **question):
        question = Question("1", "who is", **question)
        return make_features(
            [Paragraph(context, (question,))], doc_stride=doc_stride
        ).digest()

    assert digest() == digest()
    assert len({digest(), digest("steve in japan"), digest(doc_stride=1)}) == 2
    long = "steve smith in japan " * 4
    assert digest(long) != digest(long, doc_stride=1)


def test_chinese_is_told_by_most_of_the_text():
    chinese = Paragraph("1943年，他在日本 NBA 工作。", ())
    english = Paragraph("The word 日本 means Japan.", ())
    assert is_chinese([chinese])
    assert not is_chinese([english])
    assert not is_chinese([])


def test_scores_that_weights_are_chosen_by():
    targets = {"a": ["x y"], "b": []}
    none = Predictions({"a": "x", "b": "y"}, {"a": "x", "b": "y"}, {})
    results = evaluate_answers("squad", targets, none)
    assert results["score"] == results["f1"] == pytest.approx(100 / 3)
    # With a threshold between them, "b" is not answered.
    some = none._replace(null_odds={"a": -3.0, "b": 2.0})
    results = evaluate_answers("squad", targets, some)
    assert results["score"] == results["best_f1"] == pytest.approx(250 / 3)
    assert results["best_f1_thresh"] == -3.0
    chinese = Predictions({"a": "中国"}, {"a": "中国"}, {})
    results = evaluate_answers("drcd", {"a": ["中国人"]}, chinese)
    assert results["score"] == pytest.approx(40.0)
