"""learn_vocab.py as its users run it."""

import gzip
import os
import re
import subprocess
import sys
import time

import pytest
from absl.testing import flagsaver

from modeling.errors import UserError
from modeling.tokenization import load_tokenizer, load_vocab
from tests.conftest import ROOT
from tests.scripts import load_script
from tests.tokenization.test_learning import make_text

BASE = ROOT / "tests" / "golden" / "vocab.txt"


@pytest.fixture(autouse=True)
def corpus(tmp_path, monkeypatch):
    """text.txt and text.gz with the same lines, in the current directory."""
    monkeypatch.chdir(tmp_path)
    text = "\n".join(make_text()) + "\n"
    (tmp_path / "text.txt").write_text(text, encoding="utf-8")
    (tmp_path / "text.gz").write_bytes(gzip.compress(text.encode()))


def run_main(**values):
    script = load_script("learn_vocab")
    flags = script.flags.FLAGS
    with flagsaver.flagsaver(output_file="out", num_workers=1):
        flags["num_workers"].present = 0
        with flagsaver.flagsaver(**values):
            for name in values:
                flags[name].present = 1
            script.main([])


def run_script(*arguments, **options):
    return subprocess.run(
        [sys.executable, str(ROOT / "learn_vocab.py"), *arguments],
        capture_output=True,
        text=True,
        check=False,
        **options,
    )


def test_wordpiece(tmp_path):
    run_main(input_file="text.txt", vocab_size=170, num_unused=10)
    vocab = load_vocab("out")
    assert len(vocab) == 170
    assert (vocab["[PAD]"], vocab["[UNK]"]) == (0, 11)
    tokenizer = load_tokenizer(vocab_file="out")
    assert tokenizer.tokenize("The naïve 中文") == [
        *("t", "##h", "##e", "naive", "中", "文"),
    ]
    assert sorted(os.listdir()) == ["out", "text.gz", "text.txt"]
    umask = os.umask(0)
    os.umask(umask)
    assert os.stat("out").st_mode & 0o777 == 0o666 & ~umask


def test_cased_with_or_without_accents():
    run_main(input_file="text.txt", vocab_size=200, do_lower_case=False)
    assert {"naïve", "A"} < load_vocab("out").keys()
    run_main(input_file="text.txt", vocab_size=180, strip_accents=False)
    assert "naïve" in load_vocab("out")
    assert "A" not in load_vocab("out")


@pytest.mark.parametrize("model_type", ["unigram", "bpe"])
def test_sentencepiece(model_type):
    run_main(input_file="text.txt", vocab_size=90, model_type=model_type)
    tokenizer = load_tokenizer(spm_model_file="out")
    assert tokenizer.vocab_size == 90
    assert tokenizer.mask_id == 4
    assert "".join(tokenizer.tokenize("Naïve")) == "▁naive"


def test_sentencepiece_keeps_accents_if_told_so():
    run_main(
        input_file="text.txt",
        vocab_size=90,
        model_type="bpe",
        strip_accents=False,
        character_coverage=1.0,
    )
    tokenizer = load_tokenizer(spm_model_file="out", strip_accents=False)
    assert "".join(tokenizer.tokenize("Naïve")) == "▁naïve"


def test_words_of_a_list():
    with open("words.txt", "w") as file:
        file.write("Carditis\nstent\n")
    run_main(base_vocab_file=str(BASE), add_words="words.txt")
    old, new = load_vocab(BASE), load_vocab("out")
    assert (new["carditis"], new["stent"]) == (1, 2)
    changed = {"carditis", "stent", "[unused0]", "[unused1]"}
    assert dict(new.items() ^ old.items()).keys() == changed


def test_words_found_in_text():
    run_main(base_vocab_file=str(BASE), num_new_words=60, input_file="text.txt")
    old, new = load_vocab(BASE), load_vocab("out")
    assert len(new) == len(old)
    assert {"walking", "painter"} <= new.keys() - old.keys()
    before, after = map(load_tokenizer, (BASE, "out"))
    text = " ".join(make_text())
    assert len(after.encode(text)) < 0.7 * len(before.encode(text))


def test_workers_pipes_and_gzip_give_the_same_bytes(tmp_path):
    options = ["--vocab_size=170", "--limit_alphabet=60"]
    with open("text.txt", "rb") as text:
        result = run_script(
            *options,
            "--input_file=-",
            "--output_file=one",
            "--num_workers=1",
            stdin=text,
        )
    assert result.returncode == 0, result.stderr
    assert "300 lines, 3900 words, " in result.stderr
    assert "170 entries; " in result.stderr
    assert re.search("[0-9.]+ tokens a word, .* unknown", result.stderr)
    assert "Seconds: counting " in result.stderr
    result = run_script(
        *options, "--input_file=text.gz", "--output_file=two", "--num_workers=2"
    )
    assert result.returncode == 0, result.stderr
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


def test_help_answers_without_tensorflow():
    start = time.perf_counter()
    result = run_script("-h")
    assert time.perf_counter() - start < 1
    assert result.returncode == 0
    for flag in ("--vocab_size", "--base_vocab_file", "--[no]do_lower_case"):
        assert flag in result.stdout


