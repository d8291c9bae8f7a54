"""Flags that the fine-tuning scripts share.

As in `common_flags`, a group is defined by one function and read by another.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from absl import flags

import common_flags
from modeling.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import tensorflow as tf

    from modeling.finetuning import Purpose, Recipe, Start, Trial
    from modeling.tasks.feature_based import FeatureBased
    from modeling.training import TrainingOptions

FLAGS = flags.FLAGS
# Those of `define_feature_based_flags`.
FEATURE_BASED_FLAGS = (
    "feature_based",
    "layers",
    "combine",
    "lstm_layers",
    "lstm_size",
)


def define_fine_tuning_flags(
    *,
    max_seq_length: int,
    learning_rate: float,
    train_batch_size: int,
    eval_batch_size: int,
    predict_batch_size: int,
) -> None:
    """Model, output, and how a task is trained; with the script's defaults."""
    common_flags.define_pretrained_flags()
    common_flags.define_training_flags(
        learning_rate=learning_rate,
        train_batch_size=train_batch_size,
        eval_batch_size=eval_batch_size,
    )
    common_flags.define_device_flags()
    flags.DEFINE_string(
        "output_dir", None, "Where checkpoints, results and the model go."
    )
    flags.DEFINE_integer(
        "max_seq_length",
        max_seq_length,
        "The longest row in tokens, [CLS] and [SEP] included.",
        lower_bound=3,
    )
    flags.DEFINE_bool("do_train", False, "Whether to train.")
    flags.DEFINE_bool("do_eval", False, "Whether to evaluate.")
    flags.DEFINE_bool("do_predict", False, "Whether to predict.")
    flags.DEFINE_integer(
        "predict_batch_size",
        predict_batch_size,
        "Rows of full length in a batch of prediction.",
        lower_bound=1,
    )
    flags.DEFINE_float("num_train_epochs", 3.0, "Passes over the training set.")
    flags.DEFINE_float(
        "warmup_proportion",
        0.1,
        "Share of the steps in which the learning rate rises.",
    )
    flags.DEFINE_integer(
        "batch_tokens",
        None,
        "Size of a training batch in tokens, padding included, instead of "
        "--train_batch_size.",
        lower_bound=1,
    )
    flags.DEFINE_bool(
        "length_batching",
        True,
        "Whether examples of similar length share a batch and are padded to "
        "the longest; else every row is padded to --max_seq_length.",
    )
    flags.DEFINE_bool(
        "use_one_hot_embeddings",
        None,
        "Look words up by a matrix product. Default: on a TPU, as the "
        "original.",
    )
    flags.DEFINE_string(
        "cache_dir",
        None,
        "Where tokenized examples are kept. Default: OUTPUT_DIR/cache.",
    )
    flags.DEFINE_integer(
        "num_workers", 1, "Processes that tokenize.", lower_bound=1
    )
    _define_choice_flags()


def _define_choice_flags() -> None:
    """What is trained, and which training is chosen."""
    flags.DEFINE_list(
        "freeze",
        [],
        "Parts of the encoder that are not trained: embeddings, layers:0-8, "
        "pooler, or encoder for all.",
    )
    flags.DEFINE_bool(
        "eval_each_epoch",
        False,
        "Evaluate after every epoch, and keep the best weights.",
    )
    flags.DEFINE_integer(
        "early_stopping_patience",
        0,
        "Evaluations (--eval_every, --eval_each_epoch) without a better score "
        "after which training ends; 0: never.",
        lower_bound=0,
    )
    flags.DEFINE_integer(
        "num_trials",
        1,
        "Trainings with the seeds --seed, --seed + 1 ..., of which the best is "
        "kept.",
        lower_bound=1,
    )
    flags.DEFINE_bool(
        "grid",
        False,
        "Try every combination of the three lists below, --num_trials times "
        "each, and keep the best on the dev set.",
    )
    flags.DEFINE_list("grid_batch_sizes", ["16", "32"], "Of --grid.")
    flags.DEFINE_list(
        "grid_learning_rates", ["5e-5", "3e-5", "2e-5"], "Of --grid."
    )
    flags.DEFINE_list("grid_epochs", ["2", "3", "4"], "Of --grid.")


def define_feature_based_flags() -> None:
    """A frozen encoder under a small network."""
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
        "With --feature_based: layers of a BiLSTM; 0: none.",
        lower_bound=0,
    )
    flags.DEFINE_integer(
        "lstm_size",
        0,
        "Of the BiLSTM's outputs; 0: the encoder's.",
        lower_bound=0,
    )


