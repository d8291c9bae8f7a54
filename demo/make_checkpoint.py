"""Makes a small untrained BERT for a vocabulary.

python -m demo.make_checkpoint --vocab_file=vocab.txt --output_dir=model
"""

import dataclasses
import os
import shutil

from absl import app, flags

from modeling.checkpoints.google import write_google_checkpoint
from modeling.config import BertConfig
from modeling.tokenization import load_tokenizer

_VOCAB_FILE = flags.DEFINE_string("vocab_file", None, "WordPiece vocabulary.")
_OUTPUT_DIR = flags.DEFINE_string("output_dir", None, "Where the model goes.")
flags.mark_flags_as_required(["vocab_file", "output_dir"])

_CONFIG = BertConfig(
    vocab_size=1,
    hidden_size=64,
    num_hidden_layers=4,
    num_attention_heads=4,
    intermediate_size=256,
    max_position_embeddings=128,
    type_vocab_size=2,
)


def main(argv: list[str]) -> None:
    del argv
    import keras

    from modeling.network import BertPretrainer

    keras.utils.set_random_seed(12345)
    vocab_size = load_tokenizer(_VOCAB_FILE.value).vocab_size
    config = dataclasses.replace(_CONFIG, vocab_size=vocab_size)
    model = BertPretrainer(config)
    directory = _OUTPUT_DIR.value
    os.makedirs(directory, exist_ok=True)
    write_google_checkpoint(
        os.path.join(directory, "bert_model.ckpt"),
        {v.path: v.numpy() for v in model.weights},
    )
    path = os.path.join(directory, "bert_config.json")
    with open(path, "w", encoding="utf-8") as file:
        file.write(config.to_json_string())
    shutil.copy(_VOCAB_FILE.value, os.path.join(directory, "vocab.txt"))
    print(f"{directory}: {model.count_params():,} parameters")


if __name__ == "__main__":
    app.run(main)
