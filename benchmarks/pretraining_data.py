"""Speed and memory of pre-training data, beside the original's algorithm.

    python -m benchmarks.pretraining_data \\
        --vocab_file=uncased_L-12_H-768_A-12/vocab.txt --megabytes=55

Writes a text of made-up sentences, or takes `--text`, and makes instances of
128 tokens of it: with `Baseline`, one process and one record at a time as the
original, from the first five megabytes; and with the builder, from all. Prints
instances per second, where the time goes, and the memory at the peak. Takes a
minute for 55 MB.

`Baseline` is also the oracle of the tests: it gives the original's records.
"""

import argparse
import dataclasses
import itertools
import os
import random
import resource
import shutil
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from modeling.pretraining import (
    InstanceOptions,
    PretrainingDataJob,
    TokenizerFiles,
    create_pretraining_data,
)
from modeling.pretraining.assemble import make_columns
from modeling.pretraining.corpus_writer import open_corpus
from modeling.pretraining.pairs import make_instances
from modeling.pretraining.shards import runs_for_workers
from modeling.pretraining.vocabulary import RecordVocabulary
from modeling.records import encode_records, masked_features
from modeling.records.example import encode_examples
from modeling.tokenization import FullTokenizer, load_vocab


@dataclasses.dataclass(frozen=True)
class BaselineOptions:
    """The original's flags."""

    max_seq_length: int = 128
    max_predictions_per_seq: int = 20
    masked_lm_prob: float = 0.15
    short_seq_prob: float = 0.1
    dupe_factor: int = 10
    do_whole_word_mask: bool = False
    random_seed: int = 12345


@dataclasses.dataclass
class Instance:
    """An instance of the baseline, in tokens as in the original."""

    tokens: list[str]
    segment_ids: list[int]
    is_random_next: bool
    masked_lm_positions: list[int]
    masked_lm_labels: list[str]


class Baseline:
    """The original's builder: one process, one record at a time.

    Every draw from `random.Random` comes in the original's order, so that for
    one text, vocabulary and seed the instances are the original's.

    Source: `create_pretraining_data.create_training_instances`.
    """

    def __init__(
        self, tokenizer: FullTokenizer, options: BaselineOptions
    ) -> None:
        self._tokenizer, self._options = tokenizer, options
        self._rng = random.Random(options.random_seed)
        self._vocab_words = list(tokenizer.vocab)
        self._documents: list[list[list[str]]] = []

    def create_instances(self, lines: Iterable[str]) -> list[Instance]:
        """All instances of the text, shuffled."""
        documents: list[list[list[str]]] = [[]]
        for line in lines:
            line = line.strip()
            if not line:
                documents.append([])
            elif tokens := self._tokenizer.tokenize(line):
                documents[-1].append(tokens)
        self._documents = [document for document in documents if document]
        self._rng.shuffle(self._documents)
        instances = [
            instance
            for _ in range(self._options.dupe_factor)
            for index in range(len(self._documents))
            for instance in self._instances_of(index)
        ]
        self._rng.shuffle(instances)
        return instances

    def _instances_of(self, index: int) -> Iterator[Instance]:
        options, rng = self._options, self._rng
        document = self._documents[index]
        room = options.max_seq_length - 3
        target = room
        if rng.random() < options.short_seq_prob:
            target = rng.randint(2, room)
        start = 0
        while start < len(document):
            end, length = start, 0
            while end < len(document) and length < target:
                length += len(document[end])
                end += 1
            chunk = document[start:end]
            split = 1 if len(chunk) == 1 else rng.randint(1, len(chunk) - 1)
            a = _flatten(chunk[:split])
            is_random_next = len(chunk) == 1 or rng.random() < 0.5
            if is_random_next:
                b = self._random_segment(index, target - len(a))
                # The rest of the chunk is put back.
                start += split
            else:
                b = _flatten(chunk[split:])
                start = end
            self._truncate(a, b, room)
            yield self._mask(
                ["[CLS]", *a, "[SEP]", *b, "[SEP]"],
                [0] * (len(a) + 2) + [1] * (len(b) + 1),
                is_random_next,
            )

    def _random_segment(self, index: int, target: int) -> list[str]:
        rng = self._rng
        for _ in range(10):
            other = rng.randint(0, len(self._documents) - 1)
            if other != index:
                break
        document = self._documents[other]
        segment: list[str] = []
        for sentence in document[rng.randint(0, len(document) - 1) :]:
            segment += sentence
            if len(segment) >= target:
                break
        return segment

    def _truncate(self, a: list[str], b: list[str], room: int) -> None:
        while len(a) + len(b) > room:
            longer = a if len(a) > len(b) else b
            longer.pop(0 if self._rng.random() < 0.5 else -1)

    def _mask(
        self, tokens: list[str], segment_ids: list[int], is_random_next: bool
    ) -> Instance:
        options, rng = self._options, self._rng
        words: list[list[int]] = []
        for position, token in enumerate(tokens):
            if token in ("[CLS]", "[SEP]"):
                continue
            if options.do_whole_word_mask and words and token.startswith("##"):
                words[-1].append(position)
            else:
                words.append([position])
        rng.shuffle(words)
        left = min(
            options.max_predictions_per_seq,
            max(1, round(len(tokens) * options.masked_lm_prob)),
        )
        output, positions = list(tokens), []
        for word in words:
            if not left:
                break
            if len(word) > left:
                continue
            left -= len(word)
            for position in word:
                if rng.random() < 0.8:
                    output[position] = "[MASK]"
                elif rng.random() >= 0.5:
                    drawn = rng.randint(0, len(self._vocab_words) - 1)
                    output[position] = self._vocab_words[drawn]
                positions.append(position)
        positions.sort()
        return Instance(
            output,
            segment_ids,
            is_random_next,
            positions,
            [tokens[position] for position in positions],
        )


