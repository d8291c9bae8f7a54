"""extract_features.py as its users run it."""

import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from absl.testing import flagsaver

from tests.conftest import ROOT
from tests.scripts import load_script

MODEL_DIR = ROOT / "tests" / "golden"


def run_main(**flags):
    names = {
        "init_checkpoint": f"{MODEL_DIR}/bert_model.ckpt",
        "layers": "-1",
        **flags,
    }
    script = load_script("extract_features")
    with flagsaver.flagsaver(**names):
        script.main([])


def run_script(*arguments, **options):
    return subprocess.run(
        [sys.executable, str(ROOT / "extract_features.py"), *arguments],
        capture_output=True,
        text=True,
        check=False,
        **options,
    )


@pytest.mark.golden
def test_output_is_the_originals(golden_dir, tmp_path):
    directory = golden_dir / "extract_features"
    settings = json.loads((directory / "run.json").read_text())
    output = tmp_path / "output.jsonl"
    run_main(
        input_file=str(directory / "input.txt"),
        output_file=str(output),
        init_checkpoint=str(golden_dir / "bert_model.ckpt"),
        bert_config_file=str(golden_dir / "bert_config.json"),
        vocab_file=str(golden_dir / "vocab.txt"),
        **settings,
    )
    expected = (directory / "output.jsonl").read_text().splitlines()
    actual = output.read_text().splitlines()
    assert len(actual) == len(expected)
    for ours, theirs in zip(actual, expected, strict=True):
        assert_same(json.loads(ours), json.loads(theirs))


def assert_same(ours, theirs):
    """Equal keys in equal order, and numbers to the last digit but one."""
    assert type(ours) is type(theirs)
    if isinstance(ours, dict):
        assert list(ours) == list(theirs)
        for key in ours:
            assert_same(ours[key], theirs[key])
    elif isinstance(ours, list) and ours and isinstance(ours[0], float):
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-5)
    elif isinstance(ours, list):
        assert len(ours) == len(theirs)
        for our, their in zip(ours, theirs, strict=True):
            assert_same(our, their)
    else:
        assert ours == theirs


def test_flags_and_defaults_of_the_original():
    expected = {
        "input_file": None,
        "output_file": None,
        "layers": "-1,-2,-3,-4",
        "bert_config_file": None,
        "max_seq_length": 128,
        "init_checkpoint": None,
        "vocab_file": None,
        "do_lower_case": True,
        "batch_size": 32,
        "use_tpu": False,
        "master": None,
        "num_tpu_cores": 8,
        "use_one_hot_embeddings": False,
    }
    flags = load_script("extract_features").flags.FLAGS
    assert {name: flags[name].default for name in expected} == expected


def test_every_way_to_write_says_the_same(tmp_path):
    text = tmp_path / "text.txt"
    text.write_text("hello\n\nthe cat ||| the dog\n")
    names = {"jsonl": "out.jsonl", "npz": "out_npz", "npy": "out_npy"}
    for output_format, name in names.items():
        run_main(
            input_file=str(text),
            output_file=str(tmp_path / name),
            output_format=output_format,
            combine="mean",
            layers="all",
            use_one_hot_embeddings=output_format == "npy",
        )
    from modeling.features import read_shards

    lines = (tmp_path / "out.jsonl").read_text().splitlines()
    for name in ("out_npz", "out_npy"):
        shards = list(read_shards(tmp_path / name))
        assert len(shards) == len(lines) == 3
        for line, features in zip(map(json.loads, lines), shards, strict=True):
            tokens = [item["token"] for item in line["features"]]
            assert tokens == features.tokens
            np.testing.assert_allclose(
                [item["layers"][0]["values"] for item in line["features"]],
                features.values[:, 0],
                atol=1e-5,
            )


def test_bfloat16(tmp_path):
    text = tmp_path / "text.txt"
    text.write_text("the cat wanted to go home\n")
    vectors = {}
    for precision in ("float32", "bfloat16"):
        output = tmp_path / f"{precision}.jsonl"
        run_main(
            input_file=str(text),
            output_file=str(output),
            precision=precision,
            pooling="mean",
        )
        (layer,) = json.loads(output.read_text())["layers"]
        vectors[precision] = np.array(layer["values"])
    difference = np.abs(vectors["float32"] - vectors["bfloat16"]).max()
    assert 0 < difference < 0.05


