"""Data sets by name."""

from __future__ import annotations

from modeling.errors import UserError
from modeling.tasks.classification.chinese import CHINESE
from modeling.tasks.classification.data_set import DataSet
from modeling.tasks.classification.glue import GLUE
from modeling.tasks.classification.xnli import DEFAULT_LANGUAGE, xnli


def _key(name: str) -> str:
    """SST-2, sst2 and sst_2 are one name."""
    return name.lower().replace("-", "").replace("_", "")


_DATA_SETS = {_key(data_set.name): data_set for data_set in (*GLUE, *CHINESE)}
_XNLI = "xnli"

DATA_SET_NAMES = (
    *(data_set.name.lower() for data_set in _DATA_SETS.values()),
    _XNLI,
)


def find_data_set(
    name: str, language: str | None = None, train_language: str | None = None
) -> DataSet:
    """The data set of a name, in any case, with or without its hyphen.

    Args:
      name: one of `DATA_SET_NAMES`.
      language: of XNLI's dev and test sets, Chinese as in the original where
        it is not given.
      train_language: of XNLI's training set, the same where it is not given.

    Raises:
      UserError: an unknown name, or a language of a set that has only one.
    """
    key = _key(name)
    if key == _XNLI:
        return xnli(language or DEFAULT_LANGUAGE, train_language)
    if key not in _DATA_SETS:
        raise UserError(
            f"Task not found: {name!r}. There are: {', '.join(DATA_SET_NAMES)}"
            "; for data of your own, auto or a task file."
        )
    if language or train_language:
        raise UserError(
            f"{_DATA_SETS[key].name} has no languages to choose from; only "
            f"{_XNLI} has. Received: {language or train_language!r}"
        )
    return _DATA_SETS[key]