def _flatten(sentences: Sequence[list[str]]) -> list[str]:
    return [token for sentence in sentences for token in sentence]


def features_of(
    instance: Instance, tokenizer: FullTokenizer, options: BaselineOptions
) -> dict[str, list[Any]]:
    """What the original writes of an instance, padded."""
    ids = tokenizer.convert_tokens_to_ids(instance.tokens)
    labels = tokenizer.convert_tokens_to_ids(instance.masked_lm_labels)
    length, predictions = (
        options.max_seq_length,
        options.max_predictions_per_seq,
    )
    return {
        "input_ids": _pad(ids, length),
        "input_mask": _pad([1] * len(ids), length),
        "segment_ids": _pad(instance.segment_ids, length),
        "masked_lm_positions": _pad(instance.masked_lm_positions, predictions),
        "masked_lm_ids": _pad(labels, predictions),
        "masked_lm_weights": _pad([1.0] * len(labels), predictions, 0.0),
        "next_sentence_labels": [int(instance.is_random_next)],
    }


def _pad(values: list[Any], length: int, value: Any = 0) -> list[Any]:
    return values + [value] * (length - len(values))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--vocab_file", required=True)
    parser.add_argument("--text", help="Text file. Default: one is made up.")
    parser.add_argument("--megabytes", type=int, default=55)
    parser.add_argument("--num_workers", type=int, default=2)
    parser.add_argument("--dupe_factors", type=int, nargs="*", default=[1, 10])
    arguments = parser.parse_args()
    vocab_file = arguments.vocab_file
    with tempfile.TemporaryDirectory() as directory:
        text = arguments.text
        if text is None:
            text = os.path.join(directory, "text.txt")
            write_text(text, vocab_file, arguments.megabytes)
        print(f"{os.path.getsize(text) / 1e6:.1f} MB of text")
        # The baseline comes last, as TensorFlow would count as our memory.
        speeds = {
            dupe_factor: _time_builder(
                text, vocab_file, dupe_factor, arguments.num_workers, directory
            )
            for dupe_factor in arguments.dupe_factors
        }
        _time_steps(vocab_file, directory)
        for dupe_factor, speed in speeds.items():
            baseline = _time_baseline(text, vocab_file, dupe_factor, directory)
            print(
                f"dupe_factor={dupe_factor}: baseline {baseline:,.0f} "
                f"instances/s, builder {speed:,.0f}: {speed / baseline:.0f} "
                "times"
            )


def write_text(path: str, vocab_file: str, megabytes: int) -> None:
    """Writes documents of sentences of words, by Zipf's law.

    Some words have a suffix of one or two syllables, so that the number of
    different words grows with the text, as it does in real text.
    """
    rng = np.random.default_rng(0)
    words = [t for t in load_vocab(vocab_file) if t.isalpha() and t.islower()]
    words = np.array(words)[rng.permutation(len(words))]
    shares = 1 / (np.arange(len(words)) + 3)
    bounds = np.cumsum(shares / shares.sum())
    syllables = ["".join(s) for s in itertools.product("bdklmnrst", "aeiou")]
    syllables = np.array(syllables, object)
    written = 0
    with open(path, "w", encoding="utf-8") as file:
        while written < megabytes * 10**6:
            lengths = rng.integers(5, 31, 10_000)
            drawn = np.searchsorted(bounds, rng.random(lengths.sum()))
            text = words[np.minimum(drawn, len(words) - 1)].astype(object)
            for share in (0.16, 0.03):
                tailed = np.flatnonzero(rng.random(len(text)) < share)
                text[tailed] += rng.choice(syllables, len(tailed))
            ends = np.cumsum(lengths) - 1
            text[ends] += np.where(rng.random(len(ends)) < 0.05, ".\n\n", ".\n")
            content = " ".join(text.tolist()).replace("\n ", "\n")
            written += file.write(content)


