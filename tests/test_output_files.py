"""Files that are whole whenever they are there."""

import errno
import pathlib

import numpy as np
import pytest

from modeling.errors import UserError
from modeling.output_files import (
    check_can_write,
    remove_file,
    telling,
    whole_directory,
    whole_file,
    write_json,
    write_results,
)


def test_results_are_sorted_lines(tmp_path):
    path = tmp_path / "eval_results.txt"
    write_results(
        str(path),
        {
            "loss": np.float32(0.505248),
            "global_step": 343,
            "eval_accuracy": np.float32(0.8455882),
        },
    )
    assert path.read_bytes() == (
        b"eval_accuracy = 0.8455882\nglobal_step = 343\nloss = 0.505248\n"
    )


def test_a_file_takes_the_place_of_another_only_when_it_is_whole(tmp_path):
    path = tmp_path / "file"
    with whole_file(str(path)) as file:
        file.write("first\n")
        assert not path.exists()
    assert path.read_text() == "first\n"
    with pytest.raises(RuntimeError), whole_file(str(path)) as file:
        file.write("second\n")
        raise RuntimeError
    assert path.read_text() == "first\n"
    with pytest.raises(TypeError):
        write_json(str(path), {"a": object()})
    assert path.read_text() == "first\n"
    assert list(tmp_path.iterdir()) == [path]


def test_a_directory_takes_its_name_only_when_it_is_whole(tmp_path):
    path = tmp_path / "cache" / "name"
    # The second comes too late.
    for text in ("first", "second"):
        with whole_directory(str(path)) as directory:
            pathlib.Path(directory, "file").write_text(text)
            assert path.exists() == (text == "second")
        assert (path / "file").read_text() == "first"
    told = f"Cannot write {path.parent}: No space left"
    with (
        pytest.raises(UserError, match=told),
        whole_directory(str(tmp_path / "cache" / "other")),
    ):
        raise OSError(errno.ENOSPC, "No space left on device")
    assert list(path.parent.iterdir()) == [path]


def test_a_full_disk_is_told_with_the_file(tmp_path):
    path = str(tmp_path / "file")
    with (
        pytest.raises(UserError, match=f"Cannot write {path}: No space left"),
        telling(str(tmp_path)),
        whole_file(path),
    ):
        raise OSError(errno.ENOSPC, "No space left on device")


def test_files_that_cannot_be_written_are_told(tmp_path):
    path = tmp_path / "file"
    path.mkdir()
    told = f"Cannot write {path}: Is a directory. Is there space, and may"
    with (
        pytest.raises(UserError, match=told),
        telling(str(tmp_path)),
        whole_file(str(path)) as file,
    ):
        file.write("text")
    told = f"Cannot write {tmp_path}: No space left"
    with pytest.raises(UserError, match=told), telling(str(tmp_path)):
        raise OSError(errno.ENOSPC, "No space left on device")
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_that_is_removed_need_not_be_there(tmp_path):
    path = tmp_path / "file"
    path.touch()
    for _ in range(2):
        remove_file(str(path))
        assert not path.exists()


def test_directories_that_take_no_files_are_told_early(tmp_path, monkeypatch):
    new = tmp_path / "new" / "out"
    check_can_write(str(new), "output_dir")
    check_can_write(str(tmp_path), "output_dir")
    assert not list(tmp_path.iterdir())
    (tmp_path / "new").write_text("a file")
    for path in (new, tmp_path / "new"):
        with pytest.raises(
            UserError, match=f"--output_dir={path}: .*new is no"
        ):
            check_can_write(str(path), "output_dir")
    # Tests may be run by root, to whom all is allowed.
    monkeypatch.setattr("os.access", lambda *_: False)
    with pytest.raises(UserError, match="cannot be written to"):
        check_can_write(str(tmp_path), "output_dir")
