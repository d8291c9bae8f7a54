"""A row for each choice; batches; predictions."""

import json

import numpy as np
import pytest
import tensorflow as tf

from modeling.errors import UserError
from modeling.export import choosing
from modeling.tasks.array_input import ArrayInput
from modeling.tasks.length_batches import BatchOptions
from modeling.tasks.multiple_choice import (
    ChoiceEncoder,
    ChoiceExample,
    ChoiceWriter,
    accuracies,
    encode_cached,
)
from modeling.tasks.row_batches import RowExamples
from modeling.tasks.token_rows import encode_examples
from modeling.tokenization import FastTokenizer
from modeling.training import Share

TOKENS = "[PAD] [UNK] [CLS] [SEP] a b c d e f g ?".split()


@pytest.fixture(scope="module")
def tokenizer():
    return FastTokenizer({token: i for i, token in enumerate(TOKENS)})


def rows(encoded, example):
    numbers, _ = encoded.rows_of(np.array([example]))
    padded = encoded.pad(numbers)
    return [
        (
            " ".join(TOKENS[i] for i in ids[: mask.sum()]),
            segments[: mask.sum()].tolist(),
        )
        for ids, mask, segments in zip(*padded.values(), strict=True)
    ]


def test_rows_of_choices(tokenizer):
    examples = [
        ChoiceExample("a b", "c", ("d", "e f", "g"), 1),
        ChoiceExample("a", "", ("b", "c")),
    ]
    encoded = ChoiceEncoder(tokenizer, 16)(examples)
    assert rows(encoded, 0) == [
        ("[CLS] a b [SEP] c d [SEP]", [0] * 4 + [1] * 3),
        ("[CLS] a b [SEP] c e f [SEP]", [0] * 4 + [1] * 4),
        ("[CLS] a b [SEP] c g [SEP]", [0] * 4 + [1] * 3),
    ]
    assert rows(encoded, 1)[1] == ("[CLS] a [SEP] c [SEP]", [0] * 3 + [1] * 2)
    assert encoded.rows_per_example().tolist() == [3, 2]
    assert encoded.targets.tolist() == [1, 0]


def test_blank_is_filled(tokenizer):
    example = ChoiceExample("a", "b __ c ?", ("d", "e"), 0)
    encoded = ChoiceEncoder(tokenizer, 16)([example])
    assert rows(encoded, 0)[1][0] == "[CLS] a [SEP] b e c ? [SEP]"


@pytest.mark.parametrize(
    ("question", "parts"),
    [
        ("Who?", ("Who?", "")),
        ("", ("", "")),
        ("_", ("", "")),
        ("  _  and _ .", ("  ", "  and _ .")),
        ("Woof may be_.", ("Woof may be", ".")),
        ("In a_b, _c is __ ?", ("In a_b, _c is ", " ?")),
        ("What does __init__ do?", ("What does __init__ do?", "")),
        ("one\ntwo _\nthree", ("one\ntwo ", "\nthree")),
        ("小明喜欢___吗？", ("小明喜欢", "吗？")),
        ("_a_ _", ("_a_ ", "")),
    ],
)
def test_blanks_are_the_same_in_files_and_in_exported_models(question, parts):
    example = ChoiceExample("a", question, ("d", "e"))
    assert example.around_choice() == parts
    graph = choosing.around_blank(tf.constant([question]))
    assert tuple(part.numpy()[0].decode() for part in graph) == parts


@pytest.mark.parametrize(
    ("length", "expected"),
    [
        (12, "[CLS] a a a a [SEP] b c d e f [SEP]"),
        (11, "[CLS] a a a [SEP] b c d e f [SEP]"),
        (8, "[CLS] [SEP] b c d e f [SEP]"),
        (7, "[CLS] [SEP] b c d e [SEP]"),
        (6, "[CLS] [SEP] c d e [SEP]"),
        (5, "[CLS] [SEP] d e [SEP]"),
    ],
)
def test_context_is_cut_and_then_the_question_but_no_choice(
    tokenizer, length, expected
):
    example = ChoiceExample("a a a a", "b c _ f", ("d e", "g g"), 0)
    encoded = ChoiceEncoder(tokenizer, length)([example])
    assert rows(encoded, 0)[0][0] == expected
    assert encoded.row_lengths().max() <= length


def test_choice_without_room(tokenizer):
    example = ChoiceExample("a", "b", ("c", "d e f"), place="x.jsonl, line 3")
    with pytest.raises(UserError) as error:
        ChoiceEncoder(tokenizer, 5)([example])
    assert str(error.value).startswith(
        "x.jsonl, line 3: choice 2 has 3 tokens, and a row with "
        "max_seq_length=5 has room for 2."
    )
    with pytest.raises(UserError, match="at least 4.* Received: 3"):
        ChoiceEncoder(tokenizer, 3)


