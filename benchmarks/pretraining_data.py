"""Speed and memory of pre-training data, beside the original's algorithm.

    python -m benchmarks.pretraining_data \\
        --vocab_file=uncased_L-12_H-768_A-12/vocab.txt --megabytes=55

Writes a text of made-up sentences, or takes `--text`, and makes instances of
128 tokens of it: with the builder, from all; and in the original's way, one
process and one record at a time (`benchmarks.original_pretraining_data`), from
the first five megabytes. Prints instances per second, where the time goes, and
the memory at the peak. Takes a minute and a half for 55 MB.
"""

import argparse
import itertools
import os
import resource
import shutil
import tempfile
import time

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
from modeling.tokenization import load_vocab

# What the baseline is measured on: its speed does not depend on the size.
_BASELINE_BYTES = 5_000_000


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
    from benchmarks.original_pretraining_data import (
        create_records,
        original_flags,
    )

    beginning = os.path.join(directory, "beginning.txt")
    with open(text, "rb") as file, open(beginning, "wb") as part:
        part.write(file.read(_BASELINE_BYTES) + file.readline())
    output = os.path.join(directory, "baseline.tfrecord")
    options = original_flags(dupe_factor=dupe_factor)
    start = time.perf_counter()
    count = create_records(beginning, vocab_file, output, options)
    return count / (time.perf_counter() - start)


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
