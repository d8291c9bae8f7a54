"""Converts a BERT checkpoint between Google's, Hugging Face's and Keras' forms.

Example: a released model for transformers.

  python convert_checkpoint.py \\
    --input=uncased_L-12_H-768_A-12/bert_model.ckpt \\
    --output_dir=bert-base-uncased --to=huggingface

Example: a training checkpoint without the optimizer's state, a third the size.

  python convert_checkpoint.py \\
    --input=/tmp/pretraining_output/model.ckpt-1000 \\
    --output_dir=/tmp/released --to=google

Example: rows for the words that learn_vocab.py added to the vocabulary.

  python convert_checkpoint.py \\
    --input=uncased_L-12_H-768_A-12/bert_model.ckpt --to=google \\
    --new_vocab_file=vocab_medical.txt --output_dir=medical_L-12

See docs/checkpoints.md and docs/vocabulary.md.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from absl import flags

import common_flags
from modeling.errors import UserError

if TYPE_CHECKING:
    from modeling.checkpoints.grow import NewVocabulary
    from modeling.pretrained import PretrainedFiles

_TO = flags.DEFINE_enum(
    "to", None, ["google", "huggingface", "keras"], "Format to write."
)
_OUTPUT_DIR = flags.DEFINE_string(
    "output_dir",
    None,
    "Directory for the model, its config and vocabulary; or in it the name of "
    "a .ckpt prefix (google) or a .weights.h5 file (keras).",
)
_HIDDEN_ACT = flags.DEFINE_string(
    "hidden_act",
    None,
    "What the weights were trained with, where the config says otherwise: "
    "gelu (the tanh approximation), gelu_erf, relu, tanh or linear.",
)
_NEW_VOCAB_FILE = flags.DEFINE_string(
    "new_vocab_file",
    None,
    "WordPiece vocabulary to give the model: tokens that it has already keep "
    "their numbers, a new one starts as the mean of its pieces.",
)
_KEEP_OPTIMIZER = flags.DEFINE_bool(
    "keep_optimizer",
    False,
    "Keep optimizer slots and global_step; from google to google only.",
)
_OVERWRITE = flags.DEFINE_bool("overwrite", False, "Replace existing files.")
common_flags.define_pretrained_flags()
flags.DEFINE_alias("input", "init_checkpoint")
flags.mark_flags_as_required(["init_checkpoint", "output_dir", "to"])


def main(argv: list[str]) -> None:
    del argv
    # Here, so that -h does not wait for TensorFlow.
    from modeling.checkpoints.convert import (
        ConversionOptions,
        convert_checkpoint,
    )

    files = common_flags.pretrained_files()
    options = ConversionOptions(
        to=_TO.value,
        config_file=files.bert_config_file,
        vocab_file=files.vocab_file,
        spm_model_file=files.spm_model_file,
        hidden_act=_HIDDEN_ACT.value,
        do_lower_case=files.do_lower_case,
        strip_accents=files.strip_accents,
        new_vocabulary=_new_vocabulary(files),
        keep_optimizer=_KEEP_OPTIMIZER.value,
        overwrite=_OVERWRITE.value,
    )
    report = convert_checkpoint(
        files.init_checkpoint, _OUTPUT_DIR.value, options
    )
    print(report.summary())


def _new_vocabulary(files: PretrainedFiles) -> NewVocabulary | None:
    if not _NEW_VOCAB_FILE.value:
        return None
    from modeling.checkpoints import open_checkpoint
    from modeling.checkpoints.grow import NewVocabulary
    from modeling.tokenization import load_vocab
    from modeling.tokenization.learning import match_vocabs

    old = files.vocab_file or open_checkpoint(files.init_checkpoint).vocab_file
    if not old:
        raise UserError(
            "--new_vocab_file needs the vocabulary that the model was trained "
            f"with, and there is no vocab.txt beside {files.init_checkpoint}. "
            "Name it: --vocab_file=..."
        )
    sources = match_vocabs(load_vocab(old), load_vocab(_NEW_VOCAB_FILE.value))
    return NewVocabulary(Path(_NEW_VOCAB_FILE.value), sources)


def run() -> None:
    """Console entry point."""
    common_flags.run(main)


if __name__ == "__main__":
    run()
