"""Runs that were stopped, and what they leave for the next."""

import os

import pytest

from modeling.errors import UserError
from modeling.pretraining import create_pretraining_data
from modeling.pretraining.make_records import RecordMaker
from modeling.pretraining.resumable import only_run
from modeling.pretraining.shards import ShardSet
from modeling.records import read_metadata
from tests.pretraining.test_job import contents


def interrupt(*_):
    raise KeyboardInterrupt


def test_a_run_may_stop_between_any_two_files(make_job, tmp_path, monkeypatch):
    def run_until(number, name):
        """Ends a run at its so-many-th step that the disk shows."""
        steps = []
        with monkeypatch.context() as patched:
            for function in (os.replace, os.remove):

                def step(*paths, function=function):
                    steps.append(paths)
                    if len(steps) == number:
                        raise KeyboardInterrupt
                    function(*paths)

                patched.setattr(os, function.__name__, step)
            try:
                create_pretraining_data(job_named(name))
            except KeyboardInterrupt:
                return False
        return True

    def job_named(name):
        (tmp_path / name).mkdir(exist_ok=True)
        return make_job(output_file=f"{tmp_path}/{name}/out", num_shards=2)

    create_pretraining_data(job_named("whole"))
    expected = contents(tmp_path / "whole")
    number = 1
    while not run_until(number, str(number)):
        create_pretraining_data(job_named(str(number)))
        found = contents(tmp_path / str(number))
        # These may stay beside a corpus that is whole, and tell nothing.
        for name in ("partial.json", "lock"):
            found.pop(name, None)
        assert found == expected
        number += 1
    assert number > 15


def test_an_interrupted_run_goes_on_where_it_was(
    make_job, tmp_path, monkeypatch
):
    module = "modeling.pretraining."
    monkeypatch.setattr(f"{module}shards.INSTANCES_PER_PIECE", 50)
    monkeypatch.setattr(f"{module}resumable._SECONDS_BETWEEN_RECORDS", 0)
    whole, part = tmp_path / "whole", tmp_path / "part"
    for directory in (whole, part):
        directory.mkdir()
    jobs = [
        make_job(output_file=str(d / "out.tfrecord"), num_shards=2)
        for d in (whole, part)
    ]
    create_pretraining_data(jobs[0])
    original, calls = RecordMaker.__call__, []

    def stop_after(limit):
        def call(self, instances):
            if len(calls) == limit:
                raise KeyboardInterrupt
            calls.append(len(instances))
            return original(self, instances)

        monkeypatch.setattr(RecordMaker, "__call__", call)

    for limit in (2, 5):
        stop_after(limit)
        with pytest.raises(KeyboardInterrupt):
            create_pretraining_data(jobs[1])
        assert not list(part.glob("out*")) and not list(part.glob("metadata*"))
    stop_after(None)
    create_pretraining_data(jobs[1])
    assert contents(part) == contents(whole)
    # Nothing was made twice.
    assert sum(calls) == read_metadata(jobs[0].output_files).counts["instances"]


def test_earlier_outputs_stay_until_the_new_ones_are_whole(
    run_job, make_job, monkeypatch, tmp_path
):
    job, _ = run_job()
    before = contents(tmp_path)

    for error, expected, message in (
        (
            OSError(28, "No space left on device"),
            UserError,
            "Cannot write .*No",
        ),
        # A defect of ours is not called the disk's.
        (OSError(9, "Bad file descriptor"), OSError, "Bad file descriptor"),
    ):

        def fail(self, instances, error=error):
            raise error

        with monkeypatch.context() as patch:
            patch.setattr(RecordMaker, "__call__", fail)
            with pytest.raises(expected, match=message):
                create_pretraining_data(make_job(random_seed=1))
    assert before.items() <= contents(tmp_path).items()
    create_pretraining_data(make_job(random_seed=1))
    after = contents(tmp_path)
    assert after.keys() == before.keys()
    assert after["out.tfrecord"] != before["out.tfrecord"]


def test_one_output_is_written_by_one_run(make_job, tmp_path):
    lock = tmp_path / "partial.out.tfrecord.lock"
    with only_run(str(lock), "it"):
        with pytest.raises(UserError, match="Another run is writing .*out.tfr"):
            create_pretraining_data(make_job())
        assert lock.exists() and not (tmp_path / "out.tfrecord").exists()
        # As a killed run leaves it.
        left = tmp_path / "partial.other.lock"
        left.touch()
        create_pretraining_data(make_job(output_file=f"{tmp_path}/other"))
    assert not left.exists()
    create_pretraining_data(make_job())


def test_a_pattern_leaves_out_what_an_earlier_run_has_left(
    make_job, tmp_path, text, monkeypatch
):
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "text.txt").write_bytes(text.read_bytes())
    (folder / "corpus.output.txt").write_text("another document\n")

    def job():
        return make_job(
            input_file=f"{folder}/*",
            output_file=f"{folder}/out",
            num_shards=2,
        )

    with monkeypatch.context() as patched:
        patched.setattr(ShardSet, "commit", interrupt)
        with pytest.raises(KeyboardInterrupt):
            create_pretraining_data(job())
    left = sorted(os.listdir(folder))
    assert "corpus.out" in left and "partial.out-00000-of-00002" in left
    assert create_pretraining_data(job())["documents"] == 41
    with pytest.raises(UserError, match="out-00000-of-00002 is both"):
        create_pretraining_data(job())
    for path in folder.glob("out-*"):
        path.unlink()
    assert create_pretraining_data(job())["documents"] == 41
