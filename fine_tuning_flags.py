"""Flags that the fine-tuning scripts share.

As in `common_flags`, a group is defined by one function and read by another.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from absl import flags

import common_flags
import training_flags
from modeling.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import tensorflow as tf

    from modeling.finetuning import Job, Recipe, Surroundings, Trial
    from modeling.training import TrainingOptions

FLAGS = flags.FLAGS


def define_fine_tuning_flags(
    *,
    max_seq_length: int,
    learning_rate: float,
    train_batch_size: int,
    eval_batch_size: int,
    predict_batch_size: int,
    typed_line: str,
) -> None:
    """Model, output, and how a task is trained and asked.

    Args:
      max_seq_length, learning_rate, train_batch_size, eval_batch_size,
        predict_batch_size: the script's defaults.
      typed_line: what a line of --interactive is.
    """
    common_flags.define_pretrained_flags()
    training_flags.define_training_flags(
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
    flags.DEFINE_string(
        "prediction_dir", None, "Where predictions go. Default: --output_dir."
    )
    flags.DEFINE_bool(
        "interactive",
        False,
        f"Answer lines of standard input as they are typed: {typed_line}.",
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


def is_training() -> bool:
    """Whether training is asked for, or tried."""
    return FLAGS.do_train or FLAGS.dry_run


def begin(network: Sequence[str], reading: Sequence[str]) -> None:
    """Checks that there is something to do, and what it is done with.

    Without training, flags that are not given take the values that training
    had.

    Args:
      network: flags that shape the network, which cannot differ.
      reading: flags of how text is read, which may.

    Raises:
      UserError: nothing to do, a flag of the network that is given another
        value, or a directory to write to that is none.
    """
    names = ("do_train", "do_eval", "do_predict", "interactive")
    if not any(FLAGS[name].value for name in (*names, "dry_run")):
        raise UserError(
            "At least one of "
            + ", ".join(f"--{name}" for name in names)
            + " must be given (or --dry_run)."
        )
    if not is_training():
        _adopt_kept(network, reading)
    _check_can_write()


def _check_can_write() -> None:
    """A model that is only asked may lie where nothing can be written."""
    from modeling.output_files import check_can_write

    own = FLAGS.do_predict and FLAGS.prediction_dir
    if is_training() or FLAGS.do_eval or (FLAGS.do_predict and not own):
        check_can_write(FLAGS.output_dir, "output_dir")
    if own:
        check_can_write(FLAGS.prediction_dir, "prediction_dir")


def _adopt_kept(network: Sequence[str], reading: Sequence[str]) -> None:
    from modeling.finetuning import read_kept

    kept = read_kept(FLAGS.output_dir)
    for name in (*network, *reading):
        if name not in kept:
            continue
        if kept[name] is None and FLAGS[name].default is not None:
            raise UserError(
                f"The model in {FLAGS.output_dir} was not trained by this "
                f"script, as --{name} had no value then. Give the --output_dir "
                "of a model of this kind."
            )
        if FLAGS[name].using_default_value:
            FLAGS[name].value = kept[name]
        elif name in network and FLAGS[name].value != kept[name]:
            raise UserError(
                f"The model in {FLAGS.output_dir} was trained with "
                f"--{name}={kept[name]}. Received: --{name}="
                f"{FLAGS[name].value}"
            )


def surroundings(
    strategy: tf.distribute.Strategy, kept: Sequence[str]
) -> Surroundings:
    """What a job begins with, and where it works.

    Args:
      strategy: the devices.
      kept: flags that `begin` will ask for in calls without training.
    """
    from modeling.finetuning import Surroundings, find_start, parse_freeze

    start = find_start(
        common_flags.pretrained_files(),
        FLAGS.output_dir,
        is_training(),
        FLAGS.max_seq_length,
    )
    return Surroundings(
        start=start,
        strategy=strategy,
        output_dir=FLAGS.output_dir,
        recipe=_recipe(strategy),
        do_train=is_training(),
        init_checkpoint=FLAGS.init_checkpoint,
        xla=common_flags.uses_xla(strategy),
        trainable=parse_freeze(FLAGS.freeze, start.config.num_hidden_layers),
        kept={name: FLAGS[name].value for name in kept},
    )


def job_options(strategy: tf.distribute.Strategy) -> dict[str, object]:
    """Fields of `JobOptions`, by name."""
    from modeling.devices import is_tpu

    one_hot = FLAGS.use_one_hot_embeddings
    return {
        "policy": common_flags.policy(),
        # On TPUs, as the original.
        "use_one_hot_embeddings": (
            is_tpu(strategy) if one_hot is None else one_hot
        ),
        "recompute": FLAGS.recompute,
        "eval_batch_size": FLAGS.eval_batch_size,
        "predict_batch_size": FLAGS.predict_batch_size,
        "prediction_dir": FLAGS.prediction_dir,
        "cache_dir": FLAGS.cache_dir,
        "num_workers": FLAGS.num_workers,
    }


def run(
    job: Job, strategy: tf.distribute.Strategy, evaluate: bool = False
) -> None:
    """Does what is asked for, and ends with the status of how that ended.

    Args:
      job: of the script's task.
      strategy: the devices.
      evaluate: whether to evaluate even without --do_eval.
    """
    from modeling.finetuning import Purpose, answer_lines, run_job

    purpose = Purpose(
        FLAGS.do_train,
        FLAGS.do_eval or evaluate,
        FLAGS.do_predict,
        FLAGS.dry_run,
    )
    trained = run_job(job, purpose, _trials(), _training_options(strategy))
    if trained is None:
        return
    if FLAGS.interactive and not trained.outcome.interrupted:
        answer_lines(lambda line: job.answer(trained.session, line))
    if trained.outcome.signal is not None:
        sys.exit(128 + trained.outcome.signal)


def _recipe(strategy: tf.distribute.Strategy) -> Recipe:
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


def _trials() -> list[Trial]:
    """The trainings that are asked for."""
    from modeling.finetuning import Grid, Trial, plan_trials

    grid = None
    if FLAGS.grid:
        grid = Grid(
            common_flags.numbers("grid_batch_sizes"),
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


def _training_options(
    strategy: tf.distribute.Strategy,
) -> Callable[[Trial, int, int], TrainingOptions]:
    """(trial, all steps, those of warm-up) -> how the loop trains."""

    def make(trial: Trial, steps: int, warmup: int) -> TrainingOptions:
        return training_flags.training_options(
            strategy,
            steps,
            warmup,
            learning_rate=trial.learning_rate,
            train_batch_size=trial.batch_size,
            seed=trial.seed,
        )

    return make
