"""create_pretraining_data.py as its users run it."""

import os
import resource
import signal
import subprocess
import sys
import time

import pytest

from tests.conftest import ROOT

SCRIPT = ROOT / "create_pretraining_data.py"
VOCAB = ROOT / "tests" / "golden" / "vocab.txt"
SAMPLE = ROOT / "tests" / "golden" / "pretraining" / "sample_text.txt"


def run_script(*arguments, **options):
    return subprocess.run(
        [sys.executable, str(SCRIPT), *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        **options,
    )


def small_run(directory, *arguments, **options):
    """The sample text to instances of 64 tokens."""
    return run_script(
        f"--input_file={SAMPLE}",
        f"--output_file={directory}/out.tfrecord",
        f"--vocab_file={VOCAB}",
        "--max_seq_length=64",
        "--max_predictions_per_seq=10",
        "--num_workers=1",
        *arguments,
        **options,
    )


def test_the_originals_command(tmp_path):
    result = small_run(
        tmp_path,
        "--do_lower_case=True",
        "--masked_lm_prob=0.15",
        "--random_seed=12345",
        "--dupe_factor=5",
        "--short_seq_prob=0.1",
        "--do_whole_word_mask=False",
    )
    assert result.returncode == 0, result.stderr
    assert result.stderr.count("*** Example ***") == 20
    assert "total instances" in result.stderr
    assert sorted(os.listdir(tmp_path)) == [
        "corpus.out.tfrecord",
        "metadata.out.tfrecord.json",
        "out.tfrecord",
        "report.out.tfrecord.json",
    ]


def test_flags_and_defaults_of_the_original():
    expected = {
        "input_file": None,
        "output_file": None,
        "vocab_file": None,
        "do_lower_case": True,
        "do_whole_word_mask": False,
        "max_seq_length": 128,
        "max_predictions_per_seq": 20,
        "random_seed": 12345,
        "dupe_factor": 10,
        "masked_lm_prob": 0.15,
        "short_seq_prob": 0.1,
    }
    code = (
        "import create_pretraining_data as script;"
        f"print({{n: script.flags.FLAGS[n].default for n in {list(expected)}}})"
    )
    result = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert result.stdout.strip() == str(expected)


def test_help_answers_at_once():
    start = time.perf_counter()
    result = run_script("-h")
    assert time.perf_counter() - start < 1
    assert result.returncode == 0
    for flag in ("--sentence_pairs", "--vocab_file", "--num_shards"):
        assert flag in result.stdout


def test_whole_word_masking_has_two_names(tmp_path):
    outputs = []
    for name, flag in (
        ("a", "--do_whole_word_mask"),
        ("b", "--masking=whole_word"),
    ):
        directory = tmp_path / name
        directory.mkdir()
        assert small_run(directory, flag).returncode == 0
        outputs.append((directory / "out.tfrecord").read_bytes())
    assert outputs[0] == outputs[1]
    result = small_run(tmp_path, "--do_whole_word_mask", "--masking=ngram")
    assert result.returncode == 1
    assert "error: --do_whole_word_mask is --masking=whole_word" in (
        result.stderr
    )


def test_every_flag_has_its_effect(tmp_path):
    """No two of these runs give the same bytes."""
    phrases, words = tmp_path / "phrases.txt", tmp_path / "words.txt"
    phrases.write_text("domain days\nside winter\n")
    words.write_text("中文\n")
    runs = [
        [],
        ["--random_seed=1"],
        ["--dupe_factor=2"],
        ["--do_lower_case=False"],
        ["--strip_accents=False", "--do_lower_case=False", "--random_seed=2"],
        ["--masked_lm_prob=0.1"],
        ["--short_seq_prob=0.9"],
        ["--masking=whole_word"],
        ["--masking=ngram"],
        ["--masking=ngram", "--max_ngram=2"],
        ["--masking=span", f"--span_dictionary={phrases}"],
        ["--masking=none"],
        ["--masking=none", f"--word_dictionary={words}", "--random_seed=3"],
        ["--masking=none", "--segmented_input", "--random_seed=4"],
        ["--masking=none", "--marked_spans", "--random_seed=5"],
        ["--replace_with_mask_prob=0.5"],
        ["--replace_with_random_prob=0.2"],
        ["--masking=whole_word", "--one_decision_per_word"],
        ["--sentence_pairs=sop"],
        ["--sentence_pairs=none"],
        ["--gzip"],
    ]
    seen = set()
    for number, flags in enumerate(runs):
        directory = tmp_path / str(number)
        directory.mkdir()
        result = small_run(directory, "--show_instances=0", *flags)
        assert result.returncode == 0, result.stderr
        assert "*** Example ***" not in result.stderr
        seen.add((directory / "out.tfrecord").read_bytes())
    assert len(seen) == len(runs)


def test_shards_workers_and_corpus_dir(tmp_path):
    result = small_run(
        tmp_path,
        "--num_shards=2",
        "--num_workers=2",
        f"--corpus_dir={tmp_path}/tokens",
    )
    assert result.returncode == 0, result.stderr
    assert (tmp_path / "out.tfrecord-00001-of-00002").exists()
    assert (tmp_path / "tokens" / "corpus.json").exists()
    result = small_run(
        tmp_path, "--dupe_factor=1", f"--corpus_dir={tmp_path}/tokens"
    )
    assert "The text is tokenized already" in result.stderr


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--input_file=nowhere*.txt"], "no file matches 'nowhere*.txt'"),
        (["--input_file=latin.txt"], "latin.txt, line 2, byte 4: not UTF-8"),
        (["--input_file=empty.txt"], "no tokens to train on: empty.txt"),
        (["--input_file=one.txt"], "The text is a single document, so there"),
        (["--vocab_file=small.txt"], "lacks the special token [CLS]"),
        (["--max_predictions_per_seq=62"], "=62 do not fit: of max_seq_len"),
        (["--segmented_input", "--jieba"], "Received: spaces and jieba"),
        (["--spm_model_file=x"], "Give either vocab_file"),
        (["--num_workers=0"], "num_workers must be positive. Received: 0"),
        (["--max_ngram=2"], "--masking=ngram. Received: --masking=token"),
        (["--one_decision_per_word"], "goes with --masking=whole_word or"),
    ],
)
def test_a_users_mistake_ends_with_status_1_and_no_traceback(
    flags, message, tmp_path
):
    (tmp_path / "latin.txt").write_bytes(b"fine\ncaf\xe9\n")
    (tmp_path / "empty.txt").write_text("\n \n")
    (tmp_path / "one.txt").write_text("the dog\nhome\n")
    (tmp_path / "small.txt").write_text("[PAD]\n[UNK]\nthe\n")
    (tmp_path / "out.tfrecord").write_text("an earlier output")
    result = small_run(tmp_path, *flags, cwd=tmp_path)
    assert result.returncode == 1
    assert "error: " in result.stderr and message in result.stderr
    assert "Traceback" not in result.stderr
    assert (tmp_path / "out.tfrecord").read_text() == "an earlier output"


