"""Speed of tokenization on one core, side by side with others, and exactness.

    python -m benchmarks.tokenization \\
        --english_text=wiki.txt --english_vocab=uncased/vocab.txt \\
        --chinese_text=news_zh.txt --chinese_vocab=chinese/vocab.txt

Prints, for plain text with a passage a line, MB of UTF-8 per second (the median
of several rounds in which all take turns) and the number of lines whose ids
differ from the reference's. Hugging Face `tokenizers` and `tensorflow_text` are
left out where they are not installed. Takes half a minute for 1.5 MB.
"""

import dataclasses
import os
import statistics
import time
from collections.abc import Callable
from typing import Any

from absl import app, flags

from modeling.tokenization import FastTokenizer, FullTokenizer, load_vocab

flags.DEFINE_string("english_text", None, "English text file.")
flags.DEFINE_string("english_vocab", None, "vocab.txt for it.")
flags.DEFINE_string("chinese_text", None, "Chinese text file.")
flags.DEFINE_string("chinese_vocab", None, "vocab.txt for it.")
flags.DEFINE_bool("do_lower_case", True, "Whether the models are uncased.")
flags.DEFINE_integer("rounds", 5, "Timed passes of each.", lower_bound=1)

FLAGS = flags.FLAGS


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
    # In time: the others are imported, and start threads, later than this.
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    os.environ["RAYON_NUM_THREADS"] = "1"
    os.environ["TF_NUM_INTRAOP_THREADS"] = "1"
    os.environ["TF_NUM_INTEROP_THREADS"] = "1"
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "2"
    if hasattr(os, "sched_setaffinity"):  # Linux
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})


@dataclasses.dataclass(frozen=True)
class Contender:
    """One way to tokenize.

    Attributes:
      prepare: gives a function from lines to ids of any form, untimed.
      to_lists: makes lists of lists of those ids, untimed.
    """

    prepare: Callable[[str], Callable[[list[str]], Any]]
    to_lists: Callable[[Any], list[list[int]]] = list


def _compare(language: str, text: str, vocab_file: str) -> None:
    with open(text, encoding="utf-8") as file:
        lines = [line for line in file.read().split("\n") if line]
    megabytes = len("\n".join(lines).encode()) / 1e6
    print(f"\n{language}: {len(lines)} lines, {megabytes:.2f} MB, {text}")
    print(f"{'':38}{'MB/s':>8}{'differing lines':>18}")

    functions, differing = {}, {}
    expected = _reference(vocab_file)(lines)
    for name, contender in _CONTENDERS.items():
        try:
            functions[name] = contender.prepare(vocab_file)
        except ImportError as error:
            print(f"{name:38}not installed: {error.name}")
            continue
        got = contender.to_lists(functions[name](lines))
        differing[name] = sum(
            a != b for a, b in zip(expected, got, strict=True)
        )
    seconds = {name: [] for name in functions}
    for _ in range(FLAGS.rounds):
        for name, function in functions.items():
            if name in _COLD:
                function = _CONTENDERS[name].prepare(vocab_file)
            start = time.perf_counter()
            function(lines)
            seconds[name].append(time.perf_counter() - start)
    for name, taken in seconds.items():
        speed = megabytes / statistics.median(taken)
        print(f"{name:38}{speed:8.2f}{differing[name]:18}")


def _reference(vocab_file: str) -> Callable[[list[str]], list[list[int]]]:
    tokenizer = FullTokenizer(vocab_file, FLAGS.do_lower_case)
    return lambda lines: [
        tokenizer.convert_tokens_to_ids(tokenizer.tokenize(line))
        for line in lines
    ]


def _fast(vocab_file: str) -> Callable[[list[str]], list[list[int]]]:
    return FastTokenizer.from_vocab_file(
        vocab_file, FLAGS.do_lower_case
    ).encode_batch


def _fast_with_offsets(vocab_file: str) -> Callable[[list[str]], list]:
    tokenizer = FastTokenizer.from_vocab_file(vocab_file, FLAGS.do_lower_case)
    return lambda lines: list(map(tokenizer.encode_with_offsets, lines))


def _hugging_face(vocab_file: str) -> Callable[[list[str]], list]:
    import tokenizers

    tokenizer = tokenizers.BertWordPieceTokenizer(
        vocab_file, lowercase=FLAGS.do_lower_case
    )
    return lambda lines: tokenizer.encode_batch(lines, add_special_tokens=False)


def _tf_text_fast(vocab_file: str) -> Callable[[list[str]], Any]:
    import tensorflow as tf
    import tensorflow_text

    tokenizer = tensorflow_text.FastBertTokenizer(
        list(load_vocab(vocab_file)),
        token_out_type=tf.int32,
        lower_case_nfd_strip_accents=FLAGS.do_lower_case,
    )
    return lambda lines: tokenizer.tokenize(lines)


def _tf_text(vocab_file: str) -> Callable[[list[str]], Any]:
    import tensorflow as tf
    import tensorflow_text

    tokenizer = tensorflow_text.BertTokenizer(
        vocab_file,
        token_out_type=tf.int32,
        lower_case=FLAGS.do_lower_case,
        max_bytes_per_word=1000,
    )
    return lambda lines: tokenizer.tokenize(lines).merge_dims(-2, -1)


_COLD = "ours: FastTokenizer, first sight"
_CONTENDERS = {
    "ours: reference": Contender(_reference),
    _COLD: Contender(_fast),
    "ours: FastTokenizer, warm": Contender(_fast),
    "ours: FastTokenizer, with offsets": Contender(
        _fast_with_offsets, lambda result: [encoding.ids for encoding in result]
    ),
    "tokenizers: BertWordPieceTokenizer": Contender(
        _hugging_face, lambda result: [encoding.ids for encoding in result]
    ),
    "tensorflow_text: FastBertTokenizer": Contender(
        _tf_text_fast, lambda result: result.to_list()
    ),
    "tensorflow_text: BertTokenizer": Contender(
        _tf_text, lambda result: result.to_list()
    ),
}


if __name__ == "__main__":
    app.run(main)
