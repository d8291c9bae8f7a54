"""Pre-trains BERT on records of create_pretraining_data.py.

  python run_pretraining.py \\
    --input_file=/tmp/tf_examples.tfrecord --output_dir=/tmp/pretraining \\
    --do_train --do_eval --bert_config_file=$BERT_BASE_DIR/bert_config.json \\
    --init_checkpoint=$BERT_BASE_DIR/bert_model.ckpt \\
    --train_batch_size=32 --num_train_steps=20 --num_warmup_steps=10 \\
    --learning_rate=2e-5

The same command goes on where a run ended. At its end there are
bert_model.ckpt, bert_config.json and vocab.txt for every other script. See
docs/pretraining.md.
"""

from __future__ import annotations

import functools
import sys
from typing import TYPE_CHECKING, Any

from absl import flags, logging

import common_flags
import training_flags
from modeling.errors import UserError

if TYPE_CHECKING:
    import tensorflow as tf

    from modeling.config import BertConfig
    from modeling.pretrained import ModelVocabulary
    from modeling.pretraining.training_input import PretrainingInput
    from modeling.tasks.pretraining import PretrainingTask
    from modeling.training import RunLog, TrainingOptions, TrainingSession

_BERT_CONFIG_FILE = flags.DEFINE_string(
    "bert_config_file", None, "JSON config of the model."
)
_INPUT_FILE = flags.DEFINE_list(
    "input_file", None, "Records to train on: files and globs."
)
_EVAL_INPUT_FILE = flags.DEFINE_list(
    "eval_input_file",
    [],
    "Records to evaluate on. Default: --input_file, as in the original.",
)
_OUTPUT_DIR = flags.DEFINE_string(
    "output_dir", None, "Where checkpoints, results and the model go."
)
_INIT_CHECKPOINT = flags.DEFINE_string(
    "init_checkpoint",
    None,
    "Weights to begin with, of any format, or a directory. Default: random "
    "ones.",
)
_VOCAB_FILE = flags.DEFINE_string(
    "vocab_file",
    None,
    "The model's vocabulary, with which records are compared. Default: the one "
    "beside the config or the checkpoint.",
)
_DO_LOWER_CASE = flags.DEFINE_bool(
    "do_lower_case",
    None,
    "Case of the model, with which records are compared. Default: they are "
    "not.",
)
_MAX_SEQ_LENGTH = flags.DEFINE_integer(
    "max_seq_length", 128, "Tokens of a record. Default: as the records have."
)
_MAX_PREDICTIONS_PER_SEQ = flags.DEFINE_integer(
    "max_predictions_per_seq",
    20,
    "Predictions of a record. Default: as the records have.",
)
_DO_TRAIN = flags.DEFINE_bool("do_train", False, "Whether to train.")
_DO_EVAL = flags.DEFINE_bool("do_eval", False, "Whether to evaluate.")
_NUM_TRAIN_STEPS = flags.DEFINE_integer(
    "num_train_steps", 100000, "Steps, counted from the first run's start."
)
_NUM_WARMUP_STEPS = flags.DEFINE_integer(
    "num_warmup_steps", 10000, "Steps in which the learning rate rises."
)
_MAX_EVAL_STEPS = flags.DEFINE_integer(
    "max_eval_steps",
    100,
    "The most batches of an evaluation. Where the flag is not given, every "
    "record is evaluated once.",
    lower_bound=1,
)
_USE_ONE_HOT_EMBEDDINGS = flags.DEFINE_bool(
    "use_one_hot_embeddings",
    None,
    "Look words up by a matrix product. Default: on a TPU, as the original.",
)
_SENTENCE_PAIRS = flags.DEFINE_enum(
    "sentence_pairs",
    None,
    ["nsp", "sop", "none"],
    "Objective of the records; none: without the second loss. Default: as the "
    "records say, else nsp.",
)
_PACK_SEQUENCES = flags.DEFINE_bool(
    "pack_sequences",
    False,
    "Put several short instances into a row, each attending to itself.",
)
_SHUFFLE_BUFFER = flags.DEFINE_integer(
    "shuffle_buffer",
    16384,
    "Records from which the next is drawn.",
    lower_bound=1,
)
training_flags.define_training_flags(
    learning_rate=5e-5, train_batch_size=32, eval_batch_size=8
)
common_flags.define_masking_flags()
common_flags.define_device_flags()
flags.mark_flags_as_required(["input_file", "bert_config_file", "output_dir"])

_ORIGINAL_RESULTS = (
    "global_step",
    "loss",
    "masked_lm_accuracy",
    "masked_lm_loss",
    "next_sentence_accuracy",
    "next_sentence_loss",
)


def main(argv: list[str]) -> None:
    del argv
    dry_run = flags.FLAGS.dry_run
    if not (_DO_TRAIN.value or _DO_EVAL.value or dry_run):
        raise UserError(
            "At least one of --do_train and --do_eval must be given (or "
            "--dry_run)."
        )
    from modeling.config import BertConfig
    from modeling.output_files import check_can_write
    from modeling.pretrained import find_vocabulary
    from modeling.training import ModelFiles, TrainingSession

    check_can_write(_OUTPUT_DIR.value, "output_dir")
    strategy = common_flags.make_strategy()
    config = BertConfig.from_json_file(_BERT_CONFIG_FILE.value)
    vocabulary = find_vocabulary(
        _VOCAB_FILE.value,
        [_BERT_CONFIG_FILE.value, _INIT_CHECKPOINT.value],
        _DO_LOWER_CASE.value,
    )
    records = eval_records = _open(_INPUT_FILE.value, config, vocabulary)
    if _EVAL_INPUT_FILE.value:
        eval_records = _open(_EVAL_INPUT_FILE.value, config, vocabulary)
    _check_masking_flags(records, eval_records)
    session = TrainingSession(
        _task(config, vocabulary, records, strategy),
        strategy,
        _OUTPUT_DIR.value,
        ModelFiles(config, vocabulary.files, records.do_lower_case),
        seed=flags.FLAGS.seed,
        init_checkpoint=_INIT_CHECKPOINT.value,
        xla=common_flags.uses_xla(strategy),
    )
    if dry_run:
        _try(session, records)
    else:
        _train_and_evaluate(session, records, eval_records)


