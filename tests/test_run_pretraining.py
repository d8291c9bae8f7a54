"""run_pretraining.py as its users run it."""

import json
import os
import random
import signal
import socket
import subprocess
import time

import numpy as np
import pytest
from absl import flags, logging
from absl.testing import flagsaver

from modeling.errors import UserError
from tests import scripts
from tests.conftest import ROOT
from tests.scripts import load_script

GOLDEN = ROOT / "tests" / "golden"
RECORDS = GOLDEN / "pretraining" / "sample.tfrecord"
_TINY = {
    "vocab_size": 2371,
    "hidden_size": 8,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 16,
    "max_position_embeddings": 64,
    "type_vocab_size": 2,
}
_SMALL_RUN = {
    "do_train": True,
    "train_batch_size": 8,
    "num_train_steps": 4,
    "num_warmup_steps": 1,
    "learning_rate": 1e-3,
}


@pytest.fixture(scope="session")
def config_file(tmp_path_factory):
    """A config of a tiny model, with the golden vocabulary beside it."""
    directory = tmp_path_factory.mktemp("tiny")
    (directory / "vocab.txt").write_bytes((GOLDEN / "vocab.txt").read_bytes())
    path = directory / "bert_config.json"
    path.write_text(json.dumps(_TINY))
    return str(path)


@pytest.fixture(autouse=True)
def _tell_everything():
    logging.set_verbosity(logging.INFO)


def run_main(**values):
    script = load_script("run_pretraining")
    with flagsaver.flagsaver(**values):
        script.main([])


def run_script(*arguments, **options):
    return scripts.run_script("run_pretraining", *arguments, **options)


def weights_of(directory):
    return scripts.weights_of(directory / "bert_model.ckpt")


def results_of(directory):
    lines = (directory / "eval_results.txt").read_text().splitlines()
    return dict(line.split(" = ") for line in lines)


def test_flags_and_defaults_of_the_original():
    load_script("run_pretraining")
    expected = {
        "bert_config_file": None,
        "input_file": None,
        "output_dir": None,
        "init_checkpoint": None,
        "max_seq_length": 128,
        "max_predictions_per_seq": 20,
        "do_train": False,
        "do_eval": False,
        "train_batch_size": 32,
        "eval_batch_size": 8,
        "learning_rate": 5e-5,
        "num_train_steps": 100000,
        "num_warmup_steps": 10000,
        "save_checkpoints_steps": 1000,
        "iterations_per_loop": 1000,
        "max_eval_steps": 100,
        "use_tpu": False,
        "tpu_name": None,
        "tpu_zone": None,
        "gcp_project": None,
        "master": None,
        "num_tpu_cores": 8,
    }
    assert {name: flags.FLAGS[name].default for name in expected} == expected


@pytest.mark.golden
def test_evaluation_is_the_originals(golden_dir, tmp_path):
    directory = golden_dir / "pretraining"
    run = json.loads((directory / "eval_run.json").read_text())
    run_main(
        input_file=[str(directory / run["file"])],
        output_dir=str(tmp_path),
        bert_config_file=str(golden_dir / "bert_config.json"),
        init_checkpoint=str(golden_dir / "bert_model.ckpt"),
        do_eval=True,
        eval_batch_size=run["eval_batch_size"],
        max_eval_steps=run["max_eval_steps"],
    )
    expected = (directory / "eval_results.txt").read_text().splitlines()
    ours = results_of(tmp_path)
    assert list(ours) == [line.split(" = ")[0] for line in expected]
    for line in expected:
        name, value = line.split(" = ")
        assert float(ours[name]) == pytest.approx(float(value), rel=1e-6), name
    full = json.loads((tmp_path / "eval_results.json").read_text())
    assert full["masked_lm_perplexity"] == pytest.approx(
        np.exp(full["masked_lm_loss"])
    )
    assert "masked_lm_accuracy_kept" in full


