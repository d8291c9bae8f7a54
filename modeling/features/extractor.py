"""FeatureExtractor: lines of text in, their vectors out, in order."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from modeling.config import BertConfig
from modeling.errors import UserError
from modeling.features.model_function import ModelFunction
from modeling.features.options import FeatureOptions
from modeling.features.rows import Line, Row, RowBuilder
from modeling.network import BertModel
from modeling.progress import Phases
from modeling.tokenization import Tokenizer

# Lines are sorted by length within a window, which holds as many tokens as
# these bytes of vectors, but not more than so many tokens.
_WINDOW_BYTES = 96 << 20
_WINDOW_TOKENS = 1 << 16
# A batch with this share of its rows ends early where rows get shorter than
# this share of the longest: for 2,000 sentences of mixed length that halves the
# padding, from 5.7% to 2.8%, in 32 batches instead of 26.
_WELL_FILLED, _MUCH_SHORTER = 0.4, 0.93
# Lines that are tokenized in one go.
_CHUNK_LINES = 512


class LineFeatures(NamedTuple):
    """The vectors of one line.

    Attributes:
      index: number of the line in the input, from 0.
      tokens: what the vectors stand for: tokens, or words where pieces are
        merged. With pooling all tokens, which share the vectors.
      values: float32 [tokens, vectors, size], or [vectors, size] with
        pooling. `FeatureOptions.labels` names the vectors.
    """

    index: int
    tokens: list[str]
    values: np.ndarray


@dataclasses.dataclass
class ExtractionCounts:
    """What went through an extractor so far.

    Attributes:
      lines: lines finished.
      tokens: tokens computed, [CLS] and [SEP] included.
      positions: tokens and padding computed.
      cut_lines: lines that lost tokens to the length limit.
    """

    lines: int = 0
    tokens: int = 0
    positions: int = 0
    cut_lines: int = 0

    @property
    def padding_share(self) -> float:
        """Padding among all positions computed."""
        return 1 - self.tokens / self.positions if self.positions else 0.0


class FeatureExtractor:
    """Computes features of a stream of lines in bounded memory.

    Lines are taken a window at a time, sorted by length within it, computed
    in batches of at most `options.batch_tokens` and handed out in the order
    in which they came.

    Args:
      model: the encoder, with its weights.
      tokenizer: as the model was trained with.
      options: what to compute.
      strategy: replicas to spread batches over; the model must have been made
        under it.
      static_shapes: see `ModelFunction`.

    Raises:
      UserError: options that this model cannot meet, or a tokenizer with more
        ids than the model.

    Example:
      >>> extractor = FeatureExtractor(model, tokenizer,
      ...     FeatureOptions(layers=(-1,), pooling="mean"))
      >>> for line in extractor.extract(["a cat sat", "the dog ||| it ran"]):
      ...     print(line.index, line.values.shape)
      0 (1, 384)
      1 (1, 384)
    """

    def __init__(
        self,
        model: BertModel,
        tokenizer: Tokenizer,
        options: FeatureOptions,
        strategy: tf.distribute.Strategy | None = None,
        static_shapes: bool = False,
    ) -> None:
        check_fit(model.config, tokenizer, options)
        options = options.resolve(model.config.num_hidden_layers)
        self.options = options
        self.counts = ExtractionCounts()
        self.phases = Phases()
        self._function = ModelFunction(model, options, strategy, static_shapes)
        self._rows = RowBuilder(tokenizer, options)
        self._tokens = np.array(
            [
                tokenizer.inv_vocab.get(i, "")
                for i in range(tokenizer.vocab_size)
            ],
            dtype=object,
        )
        self._is_continuation = tokenizer.is_continuation
        self._join_pieces = tokenizer.join_pieces
        vectors = len(options.labels)
        if options.combine == "concat":
            vectors = len(options.layers)
        bytes_per_token = 4 * vectors * model.config.hidden_size
        self._window_tokens = min(
            _WINDOW_TOKENS, max(1, _WINDOW_BYTES // bytes_per_token)
        )

    def extract(
        self, lines: Iterable[str], first_index: int = 0
    ) -> Iterator[LineFeatures]:
        """Yields every line's features, in order.

        Args:
          lines: text, pairs joined by " ||| ".
          first_index: number of the first line.
        """
        for window in self.extract_windows(lines, first_index):
            yield from window

    def extract_windows(
        self, lines: Iterable[str], first_index: int = 0
    ) -> Iterator[list[LineFeatures]]:
        """As `extract`, in lists of the lines that were computed together."""
        for window in self._windows(self._tokenize(lines, first_index)):
            with self.phases.phase("model"):
                vectors = self._compute([r for w in window for r in w.rows])
                features = [self._features(w, vectors) for w in window]
            self.counts.lines += len(window)
            yield features

    def _tokenize(
        self, lines: Iterable[str], first_index: int
    ) -> Iterator[Line]:
        lines = iter(lines)
        while True:
            with self.phases.phase("tokenization"):
                chunk = list(itertools.islice(lines, _CHUNK_LINES))
                tokenized = list(self._rows.build(chunk, first_index))
            if not chunk:
                return
            first_index += len(chunk)
            yield from tokenized

    def _windows(self, lines: Iterable[Line]) -> Iterator[list[Line]]:
        window: list[Line] = []
        tokens = 0
        for line in lines:
            size = sum(len(row.ids) for row in line.rows)
            if window and tokens + size > self._window_tokens:
                yield window
                window, tokens = [], 0
            window.append(line)
            tokens += size
            self.counts.tokens += size
            self.counts.cut_lines += line.is_cut
        if window:
            yield window

    def _compute(self, rows: Sequence[Row]) -> Iterator[np.ndarray]:
        """Vectors of rows, in their order, computed from long to short."""
        order = sorted(range(len(rows)), key=lambda i: -len(rows[i].ids))
        results: list[np.ndarray | None] = [None] * len(rows)
        begun: tuple | None = None
        # A batch is fetched after the next one has begun, so that a device
        # that works on its own never waits for the host.
        for batch in self._batches(rows, order):
            batch_rows = [rows[i] for i in batch]
            handles, positions = self._function.start(batch_rows)
            self.counts.positions += positions
            if begun is not None:
                self._fetch(*begun, results)
            begun = handles, batch_rows, batch
        if begun is not None:
            self._fetch(*begun, results)
        return iter(results)

    def _fetch(
        self,
        handles: Sequence[tf.Tensor],
        rows: Sequence[Row],
        places: Sequence[int],
        results: list[np.ndarray | None],
    ) -> None:
        arrays = self._function.finish(handles, rows)
        for place, array in zip(places, arrays, strict=True):
            results[place] = array

    def _batches(
        self, rows: Sequence[Row], order: Sequence[int]
    ) -> Iterator[Sequence[int]]:
        """Cuts rows, sorted from long to short, into batches."""
        start = 0
        while start < len(order):
            longest = len(rows[order[start]].ids)
            count = self._function.batch_rows(longest)
            count *= self._function.num_replicas
            end = min(start + count, len(order))
            for i in range(start + int(_WELL_FILLED * count), end):
                if len(rows[order[i]].ids) < _MUCH_SHORTER * longest:
                    end = max(i, start + 1)
                    break
            yield order[start:end]
            start = end

    def _features(
        self, line: Line, vectors: Iterator[np.ndarray]
    ) -> LineFeatures:
        parts = [next(vectors) for _ in line.rows]
        values = parts[0]
        if len(parts) > 1:
            if self.options.pooling == "none":
                values = _merge_tokens(line, parts)
            else:
                values = _merge_pooled(line, parts, self.options.pooling)
        if not np.isfinite(values).all():
            raise UserError(
                f"Input line {line.index + 1}: its vectors are not finite "
                "numbers. The checkpoint's weights are damaged, or belong to "
                "another config."
            )
        tokens = self._tokens[np.asarray(line.ids, np.int64)].tolist()
        if self.options.word_pieces != "all":
            tokens, values = self._merge_pieces(line.ids, tokens, values)
        return LineFeatures(line.index, tokens, values)

    def _merge_pieces(
        self, ids: Sequence[int], tokens: list[str], values: np.ndarray
    ) -> tuple[list[str], np.ndarray]:
        """[tokens, vectors, size] -> [words, vectors, size]."""
        starts = np.flatnonzero(~self._is_continuation[np.asarray(ids)])
        ends = np.append(starts[1:], len(ids))
        words = [
            self._join_pieces(tokens[start:end])
            for start, end in zip(starts, ends, strict=True)
        ]
        if self.options.word_pieces == "first":
            return words, values[starts]
        sums = np.add.reduceat(values, starts, axis=0)
        return words, sums / (ends - starts)[:, None, None].astype(np.float32)


def _merge_tokens(line: Line, parts: Sequence[np.ndarray]) -> np.ndarray:
    """Averages the vectors that several windows give one token."""
    shape = (len(line.ids), *parts[0].shape[1:])
    sums = np.zeros(shape, np.float32)
    counts = np.zeros(len(line.ids), np.float32)
    for row, part in zip(line.rows, parts, strict=True):
        sums[row.places] += part
        counts[row.places] += 1
    return sums / counts[:, None, None]


def _merge_pooled(
    line: Line, parts: Sequence[np.ndarray], pooling: str
) -> np.ndarray:
    """Pools windows: the greatest, or the mean weighted by their tokens."""
    if pooling == "max":
        return np.max(parts, axis=0)
    weights = [len(row.ids) for row in line.rows]
    return np.average(parts, axis=0, weights=weights).astype(np.float32)


def check_fit(
    config: BertConfig, tokenizer: Tokenizer, options: FeatureOptions
) -> None:
    """Raises `UserError` where model, vocabulary and options do not fit."""
    limit = config.max_length
    if limit is not None and options.max_seq_length > limit:
        raise UserError(
            f"max_seq_length={options.max_seq_length} is longer than the "
            f"model's position table: max_position_embeddings={limit}. Use "
            f"{limit} or less; long_inputs=windows covers longer lines."
        )
    if tokenizer.vocab_size > config.vocab_size:
        raise UserError(
            f"The vocabulary has {tokenizer.vocab_size} entries, the model's "
            f"embedding table only {config.vocab_size} rows. Use the "
            "vocabulary that the model was trained with."
        )
    options.resolve(config.num_hidden_layers)
