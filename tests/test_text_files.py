"""Reading text: line ends, and everything that can be wrong."""

import gzip
import io
import os

import pytest

from modeling.errors import UserError
from modeling.text_files import find_files, read_lines


def write(path, data):
    path.write_bytes(data)
    return str(path)


def test_lines_end_at_line_feeds_only_and_lose_carriage_returns(tmp_path):
    data = " a\r\n\r\nb\u2028c \x0bd\re\n\nlast".encode()
    path = write(tmp_path / "text.txt", data)
    assert list(read_lines([path])) == ["a", "", "b\u2028c \x0bde", "", "last"]


def test_gzip_and_several_files(tmp_path):
    first = write(tmp_path / "a.txt.gz", gzip.compress(b"one\ntwo\n"))
    second = write(tmp_path / "b.txt", b"three")
    found = find_files(f"{tmp_path}/a*,{second}")
    assert found == [first, second]
    assert list(read_lines(found)) == ["one", "two", "three"]


def test_standard_input(monkeypatch):
    read_end, write_end = os.pipe()
    os.write(write_end, "from ü\n".encode())
    os.close(write_end)
    with os.fdopen(read_end, "rb") as pipe:
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(pipe))
        assert list(read_lines(find_files("-", allow_stdin=True))) == ["from ü"]


def test_file_with_brackets_in_its_name(tmp_path):
    path = write(tmp_path / "a[1].txt", b"x\n")
    assert find_files(path) == [path]


def test_bad_utf8_is_told_with_its_line(tmp_path):
    path = write(tmp_path / "text.txt", b"fine\n\nnot \xff fine\n")
    lines = read_lines([path])
    assert [next(lines), next(lines)] == ["fine", ""]
    with pytest.raises(UserError, match=r"text.txt, line 3, byte 5.*0xff"):
        next(lines)


def test_missing_directory_and_empty_are_told(tmp_path):
    with pytest.raises(UserError, match="no file matches '.*nowhere"):
        find_files(f"{tmp_path}/nowhere*")
    with pytest.raises(UserError, match="is a directory"):
        find_files(str(tmp_path))
    empty = write(tmp_path / "empty.txt", b"")
    with pytest.raises(UserError, match="no lines: .*empty.txt"):
        list(read_lines([empty]))


def test_cut_gzip_is_told(tmp_path):
    data = gzip.compress(os.urandom(5000).hex().encode())[:-20]
    path = write(tmp_path / "cut.gz", data)
    with pytest.raises(UserError, match="Cannot read .*cut.gz"):
        list(read_lines([path]))
    path = write(tmp_path / "not.gz", b"plain text\n")
    with pytest.raises(UserError, match="Cannot read .*not.gz"):
        list(read_lines([path]))
