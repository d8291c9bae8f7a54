"""Sequences per second of a training step, beside Hugging Face on PyTorch.

One run, BERT-base from random weights, the same batch, rounds in turn, medians:

  pip install ".[peers]"
  python -m benchmarks.pretraining_step

A step is the whole of it: forward and backward pass with dropout, clipping,
AdamW. Every job has a process of its own, in which its peak memory is measured;
all wait while one works. Beside them: what the machine does in large matrix
products, and how fast records are read. Takes six minutes and 12 GB of memory
on 2 cores; `--jobs` runs some of it, `--tiny` a small model.
"""

from __future__ import annotations

import dataclasses
import multiprocessing
import os
import resource
import statistics
import tempfile
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import NamedTuple

import numpy as np
from absl import app, flags

from modeling.config import BertConfig

_ROUNDS = flags.DEFINE_integer("rounds", 5, "Of every job; the median counts.")
_STEPS = flags.DEFINE_integer("steps", 4, "Of a job in a round.")
_JOBS = flags.DEFINE_list("jobs", None, "Some of the jobs. Default: all.")
_TINY = flags.DEFINE_bool("tiny", False, "A model to try the benchmark with.")

_BASE = BertConfig(vocab_size=30522)
_TINY_CONFIG = BertConfig(
    vocab_size=1000,
    hidden_size=64,
    num_hidden_layers=2,
    num_attention_heads=2,
    intermediate_size=256,
)
_MASK_ID = 103
# Of AdamW, on both sides.
_LEARNING_RATE, _DECAY, _CLIP_NORM = 1e-4, 0.01, 1.0
# More than lie in the pipeline's buffers, so that time is not of those alone.
_RECORDS = 1 << 14


@dataclasses.dataclass(frozen=True)
class Setting:
    """What a step computes; `steps` of them are a round."""

    config: BertConfig
    steps: int
    rows: int = 8
    length: int = 128
    predictions: int = 20


# Makes ready and returns a round: what it calls gives a rate.
Job = Callable[[Setting], Callable[[], float]]


class Result(NamedTuple):
    """Medians over the rounds, and bytes at the peak."""

    rate: float
    memory: float


def main(argv: list[str]) -> None:
    del argv
    names = _JOBS.value or list(_JOB_OF)
    unknown = set(names) - set(_JOB_OF)
    if unknown:
        raise app.UsageError(f"No such jobs: {unknown}. Of: {list(_JOB_OF)}")
    config = _TINY_CONFIG if _TINY.value else _BASE
    setting = Setting(config, _STEPS.value)
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.2f} at the start")
    results = _run_in_turn(names, setting)
    print(f"load {os.getloadavg()[0]:.2f} at the end\n")
    _print_rates(results, setting)
    _print_ratios(results)
    _print_input(results, setting)


def _run_in_turn(names: list[str], setting: Setting) -> dict[str, Result]:
    """All jobs, each in a process of its own, a round of each in turn."""
    context = multiprocessing.get_context("spawn")
    pipes, processes = {}, []
    try:
        for name in names:
            pipes[name], theirs = context.Pipe()
            process = context.Process(
                target=_work, args=(theirs, name, setting), daemon=True
            )
            process.start()
            theirs.close()
            processes.append(process)
            # One after the other: compiling must not disturb what is timed.
            pipes[name].recv()
        rates: dict[str, list[float]] = {name: [] for name in names}
        for _ in range(_ROUNDS.value):
            for name, pipe in pipes.items():
                pipe.send(True)
                rates[name].append(pipe.recv())
        results = {}
        for name, pipe in pipes.items():
            pipe.send(False)
            results[name] = Result(statistics.median(rates[name]), pipe.recv())
    finally:
        for process in processes:
            process.kill()
    return results


def _work(pipe: Connection, name: str, setting: Setting) -> None:
    """A job's process: a round for every request, at the end its memory."""
    run_round = _JOB_OF[name](setting)
    pipe.send(None)
    while pipe.recv():
        pipe.send(run_round())
    kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    pipe.send(1024.0 * kib)


