"""Fine-tunes BERT to classify sentences and pairs, evaluates and predicts.

  python run_classifier.py \\
    --task_name=MRPC --do_train --do_eval --data_dir=$GLUE_DIR/MRPC \\
    --vocab_file=$BERT_BASE_DIR/vocab.txt \\
    --bert_config_file=$BERT_BASE_DIR/bert_config.json \\
    --init_checkpoint=$BERT_BASE_DIR/bert_model.ckpt \\
    --max_seq_length=128 --train_batch_size=32 --learning_rate=2e-5 \\
    --num_train_epochs=3.0 --output_dir=/tmp/mrpc_output

Data of your own, with a header such as "text<TAB>label" in train.tsv and
dev.tsv (or .csv, .jsonl):

  python run_classifier.py --task_name=auto --do_train --do_eval \\
    --data_dir=my_data --init_checkpoint=$BERT_BASE_DIR --output_dir=/tmp/mine

and then, for any number of lines:

  python run_classifier.py --task_name=auto --do_predict \\
    --predict_file=- --output_dir=/tmp/mine < lines.txt

The same command goes on where a training ended. See docs/classification.md.
"""

from __future__ import annotations

import dataclasses
import os
from typing import TYPE_CHECKING

from absl import flags

import common_flags
import fine_tuning_flags
import task_flags
from modeling.errors import UserError

if TYPE_CHECKING:
    import tensorflow as tf

    from modeling.finetuning.classification import (
        ClassificationJob,
        ClassificationOptions,
    )
    from modeling.tasks.classification import DataProcessor, OwnData
    from modeling.tasks.classification.sources import ExampleSource

# Task names of your own -> subclasses of `DataProcessor`, for data that neither
# --task_name=auto nor a row in the table of data sets can describe.
PROCESSORS: dict[str, type[DataProcessor]] = {}

_DATA_DIR = flags.DEFINE_string(
    "data_dir", None, "Directory of train, dev and test files."
)
_TASK_NAME = flags.DEFINE_string(
    "task_name",
    None,
    "A data set, such as MRPC; auto for data of your own; or a task file "
    "(.json) that describes them.",
)
_PREDICT_FILE = flags.DEFINE_string(
    "predict_file",
    None,
    'What to predict with --do_predict, "-" for standard input: a text a line, '
    "a tab between the texts of a pair, or a file that is laid out as one of "
    "the data set's. Default: its test files.",
)
_LANGUAGE = flags.DEFINE_string(
    "language", None, "Of XNLI's dev and test sets. Default: zh."
)
_TRAIN_LANGUAGE = flags.DEFINE_string(
    "train_language", None, "Of XNLI's training set. Default: --language."
)
_KIND = flags.DEFINE_enum(
    "kind",
    None,
    ["classification", "multi_label", "regression"],
    "With --task_name=auto: what a label is. Default: classification.",
)
_TEXT_A = flags.DEFINE_string(
    "text_a",
    None,
    "With --task_name=auto: column of the first text, by name, or by place "
    "from 1 in files without header. Default: guessed from the header, as "
    "those below.",
)
_TEXT_B = flags.DEFINE_string(
    "text_b", None, "With --task_name=auto: of the second text of a pair."
)
_LABEL = flags.DEFINE_string(
    "label",
    None,
    "With --task_name=auto: of the label; several with commas, of 0 and 1, for "
    "--kind=multi_label.",
)
_ROW_ID = flags.DEFINE_string(
    "row_id", None, "With --task_name=auto: what predictions are filed under."
)
_DOC_STRIDE = flags.DEFINE_integer(
    "doc_stride",
    None,
    "Read longer texts through windows that begin so many tokens after one "
    "another. Default: cut them at --max_seq_length.",
    lower_bound=1,
)
_POOLING = flags.DEFINE_enum(
    "pooling",
    "cls",
    ["cls", "mean", "max"],
    "What is classified: the [CLS] token as in the original, or the mean or "
    "maximum over all tokens.",
)
_PACK_SEQUENCES = flags.DEFINE_bool(
    "pack_sequences",
    False,
    "Whether short examples share rows of --max_seq_length, each attending to "
    "itself alone, instead of batches by length.",
)
_CLASS_WEIGHTS = flags.DEFINE_list(
    "class_weights",
    [],
    "Factors on the loss: balanced, or one for each label in the order of "
    "their ids.",
)
_BALANCED_SAMPLING = flags.DEFINE_bool(
    "balanced_sampling",
    False,
    "Whether each epoch has as many examples of every label.",
)
fine_tuning_flags.define_fine_tuning_flags(
    max_seq_length=128,
    learning_rate=5e-5,
    train_batch_size=32,
    eval_batch_size=8,
    predict_batch_size=8,
    typed_line="a text, a tab between those of a pair",
)
task_flags.define_feature_based_flags()
flags.mark_flags_as_required(["task_name", "output_dir"])

