"""The job as Beam pipelines, with Beam's local runner."""

import gzip
import sys

import pytest

from modeling.errors import UserError
from modeling.pretraining import WordOptions, create_pretraining_data


def contents(directory):
    return {
        path.name: path.read_bytes()
        for path in directory.rglob("*")
        if path.is_file() and not path.name.startswith("report.")
    }


@pytest.mark.parametrize("compressed", [False, True])
def test_the_bytes_are_those_of_local_workers(
    compressed, make_job, tmp_path, monkeypatch
):
    pytest.importorskip("apache_beam")
    module = "modeling.pretraining.shards."
    monkeypatch.setattr(f"{module}_TOKENS_PER_RUN", 300)
    monkeypatch.setattr(f"{module}_INSTANCES_PER_BUCKET", 50)
    more = tmp_path / "more.txt"
    more.write_text("the [[dog]]\nhome\n\nhome\n")
    outputs = []
    for runner in ("local", "beam"):
        directory = tmp_path / runner
        directory.mkdir()
        job = make_job(
            input_file=f"{tmp_path}/text.txt,{more}",
            output_file=str(directory / "out.tfrecord"),
            num_shards=3,
            gzip=compressed,
            method="span",
            words=WordOptions(marked_spans=True),
            runner=runner,
        )
        create_pretraining_data(job)
        outputs.append(contents(directory))
    assert outputs[0] == outputs[1]


def test_the_mistake_of_a_local_run(make_job, tmp_path, capfd):
    """The first one in the text is told, and by no traceback of a pipeline."""
    pytest.importorskip("apache_beam")
    good, bad, worse = (tmp_path / name for name in ("1", "2", "3"))
    good.write_text("the dog\n\nhome\n")
    bad.write_bytes(b"the dog\nthe caf\xe9\n")
    worse.write_bytes(b"\xff")
    job = make_job(input_file=f"{good},{bad},{worse}", runner="beam")
    with pytest.raises(UserError, match="2, line 2, byte 8: not UTF-8"):
        create_pretraining_data(job)
    (tmp_path / "cut.gz").write_bytes(gzip.compress(b"home\n" * 99)[:-9])
    job = make_job(input_file=f"{good},{tmp_path}/cut.gz", runner="beam")
    with pytest.raises(UserError, match="Cannot read .*cut.gz"):
        create_pretraining_data(job)
    with pytest.raises(UserError, match="fewer instances than the 5000 shards"):
        create_pretraining_data(make_job(runner="beam", num_shards=5000))
    assert "Traceback" not in capfd.readouterr().err


def test_goes_on_after_a_local_run(make_job, tmp_path, monkeypatch, text):
    pytest.importorskip("apache_beam")
    monkeypatch.setattr("modeling.pretraining.text._BLOCK_BYTES", 100)
    module = "modeling.pretraining.resumable._SECONDS_BETWEEN_RECORDS"
    monkeypatch.setattr(module, 0)
    more = tmp_path / "more.txt"
    # The same file twice is that text twice.
    inputs = f"{text},{text},{more}"
    more.write_bytes(b"the dog\n" * 100 + b"\xff\n")
    with pytest.raises(UserError):
        create_pretraining_data(make_job(input_file=inputs))
    more.write_bytes(b"the dog\n" * 100)
    job = make_job(input_file=inputs, runner="beam")
    create_pretraining_data(job)
    expected = make_job(input_file=inputs, output_file=f"{tmp_path}/other")
    create_pretraining_data(expected)
    assert (tmp_path / "other").read_bytes() == (
        (tmp_path / "out.tfrecord").read_bytes()
    )


def test_without_beam(make_job, monkeypatch):
    monkeypatch.setitem(sys.modules, "apache_beam", None)
    name = "modeling.pretraining.beam_runner"
    monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.delattr(name, raising=False)
    with pytest.raises(UserError, match="pip install apache-beam"):
        create_pretraining_data(make_job(runner="beam"))
