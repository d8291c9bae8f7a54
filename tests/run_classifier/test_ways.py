"""Ways of training, each to its end."""

import os
import shutil

import numpy as np
import pytest

from tests.run_classifier.runs import (
    report_of,
    rows_of,
    sentences,
    weights_of,
)

WAYS = {
    "tokens": {"batch_tokens": 256},
    "padded": {"length_batching": False, "class_weights": ["1", "2"]},
    "windows": {"doc_stride": 3, "max_seq_length": 6, "pooling": "max"},
    "xla": {"xla": "on", "class_weights": ["balanced"]},
    "replicas": {
        "distribution": "mirrored",
        "doc_stride": 3,
        "max_seq_length": 6,
        "gradient_accumulation_steps": 2,
        "precision": "bfloat16",
        "layer_decay": 0.9,
    },
    "features": {"feature_based": True, "layers": "-1", "pooling": "mean"},
    "weighted": {
        "feature_based": True,
        "layers": "all",
        "combine": "weighted",
        "eval_each_epoch": True,
    },
    "lstm": {
        "feature_based": True,
        "layers": "embeddings,-1",
        "lstm_layers": 1,
        "lstm_size": 8,
        "pooling": "mean",
        "doc_stride": 3,
        "max_seq_length": 6,
    },
}


_SLOW_WAYS = ("replicas", "weighted")


@pytest.mark.parametrize(
    "values",
    [
        pytest.param(
            values,
            id=name,
            marks=pytest.mark.slow if name in _SLOW_WAYS else (),
        )
        for name, values in WAYS.items()
    ],
)
def test_ways_of_training(values, run):
    out = run(
        **values,
        do_train=True,
        do_eval=True,
        do_predict=True,
        num_train_epochs=2.0,
    )
    assert len(rows_of(out / "test_results.tsv")) == 20
    # In batches of other sizes, alone, and from what was kept: the same.
    before = report_of(out)
    run(do_eval=True, eval_batch_size=3, **_without_training(values))
    after = report_of(out)
    tolerance = 2e-2 if "precision" in values else 2e-3
    assert after["eval_loss"] == pytest.approx(
        before["eval_loss"], rel=tolerance
    )


def _without_training(values):
    kept = ("xla", "distribution", "precision", "max_seq_length", "doc_stride")
    return {name: values[name] for name in kept if name in values}


def test_frozen_parts_stay_and_others_learn(run, model_dir, tmp_path):
    start = run(do_train=True, num_train_epochs=0.1)
    init = tmp_path / "init"
    shutil.copytree(start, init)
    shutil.rmtree(start)
    before = weights_of(init)
    out = run(
        do_train=True,
        num_train_epochs=1.0,
        init_checkpoint=str(init / "bert_model.ckpt"),
        freeze=["embeddings", "layers:0-0"],
    )
    changed = {
        name
        for name, value in weights_of(out).items()
        if not np.array_equal(value, before[name])
    }
    frozen = ("bert/embeddings/", "bert/encoder/layer_0/")
    assert changed == {n for n in before if not n.startswith(frozen)}


def test_features_are_computed_once(run, caplog):
    values = {"feature_based": True, "layers": "-1", "do_train": True}
    out = run(**values, num_train_epochs=1.0)
    (kept,) = (out / "cache").glob("hidden.*")
    before = os.stat(kept / "hidden.bin").st_mtime_ns
    initial = weights_of(out)
    caplog.clear()
    run(
        **values,
        num_train_epochs=2.0,
        allow_changed_settings=True,
        init_checkpoint=str(out / "bert_model.ckpt"),
    )
    assert "computed already" in caplog.text
    assert os.stat(kept / "hidden.bin").st_mtime_ns == before
    assert len(list((out / "cache").glob("hidden.*"))) == 1
    final = weights_of(out)
    for name, value in initial.items():
        same = np.array_equal(value, final[name])
        assert same == name.startswith("bert/"), name


def test_labels_that_are_rare_are_sampled_as_often(run, data_dir, tmp_path):
    skewed = tmp_path / "skewed"
    shutil.copytree(data_dir, skewed)
    header, *rows = (skewed / "train.tsv").read_text().splitlines()
    rare = [row for row in rows if row.endswith("good")][:8]
    rows = [row for row in rows if row.endswith("bad")][:72] + rare
    (skewed / "train.tsv").write_text("\n".join([header, *rows]) + "\n")
    values = {
        "data_dir": str(skewed),
        "do_train": True,
        "do_eval": True,
        "num_train_epochs": 8.0,
        "learning_rate": 2e-3,
    }
    recalls = []
    for balanced in (False, True):
        shutil.rmtree(tmp_path / "out", ignore_errors=True)
        out = run(**values, balanced_sampling=balanced)
        recalls.append(report_of(out)["per_class"]["good"]["recall"])
    assert recalls[0] < 0.2 < recalls[1]


def test_a_model_of_other_labels_begins_anew_at_its_head(run, caplog, tmp_path):
    first = run(do_train=True, num_train_epochs=0.1)
    shutil.move(first, tmp_path / "first")
    data = tmp_path / "three"
    data.mkdir()
    lines = [f"{text}\t{n % 3}" for n, (text, _) in enumerate(sentences(48, 2))]
    (data / "train.tsv").write_text("text\tlabel\n" + "\n".join(lines) + "\n")
    out = run(
        do_train=True,
        data_dir=str(data),
        num_train_epochs=1.0,
        init_checkpoint=str(tmp_path / "first" / "bert_model.ckpt"),
    )
    assert weights_of(out)["output_weights"].shape == (3, 16)
    assert "output_weights for another task" in caplog.text


def test_a_dry_run_writes_no_model(run, caplog):
    out = run(dry_run=True)
    assert "peak_memory_bytes" in caplog.text
    assert {path.name for path in out.iterdir()} == {"cache"}
