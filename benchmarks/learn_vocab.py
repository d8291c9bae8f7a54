"""Vocabulary learners side by side: time, memory, and fit to unseen text.

    python -m benchmarks.learn_vocab \\
        --input_file=corpus.txt --held_out_file=other.txt --vocab_size=30522

Each learner gets the same text and size, in a process of its own, and makes a
WordPiece vocabulary, uncased. Prints for each the seconds from the text file to
the vocabulary (imports not counted), the peak of memory, the entries, and how
they split the words of the held-out text. `tokenizers` and `tensorflow_text`
are left out where they are not installed; the latter's learner is written in
Python and needs minutes (--notf_text leaves it out).
"""

import multiprocessing
import os
import resource
import time
from collections.abc import Callable, Iterator
from concurrent import futures

from absl import app, flags

from modeling.tokenization import BasicTokenizer
from modeling.tokenization.learning import (
    WordpieceOptions,
    count_words,
    learn_wordpiece,
    measure_vocab,
)

flags.DEFINE_string("input_file", None, "Text to learn from.", required=True)
flags.DEFINE_string("held_out_file", None, "Unseen text.", required=True)
flags.DEFINE_integer("vocab_size", 30522, "Entries to learn.")
flags.DEFINE_integer("num_workers", os.cpu_count(), "Processes of ours.")
flags.DEFINE_bool("tf_text", True, "Whether to run tensorflow_text's learner.")

FLAGS = flags.FLAGS

_SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
# Of the peers; ours chooses by coverage.
_ALPHABET = 1000
_MIN_FREQUENCY = 2


def main(_: list[str]) -> None:
    counts = count_words(_lines(FLAGS.held_out_file), BasicTokenizer()).counts
    print(
        f"{os.path.getsize(FLAGS.input_file) / 1e6:.1f} MB; held out: "
        f"{sum(counts.values())} words, {len(counts)} different"
    )
    print(f"{'':34}{'seconds':>9}{'MB':>7}{'entries':>9}  on held-out text")
    for name, learn in _LEARNERS.items():
        if learn is _tf_text and not FLAGS.tf_text:
            continue
        try:
            vocab, seconds, memory = _run_alone(learn)
        except ImportError as error:
            print(f"{name:34}not installed: {error.name}")
            continue
        fit = measure_vocab(vocab, counts)
        print(f"{name:34}{seconds:9.1f}{memory:7.0f}{len(vocab):9}  {fit}")


def _run_alone(learn: Callable) -> tuple[list[str], float, float]:
    spawn = multiprocessing.get_context("spawn")
    with futures.ProcessPoolExecutor(1, mp_context=spawn) as executor:
        return executor.submit(
            _measured,
            learn,
            FLAGS.input_file,
            FLAGS.vocab_size,
            FLAGS.num_workers,
        ).result()


def _measured(
    learn: Callable, path: str, size: int, num_workers: int
) -> tuple[list[str], float, float]:
    """What was learned, the seconds, and the megabytes at most."""
    for module in _IMPORTS.get(learn, ()):
        __import__(module)
    start = time.perf_counter()
    vocab = learn(path, size, num_workers)
    seconds = time.perf_counter() - start
    own, worker = (
        resource.getrusage(who).ru_maxrss / 1000
        for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    )
    # The largest worker counts once for each. Peers start none, though
    # TensorFlow starts short-lived processes when it is imported.
    memory = own + num_workers * worker if learn in _IN_WORKERS else own
    return vocab, seconds, memory


def _lines(path: str) -> Iterator[str]:
    with open(path, encoding="utf-8", newline="\n") as file:
        yield from map(str.strip, file)


def _ours(path: str, size: int, num_workers: int, **options) -> list[str]:
    tokenizer = BasicTokenizer()
    words = count_words(_lines(path), tokenizer, num_workers)
    return learn_wordpiece(
        words.counts,
        WordpieceOptions(size, num_unused=0, min_frequency=_MIN_FREQUENCY),
        tokenizer,
        **options,
    )


def _ours_without_surplus(path: str, size: int, num_workers: int) -> list[str]:
    return _ours(path, size, num_workers, surplus=1.0)


def _hugging_face(path: str, size: int, num_workers: int) -> list[str]:
    import tokenizers

    tokenizer = tokenizers.BertWordPieceTokenizer(lowercase=True)
    tokenizer.train(
        [path],
        vocab_size=size,
        min_frequency=_MIN_FREQUENCY,
        limit_alphabet=_ALPHABET,
        special_tokens=_SPECIAL,
        show_progress=False,
    )
    ids = tokenizer.get_vocab()
    return sorted(ids, key=ids.__getitem__)


def _tf_text(path: str, size: int, num_workers: int) -> list[str]:
    from tensorflow_text.tools.wordpiece_vocab import (
        wordpiece_tokenizer_learner_lib as learner,
    )

    words = count_words(_lines(path), BasicTokenizer())
    return learner.learn(
        list(words.counts.items()),
        size,
        _SPECIAL,
        lower_thresh=_MIN_FREQUENCY,
        max_unique_chars=_ALPHABET,
    )


_LEARNERS = {
    "ours": _ours,
    "ours, no surplus": _ours_without_surplus,
    "tokenizers: BertWordPieceTokenizer": _hugging_face,
    "tensorflow_text: learner_lib": _tf_text,
}
_IN_WORKERS = (_ours, _ours_without_surplus)
_IMPORTS = {
    _hugging_face: ("tokenizers",),
    _tf_text: ("tensorflow_text",),
}


if __name__ == "__main__":
    app.run(main)