def test_training_and_evaluation_of_every_record(config_file, tmp_path):
    run_main(
        **_SMALL_RUN,
        input_file=[str(RECORDS)],
        output_dir=str(tmp_path),
        bert_config_file=config_file,
        do_eval=True,
        save_checkpoints_steps=2,
        keep_checkpoints=1,
        eval_every=2,
        log_steps=2,
    )
    files = {path.name for path in tmp_path.iterdir()}
    assert {
        "bert_model.ckpt.index",
        "bert_config.json",
        "vocab.txt",
        "checkpoint",
        "model.ckpt-4.index",
        "eval_results.txt",
        "eval_results.json",
        "run.jsonl",
    } <= files
    assert "model.ckpt-2.index" not in files
    assert results_of(tmp_path)["global_step"] == "4"
    assert not any("adam" in name for name in weights_of(tmp_path))

    events = [
        json.loads(line)
        for line in (tmp_path / "run.jsonl").read_text().splitlines()
    ]
    (*_, report) = [e for e in events if e["event"] == "train"]
    assert report["model_flops_per_second"] > 0
    steps = [e["step"] for e in events if e["event"] == "evaluation"]
    assert steps == [2, 4, 4]
    # The batches of 8 of 86 records: the last one is filled up with 2.
    assert float(results_of(tmp_path)["masked_lm_loss"]) == pytest.approx(
        _by_hand(tmp_path), rel=1e-5
    )

    # The exported model is one that evaluation starts from elsewhere.
    other = tmp_path / "other"
    run_main(
        input_file=[str(RECORDS)],
        output_dir=str(other),
        bert_config_file=str(tmp_path / "bert_config.json"),
        init_checkpoint=str(tmp_path / "bert_model.ckpt"),
        do_eval=True,
        eval_batch_size=43,
    )
    ours = results_of(other)
    for name in ("masked_lm_loss", "next_sentence_accuracy"):
        expected = float(results_of(tmp_path)[name])
        assert float(ours[name]) == pytest.approx(expected, rel=1e-5)


def _by_hand(directory):
    """Mean loss over all masked words, one record after the other."""
    import tensorflow as tf

    from modeling import BertConfig, BertPretrainer, initialize_model
    from modeling.records import masked_features, parse_spec

    model = BertPretrainer(
        BertConfig.from_json_file(directory / "bert_config.json")
    )
    initialize_model(model, str(directory / "bert_model.ckpt"))
    spec = parse_spec(masked_features(64, 10))
    (batch,) = (
        tf.data.TFRecordDataset(str(RECORDS))
        .batch(1000)
        .map(lambda records: tf.io.parse_example(records, spec))
    )
    logits = model(batch)["masked_lm_logits"]
    losses = tf.nn.sparse_softmax_cross_entropy_with_logits(
        batch["masked_lm_ids"], logits
    )
    weights = batch["masked_lm_weights"]
    return float(tf.reduce_sum(losses * weights) / tf.reduce_sum(weights))


def test_a_finished_training_is_skipped(config_file, tmp_path, caplog):
    values = {
        **_SMALL_RUN,
        "input_file": [str(RECORDS)],
        "output_dir": str(tmp_path),
        "bert_config_file": config_file,
    }
    run_main(**values)
    before = weights_of(tmp_path)
    run_main(**values)
    assert "Skipping training" in caplog.text
    for name, value in weights_of(tmp_path).items():
        np.testing.assert_array_equal(value, before[name])
    # More steps are other settings: the learning rate's line has its end
    # elsewhere.
    with pytest.raises(ValueError, match="num_train_steps: 4 before, 6 now"):
        run_main(**{**values, "num_train_steps": 6})
    run_main(**{**values, "num_train_steps": 6}, allow_changed_settings=True)
    assert (tmp_path / "model.ckpt-6.index").exists()


