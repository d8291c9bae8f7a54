"""Flags that several scripts share, and how a script runs.

Each group of flags is defined by one function and read by another, which
returns a frozen dataclass: library code never sees a flag.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

from absl import app, flags, logging

from modeling.errors import UserError
from modeling.output_files import is_refusal

if TYPE_CHECKING:
    import tensorflow as tf

    from modeling.devices import Tpu
    from modeling.pretrained import PretrainedFiles
    from modeling.pretraining import MaskingOptions

FLAGS = flags.FLAGS
# Modules that define flags for scripts.
_SHARED = ("task_flags", "fine_tuning_flags", "training_flags", __name__)
_HELP = ("-h", "--h", "-help", "--help", "--helpshort")


def define_pretrained_flags() -> None:
    """Where the pre-trained model lies and how it reads text."""
    flags.DEFINE_string(
        "init_checkpoint",
        None,
        "The model's weights: the prefix of a Google checkpoint "
        "(.../bert_model.ckpt), a training checkpoint, a Hugging Face "
        "directory (config.json, model.safetensors), or a .weights.h5 or "
        ".keras file.",
    )
    flags.DEFINE_string(
        "bert_config_file",
        None,
        "JSON config of the model. Default: the one beside the checkpoint.",
    )
    flags.DEFINE_string(
        "vocab_file",
        None,
        "WordPiece vocabulary of the model. Default: the one beside the "
        "checkpoint.",
    )
    flags.DEFINE_string(
        "spm_model_file",
        None,
        "SentencePiece model, instead of --vocab_file.",
    )
    flags.DEFINE_bool(
        "do_lower_case",
        True,
        "Whether to lower-case text: true for uncased models, false for cased "
        "ones. Where the flag is not given, the model's files are believed if "
        "they say otherwise.",
    )
    flags.DEFINE_bool(
        "strip_accents",
        None,
        "Whether to drop accents. Default: as --do_lower_case.",
    )


def pretrained_files() -> PretrainedFiles:
    """The flags of `define_pretrained_flags` as a `PretrainedFiles`."""
    from modeling.pretrained import PretrainedFiles

    return PretrainedFiles(
        init_checkpoint=FLAGS.init_checkpoint,
        bert_config_file=FLAGS.bert_config_file,
        vocab_file=FLAGS.vocab_file,
        spm_model_file=FLAGS.spm_model_file,
        do_lower_case=given("do_lower_case"),
        strip_accents=FLAGS.strip_accents,
    )


def given(flag: str) -> object | None:
    """A flag's value, None where the user did not set it."""
    return None if FLAGS[flag].using_default_value else FLAGS[flag].value


def define_tpu_flags() -> None:
    """Where the TPU is, under the original's names."""
    flags.DEFINE_bool("use_tpu", False, "Whether to compute on a TPU.")
    flags.DEFINE_string(
        "tpu_name",
        None,
        "Name of the Cloud TPU, or its grpc:// address; with --use_tpu.",
    )
    flags.DEFINE_string("tpu_zone", None, "Zone of the Cloud TPU.")
    flags.DEFINE_string("gcp_project", None, "Project of the Cloud TPU.")
    flags.DEFINE_string("master", None, "Address of the TPU, as --tpu_name.")
    flags.DEFINE_integer(
        "num_tpu_cores",
        8,
        "Cores expected with --use_tpu; all that the TPU has are used.",
    )


def tpu() -> Tpu | None:
    """The TPU of `define_tpu_flags`, None without --use_tpu."""
    if not FLAGS.use_tpu:
        return None
    from modeling.devices import Tpu

    return Tpu(
        FLAGS.tpu_name or FLAGS.master, FLAGS.tpu_zone, FLAGS.gcp_project
    )


def define_masking_flags() -> None:
    """What is masked, and what stands in its place."""
    flags.DEFINE_float(
        "masked_lm_prob", 0.15, "Share of the tokens that is masked."
    )
    flags.DEFINE_bool(
        "do_whole_word_mask", False, "The same as --masking=whole_word."
    )
    flags.DEFINE_enum(
        "masking",
        None,
        ["token", "whole_word", "ngram", "span", "none"],
        "What is masked together: nothing, words, n-grams of words, phrases "
        "and entities. none: records are written unmasked, and "
        "run_pretraining.py masks them anew in every epoch. Default: token.",
    )
    flags.DEFINE_integer(
        "max_ngram", 3, "Words of the longest n-gram, with --masking=ngram."
    )
    flags.DEFINE_float(
        "replace_with_mask_prob",
        0.8,
        "Share of the masked tokens that become [MASK].",
    )
    flags.DEFINE_float(
        "replace_with_random_prob",
        0.1,
        "Share of the masked tokens that become a random token; the rest "
        "stays.",
    )
    flags.DEFINE_bool(
        "one_decision_per_word",
        False,
        "Whether the tokens of a word all become [MASK], all random or all "
        "stay; with --masking=whole_word, ngram or span.",
    )


# What has no effect with any other --masking.
_MASKINGS_WITH = {
    "max_ngram": ("ngram",),
    "one_decision_per_word": ("whole_word", "ngram", "span"),
}
_MASKING = (
    "masked_lm_prob",
    "do_whole_word_mask",
    "masking",
    "max_ngram",
    "replace_with_mask_prob",
    "replace_with_random_prob",
    "one_decision_per_word",
)


def given_masking_flags() -> list[str]:
    """Those of `define_masking_flags` that the user set."""
    return [f"--{name}" for name in _MASKING if given(name) is not None]


