"""The script as its user runs it."""

import subprocess
import sys

import pytest

from tests.conftest import ROOT

PREFIX = "bert_model.ckpt"


def run_script(*args):
    return subprocess.run(
        [sys.executable, ROOT / "convert_checkpoint.py", *args],
        capture_output=True,
        text=True,
        cwd=ROOT,
    )


@pytest.mark.golden
def test_conversion(golden_dir, tmp_path):
    run = run_script(
        f"--input={golden_dir / PREFIX}",
        f"--output_dir={tmp_path / 'out'}",
        "--to=huggingface",
        "--hidden_act=gelu_erf",
    )
    assert run.returncode == 0, run.stderr
    assert "62 variables, 271,557 parameters" in run.stdout
    assert "hidden_act is gelu_erf" in run.stdout
    assert (tmp_path / "out" / "model.safetensors").is_file()
    config = (tmp_path / "out" / "config.json").read_text()
    assert '"hidden_act": "gelu"' in config


def test_mistake_of_the_user(tmp_path):
    run = run_script(
        f"--init_checkpoint={tmp_path / PREFIX}",
        f"--output_dir={tmp_path / 'out'}",
        "--to=google",
    )
    assert run.returncode == 1
    assert f"error: There is no checkpoint {tmp_path / PREFIX}" in run.stderr
    assert "Traceback" not in run.stderr
    assert not (tmp_path / "out").exists()


def test_help_lists_every_flag():
    run = run_script("-h")
    for flag in ("--input", "--to", "--hidden_act", "--bert_config_file"):
        assert f"{flag}:" in run.stdout
