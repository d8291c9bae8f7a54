"""Fine-tunes BERT to answer questions on a text: SQuAD, CMRC 2018, DRCD.

  python run_squad.py \\
    --vocab_file=$BERT_BASE_DIR/vocab.txt \\
    --bert_config_file=$BERT_BASE_DIR/bert_config.json \\
    --init_checkpoint=$BERT_BASE_DIR/bert_model.ckpt \\
    --do_train --train_file=$SQUAD_DIR/train-v1.1.json \\
    --do_predict --predict_file=$SQUAD_DIR/dev-v1.1.json \\
    --train_batch_size=12 --learning_rate=3e-5 --num_train_epochs=2.0 \\
    --max_seq_length=384 --doc_stride=128 --output_dir=/tmp/squad_base

Where the file to predict has answers, EM and F1 are written beside the
predictions. SQuAD 2.0 needs --version_2_with_negative.

Questions of your own, a line each, a tab before the text that answers them:

  python run_squad.py --interactive --output_dir=/tmp/squad_base

The same command goes on where a training ended. See docs/squad.md.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from absl import flags

import common_flags
import fine_tuning_flags
from modeling.errors import UserError
from modeling.text_files import STDIN

if TYPE_CHECKING:
    import tensorflow as tf

    from modeling.finetuning.squad import SquadOptions

_TRAIN_FILE = flags.DEFINE_string(
    "train_file", None, "Questions with answers, as SQuAD's train-v1.1.json."
)
_PREDICT_FILE = flags.DEFINE_string(
    "predict_file",
    None,
    "Questions to answer, as SQuAD's dev-v1.1.json or a test set. Where it has "
    "answers, they are what --do_eval and evaluations on the way judge by.",
)
_DOC_STRIDE = flags.DEFINE_integer(
    "doc_stride",
    128,
    "Tokens from the start of a window to that of the next, where a text is "
    "too long for one.",
)
_MAX_QUERY_LENGTH = flags.DEFINE_integer(
    "max_query_length",
    64,
    "Tokens of the longest question; the rest is cut off.",
)
_N_BEST_SIZE = flags.DEFINE_integer(
    "n_best_size", 20, "Answers in nbest_predictions.json."
)
_MAX_ANSWER_LENGTH = flags.DEFINE_integer(
    "max_answer_length", 30, "Tokens of the longest answer."
)
_VERSION_2_WITH_NEGATIVE = flags.DEFINE_bool(
    "version_2_with_negative",
    False,
    "Whether questions may have no answer, as in SQuAD 2.0.",
)
_NULL_SCORE_DIFF_THRESHOLD = flags.DEFINE_float(
    "null_score_diff_threshold",
    0.0,
    "With --version_2_with_negative: how far the score of no answer must lie "
    "above the best answer's. eval_results.json tells the best value.",
)
_VERBOSE_LOGGING = flags.DEFINE_bool(
    "verbose_logging",
    False,
    "Whether the log lists all training questions whose answer is not found, "
    "not only the first few.",
)
_METRIC = flags.DEFINE_enum(
    "metric",
    None,
    ["squad", "cmrc", "drcd"],
    "EM and F1 by words, as SQuAD, or by Chinese characters, as CMRC 2018 and "
    "DRCD. Default: by the text.",
)
_ANSWER_TEXT = flags.DEFINE_enum(
    "answer_text",
    None,
    ["original", "offsets"],
    "Whether an answer is found among its words as in the original, or is the "
    "characters that its tokens stand for. Default: original; offsets for "
    "Chinese and for SentencePiece.",
)
fine_tuning_flags.define_fine_tuning_flags(
    max_seq_length=384,
    learning_rate=5e-5,
    train_batch_size=32,
    eval_batch_size=8,
    predict_batch_size=8,
    typed_line="a question, a tab, a text",
)
flags.mark_flag_as_required("output_dir")

_READING_FLAGS = (
    "max_seq_length",
    "doc_stride",
    "max_query_length",
    "strip_accents",
    "version_2_with_negative",
)


def main(argv: list[str]) -> None:
    del argv
    fine_tuning_flags.begin((), _READING_FLAGS)
    _check_files()
    from modeling.finetuning.squad import SquadJob

    strategy = common_flags.make_strategy()
    options = _options(strategy)
    job = SquadJob(
        fine_tuning_flags.surroundings(strategy, _READING_FLAGS), options
    )
    # Answers that can be judged are.
    evaluate = flags.FLAGS.do_predict and bool(job.targets)
    fine_tuning_flags.run(job, strategy, evaluate)


def _options(strategy: tf.distribute.Strategy) -> SquadOptions:
    from modeling.finetuning.squad import SquadOptions
    from modeling.tasks.squad import AnswerOptions, WindowOptions

    values = flags.FLAGS
    shared = fine_tuning_flags.job_options(strategy)
    if values.do_predict and not values.do_eval:
        # What is evaluated are the predictions.
        shared["eval_batch_size"] = values.predict_batch_size
    return SquadOptions(
        train_file=_TRAIN_FILE.value,
        predict_file=_PREDICT_FILE.value,
        windows=WindowOptions(
            values.max_seq_length,
            _DOC_STRIDE.value,
            _MAX_QUERY_LENGTH.value,
            _VERSION_2_WITH_NEGATIVE.value,
        ),
        answers=AnswerOptions(
            _N_BEST_SIZE.value,
            _MAX_ANSWER_LENGTH.value,
            _VERSION_2_WITH_NEGATIVE.value,
            _NULL_SCORE_DIFF_THRESHOLD.value,
        ),
        answer_text=_ANSWER_TEXT.value,
        metric=_METRIC.value,
        verbose=_VERBOSE_LOGGING.value,
        **shared,
    )


def _check_files() -> None:
    """Checks, before anything long begins, that what is asked for has data."""
    if fine_tuning_flags.is_training() and _TRAIN_FILE.value is None:
        raise UserError("Training needs --train_file.")
    for name in ("do_eval", "do_predict"):
        if flags.FLAGS[name].value and _PREDICT_FILE.value is None:
            raise UserError(f"--{name} needs --predict_file.")
    for file in _TRAIN_FILE, _PREDICT_FILE:
        if file.value == STDIN:
            raise UserError(
                f"--{file.name} cannot be standard input, as it is read more "
                "than once. Name a file, or give --interactive and a question "
                "a line."
            )


def run() -> None:
    """Runs the script; the installed command."""
    common_flags.run(main)


if __name__ == "__main__":
    run()
