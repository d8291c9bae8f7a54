"""The table of Chinese data sets, as they are passed around.

Some copies have a header, some have none, so that columns go by their place.
"""

from __future__ import annotations

from modeling.tasks.classification.data_set import Columns, DataSet, SplitFile

_TEXT_AND_LABEL = Columns(1, label=0)
_PAIR_AND_LABEL = Columns(0, 1, label=2)


def _data_set(
    name: str,
    columns: Columns,
    labels: tuple[str, ...] | None,
    train: tuple[str, ...] = ("train.tsv", "train.txt"),
    dev: tuple[str, ...] = ("dev.tsv", "dev.txt"),
    test: tuple[str, ...] = ("test.tsv", "test.txt"),
) -> DataSet:
    return DataSet(
        name,
        {
            split: [
                SplitFile(file, columns, header=None, guid=split)
                for file in files
            ]
            for split, files in (
                ("train", train),
                ("dev", dev),
                ("test", test),
            )
        },
        labels=labels,
    )


CHINESE = (
    _data_set("ChnSentiCorp", _TEXT_AND_LABEL, ("0", "1")),
    _data_set("LCQMC", _PAIR_AND_LABEL, ("0", "1")),
    _data_set("BQ", _PAIR_AND_LABEL, ("0", "1")),
    # Its classes are words, and there are editions with 10 and with 14.
    _data_set(
        "THUCNews",
        _TEXT_AND_LABEL,
        None,
        train=("cnews.train.txt", "train.tsv", "train.txt"),
        dev=("cnews.val.txt", "dev.tsv", "dev.txt"),
        test=("cnews.test.txt", "test.tsv", "test.txt"),
    ),
)