def test_a_constant_rate_goes_on_to_more_steps(config_file, tmp_path):
    values = {
        **_SMALL_RUN,
        "input_file": [str(RECORDS)],
        "bert_config_file": config_file,
        "lr_schedule": "constant",
    }
    whole, longer = tmp_path / "whole", tmp_path / "longer"
    run_main(**{**values, "num_train_steps": 6}, output_dir=str(whole))
    run_main(**values, output_dir=str(longer))
    run_main(**{**values, "num_train_steps": 6}, output_dir=str(longer))
    expected = weights_of(whole)
    for name, value in weights_of(longer).items():
        np.testing.assert_array_equal(value, expected[name], name)


def test_what_shapes_the_weights_stays_the_same(config_file, tmp_path):
    values = {
        **_SMALL_RUN,
        "input_file": [str(RECORDS)],
        "output_dir": str(tmp_path / "out"),
        "bert_config_file": config_file,
        "vocab_file": str(GOLDEN / "vocab.txt"),
    }
    run_main(**values)
    no_dropout = tmp_path / "bert_config.json"
    no_dropout.write_text(json.dumps({**_TINY, "hidden_dropout_prob": 0.0}))
    for changes, message in (
        ({"precision": "bfloat16"}, "precision: 'float32' before, 'bf"),
        ({"xla": "off"}, "xla.fuse: True before, False now"),
        ({"bert_config_file": str(no_dropout)}, "config.hidden_dropout_prob"),
        ({"seed": 7, "do_train": False, "dry_run": True}, "seed: 12345 before"),
    ):
        with pytest.raises(ValueError, match=message):
            run_main(**{**values, **changes})


def test_a_dry_run_writes_nothing(config_file, tmp_path, caplog):
    run_main(
        **{**_SMALL_RUN, "do_train": False},
        input_file=[str(RECORDS)],
        output_dir=str(tmp_path / "out"),
        bert_config_file=config_file,
        dry_run=True,
    )
    assert "peak_memory_bytes" in caplog.text
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "options",
    [
        {"gradient_accumulation_steps": 2, "optimizer": "lamb"},
        {"precision": "bfloat16", "recompute": True, "lr_schedule": "cosine"},
        {"precision": "float16", "pack_sequences": True, "layer_decay": 0.9},
        {"xla": "on", "sentence_pairs": "none"},
    ],
    ids=lambda options: "-".join(options),
)
def test_ways_of_training(options, config_file, tmp_path):
    run_main(
        **_SMALL_RUN,
        **options,
        input_file=[str(RECORDS)],
        output_dir=str(tmp_path),
        bert_config_file=config_file,
        do_eval=True,
        max_eval_steps=1,
    )
    results = results_of(tmp_path)
    assert float(results["loss"]) < 9
    has_pairs = "next_sentence_loss" in results
    assert has_pairs == (options.get("sentence_pairs") != "none")


