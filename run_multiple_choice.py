"""Fine-tunes BERT to choose among several answers: SWAG, RACE and the like.

  python run_multiple_choice.py --do_train --do_eval --data_dir=$SWAG_DIR \\
    --init_checkpoint=$BERT_BASE_DIR --max_seq_length=80 \\
    --train_batch_size=16 --learning_rate=2e-5 --num_train_epochs=3.0 \\
    --output_dir=/tmp/swag

SWAG_DIR holds train.csv and val.csv. RACE's directories of JSON files are read
as well, and JSONL of your own, with an object a line:

  {"context": "...", "question": "...", "choices": ["...", "..."], "answer": 0}

Examples may have any number of choices. Then, for any number of questions:

  python run_multiple_choice.py --do_predict --predict_file=- \\
    --output_dir=/tmp/swag < questions.jsonl

The same command goes on where a training ended. See docs/multiple_choice.md.
"""

from __future__ import annotations

from absl import flags

import common_flags
import fine_tuning_flags
import task_flags

_NUM_CHOICES = flags.DEFINE_integer(
    "num_choices",
    None,
    "How many choices every example must have. Default: two or more, not the "
    "same in all.",
    lower_bound=2,
)
task_flags.define_data_flags(
    data="train, dev and test files: .csv as SWAG's, .jsonl, .json, or "
    "directories of RACE's files",
    predicted='"-" for standard input, with an object a line',
)
fine_tuning_flags.define_fine_tuning_flags(
    max_seq_length=128,
    learning_rate=2e-5,
    train_batch_size=16,
    eval_batch_size=8,
    predict_batch_size=8,
    typed_line="a context, a question (or nothing) and the choices, with tabs "
    "between them",
)
flags.mark_flag_as_required("output_dir")

# As files in --data_dir end; "" for a directory.
_ENDINGS = ("csv", "jsonl", "json", "csv.gz", "jsonl.gz", "json.gz", "")
_READING_FLAGS = ("max_seq_length", "strip_accents")


def main(argv: list[str]) -> None:
    del argv
    fine_tuning_flags.begin((), _READING_FLAGS)
    files = task_flags.split_files(_ENDINGS)
    from modeling.finetuning.multiple_choice import ChoiceJob, ChoiceOptions

    strategy = common_flags.make_strategy()
    options = ChoiceOptions(
        num_choices=_NUM_CHOICES.value,
        **fine_tuning_flags.job_options(strategy),
    )
    surroundings = fine_tuning_flags.surroundings(strategy, _READING_FLAGS)
    job = ChoiceJob(files, surroundings, options)
    fine_tuning_flags.run(job, strategy)


def run() -> None:
    """Runs the script; the installed command."""
    common_flags.run(main)


if __name__ == "__main__":
    run()
