"""Every flag changes what a run is made of."""

import dataclasses
import json
import re

import pytest
import tensorflow as tf
from absl import flags

import modeling.finetuning
from tests.scripts import load_script

_MODULES = (
    "run_classifier",
    "task_flags",
    "fine_tuning_flags",
    "training_flags",
    "common_flags",
)

# A value of each flag that is not its default, and what must go with it.
CHANGES = {
    "task_name": {"task_name": "sst-2"},
    "data_dir": {"data_dir": "{tmp_path}/data"},
    "output_dir": {"output_dir": "{tmp_path}/other"},
    "language": {"language": "de"},
    "train_language": {"train_language": "en"},
    "kind": {"kind": "multi_label"},
    "text_a": {"text_a": "id"},
    "text_b": {"text_b": "id"},
    "label": {"label": "id"},
    "row_id": {"row_id": "text", "text_a": "id"},
    "predict_file": {"predict_file": "-"},
    "prediction_dir": {"prediction_dir": "/elsewhere"},
    "cache_dir": {"cache_dir": "/elsewhere"},
    "num_workers": {"num_workers": 3},
    "doc_stride": {"doc_stride": 4},
    "max_seq_length": {"max_seq_length": 20},
    "pooling": {"pooling": "max"},
    "pack_sequences": {"pack_sequences": True},
    "class_weights": {"class_weights": ["3", "1"]},
    "balanced_sampling": {"balanced_sampling": True},
    "feature_based": {"feature_based": True},
    "layers": {"layers": "0,embeddings", "feature_based": True},
    "combine": {"combine": "sum", "feature_based": True},
    "lstm_layers": {"lstm_layers": 1, "feature_based": True},
    "lstm_size": {"lstm_size": 6, "feature_based": True},
    "freeze": {"freeze": ["pooler"]},
    "do_train": {"do_train": False, "do_eval": True},
    "do_eval": {"do_eval": True},
    "do_predict": {"do_predict": True},
    "dry_run": {"dry_run": True},
    "train_batch_size": {"train_batch_size": 4},
    "eval_batch_size": {"eval_batch_size": 4},
    "predict_batch_size": {"predict_batch_size": 4},
    "gradient_accumulation_steps": {"gradient_accumulation_steps": 2},
    "num_train_epochs": {"num_train_epochs": 1.5},
    "batch_tokens": {"batch_tokens": 100},
    "length_batching": {"length_batching": False},
    "learning_rate": {"learning_rate": 1e-6},
    "warmup_proportion": {"warmup_proportion": 0.3},
    "lr_schedule": {"lr_schedule": "cosine"},
    "lr_power": {"lr_power": 3.0, "lr_schedule": "polynomial"},
    "end_learning_rate": {"end_learning_rate": 1e-9},
    "num_decay_steps": {"num_decay_steps": 7, "lr_schedule": "wsd"},
    "optimizer": {"optimizer": "lamb"},
    "bias_correction": {"bias_correction": True},
    "weight_decay_rate": {"weight_decay_rate": 0.3},
    "clip_norm": {"clip_norm": 0.3},
    "layer_decay": {"layer_decay": 0.9},
    "seed": {"seed": 5},
    "num_trials": {"num_trials": 2},
    "grid": {"grid": True},
    "grid_batch_sizes": {"grid_batch_sizes": ["3"], "grid": True},
    "grid_learning_rates": {"grid_learning_rates": ["3e-4"], "grid": True},
    "grid_epochs": {"grid_epochs": ["9"], "grid": True},
    "eval_each_epoch": {"eval_each_epoch": True},
    "eval_every": {"eval_every": 3},
    "early_stopping_patience": {"early_stopping_patience": 2},
    "save_checkpoints_steps": {"save_checkpoints_steps": 5},
    "keep_checkpoints": {"keep_checkpoints": 2},
    "export_every": {"export_every": 5},
    "log_steps": {"log_steps": 7},
    "max_train_seconds": {"max_train_seconds": 9.0},
    "profile_steps": {"profile_steps": ["2", "3"]},
    "allow_changed_settings": {"allow_changed_settings": True},
    "recompute": {"recompute": True},
    "use_one_hot_embeddings": {"use_one_hot_embeddings": True},
    "precision": {"precision": "bfloat16"},
    "xla": {"xla": "on"},
    "distribution": {"distribution": "mirrored"},
    "init_checkpoint": {"init_checkpoint": "{golden}/bert_model.ckpt"},
    "bert_config_file": {"bert_config_file": "{tmp_path}/small.json"},
    "vocab_file": {"vocab_file": "{tmp_path}/words.txt"},
    "do_lower_case": {"do_lower_case": False},
    "strip_accents": {"strip_accents": False},
}
# Of flags that only go with others: what the comparison begins with.
_BESIDE = {
    "language": {"task_name": "xnli"},
    "train_language": {"task_name": "xnli"},
    "row_id": {"text_a": "id"},
    "lr_power": {"lr_schedule": "polynomial"},
    "num_decay_steps": {"lr_schedule": "wsd"},
    **dict.fromkeys(
        ("layers", "combine", "lstm_layers", "lstm_size"),
        {"feature_based": True},
    ),
    **dict.fromkeys(
        ("grid_batch_sizes", "grid_learning_rates", "grid_epochs"),
        {"grid": True},
    ),
}
# Those whose effect is tested where it is.
ELSEWHERE = {
    "interactive": "test_prediction.py",
    "spm_model_file": "tests/tokenization/test_load_tokenizer.py",
    "num_cpu_devices": "tests/test_devices.py",
    "iterations_per_loop": "a TPU's alone; tests/training/test_layouts.py",
    "use_tpu": "tests/test_devices.py",
    "tpu_name": "tests/test_devices.py",
    "tpu_zone": "tests/test_devices.py",
    "gcp_project": "tests/test_devices.py",
    "master": "tests/test_devices.py",
    "num_tpu_cores": "of no concern; the original's",
}


