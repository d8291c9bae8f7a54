"""Our side of fine-tuning, as the scripts do it."""

from __future__ import annotations

import tensorflow as tf

from modeling.finetuning import Recipe, Surroundings, Trial, find_start
from modeling.pretrained import PretrainedFiles
from modeling.training import (
    LoopOptions,
    OptimizerOptions,
    Schedule,
    StepOptions,
    TrainingOptions,
)


def surroundings(
    model_dir: str, directory: str, recipe: Recipe
) -> Surroundings:
    """What a job begins with, and where it works.

    Args:
      model_dir: of the encoder.
      directory: to work in.
      recipe: of the training.
    """
    start = find_start(
        PretrainedFiles(model_dir), directory, True, recipe.max_seq_length
    )
    return Surroundings(
        start=start,
        strategy=tf.distribute.get_strategy(),
        output_dir=directory,
        recipe=recipe,
        init_checkpoint=model_dir,
    )


def training_options(trial: Trial, steps: int, warmup: int) -> TrainingOptions:
    """The peer's optimizer and decay, and no checkpoint but the last."""
    return TrainingOptions(
        Schedule(
            trial.learning_rate,
            steps,
            warmup,
            # From the warm-up's end, not from the beginning as the original.
            kind="wsd",
            num_decay_steps=steps - warmup,
        ),
        OptimizerOptions(bias_correction=True),
        StepOptions(trial.seed),
        LoopOptions(steps, save_checkpoints_steps=steps),
        trial.batch_size,
    )
