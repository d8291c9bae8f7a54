"""Makes a small untrained BERT, so that the demo needs no download.

python -m demo.make_checkpoint --vocab_file=vocab.txt --output_dir=model
"""

import collections
import dataclasses
import os

from absl import app, flags

from modeling.checkpoints.google import write_google_checkpoint
from modeling.config import BertConfig
from modeling.tokenization import BasicTokenizer

_TEXT_FILE = flags.DEFINE_string("text_file", None, "Text to read words from.")
_OUTPUT_DIR = flags.DEFINE_string("output_dir", None, "Where the model goes.")
flags.mark_flags_as_required(["text_file", "output_dir"])

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
    vocab = _vocabulary(_TEXT_FILE.value)
    config = dataclasses.replace(_CONFIG, vocab_size=len(vocab))
    model = BertPretrainer(config)
    directory = _OUTPUT_DIR.value
    os.makedirs(directory, exist_ok=True)
    write_google_checkpoint(
        os.path.join(directory, "bert_model.ckpt"),
        {v.path: v.numpy() for v in model.weights},
    )
    for name, content in (
        ("bert_config.json", config.to_json_string()),
        ("vocab.txt", "\n".join(vocab) + "\n"),
    ):
        path = os.path.join(directory, name)
        with open(path, "w", encoding="utf-8") as file:
            file.write(content)
    print(f"{directory}: {model.count_params():,} parameters")


def _vocabulary(path: str) -> list[str]:
    """Special tokens, words that come twice, and every character."""
    with open(path, encoding="utf-8") as file:
        words = BasicTokenizer().tokenize(file.read())
    counts = collections.Counter(words)
    characters = sorted(set("".join(words)))
    return [
        *("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"),
        *characters,
        *(f"##{character}" for character in characters),
        *(w for w, n in sorted(counts.items()) if n > 1 and len(w) > 1),
    ]


if __name__ == "__main__":
    app.run(main)
