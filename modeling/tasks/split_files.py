"""SplitFiles: where a task's examples lie, as a user has named them."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping

from modeling.errors import UserError
from modeling.text_files import STDIN, match_files

# What files of a split are called in a directory, and by which flag they are
# named, and what needs them.
_STEMS = {
    "train": ("train",),
    "dev": ("dev", "val", "valid", "validation"),
    "test": ("test",),
}
_FLAG = {"train": "train_file", "dev": "dev_file", "test": "predict_file"}
_NEEDS = {"train": "Training", "dev": "Evaluation", "test": "Prediction"}


@dataclasses.dataclass(frozen=True)
class SplitFiles:
    """Files of the splits "train", "dev" and "test".

    Attributes:
      data_dir: where those lie that have no name below; None: nowhere.
      named: split -> its file, None where the user named none.
      endings: of files in `data_dir`; "" for directories.

    Raises:
      UserError: there is no such directory.
    """

    data_dir: str | None
    named: Mapping[str, str | None]
    endings: tuple[str, ...]

    def __post_init__(self) -> None:
        if self.data_dir is not None and not os.path.isdir(self.data_dir):
            raise UserError(
                f"There is no directory --data_dir={self.data_dir}."
            )

    def find(self, split: str) -> str | None:
        """The file of a split, None where there is none.

        Raises:
          UserError: several files of the directory could be meant, or the one
            that is named is not there.
        """
        named = self.named.get(split)
        if named is not None:
            # Only what is predicted is read just once.
            if (split, named) != ("test", STDIN) and not match_files(named):
                raise UserError(f"There is no file --{_FLAG[split]}={named}")
            return named
        if self.data_dir is None:
            return None
        names = set(os.listdir(self.data_dir))
        found = [
            os.path.join(self.data_dir, name)
            for name in self._candidates(split)
            if name in names
        ]
        if len(found) > 1:
            raise UserError(
                f"There are {' and '.join(found)}. Say which is meant: "
                f"--{_FLAG[split]}={found[0]}"
            )
        return found[0] if found else None

    def get(self, split: str) -> str:
        """The file of a split.

        Raises:
          UserError: there is none.
        """
        found = self.find(split)
        if found is None:
            where = ""
            if self.data_dir is not None:
                candidates = ", ".join(self._candidates(split))
                where = f" {self.data_dir} has none of {candidates}."
            raise UserError(
                f"{_NEEDS[split]} needs --{_FLAG[split]}, or --data_dir with "
                f"such a file.{where}"
            )
        return found

    def _candidates(self, split: str) -> list[str]:
        return [
            f"{stem}.{ending}" if ending else stem
            for stem in _STEMS[split]
            for ending in self.endings
        ]
