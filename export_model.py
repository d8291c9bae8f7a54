"""Exports a trained model as a SavedModel that takes raw strings.

  python export_model.py --model_dir=/tmp/mrpc_output \\
    --export_dir=/tmp/models --name=mrpc --pairs

Any folder of ours, Google's or Hugging Face's will do. What it is follows from
what lies in it: a classifier gives labels and probabilities, a question
answerer answers and where they stand, a tagger tags and entities, a model of
run_multiple_choice.py the choice, any other encoder sentence embeddings or
vectors of tokens:

  python export_model.py --model_dir=uncased_L-12_H-768_A-12 \\
    --export_dir=/tmp/models --layers=-1,-2 --combine=mean --pooling=mean

The export is compared with the trained model on sample texts before
/tmp/models/NAME/VERSION/ is there. See docs/export.md.
"""

from absl import flags

import common_flags

_MODEL_DIR = flags.DEFINE_string(
    "model_dir",
    None,
    "The trained model: an --output_dir, a release of Google's, or a Hugging "
    "Face directory.",
)
_EXPORT_DIR = flags.DEFINE_string(
    "export_dir", None, "The model goes to EXPORT_DIR/NAME/VERSION."
)
_NAME = flags.DEFINE_string(
    "name", None, "Of the model. Default: that of --model_dir."
)
_VERSION = flags.DEFINE_integer(
    "version", None, "Default: one more than the highest there.", lower_bound=0
)
_TASK = flags.DEFINE_enum(
    "task",
    "auto",
    [
        "auto",
        "classification",
        "question_answering",
        "tagging",
        "multiple_choice",
        "features",
    ],
    "auto: what --model_dir was trained for; features: its encoder alone.",
)
_FORMAT = flags.DEFINE_enum(
    "format",
    "saved_model",
    ["saved_model", "tflite", "onnx"],
    "tflite: a LiteRT file, which takes tokens. onnx: likewise.",
)
_PRECISION = flags.DEFINE_enum(
    "precision",
    "float32",
    ["float32", "bfloat16", "float16", "int8"],
    "Of the weights. int8 is for --format=tflite and onnx, bfloat16 for "
    "saved_model, float16 for saved_model and tflite.",
)
_MAX_SEQ_LENGTH = flags.DEFINE_integer(
    "max_seq_length",
    None,
    "Longest input in tokens. Default: that of training, else 128.",
    lower_bound=3,
)
_PAIRS = flags.DEFINE_bool(
    "pairs",
    None,
    "Whether a classifier takes pairs of texts. Default: as the task file in "
    "--model_dir says, else no.",
)
_LAYERS = flags.DEFINE_string(
    "layers",
    "-1",
    'Of an encoder: blocks, 0 the first, -1 the last; "embeddings" for the '
    'layer below them; "all" for every one.',
)
_COMBINE = flags.DEFINE_enum(
    "combine",
    "none",
    ["none", "concat", "sum", "mean", "weighted"],
    "Of an encoder: how the layers become one vector; none keeps each.",
)
_LAYER_WEIGHTS = flags.DEFINE_list(
    "layer_weights", [], "A factor for each layer, with --combine=weighted."
)
_POOLING = flags.DEFINE_enum(
    "pooling",
    "mean",
    ["none", "cls", "pooled", "mean", "max"],
    "Of an encoder: one vector a text, of which; none: one a token.",
)
_MAX_ANSWER_LENGTH = flags.DEFINE_integer(
    "max_answer_length", 30, "Tokens of the longest answer.", lower_bound=1
)
_NULL_SCORE_DIFF_THRESHOLD = flags.DEFINE_float(
    "null_score_diff_threshold",
    0.0,
    "Of a model that may give no answer: how far its score must lie above the "
    "best answer's.",
)
flags.mark_flags_as_required(["model_dir", "export_dir"])


def main(argv: list[str]) -> None:
    del argv
    # Here, so that -h does not wait for TensorFlow.
    from modeling.export import ExportOptions, export_model
    from modeling.features import FeatureOptions, parse_layers
    from modeling.tasks.squad import AnswerOptions

    options = ExportOptions(
        task=_TASK.value,
        file_format=_FORMAT.value,
        precision=_PRECISION.value,
        max_seq_length=_MAX_SEQ_LENGTH.value,
        pairs=_PAIRS.value,
        features=FeatureOptions(
            layers=parse_layers(_LAYERS.value),
            combine=_COMBINE.value,
            layer_weights=common_flags.numbers("layer_weights"),
            pooling=_POOLING.value,
        ),
        answers=AnswerOptions(
            max_answer_length=_MAX_ANSWER_LENGTH.value,
            null_score_diff_threshold=_NULL_SCORE_DIFF_THRESHOLD.value,
        ),
    )
    export = export_model(
        _MODEL_DIR.value,
        _EXPORT_DIR.value,
        options,
        _NAME.value,
        _VERSION.value,
    )
    print(
        f"{export.directory}: {export.megabytes:.1f} MB, "
        f"{export.tried.rows_per_second:.0f} rows/s, deviation "
        f"{export.tried.deviation:.1g}"
    )


def run() -> None:
    """Runs the script; the installed command."""
    common_flags.run(main)


if __name__ == "__main__":
    run()