def test_case_is_read_from_the_model_unless_given(tmp_path):
    for name in ("bert_config.json", "vocab.txt"):
        content = (MODEL_DIR / name).read_text(encoding="utf-8")
        (tmp_path / name).write_text(content, encoding="utf-8")
    (tmp_path / "tokenizer_config.json").write_text('{"do_lower_case": false}')
    (tmp_path / "text.txt").write_text("THE\n")
    tokens = {}
    for flags in ({}, {"do_lower_case": True}, {"do_lower_case": False}):
        run_main(
            input_file=str(tmp_path / "text.txt"),
            output_file=str(tmp_path / "out.jsonl"),
            bert_config_file=str(tmp_path / "bert_config.json"),
            vocab_file=str(tmp_path / "vocab.txt"),
            **flags,
        )
        line = json.loads((tmp_path / "out.jsonl").read_text())
        words = [item["token"] for item in line["features"]]
        tokens[flags.get("do_lower_case")] = words
    assert tokens[True] == ["[CLS]", "the", "[SEP]"]
    assert tokens[False] != tokens[True]
    assert tokens[None] == tokens[False]


def test_help_answers_without_tensorflow():
    start = time.perf_counter()
    result = run_script("-h")
    assert time.perf_counter() - start < 1
    assert result.returncode == 0
    for flag in ("--layers", "--init_checkpoint", "--num_tpu_cores"):
        assert flag in result.stdout


def test_pipes(tmp_path):
    result = run_script(
        "--input_file=-",
        "--output_file=-",
        f"--init_checkpoint={MODEL_DIR}",
        "--layers=-1",
        "--pooling=cls",
        input="one\ntwo ||| three\n",
    )
    assert result.returncode == 0, result.stderr
    lines = [json.loads(line) for line in result.stdout.splitlines()]
    assert [line["linex_index"] for line in lines] == [0, 1]
    assert "2 lines, " in result.stderr
    assert "Seconds: start" in result.stderr


@pytest.mark.parametrize(
    "flag", ["--batch_size=0", "--max_seq_length=2", "--window_overlap=-1"]
)
def test_impossible_flags_are_told_at_once(flag):
    result = run_script(
        "--input_file=-", "--output_file=-", "--init_checkpoint=x", flag
    )
    assert result.returncode == 1
    assert flag in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.slow
def test_interrupted_it_says_how_to_go_on(tmp_path):
    text = tmp_path / "text.txt"
    text.write_text("the cat wanted to go home\n" * 1_000_000)
    process = subprocess.Popen(
        [
            sys.executable,
            str(ROOT / "extract_features.py"),
            f"--input_file={text}",
            f"--output_file={tmp_path}/out.jsonl",
            f"--init_checkpoint={MODEL_DIR}",
            "--layers=-1",
        ],
        stderr=subprocess.PIPE,
        text=True,
        # Shells start what runs in the background without.
        preexec_fn=lambda: signal.signal(
            signal.SIGINT, signal.default_int_handler
        ),
    )
    while process.poll() is None and not done(tmp_path / "out.jsonl"):
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate()
    assert process.returncode == 130
    assert "--resume goes on after them" in errors
    assert "Traceback" not in errors
    assert done(tmp_path / "out.jsonl")


@pytest.mark.slow
def test_killed_and_resumed(tmp_path):
    text = tmp_path / "text.txt"
    words = "the cat wanted to go home and the dog ran over the street".split()
    rng = np.random.default_rng(0)
    with open(text, "w") as file:
        for _ in range(24_000):
            file.write(" ".join(rng.choice(words, rng.integers(1, 13))) + "\n")
    whole, output = tmp_path / "whole.jsonl", tmp_path / "out.jsonl"
    arguments = [
        f"--input_file={text}",
        f"--init_checkpoint={MODEL_DIR}",
        "--layers=-1",
    ]
    assert run_script(*arguments, f"--output_file={whole}").returncode == 0
    arguments.append(f"--output_file={output}")
    for _ in range(2):
        process = subprocess.Popen(
            [
                sys.executable,
                str(ROOT / "extract_features.py"),
                *arguments,
                "--resume",
            ],
            stderr=subprocess.DEVNULL,
        )
        before = done(output)
        while process.poll() is None and done(output) <= before:
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert not output.exists()
    result = run_script(*arguments, "--resume")
    assert result.returncode == 0, result.stderr
    assert "Resuming after line" in result.stderr
    # Windows fall elsewhere after an interruption, so lines meet other
    # neighbours in their batch: the last digit may differ, nothing else.
    ours, theirs = output.read_text(), whole.read_text()
    for our, their in zip(ours.splitlines(), theirs.splitlines(), strict=True):
        assert_same(json.loads(our), json.loads(their))


def done(output):
    try:
        with open(f"{output}.progress") as file:
            return json.load(file)["lines"]
    except FileNotFoundError:
        return 0


def write_without_pooler(directory):
    from modeling.checkpoints import open_checkpoint
    from modeling.checkpoints.google import write_google_checkpoint

    directory.mkdir()
    for name in ("bert_config.json", "vocab.txt"):
        (directory / name).write_bytes((MODEL_DIR / name).read_bytes())
    reader = open_checkpoint(MODEL_DIR)
    names = [name for name in reader.shapes if "pooler" not in name]
    write_google_checkpoint(directory / "bert_model.ckpt", reader.arrays(names))


