"""PreparedData: a data set's examples in tokens, and what follows of them."""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Iterable, Iterator

import numpy as np

from modeling.errors import UserError
from modeling.tasks.classification.cache import encode_cached
from modeling.tasks.classification.encoding import ExampleEncoder, RowOptions
from modeling.tasks.classification.examples import InputExample
from modeling.tasks.classification.labels import Labels
from modeling.tasks.classification.sampling import (
    balanced_sample,
    class_weights,
)
from modeling.tasks.classification.sources import ExampleSource
from modeling.tasks.row_batches import RowExamples
from modeling.tasks.token_rows import stream
from modeling.tokenization import Tokenizer

# Examples that are sorted by length together in prediction.
_CHUNK = 4096


@dataclasses.dataclass(frozen=True, eq=False)
class PreparedData:
    """Examples of a source for one model.

    Attributes:
      source: of the examples.
      labels: of the model.
      tokenizer: as the model was trained with.
      rows: how texts are laid out.
      cache_dir: of tokenized examples.
      num_workers: processes that tokenize.
    """

    source: ExampleSource
    labels: Labels
    tokenizer: Tokenizer
    rows: RowOptions
    cache_dir: str
    num_workers: int = 1

    @property
    def windows(self) -> bool:
        """Whether long texts are read through windows."""
        return self.rows.doc_stride is not None

    @functools.cached_property
    def encoder(self) -> ExampleEncoder:
        """Makes rows of examples."""
        return ExampleEncoder(self.tokenizer, self.labels, self.rows)

    def examples(self, split: str) -> RowExamples:
        """A split, mapped from the cache."""
        if split not in self._opened:
            self._opened[split] = RowExamples(
                encode_cached(
                    self.encoder,
                    self.source.read(split, self.labels),
                    self.cache_dir,
                    self.num_workers,
                ),
                self.windows,
            )
        return self._opened[split]

    def stream(
        self, examples: Iterable[InputExample]
    ) -> Iterator[tuple[list[InputExample], RowExamples]]:
        """Chunks of any number of examples, with what they are in tokens."""
        for chunk, encoded in stream(
            self.encoder, examples, self.num_workers, _CHUNK
        ):
            yield chunk, RowExamples(encoded, self.windows)

    def single(self, text_a: str, text_b: str = "") -> RowExamples:
        """One example without a label."""
        encoded = self.encoder([InputExample("single", text_a, text_b)])
        return RowExamples(encoded, self.windows)

    def targets(self, split: str) -> np.ndarray:
        """What is learnt of a split, see `Labels.encode`."""
        return self.examples(split).encoded.targets

    def class_weights(self, wanted: tuple[str, ...]) -> tuple[float, ...]:
        """A factor on the loss for every class.

        Args:
          wanted: "balanced", or a weight for each; none for none.

        Raises:
          UserError: another number of weights, or labels of another kind.
        """
        if not wanted:
            return ()
        if self.labels.kind != "classification":
            raise UserError(
                "--class_weights are for classes of which an example has one. "
                f"These labels are of the kind {self.labels.kind}."
            )
        count = len(self.labels.names)
        if wanted == ("balanced",):
            return tuple(
                map(float, class_weights(self.targets("train"), count))
            )
        try:
            weights = tuple(float(weight) for weight in wanted)
        except ValueError:
            weights = ()
        if len(weights) != count or not all(
            0 <= weight < math.inf for weight in weights
        ):
            raise UserError(
                "--class_weights takes balanced, or a weight for each of "
                f"{', '.join(self.labels.names)}. Received: {','.join(wanted)}"
            )
        return weights

    def balanced_order(self, seed: int, epoch: int) -> np.ndarray:
        """As many training examples of each class, see `balanced_sample`."""
        if self.labels.kind != "classification":
            raise UserError(
                "--balanced_sampling is for classes of which an example has "
                f"one. These labels are of the kind {self.labels.kind}."
            )
        return balanced_sample(
            self.targets("train"), len(self.labels.names), seed, epoch
        )

    @functools.cached_property
    def _opened(self) -> dict[str, RowExamples]:
        return {}
