"""Fine-tunes BERT to tag words: names, parts of speech, phrases, segmentation.

  python run_tagger.py \\
    --do_train --do_eval --do_predict --data_dir=$CONLL_DIR \\
    --init_checkpoint=$BERT_BASE_DIR --nodo_lower_case \\
    --document_context --max_seq_length=512 --train_batch_size=32 \\
    --learning_rate=5e-5 --num_train_epochs=3.0 --output_dir=/tmp/ner

--data_dir has train.txt, dev.txt and test.txt: a word and its tag a line, a
blank line after a sentence; or .jsonl, {"tokens": [...], "tags": [...]} a line.

Then, for any number of sentences, one a line:

  python run_tagger.py --do_predict --predict_file=- --output_dir=/tmp/ner \\
    --prediction_dir=/tmp/names < lines.txt

The same command goes on where a training ended. See docs/tagging.md.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from absl import flags

import common_flags
import fine_tuning_flags
import task_flags

if TYPE_CHECKING:
    import tensorflow as tf

    from modeling.finetuning.tagging import TaggerOptions, TaggingJob

_HEAD = flags.DEFINE_enum(
    "head",
    "softmax",
    ["softmax", "crf", "bilstm_crf"],
    "What tags words: a softmax for each as in the paper, a CRF over the "
    "sentence, or a CRF over a BiLSTM.",
)
_SCHEME = flags.DEFINE_enum(
    "scheme", "BIO", ["BIO", "BIOES"], "In which tags of chunks are learned."
)
_FILE_SCHEME = flags.DEFINE_enum(
    "file_scheme",
    "auto",
    ["auto", "BIO", "IOB1", "BIOES", "BILOU", "BMES", "plain"],
    "In which the files have them, and predictions will; plain: every tag "
    "stands for itself.",
)
_LABELS = flags.DEFINE_string(
    "labels",
    None,
    "File of all tags, one a line. Default: those of the training file.",
)
_WORD_COLUMN = flags.DEFINE_integer(
    "word_column",
    None,
    "Of words in files with columns, from 0, or from the end with -1, -2 ... "
    "Default: the first; in CoNLL-U that of forms.",
)
_TAG_COLUMN = flags.DEFINE_integer(
    "tag_column",
    None,
    "Of tags. Default: the last; in CoNLL-U that of parts of speech.",
)
_PREDICT_FORMAT = flags.DEFINE_enum(
    "predict_format",
    None,
    ["conll", "jsonl", "text"],
    "Of the file to predict; text: a sentence a line, which is split in words. "
    "Default: text for standard input, else what the name tells.",
)
_DOCUMENT_CONTEXT = flags.DEFINE_bool(
    "document_context",
    False,
    "Whether words are read with as much of their document as a row has room "
    "for, as in the paper, not with their sentence only.",
)
_DOC_STRIDE = flags.DEFINE_integer(
    "doc_stride",
    None,
    "Most tokens from the start of a window to that of the next, where a "
    "sentence or document is too long for one. Default: half a window.",
    lower_bound=1,
)
task_flags.define_data_flags(
    "train, dev and test files",
    'as train.txt, with or without tags; "-" for standard input',
)
fine_tuning_flags.define_fine_tuning_flags(
    max_seq_length=128,
    learning_rate=5e-5,
    train_batch_size=32,
    eval_batch_size=8,
    predict_batch_size=8,
    typed_line="a sentence",
)
task_flags.define_feature_based_flags(
    "Layers of a BiLSTM over the words; 0: none, but one for bilstm_crf."
)
flags.mark_flag_as_required("output_dir")

_NETWORK_FLAGS = ("head", *task_flags.FEATURE_BASED_FLAGS)
_READING_FLAGS = (
    "max_seq_length",
    "doc_stride",
    "document_context",
    "strip_accents",
    "word_column",
    "tag_column",
)


def main(argv: list[str]) -> None:
    del argv
    fine_tuning_flags.begin(_NETWORK_FLAGS, _READING_FLAGS)
    strategy = common_flags.make_strategy()
    fine_tuning_flags.run(_job(strategy), strategy)


def _job(strategy: tf.distribute.Strategy) -> TaggingJob:
    from modeling.finetuning.tagging import TaggingJob
    from modeling.tasks.tagging.data import ENDINGS, TaggingFiles

    files = TaggingFiles(
        task_flags.split_files(ENDINGS),
        _WORD_COLUMN.value,
        _TAG_COLUMN.value,
        _PREDICT_FORMAT.value,
    )
    surroundings = fine_tuning_flags.surroundings(
        strategy, (*_NETWORK_FLAGS, *_READING_FLAGS)
    )
    return TaggingJob(files, surroundings, _options(strategy))


def _options(strategy: tf.distribute.Strategy) -> TaggerOptions:
    from modeling.finetuning.tagging import TaggerOptions
    from modeling.tasks.tagging import TaggingOptions
    from modeling.tasks.tagging.task import TaggingHead

    values = flags.FLAGS
    return TaggerOptions(
        sentences=TaggingOptions(
            values.max_seq_length, _DOC_STRIDE.value, _DOCUMENT_CONTEXT.value
        ),
        head=TaggingHead.of(_HEAD.value, values.lstm_layers, values.lstm_size),
        chosen_layers=task_flags.chosen_layers(),
        scheme=_SCHEME.value,
        file_scheme=_FILE_SCHEME.value,
        tag_file=_LABELS.value,
        **fine_tuning_flags.job_options(strategy),
    )


def run() -> None:
    """Runs the script; the installed command."""
    common_flags.run(main)


if __name__ == "__main__":
    run()