_LIST = {"input_file": None, "base_vocab_file": str(BASE)}
_BAD = [
    ({"input_file": None}, "a WordPiece vocabulary needs --input_file"),
    ({"input_file": "nowhere.txt"}, "no file matches 'nowhere.txt'"),
    ({"input_file": "empty.txt"}, "no lines: empty.txt"),
    ({"input_file": "blank.txt"}, "no words: all of its lines are blank"),
    (
        {"input_file": "blank.txt", "model_type": "bpe"},
        "no words: all of its lines are blank",
    ),
    ({"input_file": "latin.txt"}, "latin.txt, line 2, byte 4: not UTF-8"),
    ({"output_file": "text.txt"}, "text.txt is both input and output"),
    ({"output_file": "nowhere/out"}, "nowhere does not exist"),
    ({"output_file": "."}, "is a directory"),
    ({"output_file": ""}, "The output file's name is empty"),
    ({"vocab_size": 50}, "vocab_size=50 is too small: at least 112 are"),
    ({"vocab_size": 9999}, "vocab_size=9999 is too large for this text"),
    ({"model_type": "bpe", "vocab_size": 5}, "too small: at least "),
    ({"model_type": "bpe", "limit_alphabet": 5}, "--limit_alphabet does not"),
    ({"base_vocab_file": str(BASE)}, "goes with --add_words or --num_new"),
    ({"num_new_words": 5}, "--num_new_words needs --base_vocab_file."),
    (
        {"base_vocab_file": str(BASE), "num_new_words": 9999},
        "The text has .* not in the vocabulary",
    ),
    (
        {"base_vocab_file": "latin.txt", "num_new_words": 9},
        "latin.txt is not UTF-8",
    ),
    (
        {"base_vocab_file": str(BASE), "num_new_words": 9, "vocab_size": 9},
        "--vocab_size does not go with --num_new_words",
    ),
    ({**_LIST, "add_words": "latin.txt"}, "latin.txt, line 2, byte 4"),
    ({**_LIST, "add_words": "text.txt"}, "line 1: .* becomes 13 words"),
    ({**_LIST, "add_words": "nowhere.txt"}, "no file matches"),
    ({**_LIST, "add_words": "known.txt"}, "There is nothing to add"),
    (
        {**_LIST, "add_words": "text.txt", "output_file": str(BASE)},
        "vocab.txt is both input and output",
    ),
]


@pytest.mark.parametrize("changes, message", _BAD)
def test_bad_input_is_told_and_nothing_overwritten(tmp_path, changes, message):
    (tmp_path / "latin.txt").write_bytes(b"fine\ncaf\xe9\n")
    (tmp_path / "empty.txt").write_text("")
    (tmp_path / "blank.txt").write_text("\n \n")
    (tmp_path / "known.txt").write_text("the\n")
    (tmp_path / "out").write_text("an earlier output")
    before = {name: (tmp_path / name).read_bytes() for name in os.listdir()}
    values = {"input_file": "text.txt", "vocab_size": 170, **changes}
    if "base_vocab_file" in changes and "vocab_size" not in changes:
        del values["vocab_size"]
    values = {k: value for k, value in values.items() if value is not None}
    with pytest.raises(UserError) as error:
        run_main(**values)
    assert re.search(message, str(error.value)), str(error.value)
    after = {name: (tmp_path / name).read_bytes() for name in os.listdir()}
    assert after == before


def test_full_disk(monkeypatch, tmp_path):
    (tmp_path / "out").write_text("an earlier output")

    def fail(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(UserError, match="Cannot write out: No space left"):
        run_main(input_file="text.txt", vocab_size=170)
    assert (tmp_path / "out").read_text() == "an earlier output"
    assert sorted(os.listdir()) == ["out", "text.gz", "text.txt"]


def test_a_users_mistake_ends_with_status_1_and_no_traceback():
    result = run_script("--input_file=nowhere.txt", "--output_file=out")
    assert result.returncode == 1
    assert "error: Input: no file matches 'nowhere.txt'." in result.stderr
    assert "Traceback" not in result.stderr


def test_the_model_gets_rows_for_the_words(tmp_path):
    """The two scripts one after the other, as docs/vocabulary.md has them."""
    letters = "abcdefghijk"
    words = [f"carditis{a}{b}" for a in letters for b in letters][:103]
    (tmp_path / "words.txt").write_text("\n".join(words))
    run_main(base_vocab_file=str(BASE), add_words="words.txt")
    result = subprocess.run(
        [
            sys.executable,
            str(ROOT / "convert_checkpoint.py"),
            f"--input={BASE.parent}",
            "--to=google",
            "--new_vocab_file=out",
            "--output_dir=grown",
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    assert (tmp_path / "grown" / "vocab.txt").read_bytes() == (
        tmp_path / "out"
    ).read_bytes()
    from modeling.checkpoints import open_checkpoint

    assert open_checkpoint("grown").config.vocab_size == 2371 + 4


def test_growing_needs_the_old_vocabulary(tmp_path):
    for file in BASE.parent.glob("bert_*"):
        (tmp_path / file.name).write_bytes(file.read_bytes())
    result = subprocess.run(
        [
            sys.executable,
            str(ROOT / "convert_checkpoint.py"),
            "--input=bert_model.ckpt",
            "--to=google",
            f"--new_vocab_file={BASE}",
            "--output_dir=grown",
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 1
    assert "there is no vocab.txt beside bert_model.ckpt" in result.stderr
    assert not (tmp_path / "grown").exists()
