"""A tokenized corpus on disk, memory-mapped."""

from __future__ import annotations

import mmap
import os

import numpy as np

# Beyond this size, a mapping's pages are given back now and then: the system
# keeps what it has memory for, and ours stays flat.
_LARGE = 1 << 26
# Tokens taken between: with every page come its neighbours, 64 kB on Linux, so
# that these take some 30 MB.
_PLACES = 1 << 15


class MappedArray:
    """An array in a file, of which only the pages in use take memory."""

    def __init__(self, path: str, dtype: str) -> None:
        with open(path, "rb") as file:
            size = os.fstat(file.fileno()).st_size
            # An empty file cannot be mapped.
            self._map = (
                mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
                if size
                else b""
            )
        self.values = np.frombuffer(self._map, dtype)

    @property
    def is_large(self) -> bool:
        """Whether its pages may take more memory than can be spared."""
        return len(self._map) > _LARGE and hasattr(mmap, "MADV_DONTNEED")

    def take(self, places: np.ndarray) -> np.ndarray:
        """The values at places all over the array."""
        if not self.is_large:
            return self.values[places]
        taken = np.empty(len(places), self.values.dtype)
        for start in range(0, len(places), _PLACES):
            part = slice(start, start + _PLACES)
            taken[part] = self.values[places[part]]
            self.release()
        return taken

    def release(self) -> None:
        """Gives back the memory of a large array's pages."""
        if self.is_large:
            self._map.madvise(mmap.MADV_DONTNEED)


IDS, JOINS, SENTENCES, DOCUMENTS = (
    "ids.bin",
    "joins.bin",
    "sentences.bin",
    "documents.bin",
)


class Corpus:
    """Token ids with the offsets of sentences and documents.

    Args:
      directory: where `prepare_corpus` has written it.
      id_type: of the ids on disk.

    Attributes:
      ids: every token's id: uint16 or uint32 [tokens]
      joins: bits JOINS_WORD and JOINS_SPAN of every token, or None where the
        ids tell all: uint8 [tokens]
      sentences: where each starts, and the end of the last:
        int64 [sentences + 1]
      documents: the first sentence of each, and the end of the last:
        int64 [documents + 1]
    """

    def __init__(self, directory: str, id_type: str) -> None:
        joins = os.path.join(directory, JOINS)
        types = {IDS: id_type, SENTENCES: "<i8", DOCUMENTS: "<i8"}
        if os.path.exists(joins):
            types[JOINS] = "u1"
        self._arrays = {
            name: MappedArray(os.path.join(directory, name), dtype)
            for name, dtype in types.items()
        }
        self.ids = self._arrays[IDS].values
        self.joins = self._arrays[JOINS].values if JOINS in types else None
        self.sentences = self._arrays[SENTENCES].values
        self.documents = self._arrays[DOCUMENTS].values

    def ids_at(self, places: np.ndarray) -> np.ndarray:
        """The ids of tokens from all over the corpus."""
        return self._arrays[IDS].take(places)

    def joins_at(self, places: np.ndarray) -> np.ndarray:
        """The joins of tokens from all over a corpus that has them."""
        return self._arrays[JOINS].take(places)

    @property
    def num_documents(self) -> int:
        """Documents with at least one token."""
        return len(self.documents) - 1

    def release(self) -> None:
        """Gives back the memory that reading has taken."""
        for array in self._arrays.values():
            array.release()
