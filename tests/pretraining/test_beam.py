"""The job as Beam pipelines, with Beam's local runner."""

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


@pytest.mark.parametrize("gzip", [False, True])
def test_the_bytes_are_those_of_local_workers(
    gzip, make_job, tmp_path, monkeypatch
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
            gzip=gzip,
            method="span",
            words=WordOptions(marked_spans=True),
            runner=runner,
        )
        create_pretraining_data(job)
        outputs.append(contents(directory))
    assert outputs[0] == outputs[1]


def test_without_beam(make_job, monkeypatch):
    monkeypatch.setitem(sys.modules, "apache_beam", None)
    name = "modeling.pretraining.beam_runner"
    monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.delattr(name, raising=False)
    with pytest.raises(UserError, match="pip install apache-beam"):
        create_pretraining_data(make_job(runner="beam"))