def bad_cases(tmp_path):
    text = tmp_path / "text.txt"
    text.write_text("fine\n")
    (tmp_path / "latin.txt").write_bytes(b"fine\ncaf\xe9\n")
    (tmp_path / "empty.txt").write_text("")
    (tmp_path / "small.txt").write_text("[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\n")
    cut = tmp_path / "cut"
    cut.mkdir()
    for name in ("bert_model.ckpt.index", "bert_config.json", "vocab.txt"):
        (cut / name).write_bytes((MODEL_DIR / name).read_bytes())
    data = "bert_model.ckpt.data-00000-of-00001"
    (cut / data).write_bytes((MODEL_DIR / data).read_bytes()[:1000])
    os.mkfifo(tmp_path / "pipe")
    write_without_pooler(tmp_path / "headless")
    config = json.loads((MODEL_DIR / "bert_config.json").read_text())
    (tmp_path / "other.json").write_text(
        json.dumps({**config, "hidden_size": 32})
    )
    return [
        ({"input_file": "nowhere.txt"}, "no file matches 'nowhere.txt'"),
        ({"input_file": "empty.txt"}, "no lines: empty.txt"),
        ({"input_file": "latin.txt"}, "latin.txt, line 2, byte 4: not UTF-8"),
        ({"max_seq_length": "129"}, "129 is longer.*max_position_embeddings"),
        ({"layers": "-1,3"}, "3 is out of range.*3 blocks"),
        ({"output_file": "nowhere/out.jsonl"}, "nowhere does not exist"),
        ({"output_file": ""}, "name is empty"),
        ({"output_file": "text.txt"}, "both input and output"),
        ({"output_file": "-", "resume": "true"}, "cannot be resumed"),
        ({"init_checkpoint": "nowhere/bert_model.ckpt"}, "no checkpoint nowhe"),
        ({"init_checkpoint": "cut"}, "bert_model.ckpt.data-.*cut short"),
        ({"bert_config_file": "other.json"}, "hidden_size"),
        ({"bert_config_file": "text.txt"}, "text.txt is not JSON"),
        ({"vocab_file": "small.txt"}, "5 entries against a table of 2371"),
        ({"vocab_file": "nowhere.txt"}, "nowhere.txt"),
        ({"layer_weights": "1,x"}, "--layer_weights takes numbers.*1,x"),
        ({"use_tpu": "true"}, "Cannot use the TPU"),
        ({"output_file": "pipe"}, "pipe is a pipe or device"),
        (
            {"init_checkpoint": "headless", "pooling": "pooled"},
            "headless/bert_model.ckpt has no pooler",
        ),
    ]


@pytest.mark.parametrize("case", range(19))
def test_bad_input_is_told_and_nothing_overwritten(case, tmp_path, monkeypatch):
    import re

    from modeling.errors import UserError

    monkeypatch.chdir(tmp_path)
    changes, message = bad_cases(tmp_path)[case]
    output = tmp_path / "out.jsonl"
    output.write_text("an earlier output")
    before = sorted(os.listdir(tmp_path))
    flags = {
        "input_file": "text.txt",
        "output_file": "out.jsonl",
        "init_checkpoint": str(MODEL_DIR),
        **changes,
    }
    for name, value in flags.items():
        if name == "max_seq_length":
            flags[name] = int(value)
        elif value == "true":
            flags[name] = True
        elif name == "layer_weights":
            flags[name] = value.split(",")
    with pytest.raises(UserError) as error:
        run_main(**flags)
    assert re.search(message, str(error.value)), str(error.value)
    assert output.read_text() == "an earlier output"
    assert sorted(os.listdir(tmp_path)) == before


def test_a_users_mistake_ends_with_status_1_and_no_traceback(tmp_path):
    result = run_script(
        "--input_file=nowhere.txt",
        f"--output_file={tmp_path}/out.jsonl",
        f"--init_checkpoint={MODEL_DIR}",
    )
    assert result.returncode == 1
    assert "error: Input: no file matches 'nowhere.txt'." in result.stderr
    assert "Traceback" not in result.stderr


