"""A classifier that takes raw strings."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from modeling.export.exported import (
    TOKENS,
    Arrays,
    Exported,
    Outputs,
    Sample,
    graph_of_rows,
)
from modeling.export.graph_rows import (
    Rows,
    Spans,
    cut,
    group,
    in_batches,
    lay_out,
    slide,
)
from modeling.export.graph_tokenizer import GraphTokenizer
from modeling.export.layers import count_blocks
from modeling.export.samples import PAIRS, TEXTS
from modeling.export.trained import TrainedModel
from modeling.network.layer_choice import parse_layers
from modeling.tasks.classification import InputExample, Labels, RowOptions
from modeling.tasks.classification.encoding import ExampleEncoder
from modeling.tasks.classification.own_data import TASK_FILE, OwnData
from modeling.tasks.classification.predictions import THRESHOLD
from modeling.tasks.classification.task import ClassificationTask
from modeling.tasks.feature_based import FeatureBased
from modeling.tasks.row_batches import RowExamples


class TextClassifier(Exported):
    """Labels of texts or pairs, or numbers.

    Outputs: of a classifier `label`, string [N], and `probabilities`, float32
    [N, L]; of a multi-label one `labels`, whether each is given, bool [N, L],
    and `probabilities`; of a regression `score`, float32 [N].
    """

    def __init__(
        self,
        task: ClassificationTask,
        network: tf.Module,
        tokenizer: GraphTokenizer | None,
        options: RowOptions,
    ) -> None:
        super().__init__(network, tokenizer)
        self._task, self._options = task, options
        self._read_rows, self._judge = network.read_rows, network.judge

    def from_texts(
        self, text: tf.Tensor, text_b: tf.Tensor | None = None
    ) -> Outputs:
        first = Spans.of(self.tokenizer(text))
        second = None if text_b is None else Spans.of(self.tokenizer(text_b))
        length, stride = self._options.max_seq_length, self._options.doc_stride
        if stride is None:
            rows = lay_out(self.tokenizer, *cut(first, second, length))
            return self.from_rows(rows)
        *parts, counts = slide(first, second, length, stride)
        rows = lay_out(self.tokenizer, *parts)
        read = tf.function(self._vectors_of_rows, autograph=False)
        vectors = in_batches(read, rows)["vectors"]
        # [R, ...] -> [N, windows of a text, ...]
        windows = group(
            {"vectors": vectors, "mask": rows["input_mask"]}, counts
        )
        vectors = tf.reshape(windows["vectors"], [-1, vectors.shape[-1]])
        logits = self._judge(vectors, windows["mask"])
        return self._say(self._task.shares(logits))

    def of_rows(self, rows: Rows) -> Outputs:
        return self._say(self._task.probabilities(self.network, rows))

    def _vectors_of_rows(self, rows: Rows) -> Outputs:
        return {"vectors": self._read_rows(rows)}

    def _say(self, probabilities: tf.Tensor) -> Outputs:
        labels = self._task.labels
        if labels.kind == "regression":
            return {"score": probabilities[:, 0]}
        if labels.kind == "multi_label":
            chosen = probabilities >= THRESHOLD
            return {"labels": chosen, "probabilities": probabilities}
        best = tf.argmax(probabilities, axis=-1)
        return {
            "label": tf.gather(tf.constant(labels.names), best),
            "probabilities": probabilities,
        }


class ClassifierExporter:
    """See `Exporter`.

    Args:
      trained: with labels.
      pairs: whether it takes pairs; None: as the description of own data
        says, else single texts.
    """

    exported = TextClassifier
    task: str

    def __init__(self, trained: TrainedModel, pairs: bool | None) -> None:
        self._trained = trained
        self._labels = Labels.load(trained.directory)
        self.task = self._labels.kind
        if pairs is None and trained.has(TASK_FILE):
            path = f"{trained.directory}/{TASK_FILE}"
            pairs = bool(OwnData.load(path).text_b)
        self.inputs = ("text", "text_b") if pairs else ("text",)
        self.max_seq_length = trained.max_seq_length
        self._options = RowOptions(
            self.max_seq_length, trained.kept.get("doc_stride")
        )
        self._encoder = ExampleEncoder(
            trained.tokenizer, self._labels, self._options
        )

    def build(
        self, precision: str, with_tokenizer: bool = True
    ) -> TextClassifier:
        task = self._task(precision)
        tokenizer = self._trained.graph_tokenizer() if with_tokenizer else None
        return TextClassifier(
            task, self._network(task), tokenizer, self._options
        )

    def samples(self) -> list[Sample]:
        return PAIRS if len(self.inputs) == 2 else TEXTS

    def row(self, sample: Sample) -> tuple[Arrays, Arrays] | None:
        features = self._features(sample)
        rows = {name: features[name] for name in TOKENS}
        if self._options.doc_stride is not None:
            # [1, windows, F]
            if rows["input_ids"].shape[1] != 1:
                return None
            rows = {name: values[:, 0] for name, values in rows.items()}
        return rows, self.expected(sample)

    def expected(self, sample: Sample) -> Arrays:
        features = self._features(sample)
        rows = {name: features[name] for name in TOKENS}
        outputs = self._trained_graph(rows).numpy()
        if self.task == "regression":
            return {"score": outputs[:, 0]}
        return {"probabilities": outputs}

    def describe(self) -> dict[str, Any]:
        found: dict[str, Any] = {"labels": list(self._labels.names)}
        if self._options.doc_stride is not None:
            found["doc_stride"] = self._options.doc_stride
        if self.task == "multi_label":
            found["threshold"] = THRESHOLD
        return found

    def _features(self, sample: Sample) -> Arrays:
        encoded = self._encoder([InputExample("sample", *sample)])
        examples = RowExamples(encoded, self._options.doc_stride is not None)
        length = int(examples.lengths()[0])
        return examples.arrays(np.array([0]), length, 1)

    @functools.cached_property
    def _trained_graph(self) -> Callable[[Arrays], tf.Tensor]:
        """With all layers."""
        task = dataclasses.replace(
            self._task("float32"), config=self._trained.config
        )
        network = self._network(task)
        rank = 2 if self._options.doc_stride is None else 3
        return graph_of_rows(
            lambda rows: task.probabilities(network, rows), rank
        )

    def _network(self, task: ClassificationTask) -> Any:
        network = task.build_model()
        # Without the pooler's output the checkpoint need not have it.
        unused = ("bert/pooler",) if self._drops_pooler else ()
        self._trained.load(network, unused)
        return network

    @property
    def _drops_pooler(self) -> bool:
        kept = self._trained.kept
        return bool(kept.get("feature_based")) or self._pooling != "cls"

    @property
    def _pooling(self) -> str:
        return self._trained.kept.get("pooling", "cls")

    def _task(self, precision: str) -> ClassificationTask:
        kept, config = self._trained.kept, self._trained.config
        feature_based = None
        if kept.get("feature_based"):
            layers, blocks = count_blocks(
                parse_layers(kept["layers"]), config.num_hidden_layers
            )
            config = self._trained.cut_config(blocks)
            feature_based = FeatureBased(
                layers,
                kept["combine"],
                kept["lstm_layers"],
                kept["lstm_size"],
            )
        return ClassificationTask(
            config,
            self._labels,
            self._pooling,
            feature_based=feature_based,
            policy=precision,
        )