def many():
    return [
        ChoiceExample("a " * (n % 9), "b", ("c", "d") + ("e",) * (n % 3), n % 2)
        for n in range(40)
    ]


def test_batches_hold_whole_examples(tokenizer):
    encoded = encode_examples(ChoiceEncoder(tokenizer, 16), many())
    examples = RowExamples(encoded, grouped=True)
    seen = []
    for indices, arrays in ArrayInput(examples, BatchOptions(8)).prediction(3):
        size, choices, _ = arrays["input_ids"].shape
        assert size % 3 == 0 and size >= len(indices)
        present = arrays["input_mask"].max(axis=-1)
        counts = encoded.rows_per_example()[indices]
        np.testing.assert_array_equal(
            present[: len(indices)], np.arange(choices) < counts[:, None]
        )
        assert not present[len(indices) :].any()
        seen += list(zip(indices, arrays["targets"], strict=False))
    assert sorted(seen) == [(n, n % 2) for n in range(40)]


def test_tpus_see_one_shape_where_all_have_as_many_choices(tokenizer):
    questions = [ChoiceExample("a", "b", ("c", "d", "e"), 0)] * 5
    examples = RowExamples(ChoiceEncoder(tokenizer, 16)(questions), True)
    data = ArrayInput(examples, BatchOptions(4, buckets=(16,)))
    # The second batch leaves nothing to the second replica.
    batches = data.training(Share(0, 1, 8, 2), np.zeros(3, np.int64))
    features, _ = batches.element_spec
    assert features["input_ids"].shape == [2, 3, 16]
    shapes = {f["input_ids"].shape.as_list()[1] for f, _ in batches.take(4)}
    assert shapes == {3}
    mixed = RowExamples(ChoiceEncoder(tokenizer, 16)(many()), True)
    data = ArrayInput(mixed, BatchOptions(4, buckets=(16,)))
    features, _ = data.training(Share(0, 1, 8, 2), np.zeros(3)).element_spec
    assert features["input_ids"].shape.as_list() == [None, None, None]


def test_cache_knows_what_shaped_it(tokenizer, tmp_path, monkeypatch):
    calls = []
    original = ChoiceEncoder.__call__

    def counted(self, examples):
        calls.append(len(examples))
        return original(self, examples)

    monkeypatch.setattr(ChoiceEncoder, "__call__", counted)

    def run(length=16, examples=None):
        before = len(calls)
        encoder = ChoiceEncoder(tokenizer, length)
        encoded = encode_cached(encoder, examples or many(), str(tmp_path))
        return encoded, len(calls) - before

    encoded, count = run()
    assert count == 1
    for ours, theirs in zip(
        encoded, ChoiceEncoder(tokenizer, 16)(many()), strict=True
    ):
        np.testing.assert_array_equal(ours, theirs)
    assert run()[1] == 0
    assert run(15)[1] == 1 and run(examples=many()[1:])[1] == 1
    named = [
        ChoiceExample(e.context, e.question, e.choices, e.answer, "x")
        for e in many()
    ]
    assert run(examples=named)[1] == 0


def test_accuracies_by_number_of_choices():
    shares = [np.float32(row) for row in ([0.7, 0.3, 0.0], [0.2, 0.8])]
    answers = np.array([0, 0])
    assert accuracies(answers, np.array([2, 2]), shares) == {"accuracy": 0.5}
    shares.append(np.float32([0.1, 0.2, 0.7]))
    counts = np.array([2, 2, 3])
    assert accuracies(np.array([0, 0, 2]), counts, shares) == {
        "accuracy": pytest.approx(2 / 3),
        "accuracy_2_choices": 0.5,
        "accuracy_3_choices": 1.0,
    }


def test_predictions(tmp_path):
    examples = [
        ChoiceExample("a", "", ("x", "y"), 0, "q\t1\r"),
        ChoiceExample("a", "", ("x", "y", "z")),
    ]
    # The second value of the first row belongs to no choice of its example.
    shares = np.float32([[0.25, 0.75, 0.9], [0.5, 0.125, 0.375]])
    with ChoiceWriter(str(tmp_path)) as writer:
        for one, row in zip(examples, shares, strict=True):
            writer.write([one], [row])
    assert (tmp_path / "predictions.tsv").read_text() == (
        "id\tprediction\tprobabilities\nq 1 \t1\t0.25 0.75\n"
        "1\t0\t0.5 0.125 0.375\n"
    )
    lines = (tmp_path / "predictions.jsonl").read_text().splitlines()
    assert [json.loads(line) for line in lines] == [
        {
            "id": "q\t1\r",
            "prediction": 1,
            "choice": "y",
            "probabilities": [0.25, 0.75],
        },
        {
            "id": "1",
            "prediction": 0,
            "choice": "x",
            "probabilities": [0.5, 0.125, 0.375],
        },
    ]
