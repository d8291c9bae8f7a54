"""Speed of pre-training data, side by side with the original's algorithm."""

import dataclasses
import random
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from modeling.tokenization import FullTokenizer


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
    length, predictions = options.max_seq_length, options.max_predictions_per_seq
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