def test_a_full_disk_is_told(tmp_path):
    """A limit on the size of files stands for a disk without space."""

    def limit():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))

    (tmp_path / "out.tfrecord").write_text("an earlier output")
    arguments = ["--dupe_factor=200", "--show_instances=0"]
    result = small_run(tmp_path, *arguments, preexec_fn=limit)
    assert result.returncode == 1
    assert f"error: Cannot write {tmp_path}/out.tfrecord" in result.stderr
    assert "Traceback" not in result.stderr
    assert (tmp_path / "out.tfrecord").read_text() == "an earlier output"
    # With space, the same command works.
    assert small_run(tmp_path, *arguments).returncode == 0
    assert (tmp_path / "out.tfrecord").stat().st_size > 100_000
    assert not list(tmp_path.glob("partial*"))


@pytest.mark.slow
def test_killed_and_run_again(tmp_path):
    text = tmp_path / "text.txt"
    text.write_text((SAMPLE.read_text("utf-8") + "\n") * 2000, "utf-8")
    arguments = [
        f"--input_file={text}",
        f"--vocab_file={VOCAB}",
        "--dupe_factor=20",
        "--num_workers=2",
        "--num_shards=2",
        "--show_instances=0",
    ]
    whole, part = tmp_path / "whole", tmp_path / "part"
    for directory in (whole, part):
        directory.mkdir()
    result = run_script(*arguments, f"--output_file={whole}/out")
    assert result.returncode == 0, result.stderr
    arguments.append(f"--output_file={part}/out")
    # Once while it tokenizes, then while it writes either shard.
    for started in (
        part / "corpus.out" / "ids.bin",
        part / "partial.out-00000-of-00002.json",
        part / "partial.out-00001-of-00002.json",
    ):
        process = subprocess.Popen(
            [sys.executable, str(SCRIPT), *arguments],
            stderr=subprocess.DEVNULL,
        )
        while process.poll() is None and not started.exists():
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert process.returncode == -signal.SIGKILL
        assert not list(part.glob("out*")) and not list(part.glob("meta*"))
    result = run_script(*arguments)
    assert result.returncode == 0, result.stderr
    assert "The text is tokenized already" in result.stderr
    assert "Going on after" in result.stderr
    for name in os.listdir(whole):
        if name.startswith(("out", "metadata")):
            assert (part / name).read_bytes() == (whole / name).read_bytes()
    assert not list(part.glob("partial*"))