def test_every_flag_is_listed():
    load_script("run_classifier")
    defined = {
        flag.name
        for module, of_module in flags.FLAGS.flags_by_module_dict().items()
        if module in _MODULES
        for flag in of_module
    }
    assert defined == CHANGES.keys() | ELSEWHERE.keys()


@pytest.fixture
def made_of(run, model_dir, golden_dir, tmp_path, monkeypatch):
    """What a run with some flags is made of, without running it."""
    seen = []
    monkeypatch.setattr(
        modeling.finetuning,
        "run_job",
        lambda *parts: seen.append(_describe(*parts)),
    )
    (tmp_path / "data").mkdir()
    header = "id\ttext\tsentence\tlabel\n"
    rows = "".join(f"{n}\tfilm\tfilm\t{n}\n" for n in range(2))
    for split in ("train", "dev"):
        (tmp_path / "data" / f"{split}.tsv").write_text(header + rows)
    config = json.loads((model_dir / "bert_config.json").read_text())
    config["hidden_dropout_prob"] = 0.0
    (tmp_path / "small.json").write_text(json.dumps(config))
    words = (model_dir / "vocab.txt").read_text()
    (tmp_path / "words.txt").write_text(words.replace("film", "movie"))

    def make(values):
        values = {
            name: value.format(tmp_path=tmp_path, golden=golden_dir)
            if isinstance(value, str)
            else value
            for name, value in values.items()
        }
        files = {
            "bert_config_file": str(model_dir / "bert_config.json"),
            "vocab_file": str(model_dir / "vocab.txt"),
        }
        run(**{"do_train": True, **files, **values})
        return seen.pop()

    return make


def _describe(job, purpose, trials, training_options):
    setup = job.setup
    options = training_options(trials[0], 100, 10)
    return {
        # Without the places of functions.
        "source": re.sub(" at 0x[0-9a-f]+", "", repr(job._source)),
        "options": repr(job._options),
        "task": repr(setup.task),
        "recipe": repr(setup.recipe),
        "places": [setup.output_dir, setup.init_checkpoint, setup.do_train],
        "xla": setup.xla,
        "trained": [
            setup.is_trained(f"{part}/kernel")
            for part in ("bert/pooler", "bert/encoder/layer_0", "output_bias")
        ],
        "words": setup.start.tokenizer.encode("A fílm"),
        "purpose": repr(purpose),
        "trials": repr(trials),
        "training": dataclasses.asdict(options),
        "replicas": setup.strategy.num_replicas_in_sync,
    }


@pytest.mark.parametrize("flag", CHANGES)
def test_every_flag_does_something(flag, made_of):
    beside = _BESIDE.get(flag, {})
    if flag != "data_dir" and flag != "task_name":
        beside = {"data_dir": "{tmp_path}/data", **beside}
    before = made_of(beside)
    assert made_of({**beside, **CHANGES[flag]}) != before
    # The same flags make the same.
    assert made_of(beside) == before


def test_distribution_has_two_devices_to_try():
    assert len(tf.config.list_logical_devices("CPU")) == 2