def test_masking_on_the_fly(config_file, tmp_path):
    records = tmp_path / "unmasked.tfrecord"
    script = load_script("create_pretraining_data")
    with flagsaver.flagsaver(
        input_file=str(GOLDEN / "pretraining" / "sample_text.txt"),
        output_file=str(records),
        vocab_file=str(GOLDEN / "vocab.txt"),
        max_seq_length=32,
        masking="none",
        dupe_factor=1,
        num_workers=1,
    ):
        script.main([])
    values = {
        **_SMALL_RUN,
        "input_file": [str(records)],
        "bert_config_file": config_file,
        "do_eval": True,
        "masking": "whole_word",
        "max_predictions_per_seq": 5,
    }
    run_main(**values, output_dir=str(tmp_path / "out"))
    assert float(results_of(tmp_path / "out")["masked_lm_loss"]) < 9
    with pytest.raises(ValueError, match="do_lower_case is True in the record"):
        run_main(
            **values, output_dir=str(tmp_path / "cased"), do_lower_case=False
        )
    with pytest.raises(ValueError, match="max_seq_length"):
        run_main(**values, output_dir=str(tmp_path / "long"), max_seq_length=64)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"do_train": False}, "--do_train and --do_eval"),
        ({"input_file": ["/nowhere/*"]}, "no file matches '/nowhere/*'"),
        ({"input_file": []}, "no file was named"),
        ({"output_dir": __file__}, "is not a directory"),
        ({"bert_config_file": "/nowhere.json"}, "/nowhere.json"),
        ({"init_checkpoint": "/nowhere/bert_model.ckpt"}, "no checkpoint"),
        ({"max_seq_length": 128}, "max_seq_length=64"),
        ({"max_predictions_per_seq": 20}, "max_predictions_per_seq=10"),
        ({"train_batch_size": 5, "gradient_accumulation_steps": 2}, "multiple"),
        ({"profile_steps": ["3"]}, "--profile_steps"),
        ({"profile_steps": ["3", "5"]}, "of the 4 steps"),
        ({"profile_steps": ["1", "inf"]}, "Received: 1,inf"),
        ({"masking": "whole_word"}, "--masking: the records of"),
        ({"masked_lm_prob": 0.3}, "are masked already"),
        ({"learning_rate": -1.0}, "learning rate must be above 0"),
        ({"distribution": "multi_worker"}, "TF_CONFIG"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else "",
)
def test_users_mistakes_are_told(values, message, config_file, tmp_path):
    defaults = {
        **_SMALL_RUN,
        "input_file": [str(RECORDS)],
        "output_dir": str(tmp_path / "out"),
        "bert_config_file": config_file,
    }
    with pytest.raises(ValueError) as error:
        run_main(**{**defaults, **values})
    assert message in str(error.value)
    assert not (tmp_path / "out").exists()


def test_damage_in_the_middle_of_the_records_is_told(config_file, tmp_path):
    records = tmp_path / "cut.tfrecord"
    records.write_bytes(RECORDS.read_bytes()[:-100])
    with pytest.raises(ValueError, match=r"cut\.tfrecord is damaged"):
        run_main(
            **_SMALL_RUN,
            input_file=[str(records)],
            output_dir=str(tmp_path / "out"),
            bert_config_file=config_file,
        )


@pytest.mark.parametrize(
    "name",
    ["training_settings.json", "checkpoint", "vocab.txt", "eval_results.txt"],
)
def test_a_file_that_cannot_be_written_is_told(name, config_file, tmp_path):
    # A directory in its place stands for a full disk.
    (tmp_path / name).mkdir()
    with pytest.raises(UserError, match="Cannot write"):
        run_main(
            **{**_SMALL_RUN, "num_train_steps": 1},
            input_file=[str(RECORDS)],
            output_dir=str(tmp_path),
            bert_config_file=config_file,
            do_eval=True,
            max_eval_steps=1,
        )
    assert not list(tmp_path.glob("*.tmp"))


def test_mistakes_end_with_status_1_and_no_traceback(tmp_path):
    result = run_script(
        f"--input_file={RECORDS}",
        f"--output_dir={tmp_path / 'out'}",
        "--bert_config_file=/nowhere.json",
        "--do_train",
    )
    assert result.returncode == 1
    assert result.stderr.splitlines()[-1].startswith("error: ")
    assert "Traceback" not in result.stderr


def test_help():
    result = run_script("--help")
    assert result.returncode == 0
    for name in ("--num_train_steps", "--distribution", "pack_sequences"):
        assert name in result.stdout