def _batch(setting: Setting) -> dict[str, np.ndarray]:
    """Rows without padding; every position is predicted at most once."""
    rng = np.random.default_rng(0)
    shape = setting.rows, setting.length
    vocab_size = setting.config.vocab_size
    positions = np.argsort(rng.random(shape), axis=1)
    positions = np.sort(positions[:, : setting.predictions])
    return {
        "input_ids": rng.integers(0, vocab_size, shape, np.int32),
        "input_mask": np.ones(shape, np.int32),
        "segment_ids": (np.arange(setting.length) >= setting.length // 2)
        * np.ones(shape, np.int32),
        "masked_lm_positions": positions.astype(np.int32),
        "masked_lm_ids": rng.integers(0, vocab_size, positions.shape, np.int32),
        "masked_lm_weights": np.ones(positions.shape, np.float32),
        "next_sentence_labels": rng.integers(0, 2, (setting.rows, 1), np.int32),
        "next_sentence_weights": np.ones((setting.rows, 1), np.float32),
    }


def _ours(setting: Setting, policy: str) -> Callable[[], float]:
    import tensorflow as tf

    from modeling.tasks.pretraining import PretrainingTask
    from modeling.training.optimizers import Optimizer, OptimizerOptions
    from modeling.training.schedules import Schedule
    from modeling.training.step import StepOptions, TrainStep

    options = OptimizerOptions(weight_decay_rate=_DECAY, clip_norm=_CLIP_NORM)
    task = PretrainingTask(
        setting.config, mask_id=_MASK_ID, policy=policy, fuse=True
    )
    model = task.build_model()
    step = TrainStep(
        task,
        model,
        Optimizer(model.trainable_variables, options),
        model.trainable_variables,
        Schedule(_LEARNING_RATE, 1_000_000, 0),
        tf.distribute.get_strategy(),
        StepOptions(),
        options.clip_norm,
    )
    features = {
        name: tf.constant(values) for name, values in _batch(setting).items()
    }

    def take_steps(count: int) -> None:
        told = [step(features, stop=False) for _ in range(count)]
        step.results(told)

    return _timed_steps(take_steps, setting)


def _hugging_face(setting: Setting, autocast: bool) -> Callable[[], float]:
    import torch
    import transformers

    torch.manual_seed(0)
    config = setting.config
    model = transformers.BertForPreTraining(
        transformers.BertConfig(
            vocab_size=config.vocab_size,
            hidden_size=config.hidden_size,
            num_hidden_layers=config.num_hidden_layers,
            num_attention_heads=config.num_attention_heads,
            intermediate_size=config.intermediate_size,
            # The same function as ours.
            hidden_act="gelu_pytorch_tanh",
        )
    ).train()
    optimizer = torch.optim.AdamW(
        model.parameters(), _LEARNING_RATE, weight_decay=_DECAY, fused=True
    )
    batch = {
        name: torch.tensor(values, dtype=torch.long)
        for name, values in _batch(setting).items()
    }
    positions = batch["masked_lm_positions"]
    labels = torch.full(batch["input_ids"].shape, -100)
    labels.scatter_(1, positions, batch["masked_lm_ids"])

    def take_steps(count: int) -> None:
        for _ in range(count):
            with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
                loss = model(
                    input_ids=batch["input_ids"],
                    attention_mask=batch["input_mask"],
                    token_type_ids=batch["segment_ids"],
                    labels=labels,
                    next_sentence_label=batch["next_sentence_labels"],
                ).loss
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), _CLIP_NORM)
            optimizer.step()
            optimizer.zero_grad()
            loss.item()

    return _timed_steps(take_steps, setting)


