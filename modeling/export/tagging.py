"""A tagger of words that takes raw strings."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import tensorflow as tf

from modeling.export.exported import (
    TOKENS,
    Arrays,
    Exported,
    Outputs,
    RowInput,
    Sample,
)
from modeling.export.graph_rows import Rows, in_batches
from modeling.export.graph_tokenizer import GraphTokenizer
from modeling.export.graph_words import WordSplitter, lay_out_words
from modeling.export.layers import count_blocks
from modeling.export.samples import TEXTS
from modeling.export.tag_chunks import ChunkFinder
from modeling.export.trained import TrainedModel
from modeling.network.layer_choice import parse_layers
from modeling.network.tag_chains import Layout, Scores, marginals, viterbi
from modeling.tasks.feature_based import ChosenLayers
from modeling.tasks.tagging import (
    Sentence,
    SentenceEncoder,
    TaggingOptions,
    TagSet,
    describe,
    split_text,
)
from modeling.tasks.tagging.batches import TaggingExamples
from modeling.tasks.tagging.schemes import PLAIN
from modeling.tasks.tagging.task import TaggingHead, TaggingTask

_UNUSED = ("bert/pooler",)


class TextTagger(Exported):
    """Tags of a text's words, and the chunks that they mark.

    Outputs, padded with "", -1 and 0: `tags`, string [N, W], in the training
    file's scheme; `probabilities` of these tags, float32 [N, W]; `word_starts`
    and `word_ends`, the first character of each word and one past its last,
    int32 [N, W]; and unless every tag stands for itself `entity_types` and
    `entity_texts`, string [N, E], `entity_starts` and `entity_ends`, int32
    [N, E], and `entity_scores`, the lowest probability of the words' tags,
    float32 [N, E]. Of rows: `scores` of all tags, float32 [N, W, K], and
    `tag_ids`, int32 [N, W].
    """

    row_inputs = {
        **dict.fromkeys(TOKENS, RowInput()),
        # Between [CLS] and [SEP].
        **dict.fromkeys(("word_positions", "word_mask"), RowInput(shorter=2)),
    }

    def __init__(
        self,
        task: TaggingTask,
        network: Any,
        tokenizer: GraphTokenizer | None,
        unk_id: int,
        options: TaggingOptions,
    ) -> None:
        super().__init__(network, tokenizer)
        self._unk_id, self._options = unk_id, options
        self._chain = Scores(*map(tf.constant, task.chain(network)))
        self._names = tf.constant(task.tag_set.names)
        self._find_chunks = None
        if task.tag_set.scheme != PLAIN:
            self._find_chunks = ChunkFinder(task.tag_set)
        if tokenizer is not None:
            self._split = WordSplitter(task.tag_set.into_characters)
        # One graph for all signatures.
        self._scores = tf.function(self._scores_of_rows, autograph=False)

    def from_texts(self, text: tf.Tensor) -> Outputs:
        words = self._split(text)
        laid = lay_out_words(self.tokenizer, self._unk_id, words, self._options)
        scores = in_batches(
            lambda rows: {"scores": self._scores(rows)}, laid.rows
        )["scores"]
        # [R, W, K] -> [V, K] -> [N, W, K]
        scores = tf.reshape(scores, [-1, tf.shape(scores)[-1]])
        scores = _padded(tf.gather(scores, laid.places), words.splits, 0.0)
        # A column more, so that no word, too, has a shape.
        scores = tf.pad(scores, [[0, 0], [0, 1], [0, 0]])
        mask = tf.sequence_mask(
            words.splits[1:] - words.splits[:-1], tf.shape(scores)[1]
        )
        ids = self._best(scores, mask)
        shares = marginals(scores, Layout(mask), self._chain)
        shares = tf.gather(shares, ids, batch_dims=2)
        # [V]
        ids, shares = tf.boolean_mask(ids, mask), tf.boolean_mask(shares, mask)
        starts, ends = words.starts - words.bases, words.ends - words.bases
        outputs = {
            "probabilities": _padded(shares, words.splits, 0.0),
            "word_starts": _padded(starts, words.splits, -1),
            "word_ends": _padded(ends, words.splits, -1),
        }
        if self._find_chunks is None:
            tags = tf.gather(self._names, ids)
            return {"tags": _padded(tags, words.splits, ""), **outputs}

        chunks = self._find_chunks(ids, words.bases)
        firsts, lasts = chunks.firsts, chunks.lasts
        texts = words.texts(
            tf.gather(words.starts, firsts), tf.gather(words.ends, lasts)
        )
        of_words = tf.gather(shares, tf.ragged.range(firsts, lasts + 1))
        splits = tf.searchsorted(firsts, words.splits)
        return {
            "tags": _padded(chunks.tags, words.splits, ""),
            **outputs,
            "entity_types": _padded(chunks.types, splits, ""),
            "entity_texts": _padded(texts, splits, ""),
            "entity_starts": _padded(tf.gather(starts, firsts), splits, -1),
            "entity_ends": _padded(tf.gather(ends, lasts), splits, -1),
            "entity_scores": _padded(
                tf.reduce_min(of_words, axis=1), splits, 0.0
            ),
        }

    def of_rows(self, rows: Rows) -> Outputs:
        scores = self._scores(rows)
        return {
            "tag_ids": self._best(scores, rows["word_mask"]),
            "scores": scores,
        }

    def numbers_of_rows(self, rows: Rows) -> Outputs:
        # LiteRT has not all operations of the search for the best tags.
        return {"scores": self._scores_of_rows(rows)}

    def _scores_of_rows(self, rows: Rows) -> tf.Tensor:
        return tf.cast(self.network(rows), tf.float32)

    def _best(self, scores: tf.Tensor, mask: tf.Tensor) -> tf.Tensor:
        return viterbi(scores, Layout(mask), self._chain)


class TaggerExporter:
    """See `Exporter`.

    Args:
      trained: by `run_tagger.py`.
    """

    exported = TextTagger
    task = "tagging"
    inputs = ("text",)

    def __init__(self, trained: TrainedModel) -> None:
        self._trained = trained
        self._tag_set = TagSet.load(trained.directory)
        self.max_seq_length = trained.max_seq_length
        self._options = TaggingOptions(
            self.max_seq_length, trained.kept.get("doc_stride")
        )
        self._encoder = SentenceEncoder(
            trained.tokenizer, self._tag_set, self._options
        )

    def build(self, precision: str, with_tokenizer: bool = True) -> TextTagger:
        task, network = self._network(precision)
        tokenizer = self._trained.graph_tokenizer() if with_tokenizer else None
        unk_id = self._trained.tokenizer.unk_id
        return TextTagger(task, network, tokenizer, unk_id, self._options)

    def samples(self) -> list[Sample]:
        return TEXTS

    def row(self, sample: Sample) -> tuple[Arrays, Arrays] | None:
        sentence = self._sentence(sample)
        if not sentence.words:
            return None
        examples = self._examples(sentence)
        if len(examples) != 1:
            return None
        features = _features(examples)
        rows = {name: features[name] for name in TextTagger.row_inputs}
        scores = self._trained_graph(features)["scores"]
        return rows, {"scores": scores.numpy()}

    def expected(self, sample: Sample) -> Arrays:
        sentence = self._sentence(sample)
        if not sentence.words:
            return {"tags": _strings([])}
        examples = self._examples(sentence)
        task, network = self._trained_network
        outputs = self._trained_graph(_features(examples))
        scores = examples.scores(outputs["scores"].numpy())
        (ids,) = examples.decode(scores, task.decoder(network))
        tags = self._tag_set.decode(ids)
        shares = self._marginals(scores[None]).numpy()[0]
        found = {
            "word_starts": np.array([sentence.starts]),
            "word_ends": np.array([sentence.ends()]),
            "tags": _strings(tags),
            "probabilities": shares[None, np.arange(len(ids)), ids],
        }
        said = describe(sentence, tags, self._tag_set.file_scheme)
        if "entities" in said:
            entities = said["entities"]
            for name in ("type", "text"):
                found[f"entity_{name}s"] = _strings(e[name] for e in entities)
            for name in ("start", "end"):
                found[f"entity_{name}s"] = np.array(
                    [[e[name] for e in entities]]
                )
        return found

    def describe(self) -> dict[str, Any]:
        return {
            "labels": list(self._tag_set.names),
            "scheme": self._tag_set.scheme,
            "file_scheme": self._tag_set.file_scheme,
            "into_characters": self._tag_set.into_characters,
            "doc_stride": self._options.stride,
        }

    def _sentence(self, sample: Sample) -> Sentence:
        return split_text(sample[0], self._tag_set.into_characters)

    def _examples(self, sentence: Sentence) -> TaggingExamples:
        return TaggingExamples(self._encoder([[sentence]]))

    @functools.cached_property
    def _trained_graph(self) -> Callable[[Arrays], Outputs]:
        task, network = self._trained_network
        any_rows = self._examples(self._sentence(("a",)))
        return tf.function(
            lambda features: task.outputs(network, features),
            input_signature=[any_rows.signature()],
            autograph=False,
        )

    @functools.cached_property
    def _marginals(self) -> Callable[[np.ndarray], tf.Tensor]:
        """Of sentences without padding."""
        task, network = self._trained_network
        chain = task.chain(network)
        shape = [None, None, len(self._tag_set.names)]
        return tf.function(
            lambda scores: marginals(
                scores, Layout(tf.ones_like(scores[:, :, 0])), chain
            ),
            input_signature=[tf.TensorSpec(shape, tf.float32)],
            autograph=False,
        )

    @functools.cached_property
    def _trained_network(self) -> tuple[TaggingTask, Any]:
        """With all layers."""
        return self._network("float32", cut=False)

    def _network(
        self, precision: str, cut: bool = True
    ) -> tuple[TaggingTask, Any]:
        kept, config = self._trained.kept, self._trained.config
        chosen = None
        if kept["feature_based"]:
            layers, blocks = count_blocks(
                parse_layers(kept["layers"]), config.num_hidden_layers
            )
            chosen = ChosenLayers(layers, kept["combine"])
            if cut:
                config = self._trained.cut_config(blocks)
        head = TaggingHead.of(
            kept["head"], kept["lstm_layers"], kept["lstm_size"]
        )
        task = TaggingTask(
            config, self._tag_set, head, chosen, policy=precision
        )
        network = task.build_model()
        self._trained.load(network, _UNUSED)
        return task, network


def _features(examples: TaggingExamples) -> Arrays:
    """All rows."""
    size, length = len(examples), int(examples.lengths().max())
    return examples.arrays(np.arange(size), length, size)


def _padded(values: tf.Tensor, splits: tf.Tensor, padding: Any) -> tf.Tensor:
    """[V, ...] -> [N, W, ...]"""
    ragged = tf.RaggedTensor.from_row_splits(values, splits, validate=False)
    return ragged.to_tensor(padding)


def _strings(values: Iterable[str]) -> np.ndarray:
    """[1, values]"""
    return np.array([[value.encode() for value in values]], "S")
