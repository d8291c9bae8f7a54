"""Flags that some fine-tuning scripts share: their files, a frozen encoder.

As in `common_flags`, a group is defined by one function and read by another.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from absl import flags

import fine_tuning_flags

if TYPE_CHECKING:
    from collections.abc import Sequence

    from modeling.tasks.feature_based import ChosenLayers, FeatureBased
    from modeling.tasks.split_files import SplitFiles

FLAGS = flags.FLAGS
# Those of `define_feature_based_flags`.
FEATURE_BASED_FLAGS = (
    "feature_based",
    "layers",
    "combine",
    "lstm_layers",
    "lstm_size",
)


def define_feature_based_flags(
    lstm_layers: str = "With --feature_based: layers of a BiLSTM; 0: none.",
) -> None:
    """A frozen encoder under a small network.

    Args:
      lstm_layers: what the script does with them.
    """
    flags.DEFINE_bool(
        "feature_based",
        False,
        "Train only a small network on layers of the encoder, which are "
        "computed once (paper, section 5.3).",
    )
    flags.DEFINE_string(
        "layers",
        "-1,-2,-3,-4",
        "With --feature_based: blocks, 0 the first and -1 the last; "
        '"embeddings" for the layer below them; "all" for every one.',
    )
    flags.DEFINE_enum(
        "combine",
        "concat",
        ["concat", "sum", "weighted"],
        "With --feature_based: how layers become one vector; weighted: by "
        "learned weights.",
    )
    flags.DEFINE_integer(
        "lstm_layers",
        0,
        lstm_layers,
        lower_bound=0,
    )
    flags.DEFINE_integer(
        "lstm_size",
        0,
        "Of the BiLSTM's outputs; 0: the encoder's.",
        lower_bound=0,
    )


def define_data_flags(data: str, predicted: str) -> None:
    """Which files a task learns from, is judged by and predicts.

    Args:
      data: what --data_dir has.
      predicted: what a file to predict may be beside these.
    """
    flags.DEFINE_string("data_dir", None, f"Directory of {data}.")
    flags.DEFINE_string(
        "train_file", None, "What to learn from. Default: that of --data_dir."
    )
    flags.DEFINE_string(
        "dev_file",
        None,
        "What to evaluate with. Default: that of --data_dir.",
    )
    flags.DEFINE_string(
        "predict_file",
        None,
        f"What to predict with --do_predict: {predicted}. Default: the test "
        "file of --data_dir.",
    )


def split_files(endings: Sequence[str]) -> SplitFiles:
    """The flags of `define_data_flags`.

    Args:
      endings: of files in --data_dir, see `SplitFiles`.

    Raises:
      UserError: something is asked for that has no file.
    """
    from modeling.tasks.split_files import SplitFiles

    files = SplitFiles(
        FLAGS.data_dir,
        {
            "train": FLAGS.train_file,
            "dev": FLAGS.dev_file,
            "test": FLAGS.predict_file,
        },
        tuple(endings),
    )
    for split, is_needed in (
        ("train", fine_tuning_flags.is_training()),
        ("dev", FLAGS.do_eval),
        ("test", FLAGS.do_predict),
    ):
        if is_needed:
            files.get(split)
    return files


def feature_based() -> FeatureBased | None:
    """The flags of `define_feature_based_flags`."""
    chosen = chosen_layers()
    if chosen is None:
        return None
    from modeling.tasks.feature_based import FeatureBased

    return FeatureBased(
        chosen.layers, chosen.combine, FLAGS.lstm_layers, FLAGS.lstm_size
    )


def chosen_layers() -> ChosenLayers | None:
    """The same without a BiLSTM."""
    if not FLAGS.feature_based:
        return None
    from modeling.network.layer_choice import parse_layers
    from modeling.tasks.feature_based import ChosenLayers

    return ChosenLayers(parse_layers(FLAGS.layers), FLAGS.combine)
