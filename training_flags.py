"""Flags of all scripts that train: optimizer, batches, checkpoints, logs.

As in `common_flags`, they are defined by one function and read by another.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from absl import flags

import common_flags
from modeling.errors import UserError

if TYPE_CHECKING:
    import tensorflow as tf

    from modeling.training import TrainingOptions

FLAGS = flags.FLAGS


def define_training_flags(
    *, learning_rate: float, train_batch_size: int, eval_batch_size: int
) -> None:
    """How any task is trained.

    Args:
      learning_rate, train_batch_size, eval_batch_size: the script's defaults.
    """
    flags.DEFINE_integer(
        "train_batch_size",
        train_batch_size,
        "Rows of a batch of training, over all devices and hosts.",
        lower_bound=1,
    )
    flags.DEFINE_integer(
        "eval_batch_size",
        eval_batch_size,
        "Rows of a batch of evaluation, over all devices and hosts.",
        lower_bound=1,
    )
    flags.DEFINE_integer(
        "gradient_accumulation_steps",
        1,
        "Micro-batches that a device computes its part of a batch in, one "
        "after another, to save memory; the result is the same.",
        lower_bound=1,
    )
    flags.DEFINE_float(
        "learning_rate", learning_rate, "The peak, after warm-up."
    )
    flags.DEFINE_enum(
        "lr_schedule",
        "linear",
        ["linear", "polynomial", "cosine", "constant", "wsd"],
        "What follows the warm-up. wsd: constant, then a linear decay over "
        "the last --num_decay_steps.",
    )
    flags.DEFINE_float("lr_power", 2.0, "Of --lr_schedule=polynomial.")
    flags.DEFINE_float("end_learning_rate", 0.0, "Where the decay ends.")
    flags.DEFINE_integer(
        "num_decay_steps",
        None,
        "Of --lr_schedule=wsd. Default: a tenth of all steps.",
    )
    flags.DEFINE_enum(
        "optimizer",
        "adamw",
        ["adamw", "lamb"],
        "adamw: the original's. lamb: for large batches.",
    )
    flags.DEFINE_bool(
        "bias_correction",
        False,
        "Correct the optimizer's means for their beginning at zero, as others "
        "do and the original does not. Steadier on small sets.",
    )
    flags.DEFINE_float("weight_decay_rate", 0.01, "Decoupled weight decay.")
    flags.DEFINE_float("clip_norm", 1.0, "Limit of the gradients' global norm.")
    flags.DEFINE_float(
        "layer_decay",
        1.0,
        "Factor on the learning rate for every layer further from the output.",
    )
    flags.DEFINE_integer(
        "save_checkpoints_steps",
        1000,
        "Steps between checkpoints.",
        lower_bound=1,
    )
    flags.DEFINE_integer(
        "keep_checkpoints",
        5,
        "Checkpoints to keep, the newest; 0: all.",
        lower_bound=0,
    )
    flags.DEFINE_integer(
        "iterations_per_loop",
        1000,
        "Steps that a TPU takes without the host; of no concern elsewhere.",
        lower_bound=1,
    )
    flags.DEFINE_integer(
        "log_steps", 100, "Steps between log lines.", lower_bound=1
    )
    flags.DEFINE_integer(
        "eval_every", 0, "Steps between evaluations; 0: none.", lower_bound=0
    )
    flags.DEFINE_integer(
        "export_every",
        0,
        "Steps between writing bert_model.ckpt, which the end writes anyway; "
        "0: at the end only.",
        lower_bound=0,
    )
    flags.DEFINE_integer(
        "seed",
        12345,
        "Of initial weights, data order, masks and dropout.",
        lower_bound=0,
        upper_bound=2**32 - 1,
    )
    flags.DEFINE_float(
        "max_train_seconds",
        None,
        "Save and end after this time; the same command goes on.",
        lower_bound=0.0,
    )
    flags.DEFINE_list(
        "profile_steps",
        [],
        "First and last step to profile for TensorBoard, from 1, as in 10,12.",
    )
    flags.DEFINE_bool(
        "dry_run",
        False,
        "Check everything, take a step on the real shapes, tell the memory it "
        "takes, and write nothing.",
    )
    flags.DEFINE_bool(
        "allow_changed_settings",
        False,
        "Go on in --output_dir though settings have changed that shape the "
        "result.",
    )
    flags.DEFINE_bool(
        "recompute",
        False,
        "Compute each block again for its gradients instead of keeping what "
        "it computed: less memory, a third more arithmetic.",
    )


def training_options(
    strategy: tf.distribute.Strategy,
    num_train_steps: int,
    num_warmup_steps: int,
    *,
    learning_rate: float | None = None,
    train_batch_size: int | None = None,
    seed: int | None = None,
) -> TrainingOptions:
    """The flags of `define_training_flags`, and of `define_device_flags`.

    Args:
      strategy: the devices.
      num_train_steps: of the whole training.
      num_warmup_steps: of them.
      learning_rate, train_batch_size, seed: instead of the flags.
    """
    from modeling.devices import is_tpu
    from modeling.training import (
        LoopOptions,
        OptimizerOptions,
        Schedule,
        StepOptions,
        TrainingOptions,
        check_batch_size,
    )

    accumulation = FLAGS.gradient_accumulation_steps
    if learning_rate is None:
        learning_rate = FLAGS.learning_rate
    if train_batch_size is None:
        train_batch_size = FLAGS.train_batch_size
    check_batch_size(
        strategy, train_batch_size, "train_batch_size", accumulation
    )
    decay_steps = FLAGS.num_decay_steps
    return TrainingOptions(
        schedule=Schedule(
            learning_rate,
            num_train_steps,
            num_warmup_steps,
            FLAGS.lr_schedule,
            FLAGS.lr_power,
            num_train_steps // 10 if decay_steps is None else decay_steps,
            FLAGS.end_learning_rate,
        ),
        optimizer=OptimizerOptions(
            name=FLAGS.optimizer,
            weight_decay_rate=FLAGS.weight_decay_rate,
            clip_norm=FLAGS.clip_norm,
            layer_decay=FLAGS.layer_decay,
            bias_correction=FLAGS.bias_correction,
        ),
        step=StepOptions(
            seed=FLAGS.seed if seed is None else seed,
            gradient_accumulation_steps=accumulation,
            xla=common_flags.uses_xla(strategy),
            compiled_update=FLAGS.xla != "off" and not is_tpu(strategy),
            loss_scale="dynamic" if FLAGS.precision == "float16" else "none",
        ),
        loop=LoopOptions(
            num_train_steps=num_train_steps,
            save_checkpoints_steps=FLAGS.save_checkpoints_steps,
            log_steps=FLAGS.log_steps,
            eval_every=FLAGS.eval_every,
            export_every=FLAGS.export_every,
            steps_per_call=(
                FLAGS.iterations_per_loop if is_tpu(strategy) else 1
            ),
            profile_steps=_profile_steps(num_train_steps),
        ),
        batch_size=train_batch_size,
        keep_checkpoints=FLAGS.keep_checkpoints,
        max_seconds=FLAGS.max_train_seconds,
        allow_changed_settings=FLAGS.allow_changed_settings,
    )


def _profile_steps(num_train_steps: int) -> tuple[int, int] | None:
    steps = common_flags.numbers("profile_steps")
    if not steps:
        return None
    if len(steps) != 2 or not 1 <= steps[0] <= steps[1] <= num_train_steps:
        raise UserError(
            "--profile_steps takes the first and the last step, as in 10,12, "
            f"of the {num_train_steps} steps, the first of which is 1. "
            f"Received: {','.join(FLAGS.profile_steps)}"
        )
    return int(steps[0]), int(steps[1])