def _time_baseline(
    text: str, vocab_file: str, dupe_factor: int, directory: str
) -> float:
    """Instances per second of the original's way, start-up not counted."""
    import tensorflow as tf

    tokenizer = FullTokenizer(vocab_file)
    options = BaselineOptions(dupe_factor=dupe_factor)
    with open(text, encoding="utf-8") as file:
        lines = file.read(5_000_000).split("\n")
    start = time.perf_counter()
    instances = Baseline(tokenizer, options).create_instances(lines)
    path = os.path.join(directory, "baseline.tfrecord")
    with tf.io.TFRecordWriter(path) as writer:
        for instance in instances:
            features = features_of(instance, tokenizer, options)
            writer.write(_example_of(features).SerializeToString())
    return len(instances) / (time.perf_counter() - start)


def _example_of(features: dict[str, list[Any]]) -> Any:
    import tensorflow as tf

    return tf.train.Example(
        features=tf.train.Features(
            feature={
                name: tf.train.Feature(
                    float_list=tf.train.FloatList(value=values)
                )
                if name == "masked_lm_weights"
                else tf.train.Feature(
                    int64_list=tf.train.Int64List(value=values)
                )
                for name, values in features.items()
            }
        )
    )


def _time_builder(
    text: str,
    vocab_file: str,
    dupe_factor: int,
    num_workers: int,
    directory: str,
) -> float:
    """Instances per second of the job, the start of processes not counted."""
    job = PretrainingDataJob(
        text,
        os.path.join(directory, f"ours_{dupe_factor}.tfrecord"),
        TokenizerFiles(vocab_file),
        InstanceOptions(dupe_factor=dupe_factor),
        num_workers=num_workers,
        corpus_dir=os.path.join(directory, "corpus"),
        show_instances=0,
    )
    shutil.rmtree(job.corpus_dir, ignore_errors=True)
    report = create_pretraining_data(job)
    seconds = report["seconds"]
    seconds.pop("starting")
    speed = report["instances"] / sum(seconds.values())
    written = os.path.getsize(job.output_file) / 1e6
    print(
        f"\ndupe_factor={dupe_factor}, {num_workers} workers\n"
        f"  {report['instances']:,} instances, {written:,.0f} MB written, "
        f"{speed:,.0f} instances/s\n"
        "  seconds: " + ", ".join(f"{k} {v:.2f}" for k, v in seconds.items())
    )
    # Kilobytes on Linux. Of the workers, the largest counts for all.
    own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    worker = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1e6
    print(f"  memory at most {own:.2f} GB + {num_workers} x {worker:.2f} GB")
    os.remove(job.output_file)
    return speed


def _time_steps(vocab_file: str, directory: str) -> None:
    """Microseconds per instance of each step, on one core."""
    tokenizer = TokenizerFiles(vocab_file).load()
    vocabulary, options = RecordVocabulary.of(tokenizer), InstanceOptions()
    features = masked_features(options.max_seq_length, 20)
    corpus = open_corpus(os.path.join(directory, "corpus"))
    start = time.perf_counter()
    instances = make_instances(
        corpus, next(runs_for_workers(corpus, options)), options
    )
    paired = time.perf_counter() - start
    count = len(instances)
    sums = dict.fromkeys(("columns", "examples", "records"), 0.0)
    for start in range(0, count, 2048):
        batch = instances[start : start + 2048]
        times = [time.perf_counter()]
        columns = make_columns(batch, corpus, options, vocabulary)
        times.append(time.perf_counter())
        encode_examples(columns, features)
        times.append(time.perf_counter())
        encode_records(columns, features)
        times.append(time.perf_counter())
        for step, taken in zip(sums, np.diff(times), strict=True):
            sums[step] += taken
    scale = 1e6 / count
    print("\nMicroseconds per instance, one core")
    print(f"  pairing            {1e6 * paired / count:6.2f}")
    print(f"  gathering, masking {scale * sums['columns']:6.2f}")
    print(f"  serializing        {scale * sums['examples']:6.2f}")
    frame = sums["records"] - sums["examples"]
    print(f"  checksums          {scale * frame:6.2f}")


if __name__ == "__main__":
    main()