def _open(
    patterns: list[str], config: BertConfig, vocabulary: ModelVocabulary
) -> PretrainingInput:
    from modeling.pretraining.training_input import (
        InputOptions,
        PretrainingInput,
    )
    from modeling.records.packing import Packing

    tokenizer = vocabulary.tokenizer
    options = InputOptions(
        max_seq_length=common_flags.given("max_seq_length"),
        max_predictions_per_seq=common_flags.given("max_predictions_per_seq"),
        masking=common_flags.masking_options(_MAX_PREDICTIONS_PER_SEQ.value),
        sentence_pairs=_SENTENCE_PAIRS.value,
        do_lower_case=_DO_LOWER_CASE.value,
        seed=flags.FLAGS.seed,
        shuffle_buffer=_SHUFFLE_BUFFER.value,
        packing=Packing() if _PACK_SEQUENCES.value else None,
    )
    learned = config.position_embedding_type == "learned"
    return PretrainingInput.open(
        patterns,
        options,
        vocab_size=config.vocab_size,
        max_position_embeddings=(
            config.max_position_embeddings if learned else None
        ),
        vocab=tokenizer.vocab if tokenizer else None,
    )


def _check_masking_flags(*inputs: PretrainingInput) -> None:
    flags_given = common_flags.given_masking_flags()
    if flags_given and all(each.mask is None for each in inputs):
        raise UserError(
            f"{', '.join(flags_given)}: the records of "
            f"{inputs[0].source.files[0]} are masked already and cannot be "
            "masked otherwise. Leave the flags out, or make records with "
            "--masking=none, which are masked while they are read."
        )


def _task(
    config: BertConfig,
    vocabulary: ModelVocabulary,
    records: PretrainingInput,
    strategy: tf.distribute.Strategy,
) -> PretrainingTask:
    from modeling.devices import is_tpu
    from modeling.tasks.pretraining import PretrainingTask

    mask_id = records.mask_id
    if mask_id is None and vocabulary.tokenizer is not None:
        mask_id = vocabulary.tokenizer.mask_id
    one_hot = _USE_ONE_HOT_EMBEDDINGS.value
    return PretrainingTask(
        config,
        next_sentence=records.sentence_pairs != "none",
        mask_id=mask_id,
        policy=common_flags.policy(),
        use_one_hot_embeddings=is_tpu(strategy) if one_hot is None else one_hot,
        recompute=flags.FLAGS.recompute,
        fuse=common_flags.fuses(strategy),
    )


def _try(session: TrainingSession, records: PretrainingInput) -> None:
    options = _training_options(session)
    if session.has_checkpoint:
        session.check_settings(options, _settings(session, records))
    with records.told_errors():
        records.log_padding()
        report = session.dry_run(records.training, options)
    for name, value in report.items():
        logging.info("%s: %s", name, f"{value:,.6g}")
    logging.info("All is well. Nothing was written.")


def _train_and_evaluate(
    session: TrainingSession,
    records: PretrainingInput,
    eval_records: PretrainingInput,
) -> None:
    from modeling.devices import is_chief
    from modeling.output_files import telling
    from modeling.training import Outcome, write_evaluation

    log = _run_log(session)

    def evaluate(step: int) -> dict[str, float]:
        with eval_records.told_errors():
            return session.evaluate(
                lambda share: eval_records.evaluation(
                    share, common_flags.given("max_eval_steps")
                ),
                flags.FLAGS.eval_batch_size,
                step,
                log,
            )

    if _DO_TRAIN.value:
        options = _training_options(session)
        with records.told_errors():
            records.log_padding()
            outcome = session.train(
                records.training,
                options,
                _settings(session, records),
                lambda step: not evaluate(step),
                log,
            )
        if not outcome.interrupted:
            session.export()
    else:
        outcome = Outcome(session.initialize())
    if _DO_EVAL.value and not outcome.interrupted:
        results = evaluate(outcome.step)
        if is_chief(session.strategy):
            with telling(_OUTPUT_DIR.value):
                write_evaluation(
                    _OUTPUT_DIR.value, results, original=_ORIGINAL_RESULTS
                )
    log.end(session.phases)
    if outcome.signal is not None:
        sys.exit(128 + outcome.signal)


def _settings(
    session: TrainingSession, records: PretrainingInput
) -> dict[str, Any]:
    """What shapes the weights beside the training's options."""
    return {
        **records.settings(),
        "precision": flags.FLAGS.precision,
        # Fused layers draw other dropout masks.
        "xla.fuse": session.task.fuse,
    }


def _training_options(session: TrainingSession) -> TrainingOptions:
    return training_flags.training_options(
        session.strategy, _NUM_TRAIN_STEPS.value, _NUM_WARMUP_STEPS.value
    )


def _run_log(session: TrainingSession) -> RunLog:
    from modeling.devices import is_chief
    from modeling.training import RunLog, device_ceiling

    return RunLog(
        _OUTPUT_DIR.value,
        total_steps=_NUM_TRAIN_STEPS.value,
        is_chief=is_chief(session.strategy),
        ceiling=functools.partial(
            device_ceiling, session.strategy, flags.FLAGS.precision
        ),
    )


def run() -> None:
    """Runs the script; the installed command."""
    common_flags.run(main)


if __name__ == "__main__":
    run()