def _long_run(config_file, output_dir, *arguments):
    return (
        f"--input_file={RECORDS}",
        f"--output_dir={output_dir}",
        f"--bert_config_file={config_file}",
        "--do_train",
        "--train_batch_size=8",
        "--num_train_steps=1500",
        "--num_warmup_steps=10",
        "--learning_rate=1e-3",
        "--save_checkpoints_steps=100",
        *arguments,
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    "arguments",
    [(), ("--distribution=mirrored", "--num_cpu_devices=2")],
    ids=["one_device", "two_replicas"],
)
def test_killed_runs_end_with_the_weights_of_a_whole_one(
    arguments, config_file, tmp_path
):
    whole = tmp_path / "whole"
    result = run_script(*_long_run(config_file, whole, *arguments))
    assert result.returncode == 0, result.stderr
    cut = tmp_path / "cut"
    command = _long_run(config_file, cut, *arguments)
    signals = [signal.SIGKILL, signal.SIGKILL, signal.SIGTERM]
    for number in signals:
        process = run_script(
            *command, start=subprocess.Popen, stderr=subprocess.PIPE
        )
        _wait_for_a_checkpoint(process, cut)
        time.sleep(random.random())
        process.send_signal(number)
        process.communicate()
        expected = -number if number == signal.SIGKILL else 128 + number
        assert process.returncode in (expected, 0)
    result = run_script(*command)
    assert result.returncode == 0, result.stderr
    expected = weights_of(whole)
    for name, value in weights_of(cut).items():
        np.testing.assert_array_equal(value, expected[name], name)
    assert not list(cut.glob("*tmp*"))


def _two_hosts(*arguments):
    """Starts the command on two hosts, which this machine stands for."""
    sockets = [socket.socket() for _ in range(2)]
    for each in sockets:
        each.bind(("localhost", 0))
    hosts = [f"localhost:{each.getsockname()[1]}" for each in sockets]
    for each in sockets:
        each.close()
    cluster = {"cluster": {"worker": hosts}}
    return [
        run_script(
            *arguments,
            start=subprocess.Popen,
            stderr=subprocess.PIPE,
            env={
                **os.environ,
                "TF_CONFIG": json.dumps(
                    {**cluster, "task": {"type": "worker", "index": index}}
                ),
            },
        )
        for index in range(2)
    ]


def _ends(processes):
    errors = [process.communicate(timeout=300)[1] for process in processes]
    return [process.returncode for process in processes], "\n".join(errors)


@pytest.mark.slow
def test_two_hosts_end_together_and_go_on(config_file, tmp_path):
    """A signal to one of them saves and ends both."""
    # A file for each host.
    for name in ("a.tfrecord", "b.tfrecord"):
        (tmp_path / name).write_bytes(RECORDS.read_bytes())
    arguments = (f"--input_file={tmp_path}/*.tfrecord", "--num_train_steps=400")
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    command = _long_run(config_file, whole, *arguments)
    codes, errors = _ends(_two_hosts(*command))
    assert codes == [0, 0], errors

    command = _long_run(config_file, cut, *arguments)
    processes = _two_hosts(*command)
    _wait_for_a_checkpoint(processes[0], cut)
    processes[1].send_signal(signal.SIGTERM)
    codes, errors = _ends(processes)
    assert codes == [0, 128 + signal.SIGTERM], errors
    codes, errors = _ends(_two_hosts(*command))
    assert codes == [0, 0], errors
    expected = weights_of(whole)
    for name, value in weights_of(cut).items():
        np.testing.assert_array_equal(value, expected[name], name)


def _wait_for_a_checkpoint(process, directory):
    """Until the process has written one of its own."""
    before = set(directory.glob("*.index"))
    while process.poll() is None:
        if set(directory.glob("*.index")) - before:
            return
        time.sleep(0.02)


@pytest.mark.slow
def test_a_full_disk_loses_nothing(config_file, tmp_path):
    """The limit of a file's size stands in for a full disk."""
    import resource

    command = _long_run(config_file, tmp_path, "--num_train_steps=200")
    assert run_script(*command).returncode == 0
    before = {
        path.name: path.read_bytes() for path in tmp_path.glob("model.ckpt*")
    }
    result = run_script(
        *_long_run(config_file, tmp_path, "--num_train_steps=300"),
        "--allow_changed_settings",
        preexec_fn=lambda: resource.setrlimit(
            resource.RLIMIT_FSIZE, (50_000, 50_000)
        ),
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
    )
    assert result.returncode == 1
    assert "Cannot write the checkpoint" in result.stderr
    assert "function_node" not in result.stderr
    assert "Traceback" not in result.stderr
    after = {
        path.name: path.read_bytes() for path in tmp_path.glob("model.ckpt*")
    }
    assert after == before