def _timed_steps(
    take_steps: Callable[[int], None], setting: Setting
) -> Callable[[], float]:
    """Sequences per second of a round, after two steps that prepare."""
    take_steps(2)

    def run_round() -> float:
        start = time.perf_counter()
        take_steps(setting.steps)
        seconds = time.perf_counter() - start
        return setting.steps * setting.rows / seconds

    return run_round


def _ceiling(setting: Setting, dtype: str) -> Callable[[], float]:
    """Operations per second of large matrix products."""
    del setting
    from modeling.training.flops import matrix_product_ceiling

    return lambda: matrix_product_ceiling(dtype)


def _input(setting: Setting) -> Callable[[], float]:
    """Records per second of the input pipeline alone."""
    from modeling.records import encode_records, masked_features, open_source
    from modeling.records.reading import training_dataset

    batch = _batch(dataclasses.replace(setting, rows=_RECORDS))
    features = masked_features(setting.length, setting.predictions)
    columns = {feature.name: batch[feature.name] for feature in features}
    directory = tempfile.TemporaryDirectory()
    path = os.path.join(directory.name, "records.tfrecord")
    with open(path, "wb") as file:
        file.write(encode_records(columns, features).tobytes())
    source = open_source([path], vocab_size=setting.config.vocab_size)

    def run_round(keep: object = directory) -> float:
        dataset = training_dataset(
            source,
            batch_size=setting.rows,
            seed=0,
            shuffle_buffer=_RECORDS // 4,
        )
        batches = _RECORDS // setting.rows
        start = time.perf_counter()
        for _ in dataset.take(batches):
            pass
        return batches * setting.rows / (time.perf_counter() - start)

    return run_round


_JOB_OF: dict[str, Job] = {
    "ours_float32": lambda s: _ours(s, "float32"),
    "peer_float32": lambda s: _hugging_face(s, autocast=False),
    "ours_bfloat16": lambda s: _ours(s, "mixed_bfloat16"),
    "peer_bfloat16": lambda s: _hugging_face(s, autocast=True),
    "ceiling_float32": lambda s: _ceiling(s, "float32"),
    "ceiling_bfloat16": lambda s: _ceiling(s, "bfloat16"),
    "input": _input,
}


def _print_rates(results: dict[str, Result], setting: Setting) -> None:
    from modeling.tasks.pretraining import PretrainingTask

    task = PretrainingTask(setting.config)
    shapes = {name: values.shape for name, values in _batch(setting).items()}
    flops = task.flops(shapes, lambda scope: True) / setting.rows
    for side in ("ours", "peer"):
        for dtype in ("float32", "bfloat16"):
            result = results.get(f"{side}_{dtype}")
            if result is None:
                continue
            line = (
                f"{side}, {dtype:8}: {result.rate:6.2f} sequences/s, "
                f"{result.memory / 1e9:.2f} GB, "
                f"{flops * result.rate / 1e9:.0f} GFLOP/s of the model"
            )
            ceiling = results.get(f"ceiling_{dtype}")
            if ceiling is not None:
                line += (
                    f", {flops * result.rate / ceiling.rate:.1%} of "
                    f"{ceiling.rate / 1e9:.0f} in large products"
                )
            print(line)


def _print_ratios(results: dict[str, Result]) -> None:
    for dtype in ("float32", "bfloat16"):
        if {f"ours_{dtype}", f"peer_{dtype}"} <= set(results):
            ours, peer = results[f"ours_{dtype}"], results[f"peer_{dtype}"]
            print(
                f"ours / peer, {dtype:8}: speed {ours.rate / peer.rate:.2f}, "
                f"memory {ours.memory / peer.memory:.2f}"
            )


def _print_input(results: dict[str, Result], setting: Setting) -> None:
    if "input" not in results:
        return
    line = f"input pipeline alone: {results['input'].rate:,.0f} records/s"
    steps = [r.rate for name, r in results.items() if name.startswith("ours")]
    if steps:
        line += f", {results['input'].rate / max(steps):,.0f} times the step's"
    print(line)


if __name__ == "__main__":
    app.run(main)