def check_purpose(*others: str) -> None:
    """Checks that there is something to do.

    Args:
      others: flags beside the usual ones that are something to do.

    Raises:
      UserError: there is not.
    """
    names = ("do_train", "do_eval", "do_predict", *others)
    if not any(FLAGS[name].value for name in (*names, "dry_run")):
        raise UserError(
            "At least one of "
            + ", ".join(f"--{name}" for name in names)
            + " must be given (or --dry_run)."
        )


def is_training() -> bool:
    """Whether training is asked for, or tried."""
    return FLAGS.do_train or FLAGS.dry_run


def purpose() -> Purpose:
    """What is asked for."""
    from modeling.finetuning import Purpose

    return Purpose(
        FLAGS.do_train, FLAGS.do_eval, FLAGS.do_predict, FLAGS.dry_run
    )


def adopt_kept(network: Sequence[str], reading: Sequence[str]) -> None:
    """Without training, gives flags the values that training had.

    Args:
      network: flags that shape the network, which cannot differ.
      reading: flags of how text is read, which may.

    Raises:
      UserError: a flag of the network is given another value.
    """
    from modeling.finetuning import read_kept

    if is_training():
        return
    kept = read_kept(FLAGS.output_dir)
    for name in (*network, *reading):
        if name not in kept:
            continue
        if FLAGS[name].using_default_value:
            FLAGS[name].value = kept[name]
        elif name in network and FLAGS[name].value != kept[name]:
            raise UserError(
                f"The model in {FLAGS.output_dir} was trained with "
                f"--{name}={kept[name]}. Received: --{name}="
                f"{FLAGS[name].value}"
            )


def kept(*names: str) -> dict[str, object]:
    """Values of flags that `adopt_kept` will ask for."""
    return {name: FLAGS[name].value for name in names}


def find_start() -> Start:
    """The model that is fine-tuned, or that has been."""
    from modeling.finetuning import find_start

    return find_start(
        common_flags.pretrained_files(),
        FLAGS.output_dir,
        is_training(),
        FLAGS.max_seq_length,
    )


def recipe(strategy: tf.distribute.Strategy) -> Recipe:
    """How long to train, and in which batches."""
    from modeling.devices import is_tpu
    from modeling.finetuning import Recipe

    return Recipe(
        max_seq_length=FLAGS.max_seq_length,
        warmup_proportion=FLAGS.warmup_proportion,
        batch_tokens=FLAGS.batch_tokens,
        length_batching=FLAGS.length_batching,
        static_shapes=common_flags.uses_xla(strategy),
        single_shape=is_tpu(strategy),
        eval_each_epoch=FLAGS.eval_each_epoch,
        patience=FLAGS.early_stopping_patience,
    )


def trials() -> list[Trial]:
    """The trainings that are asked for."""
    from modeling.finetuning import Grid, Trial, plan_trials

    grid = None
    if FLAGS.grid:
        grid = Grid(
            tuple(map(int, common_flags.numbers("grid_batch_sizes"))),
            common_flags.numbers("grid_learning_rates"),
            common_flags.numbers("grid_epochs"),
        )
    first = Trial(
        FLAGS.learning_rate,
        FLAGS.train_batch_size,
        FLAGS.num_train_epochs,
        FLAGS.seed,
    )
    return plan_trials(first, FLAGS.num_trials, grid)


def training_options(
    strategy: tf.distribute.Strategy,
) -> Callable[[Trial, int, int], TrainingOptions]:
    """(trial, all steps, those of warm-up) -> how the loop trains."""

    def make(trial: Trial, steps: int, warmup: int) -> TrainingOptions:
        return common_flags.training_options(
            strategy,
            steps,
            warmup,
            learning_rate=trial.learning_rate,
            train_batch_size=trial.batch_size,
            seed=trial.seed,
        )

    return make


def feature_based() -> FeatureBased | None:
    """The flags of `define_feature_based_flags`."""
    if not FLAGS.feature_based:
        return None
    from modeling.network.layer_choice import parse_layers
    from modeling.tasks.feature_based import FeatureBased

    return FeatureBased(
        parse_layers(FLAGS.layers),
        FLAGS.combine,
        FLAGS.lstm_layers,
        FLAGS.lstm_size,
    )


def uses_one_hot_embeddings(strategy: tf.distribute.Strategy) -> bool:
    """--use_one_hot_embeddings, by default on TPUs."""
    from modeling.devices import is_tpu

    one_hot = FLAGS.use_one_hot_embeddings
    return is_tpu(strategy) if one_hot is None else one_hot
