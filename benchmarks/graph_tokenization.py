"""Speed of tokenization inside a TensorFlow graph, on one core, and exactness.

    python -m benchmarks.graph_tokenization \\
        --english_text=wiki.txt --english_vocab=uncased/vocab.txt \\
        --chinese_text=news_zh.txt --chinese_vocab=chinese/vocab.txt

Prints, for plain text with a passage a line, MB of UTF-8 per second (the median
of several rounds in which all take turns, in batches of --batch_size lines) and
the number of lines whose ids differ from the reference's: for the tokenizer of
exported models, and for tensorflow-text's two.
"""

import os
import statistics
import time
from collections.abc import Callable
from typing import Any

from absl import app, flags

flags.DEFINE_string("english_text", None, "English text file.")
flags.DEFINE_string("english_vocab", None, "vocab.txt for it.")
flags.DEFINE_string("chinese_text", None, "Chinese text file.")
flags.DEFINE_string("chinese_vocab", None, "vocab.txt for it.")
flags.DEFINE_bool("do_lower_case", True, "Whether the models are uncased.")
flags.DEFINE_integer("batch_size", 256, "Lines in a call.", lower_bound=1)
flags.DEFINE_integer("rounds", 5, "Timed passes of each.", lower_bound=1)

FLAGS = flags.FLAGS

# A batch of lines -> a RaggedTensor of ids.
Tokenize = Callable[[Any], Any]


def main(_: list[str]) -> None:
    pairs = {
        "English": (FLAGS.english_text, FLAGS.english_vocab),
        "Chinese": (FLAGS.chinese_text, FLAGS.chinese_vocab),
    }
    if not any(all(pair) for pair in pairs.values()):
        raise app.UsageError("Give a text and its vocabulary, or two of each.")
    _use_one_core()
    for language, (text, vocab_file) in pairs.items():
        if text and vocab_file:
            _compare(language, text, vocab_file)


def _use_one_core() -> None:
    # Before TensorFlow is imported, which starts its threads.
    os.environ["TF_NUM_INTRAOP_THREADS"] = "1"
    os.environ["TF_NUM_INTEROP_THREADS"] = "1"
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "2"
    if hasattr(os, "sched_setaffinity"):  # Linux
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})


def _compare(language: str, text: str, vocab_file: str) -> None:
    import tensorflow as tf

    from modeling.tokenization import FastTokenizer

    with open(text, encoding="utf-8") as file:
        lines = [line for line in file.read().split("\n") if line]
    megabytes = len("\n".join(lines).encode()) / 1e6
    size = FLAGS.batch_size
    batches = [
        tf.constant(lines[start : start + size])
        for start in range(0, len(lines), size)
    ]
    reference = FastTokenizer.from_vocab_file(vocab_file, FLAGS.do_lower_case)
    expected = reference.encode_batch(lines)
    functions: dict[str, Tokenize] = {
        "ours, in exported models": _ours(reference),
        "tensorflow_text.BertTokenizer": _tf_text(vocab_file),
        "tensorflow_text.FastBertTokenizer": _tf_text_fast(reference),
    }
    differing = {}
    for name, function in functions.items():
        got = [ids for batch in batches for ids in function(batch).to_list()]
        differing[name] = sum(
            a != b for a, b in zip(expected, got, strict=True)
        )
    seconds: dict[str, list[float]] = {name: [] for name in functions}
    for _ in range(FLAGS.rounds):
        for name, function in functions.items():
            start = time.perf_counter()
            for batch in batches:
                function(batch)
            seconds[name].append(time.perf_counter() - start)
    print(f"\n{language}: {len(lines)} lines, {megabytes:.2f} MB, {text}")
    print(f"{'':38}{'MB/s':>8}{'differing lines':>18}")
    for name, taken in seconds.items():
        speed = megabytes / statistics.median(taken)
        print(f"{name:38}{speed:8.2f}{differing[name]:18}")


def _graph(tokenize: Tokenize) -> Tokenize:
    import tensorflow as tf

    return tf.function(
        tokenize, input_signature=[tf.TensorSpec([None], tf.string)]
    )


def _ours(reference: Any) -> Tokenize:
    import tensorflow as tf

    from modeling.export.graph_wordpiece import GraphWordpiece

    tokenizer = GraphWordpiece(reference)

    def tokenize(lines: Any) -> Any:
        tokens = tokenizer(lines)
        return tf.RaggedTensor.from_row_splits(tokens.ids, tokens.splits)

    return _graph(tokenize)


def _tf_text(vocab_file: str) -> Tokenize:
    import tensorflow as tf
    import tensorflow_text

    tokenizer = tensorflow_text.BertTokenizer(
        vocab_file,
        token_out_type=tf.int32,
        lower_case=FLAGS.do_lower_case,
        max_bytes_per_word=1000,
    )
    return _graph(lambda lines: tokenizer.tokenize(lines).merge_dims(-2, -1))


def _tf_text_fast(reference: Any) -> Tokenize:
    import tensorflow as tf
    import tensorflow_text

    tokenizer = tensorflow_text.FastBertTokenizer(
        list(reference.vocab),
        token_out_type=tf.int32,
        lower_case_nfd_strip_accents=FLAGS.do_lower_case,
    )
    return _graph(tokenizer.tokenize)


if __name__ == "__main__":
    app.run(main)
