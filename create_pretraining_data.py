"""Makes pre-training data for BERT from plain text.

A line of the input is a sentence; a blank line, or the end of a file, ends a
document. The output are TFRecord files for run_pretraining.py, with a metadata
file beside them.

  python create_pretraining_data.py \\
    --input_file=wiki/*.txt --output_file=/tmp/tf_examples.tfrecord \\
    --vocab_file=uncased_L-12_H-768_A-12/vocab.txt --do_lower_case=True \\
    --max_seq_length=128 --max_predictions_per_seq=20 --num_shards=16

Chinese whole-word masking, of text whose words are separated by spaces:

  python create_pretraining_data.py \\
    --input_file=segmented.txt --output_file=/tmp/tf_examples.tfrecord \\
    --vocab_file=chinese_L-12_H-768_A-12/vocab.txt \\
    --do_whole_word_mask --segmented_input

See docs/pretraining_data.md.
"""

import os

from absl import flags

import common_flags

_INPUT_FILE = flags.DEFINE_string(
    "input_file",
    None,
    "Text, UTF-8, a sentence a line, a blank line after every document: files "
    "and globs separated by commas, gzipped if they end in .gz.",
)
_OUTPUT_FILE = flags.DEFINE_string(
    "output_file",
    None,
    "TFRecord file to write, or several separated by commas, which share the "
    "instances evenly.",
)
_VOCAB_FILE = flags.DEFINE_string(
    "vocab_file", None, "WordPiece vocabulary of the model."
)
_SPM_MODEL_FILE = flags.DEFINE_string(
    "spm_model_file", None, "SentencePiece model, instead of --vocab_file."
)
_DO_LOWER_CASE = flags.DEFINE_bool(
    "do_lower_case",
    True,
    "Whether to lower-case text: true for uncased models, false for cased "
    "ones.",
)
_STRIP_ACCENTS = flags.DEFINE_bool(
    "strip_accents",
    None,
    "Whether to drop accents. Default: as --do_lower_case.",
)
_MAX_SEQ_LENGTH = flags.DEFINE_integer(
    "max_seq_length", 128, "Tokens of a record, padding included."
)
_MAX_PREDICTIONS_PER_SEQ = flags.DEFINE_integer(
    "max_predictions_per_seq", 20, "The most masked tokens in an instance."
)
_RANDOM_SEED = flags.DEFINE_integer(
    "random_seed", 12345, "Of everything that is drawn."
)
_DUPE_FACTOR = flags.DEFINE_integer(
    "dupe_factor",
    10,
    "How often to go through the text, with other pairs and masks.",
)
_SHORT_SEQ_PROB = flags.DEFINE_float(
    "short_seq_prob",
    0.1,
    "Share of the documents that is cut to shorter sequences, of random "
    "length.",
)
_SENTENCE_PAIRS = flags.DEFINE_enum(
    "sentence_pairs",
    "nsp",
    ["nsp", "sop", "none"],
    "nsp: is the second segment the next one? sop: are the two in order, as in "
    "ALBERT? none: a single segment.",
)
_SEGMENTED_INPUT = flags.DEFINE_bool(
    "segmented_input", False, "Whether spaces separate Chinese words."
)
_WORD_DICTIONARY = flags.DEFINE_string(
    "word_dictionary",
    "",
    "Chinese words, one a line, found by forward maximum matching.",
)
_JIEBA = flags.DEFINE_bool(
    "jieba", False, "Whether jieba finds Chinese words; pip install jieba."
)
_SPAN_DICTIONARY = flags.DEFINE_string(
    "span_dictionary",
    "",
    "Phrases and entities, one a line, for --masking=span.",
)
_MARKED_SPANS = flags.DEFINE_bool(
    "marked_spans",
    False,
    "Whether [[double brackets]] in the text mark spans, for --masking=span.",
)
_NUM_SHARDS = flags.DEFINE_integer(
    "num_shards",
    1,
    "Files to split the output in: NAME-00000-of-00008 and so on.",
)
_NUM_WORKERS = flags.DEFINE_integer(
    "num_workers",
    None,
    "Processes. Default: one a processor. The output is the same for any "
    "number.",
)
_GZIP = flags.DEFINE_bool(
    "gzip", False, "Whether to compress the records: half the size."
)
_CORPUS_DIR = flags.DEFINE_string(
    "corpus_dir",
    "",
    "Directory of the tokenized text, which is used again while text and "
    "vocabulary stay the same. Default: corpus.NAME beside the output.",
)
_SHOW_INSTANCES = flags.DEFINE_integer(
    "show_instances", 20, "Instances to show."
)
_RUNNER = flags.DEFINE_enum(
    "runner",
    "local",
    ["local", "beam"],
    "beam: as Apache Beam pipelines, for text beyond one machine.",
)
_BEAM_OPTION = flags.DEFINE_multi_string(
    "beam_option",
    [],
    "Argument of the Beam pipelines, such as --runner=FlinkRunner; may be "
    "given several times.",
)
common_flags.define_masking_flags()
flags.mark_flags_as_required(["input_file", "output_file"])


def main(argv: list[str]) -> None:
    del argv
    # Here, so that -h does not wait for them.
    from modeling.pretraining import (
        InstanceOptions,
        PretrainingDataJob,
        TokenizerFiles,
        WordOptions,
        create_pretraining_data,
    )

    options = InstanceOptions(
        masking=common_flags.masking_options(_MAX_PREDICTIONS_PER_SEQ.value),
        max_seq_length=_MAX_SEQ_LENGTH.value,
        dupe_factor=_DUPE_FACTOR.value,
        short_seq_prob=_SHORT_SEQ_PROB.value,
        random_seed=_RANDOM_SEED.value,
        sentence_pairs=_SENTENCE_PAIRS.value,
    )
    words = WordOptions(
        source=_word_source(),
        word_dictionary=_WORD_DICTIONARY.value,
        span_dictionary=_SPAN_DICTIONARY.value,
        marked_spans=_MARKED_SPANS.value,
    )
    job = PretrainingDataJob(
        input_file=_INPUT_FILE.value,
        output_file=_OUTPUT_FILE.value,
        tokenizer=TokenizerFiles(
            _VOCAB_FILE.value,
            _SPM_MODEL_FILE.value,
            _DO_LOWER_CASE.value,
            _STRIP_ACCENTS.value,
        ),
        options=options,
        words=words,
        num_shards=_NUM_SHARDS.value,
        num_workers=_num_workers(),
        gzip=_GZIP.value,
        corpus_dir=_CORPUS_DIR.value,
        show_instances=_SHOW_INSTANCES.value,
        runner=_RUNNER.value,
        beam_options=tuple(_BEAM_OPTION.value),
    )
    create_pretraining_data(job)


def _num_workers() -> int:
    if _NUM_WORKERS.value is None:
        return os.cpu_count() or 1
    return _NUM_WORKERS.value


def _word_source() -> str:
    from modeling.errors import UserError

    sources = {
        "spaces": _SEGMENTED_INPUT.value,
        "dictionary": bool(_WORD_DICTIONARY.value),
        "jieba": _JIEBA.value,
    }
    chosen = [source for source, is_chosen in sources.items() if is_chosen]
    if len(chosen) > 1:
        raise UserError(
            "Words come from one source: --segmented_input, --word_dictionary "
            f"or --jieba. Received: {' and '.join(chosen)}"
        )
    return chosen[0] if chosen else "tokens"


def run() -> None:
    """Runs the script; the installed command."""
    common_flags.run(main)


if __name__ == "__main__":
    run()
