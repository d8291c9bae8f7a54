"""Plain text in blocks of whole lines, as it streams from files."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import BinaryIO, NamedTuple

from modeling.text_files import decode_error, open_file, reading

_BLOCK_BYTES = 1 << 20


class TextBlock(NamedTuple):
    """Whole lines of a file.

    Attributes:
      data: the lines, as in the file.
      path: of the file.
      first_line: number of the first line, from 1.
      is_last: whether the file ends here.
    """

    data: bytes
    path: str
    first_line: int
    is_last: bool

    def decode(self) -> str:
        """The lines as a string.

        Raises:
          UserError: bytes that are not UTF-8, with file and line.
        """
        try:
            return self.data.decode("utf-8")
        except UnicodeDecodeError as error:
            raise decode_error(error, self.path, self.first_line) from error

    def lines(self) -> list[str]:
        r"""The lines, stripped as the original does.

        Lines end at "\n" only and every "\r" is deleted, also within a line.

        Raises:
          UserError: bytes that are not UTF-8, with file and line.
        """
        lines = self.decode().replace("\r", "").removesuffix("\n").split("\n")
        return [line.strip() for line in lines]


def read_blocks(files: Sequence[str]) -> Iterator[TextBlock]:
    """Yields all lines of the files, about a megabyte at a time.

    Raises:
      UserError: a file that cannot be read.
    """
    for path in files:
        line = 1
        with reading(path), open_file(path) as file:
            data = _read_block(file)
            while data:
                following = _read_block(file)
                yield TextBlock(data, path, line, not following)
                line += data.count(b"\n")
                data = following


def _read_block(file: BinaryIO) -> bytes:
    return file.read(_BLOCK_BYTES) + file.readline()