_NETWORK_FLAGS = ("pooling", *task_flags.FEATURE_BASED_FLAGS)
_READING_FLAGS = ("max_seq_length", "doc_stride", "strip_accents")


def main(argv: list[str]) -> None:
    del argv
    fine_tuning_flags.begin(_NETWORK_FLAGS, _READING_FLAGS)
    strategy = common_flags.make_strategy()
    fine_tuning_flags.run(_job(strategy), strategy)


def _job(strategy: tf.distribute.Strategy) -> ClassificationJob:
    from modeling.finetuning.classification import ClassificationJob

    source = _source()
    surroundings = fine_tuning_flags.surroundings(
        strategy, (*_NETWORK_FLAGS, *_READING_FLAGS)
    )
    recipe = dataclasses.replace(
        surroundings.recipe, pack_sequences=_PACK_SEQUENCES.value
    )
    surroundings = dataclasses.replace(surroundings, recipe=recipe)
    return ClassificationJob(source, surroundings, _options(strategy))


def _options(strategy: tf.distribute.Strategy) -> ClassificationOptions:
    from modeling.finetuning.classification import ClassificationOptions
    from modeling.tasks.classification import RowOptions

    return ClassificationOptions(
        rows=RowOptions(flags.FLAGS.max_seq_length, _DOC_STRIDE.value),
        pooling=_POOLING.value,
        class_weights=tuple(_CLASS_WEIGHTS.value),
        balanced_sampling=_BALANCED_SAMPLING.value,
        feature_based=task_flags.feature_based(),
        predict_file=_PREDICT_FILE.value,
        **fine_tuning_flags.job_options(strategy),
    )


def _source() -> ExampleSource:
    """The data set of --task_name."""
    from modeling.tasks.classification import find_data_set
    from modeling.tasks.classification.sources import (
        ProcessorSource,
        TableSource,
    )

    name = _TASK_NAME.value.lower()
    data_dir = _DATA_DIR.value or ""
    needs_data = fine_tuning_flags.is_training() or flags.FLAGS.do_eval
    if needs_data and _DATA_DIR.value is None:
        raise UserError("Training and evaluation need --data_dir.")
    if name in PROCESSORS:
        return ProcessorSource(name, PROCESSORS[name](), data_dir)
    if name == "auto" or name.endswith(".json"):
        return TableSource.of_own_data(_own_data(), data_dir)
    data_set = find_data_set(name, _LANGUAGE.value, _TRAIN_LANGUAGE.value)
    return TableSource(data_set, data_dir)


def _own_data() -> OwnData:
    """A task file, that of the trained model, or none; and what flags add."""
    from modeling.tasks.classification import OwnData
    from modeling.tasks.classification.own_data import TASK_FILE

    own = OwnData()
    kept = os.path.join(flags.FLAGS.output_dir, TASK_FILE)
    if _TASK_NAME.value.lower() != "auto":
        own = OwnData.load(_TASK_NAME.value)
    elif not fine_tuning_flags.is_training() and os.path.exists(kept):
        own = OwnData.load(kept)
    given = {
        "kind": _KIND.value,
        "text_a": _TEXT_A.value,
        "text_b": _TEXT_B.value,
        "label": _LABEL.value,
        "row_id": _ROW_ID.value,
    }
    given = {name: v for name, v in given.items() if v is not None}
    return dataclasses.replace(own, **given)


def run() -> None:
    """Runs the script; the installed command."""
    common_flags.run(main)


if __name__ == "__main__":
    run()
