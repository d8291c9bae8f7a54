"""XNLI: one data set a language."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from modeling.errors import UserError
from modeling.tasks.classification.data_set import (
    Columns,
    DataSet,
    Selection,
    SplitFile,
)

LANGUAGES = (
    "ar",
    "bg",
    "de",
    "el",
    "en",
    "es",
    "fr",
    "hi",
    "ru",
    "sw",
    "th",
    "tr",
    "ur",
    "vi",
    "zh",
)
# The original's.
DEFAULT_LANGUAGE = "zh"


def xnli(
    language: str = DEFAULT_LANGUAGE, train_language: str | None = None
) -> DataSet:
    """The original's files, for one language.

    Args:
      language: of the dev and test sets.
      train_language: of the training set; None for the same, which is
        "translate-train". "en" with another `language` is "zero-shot".

    Raises:
      UserError: a language that XNLI does not have.
    """
    train_language = train_language or language
    for name in (language, train_language):
        if name not in LANGUAGES:
            raise UserError(
                f"XNLI has no language {name!r}. It has: {', '.join(LANGUAGES)}"
            )
    columns = Columns(6, 7, label=1)
    return DataSet(
        f"XNLI-{language}",
        {
            "train": [
                SplitFile(
                    f"multinli/multinli.train.{train_language}.tsv",
                    Columns(0, 1, label=2),
                    guid="train",
                )
            ],
            **{
                split: [
                    SplitFile(
                        f"xnli.{split}.tsv",
                        columns,
                        guid=split,
                        select=_of_language(language),
                    )
                ]
                for split in ("dev", "test")
            },
        },
        labels=("contradiction", "entailment", "neutral"),
        # As the translated training sets call it.
        aliases={"contradictory": "contradiction"},
    )


def _of_language(language: str) -> Selection:
    def select(data_dir: str) -> Callable[[Sequence[str]], bool]:
        return lambda cells: cells[0] == language

    return select
