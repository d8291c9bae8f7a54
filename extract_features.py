"""Extracts features of text from chosen layers of a pre-trained BERT.

Every line of the input is a sentence, or a pair of them joined by " ||| ".
Every line of the output is a JSON object with the vectors of its tokens.

  python extract_features.py \\
    --input_file=sentences.txt --output_file=features.jsonl \\
    --init_checkpoint=uncased_L-12_H-768_A-12/bert_model.ckpt

One vector a sentence, the mean of the last two layers over all tokens:

  python extract_features.py \\
    --input_file=sentences.txt --output_file=vectors.jsonl \\
    --init_checkpoint=uncased_L-12_H-768_A-12/bert_model.ckpt \\
    --layers=-1,-2 --combine=mean --pooling=mean

See docs/extract_features.md.
"""

import time

from absl import flags

import common_flags

_INPUT_FILE = flags.DEFINE_string(
    "input_file",
    None,
    "Text, UTF-8, a sentence or pair a line: files and globs separated by "
    'commas, gzipped if they end in .gz; "-" is standard input.',
)
_OUTPUT_FILE = flags.DEFINE_string(
    "output_file",
    None,
    'File to write, gzipped if it ends in .gz; "-" is standard output. With a '
    "binary --output_format, a directory.",
)
_OUTPUT_FORMAT = flags.DEFINE_enum(
    "output_format",
    "jsonl",
    ["jsonl", "npz", "npy"],
    "jsonl: the original's JSON lines. npz, npy: numpy shards with an index.",
)
_LAYERS = flags.DEFINE_string(
    "layers",
    "-1,-2,-3,-4",
    'Blocks of the encoder, 0 the first, -1 the last; "embeddings" for the '
    'layer below them; "all" for every one.',
)
_COMBINE = flags.DEFINE_enum(
    "combine",
    "none",
    ["none", "concat", "sum", "mean", "weighted"],
    "How the layers become one vector; none keeps each.",
)
_LAYER_WEIGHTS = flags.DEFINE_list(
    "layer_weights", [], "A factor for each layer, with --combine=weighted."
)
_POOLING = flags.DEFINE_enum(
    "pooling",
    "none",
    ["none", "cls", "pooled", "mean", "max"],
    "One vector a line instead of one a token: the [CLS] token's, the "
    "pooler's output, the mean or the maximum over all tokens.",
)
_WORD_PIECES = flags.DEFINE_enum(
    "word_pieces",
    "all",
    ["all", "first", "mean"],
    "all: a vector for every piece. first, mean: one for every word.",
)
_MAX_SEQ_LENGTH = flags.DEFINE_integer(
    "max_seq_length",
    128,
    "Longest input in tokens, [CLS] and [SEP] included.",
    lower_bound=3,
)
_LONG_INPUTS = flags.DEFINE_enum(
    "long_inputs",
    "truncate",
    ["truncate", "windows"],
    "Cut longer lines, or cover them by overlapping windows and average where "
    "they overlap.",
)
_WINDOW_OVERLAP = flags.DEFINE_integer(
    "window_overlap",
    None,
    "Tokens that neighbouring windows share. Default: a quarter of "
    "--max_seq_length.",
    lower_bound=0,
)
_BATCH_SIZE = flags.DEFINE_integer(
    "batch_size",
    32,
    "Limits a batch to the tokens of so many lines of --max_seq_length; more "
    "lines share it when they are shorter.",
    lower_bound=1,
)
_BATCH_TOKENS = flags.DEFINE_integer(
    "batch_tokens",
    2048,
    "Limits a batch to so many tokens, padding included. More is faster on "
    "accelerators, not on CPUs.",
    lower_bound=1,
)
_PRECISION = flags.DEFINE_enum(
    "precision", "float32", ["float32", "bfloat16"], "Of the computation."
)
_RESUME = flags.DEFINE_bool(
    "resume", False, "Go on with what an interrupted run left."
)
_USE_ONE_HOT_EMBEDDINGS = flags.DEFINE_bool(
    "use_one_hot_embeddings",
    False,
    "Look words up by a matrix product; the same numbers, once faster on TPUs.",
)
common_flags.define_pretrained_flags()
common_flags.define_tpu_flags()
flags.mark_flags_as_required(["input_file", "output_file", "init_checkpoint"])


def main(argv: list[str]) -> None:
    del argv
    started = time.perf_counter()
    # Here, so that -h does not wait for TensorFlow.
    from modeling.devices import connect_tpu
    from modeling.features import (
        ExtractionJob,
        FeatureOptions,
        extract_features,
        parse_layers,
    )

    max_seq_length = _MAX_SEQ_LENGTH.value
    overlap = _WINDOW_OVERLAP.value
    options = FeatureOptions(
        layers=parse_layers(_LAYERS.value),
        combine=_COMBINE.value,
        layer_weights=common_flags.numbers("layer_weights"),
        pooling=_POOLING.value,
        word_pieces=_WORD_PIECES.value,
        max_seq_length=max_seq_length,
        long_inputs=_LONG_INPUTS.value,
        window_overlap=max_seq_length // 4 if overlap is None else overlap,
        batch_tokens=min(
            _BATCH_TOKENS.value, _BATCH_SIZE.value * max_seq_length
        ),
    )
    job = ExtractionJob(
        files=common_flags.pretrained_files(),
        input_file=_INPUT_FILE.value,
        output_file=_OUTPUT_FILE.value,
        options=options,
        output_format=_OUTPUT_FORMAT.value,
        precision=_PRECISION.value,
        resume=_RESUME.value,
        use_one_hot_embeddings=_USE_ONE_HOT_EMBEDDINGS.value,
    )
    tpu = common_flags.tpu()
    strategy = connect_tpu(tpu) if tpu else None
    extract_features(
        job, strategy, static_shapes=strategy is not None, started=started
    )


def run() -> None:
    """Runs the script; the installed command."""
    common_flags.run(main)


if __name__ == "__main__":
    run()