def masking_options(max_predictions_per_seq: int) -> MaskingOptions:
    """The flags of `define_masking_flags`.

    Raises:
      UserError: a value out of range, or flags that do not go together.
    """
    from modeling.pretraining import MaskingOptions

    method = _masking_method()
    for flag, methods in _MASKINGS_WITH.items():
        if FLAGS[flag].value != FLAGS[flag].default and method not in methods:
            raise UserError(
                f"--{flag} goes with --masking={' or '.join(methods)}. "
                f"Received: --masking={method}"
            )
    return MaskingOptions(
        method=method,
        masked_lm_prob=FLAGS.masked_lm_prob,
        max_predictions_per_seq=max_predictions_per_seq,
        replace_with_mask_prob=FLAGS.replace_with_mask_prob,
        replace_with_random_prob=FLAGS.replace_with_random_prob,
        one_decision_per_word=FLAGS.one_decision_per_word,
        max_ngram=FLAGS.max_ngram,
    )


def _masking_method() -> str:
    if not FLAGS.do_whole_word_mask:
        return FLAGS.masking or "token"
    if FLAGS.masking not in (None, "whole_word"):
        raise UserError(
            "--do_whole_word_mask is --masking=whole_word. Received also: "
            f"--masking={FLAGS.masking}"
        )
    return "whole_word"


def define_device_flags() -> None:
    """What a job computes on, and how."""
    define_tpu_flags()
    flags.DEFINE_enum(
        "distribution",
        "auto",
        ["auto", "one_device", "mirrored", "multi_worker", "tpu"],
        "auto: the TPU with --use_tpu, the hosts of TF_CONFIG if it is set, "
        "all GPUs if there are several, else one device.",
    )
    flags.DEFINE_integer(
        "num_cpu_devices",
        1,
        "Devices that TensorFlow takes the CPU for, to try "
        "--distribution=mirrored without GPUs.",
        lower_bound=1,
    )
    flags.DEFINE_enum(
        "precision",
        "float32",
        ["float32", "bfloat16", "float16"],
        "Of the computation; weights are float32. float16 scales the loss.",
    )
    flags.DEFINE_enum(
        "xla",
        "auto",
        ["auto", "on", "off"],
        "Whether XLA compiles the network; auto: on GPUs, and on CPUs, where "
        "batches have one shape, what lies between matrix products. A TPU "
        "always does. off: nor the update of the weights, which auto compiles "
        "everywhere.",
    )


def make_strategy() -> tf.distribute.Strategy:
    """The devices of `define_device_flags`; call it before any computation."""
    from modeling.devices import make_strategy, split_cpu

    split_cpu(FLAGS.num_cpu_devices)
    distribution = FLAGS.distribution
    # Old scripts name a TPU by --use_tpu alone.
    if distribution == "tpu" and not FLAGS.use_tpu:
        FLAGS.use_tpu = True
    return make_strategy(distribution, tpu())


def uses_xla(strategy: tf.distribute.Strategy) -> bool:
    """Whether functions are compiled explicitly."""
    from modeling.devices import has_accelerator, is_tpu

    if FLAGS.xla != "auto" or is_tpu(strategy):
        return FLAGS.xla == "on"
    return has_accelerator(strategy)


def fuses(strategy: tf.distribute.Strategy) -> bool:
    """Whether what lies between matrix products is compiled by itself."""
    from modeling.devices import has_accelerator, is_tpu

    return FLAGS.xla == "auto" and not (
        is_tpu(strategy) or has_accelerator(strategy)
    )


def policy() -> str:
    """--precision as a Keras dtype policy."""
    precision = FLAGS.precision
    return precision if precision == "float32" else f"mixed_{precision}"


def numbers(flag: str) -> tuple[float, ...]:
    """Values of a list flag as numbers; raises `UserError` for another."""
    try:
        return tuple(float(value) for value in FLAGS[flag].value)
    except ValueError as error:
        raise UserError(
            f"--{flag} takes numbers separated by commas. Received: "
            f"{','.join(FLAGS[flag].value)}"
        ) from error


def run(main: Callable[[list[str]], None]) -> None:
    """Runs a script: its flags, its errors, its exit status.

    A `UserError`, or a disk that refuses, is printed without a traceback and
    ends with status 1, as absl does for a wrong flag.
    """
    # TensorFlow's native code tells of processor features and missing GPUs.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    _make_help_complete(main)
    if any(argument in _HELP for argument in sys.argv[1:]):
        app.usage(shorthelp=True, writeto_stdout=True, exitcode=0)
    app.run(lambda argv: _main(main, argv))


def _main(main: Callable[[list[str]], None], argv: list[str]) -> None:
    if len(argv) > 1:
        _fail(
            f"Unexpected arguments: {' '.join(argv[1:])}. Flags begin with --"
        )
    if FLAGS["verbosity"].using_default_value:
        logging.set_verbosity(logging.INFO)
    try:
        main(argv)
    except UserError as error:
        _fail(str(error))
    except OSError as error:
        if not is_refusal(error):
            raise
        _fail(
            f"{error.filename or 'A file'}: {error.strerror}. Is there space, "
            "and may you read and write there?"
        )
    except KeyboardInterrupt:
        sys.exit(130)


def _fail(message: str) -> None:
    print(f"error: {message}", file=sys.stderr)
    sys.exit(1)


def _make_help_complete(main: Callable[[list[str]], None]) -> None:
    """Makes help show the script's docstring and flags, and those from here.

    absl takes them from the module `__main__`, which is neither this one nor,
    for an installed command, the script.
    """
    script = sys.modules[main.__module__]
    sys.modules["__main__"].__doc__ = script.__doc__
    for module in (main.__module__, *_SHARED):
        for flag in FLAGS.flags_by_module_dict().get(module, []):
            FLAGS.register_key_flag_for_module(sys.argv[0], flag)