def test_sentencepiece(tmp_path):
    import sentencepiece

    from modeling import BertConfig, BertModel
    from modeling.checkpoints.google import write_google_checkpoint
    from modeling.tokenization import load_tokenizer

    words = ["der Hund lief", "die Katze schlief", "ein Haus im Wald"]
    sentencepiece.SentencePieceTrainer.Train(
        sentence_iterator=iter(words * 20),
        model_prefix=str(tmp_path / "spm"),
        vocab_size=40,
        hard_vocab_limit=False,
        pad_id=0,
        unk_id=1,
        bos_id=-1,
        eos_id=-1,
        user_defined_symbols=["[CLS]", "[SEP]", "[MASK]"],
        minloglevel=2,
    )
    pieces = load_tokenizer(spm_model_file=tmp_path / "spm.model").vocab_size
    config = BertConfig(pieces, 8, 1, 2, 8, type_vocab_size=2)
    model = BertModel(config)
    write_google_checkpoint(
        str(tmp_path / "bert_model.ckpt"),
        {v.path: v.numpy() for v in model.weights},
    )
    (tmp_path / "bert_config.json").write_text(config.to_json_string())
    (tmp_path / "text.txt").write_text("der Hund ||| die Katze lief\n")
    run_main(
        input_file=str(tmp_path / "text.txt"),
        output_file=str(tmp_path / "out.jsonl"),
        init_checkpoint=str(tmp_path / "bert_model.ckpt"),
        spm_model_file=str(tmp_path / "spm.model"),
        do_lower_case=False,
        word_pieces="mean",
    )
    (line,) = (tmp_path / "out.jsonl").read_text().splitlines()
    words = [item["token"] for item in json.loads(line)["features"]]
    assert words == [
        *("[CLS]", "der", "Hund", "[SEP]"),
        *("die", "Katze", "lief", "[SEP]"),
    ]


def test_a_reader_that_has_enough(tmp_path):
    text = tmp_path / "text.txt"
    text.write_text("the cat wanted to go home\n" * 5000)
    result = subprocess.run(
        f"{sys.executable} {ROOT}/extract_features.py --layers=-1 "
        f"--input_file={text} --output_file=- --init_checkpoint={MODEL_DIR} "
        "| head -n 1",
        shell=True,
        capture_output=True,
        text=True,
        check=False,
    )
    assert json.loads(result.stdout)["linex_index"] == 0
    assert "Traceback" not in result.stderr
    assert "BrokenPipe" not in result.stderr


@pytest.mark.parametrize(
    ("streams", "message"),
    [
        ({"stdin": "closed"}, "Cannot read standard input: it is closed"),
        ({"stdin": os.devnull}, "The input has no lines: standard input"),
        ({"stdout": "/dev/full"}, "Cannot write standard output: No space"),
    ],
)
def test_streams_that_fail_are_told(streams, message, tmp_path):
    text = tmp_path / "text.txt"
    text.write_text("hello\n")
    source = streams.get("stdin", text)
    with open(os.devnull if source == "closed" else source) as stdin:
        with open(streams.get("stdout", os.devnull), "w") as stdout:
            result = subprocess.run(
                [
                    sys.executable,
                    str(ROOT / "extract_features.py"),
                    "--input_file=-",
                    "--output_file=-",
                    f"--init_checkpoint={MODEL_DIR}",
                    "--layers=-1",
                ],
                stdin=stdin,
                stdout=stdout,
                stderr=subprocess.PIPE,
                text=True,
                preexec_fn=(lambda: os.close(0))
                if source == "closed"
                else None,
            )
    assert result.returncode == 1
    assert f"error: {message}" in result.stderr
    assert "Traceback" not in result.stderr
    assert "Exception ignored" not in result.stderr


def interrupt(monkeypatch, **flags):
    """Runs, and ends before the output gets its name."""
    from modeling.features.resumable import PartialOutput

    with monkeypatch.context() as patch:
        patch.setattr(PartialOutput, "finish", lambda self: None)
        run_main(**flags)


def test_resumed_with_less_memory_but_not_with_other_weights(
    tmp_path, monkeypatch
):
    from modeling.errors import UserError

    model = tmp_path / "model"
    model.mkdir()
    for path in MODEL_DIR.glob("*.*"):
        (model / path.name.replace("bert_model", "a")).write_bytes(
            path.read_bytes()
        )
    (model / "checkpoint").write_text('model_checkpoint_path: "a.ckpt"')
    text = tmp_path / "text.txt"
    text.write_text("hello\n")
    flags = {
        "input_file": str(text),
        "output_file": str(tmp_path / "out.jsonl"),
        "init_checkpoint": str(model),
    }
    interrupt(monkeypatch, **flags)
    # The training goes on meanwhile.
    for path in model.glob("a.*"):
        (model / path.name.replace("a.", "b.")).write_bytes(path.read_bytes())
    (model / "checkpoint").write_text('model_checkpoint_path: "b.ckpt"')
    with pytest.raises(UserError, match="init_checkpoint was .*a.ckpt.*b.ckpt"):
        run_main(**flags, resume=True)
    flags["init_checkpoint"] = str(model / "a.ckpt")
    run_main(**flags, resume=True, batch_size=1)
    assert json.loads((tmp_path / "out.jsonl").read_text())["linex_index"] == 0
