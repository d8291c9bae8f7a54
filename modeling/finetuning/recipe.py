"""Recipe: how long to fine-tune, in which batches, and what to keep."""

from __future__ import annotations

import dataclasses
import math

from modeling.errors import UserError
from modeling.tasks.length_batches import BatchOptions

# Lengths that batches are padded to where compilers want few shapes.
_BUCKETS = (16, 32, 64, 96, 128, 192, 256, 320, 384, 448, 512)
# How many numbers of packed rows they see, at most.
_SHAPES = 8


@dataclasses.dataclass(frozen=True)
class Recipe:
    """What the scripts' users choose beside the optimizer.

    Attributes:
      max_seq_length: the longest row.
      warmup_proportion: share of the steps in which the learning rate rises.
      batch_tokens: positions of a training batch, padding included, instead of
        a fixed number of examples; None for that.
      length_batching: whether examples of similar length come together and are
        padded to the longest; else every row is padded to `max_seq_length`.
      pack_sequences: whether several examples share a row instead.
      static_shapes: whether batches have few shapes, for XLA.
      single_shape: whether they have only one, for TPUs.
      eval_each_epoch: whether to evaluate after every epoch.
      patience: evaluations without a better score after which training ends;
        0: never.

    Raises:
      UserError: a value out of range.
    """

    max_seq_length: int = 128
    warmup_proportion: float = 0.1
    batch_tokens: int | None = None
    length_batching: bool = True
    pack_sequences: bool = False
    static_shapes: bool = False
    single_shape: bool = False
    eval_each_epoch: bool = False
    patience: int = 0

    def __post_init__(self) -> None:
        if not 0 <= self.warmup_proportion < 1:
            raise UserError(
                "warmup_proportion must be at least 0 and below 1. Received: "
                f"{self.warmup_proportion}"
            )
        if self.pack_sequences and self.single_shape and not self.batch_tokens:
            raise UserError(
                "On TPUs --pack_sequences needs --batch_tokens: all batches "
                "have equally many rows there, but as many examples as fit in."
            )

    def training_batches(self, batch_size: int) -> BatchOptions:
        """How large batches of training are."""
        size = None if self.batch_tokens else batch_size
        if self.pack_sequences:
            few = max(1, batch_size // _SHAPES)
            return BatchOptions(
                size,
                self.batch_tokens,
                buckets=(self.max_seq_length,),
                packed=True,
                row_multiple=few if self.static_shapes else 1,
            )
        return BatchOptions(
            size,
            self.batch_tokens,
            buckets=self._buckets(),
            **({} if self._sorts else {"window": 1}),
        )

    def prediction_batches(self, batch_size: int) -> BatchOptions:
        """How large batches are where their size does not change the result.

        A batch has the positions of `batch_size` rows of full length: more
        rows share it where they are shorter.
        """
        tokens = batch_size * self.max_seq_length
        if self.pack_sequences:
            return BatchOptions(
                None, tokens, buckets=(self.max_seq_length,), packed=True
            )
        if self.single_shape:
            return BatchOptions(batch_size, buckets=self._buckets())
        return BatchOptions(None, tokens, buckets=self._buckets())

    def num_train_steps(
        self,
        num_examples: int,
        batch_size: int,
        batches_per_epoch: int,
        epochs: float,
    ) -> int:
        """Steps of all epochs; of fixed batches as many as in the original.

        Raises:
          UserError: not one, or no end of them.
        """
        if not math.isfinite(epochs):
            raise UserError(
                f"num_train_epochs must be finite. Received: {epochs}"
            )
        per_epoch = num_examples / batch_size
        if self.batch_tokens:
            per_epoch = batches_per_epoch
        steps = int(per_epoch * epochs)
        if steps < 1:
            raise UserError(
                f"{num_examples} examples in batches of {batch_size} over "
                f"{epochs:g} epochs make no step at all. Choose a smaller "
                "--train_batch_size or a larger --num_train_epochs."
            )
        return steps

    def num_warmup_steps(self, num_train_steps: int) -> int:
        """As in the original."""
        return int(num_train_steps * self.warmup_proportion)

    @property
    def _sorts(self) -> bool:
        return self.length_batching and not self.single_shape

    def _buckets(self) -> tuple[int, ...] | None:
        longest = self.max_seq_length
        if not self._sorts:
            return (longest,)
        if not self.static_shapes:
            return None
        return (*(b for b in _BUCKETS if b < longest), longest)
