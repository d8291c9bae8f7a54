"""The table of the GLUE tasks, in the layout of their official files."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Sequence

from modeling.tasks.classification.data_set import (
    Columns,
    DataSet,
    Selection,
    SplitFile,
)
from modeling.text_files import open_file, reading

_NLI = ("contradiction", "entailment", "neutral")
_ENTAILMENT = ("entailment", "not_entailment")
_YES_NO = ("0", "1")


def _data_set(
    name: str,
    columns: Columns,
    labels: Sequence[str] | None,
    metrics: tuple[str, ...] = ("accuracy",),
    test: Columns | None = None,
    skip_ragged: bool = False,
) -> DataSet:
    """A set in three files with header, whose test file has no labels.

    Args:
      name: GLUE's, of the set and of the file to submit.
      columns: of the training and the dev file.
      labels: None for scores.
      metrics: GLUE's.
      test: columns of the test file, where it has others.
      skip_ragged: see `SplitFile`.
    """
    test = test or dataclasses.replace(columns, label=None, row_id="index")
    return DataSet(
        name,
        {
            "train": [_file("train", columns, skip_ragged=skip_ragged)],
            "dev": [_file("dev", columns, skip_ragged=skip_ragged)],
            "test": [_file("test", test, submission=f"{name}.tsv")],
        },
        metrics,
        "regression" if labels is None else "classification",
        labels,
    )


def _file(split: str, columns: Columns, **more: object) -> SplitFile:
    return SplitFile(f"{split}.tsv", columns, guid=split, **more)


# As the original: the last column of labelled files, the row's own number in
# the guid.
_MNLI = Columns(8, 9, label=-1, guid=0)
_MNLI_TEST = Columns(8, 9, row_id=0, guid=0)

MNLI = DataSet(
    "MNLI",
    {
        "train": [_file("train", _MNLI)],
        "dev": [_file("dev_matched", _MNLI)],
        "dev_mismatched": [_file("dev_mismatched", _MNLI)],
        "test": [
            SplitFile("test_matched.tsv", _MNLI_TEST, submission="MNLI-m.tsv")
        ],
        "test_mismatched": [
            SplitFile(
                "test_mismatched.tsv", _MNLI_TEST, submission="MNLI-mm.tsv"
            )
        ],
    },
    labels=_NLI,
)

# A model of MNLI is diagnosed. The labelled form of the set is the dev split.
AX = DataSet(
    "AX",
    {
        "dev": [
            SplitFile(
                "diagnostic-full.tsv",
                Columns("Premise", "Hypothesis", label="Label"),
                guid="dev",
            )
        ],
        "test": [
            SplitFile(
                name,
                Columns("sentence1", "sentence2", row_id="index"),
                submission="AX.tsv",
            )
            for name in ("AX.tsv", "diagnostic.tsv")
        ],
    },
    metrics=("matthews",),
    labels=_NLI,
)

_COLA = Columns(3, label=1)

COLA = DataSet(
    "CoLA",
    {
        "train": [_file("train", _COLA, header=False)],
        "dev": [_file("dev", _COLA, header=False)],
        "test": [_file("test", Columns(1, row_id=0), submission="CoLA.tsv")],
    },
    metrics=("matthews",),
    labels=_YES_NO,
)

# In Microsoft's files, GLUE's list of pairs tells what of the training file is
# the dev set.
_PAIRS_OF_DEV_SET = "dev_ids.tsv"


def _of_dev_set(wanted: bool) -> Selection:
    def select(data_dir: str) -> Callable[[Sequence[str]], bool]:
        path = os.path.join(data_dir, _PAIRS_OF_DEV_SET)
        with reading(path), open_file(path) as file:
            pairs = {tuple(line.decode().split()) for line in file}
        return lambda cells: (tuple(cells[1:3]) in pairs) == wanted

    return select


_MRPC = Columns(3, 4, label=0)

MRPC = DataSet(
    "MRPC",
    {
        "train": [
            _file("train", _MRPC),
            SplitFile(
                "msr_paraphrase_train.txt",
                _MRPC,
                guid="train",
                select=_of_dev_set(False),
            ),
        ],
        "dev": [
            _file("dev", _MRPC),
            SplitFile(
                "msr_paraphrase_train.txt",
                _MRPC,
                guid="dev",
                select=_of_dev_set(True),
            ),
        ],
        "test": [
            _file("test", Columns(3, 4, row_id=0), submission="MRPC.tsv"),
            SplitFile("msr_paraphrase_test.txt", _MRPC, submission="MRPC.tsv"),
        ],
    },
    metrics=("accuracy", "f1"),
    labels=_YES_NO,
)

GLUE = (
    COLA,
    _data_set("SST-2", Columns("sentence", label="label"), _YES_NO),
    MRPC,
    _data_set(
        "STS-B",
        Columns("sentence1", "sentence2", label="score"),
        None,
        ("pearson", "spearman"),
    ),
    # Line ends within texts have torn a few rows of the official files.
    _data_set(
        "QQP",
        Columns("question1", "question2", label="is_duplicate"),
        _YES_NO,
        ("accuracy", "f1"),
        test=Columns("question1", "question2", row_id="id"),
        skip_ragged=True,
    ),
    MNLI,
    _data_set(
        "QNLI", Columns("question", "sentence", label="label"), _ENTAILMENT
    ),
    _data_set(
        "RTE", Columns("sentence1", "sentence2", label="label"), _ENTAILMENT
    ),
    _data_set(
        "WNLI", Columns("sentence1", "sentence2", label="label"), _YES_NO
    ),
    AX,
)
