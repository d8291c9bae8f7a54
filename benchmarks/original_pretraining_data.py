"""The original's way to pre-training data: one process, one thing at a time.

A plain rendition of `create_pretraining_data.py` and `tokenization.py` of
google-research/bert, written anew. It holds the text and all instances in
memory, asks for the category of every character, and makes every record feature
by feature, as they do. Every draw from `random.Random` comes in their order, so
that for one text, vocabulary and seed the records are theirs.

`benchmarks.pretraining_data` measures the builder against it, and it is the
oracle of the tests. Nothing here is meant to be quick or to be used otherwise.
"""

from __future__ import annotations

import collections
import dataclasses
import random
import unicodedata
from collections.abc import Sequence
from typing import Any

import tensorflow as tf
from absl import flags


def original_flags(**values: Any) -> flags.FlagValues:
    """The original's flags: the values given, and its defaults."""
    result = flags.FlagValues()
    for define, name, default in (
        (flags.DEFINE_bool, "do_lower_case", True),
        (flags.DEFINE_bool, "do_whole_word_mask", False),
        (flags.DEFINE_integer, "max_seq_length", 128),
        (flags.DEFINE_integer, "max_predictions_per_seq", 20),
        (flags.DEFINE_integer, "random_seed", 12345),
        (flags.DEFINE_integer, "dupe_factor", 10),
        (flags.DEFINE_float, "masked_lm_prob", 0.15),
        (flags.DEFINE_float, "short_seq_prob", 0.1),
    ):
        define(name, values.pop(name, default), "", flag_values=result)
    if values:
        raise ValueError(f"The original has no flags {', '.join(values)}.")
    result.mark_as_parsed()
    return result


@dataclasses.dataclass
class Instance:
    """An instance in tokens."""

    tokens: list[str]
    segment_ids: list[int]
    is_random_next: bool
    masked_lm_positions: list[int]
    masked_lm_labels: list[str]


def create_records(
    text_file: str, vocab_file: str, output_file: str, options: flags.FlagValues
) -> int:
    """Makes a file of records of a file of text; returns how many."""
    vocab = _read_vocab(vocab_file)
    tokenizer = _Tokenizer(vocab, options.do_lower_case)
    rng = random.Random(options.random_seed)
    documents = _read_documents(text_file, tokenizer)
    rng.shuffle(documents)
    maker = _InstanceMaker(documents, list(vocab), rng, options)
    instances = []
    for _ in range(options.dupe_factor):
        for index in range(len(documents)):
            instances.extend(maker.instances_of(index))
    rng.shuffle(instances)
    _write(instances, vocab, output_file, options)
    return len(instances)


def _read_vocab(path: str) -> dict[str, int]:
    vocab = collections.OrderedDict()
    with tf.io.gfile.GFile(path, "r") as file:
        while line := file.readline():
            vocab[line.strip()] = len(vocab)
    return vocab


def _read_documents(path: str, tokenizer: _Tokenizer) -> list[list[list[str]]]:
    documents: list[list[list[str]]] = [[]]
    with tf.io.gfile.GFile(path, "r") as file:
        while line := file.readline():
            line = line.strip()
            if not line:
                documents.append([])
            tokens = tokenizer.tokenize(line)
            if tokens:
                documents[-1].append(tokens)
    return [document for document in documents if document]


class _Tokenizer:
    """Characters -> words -> pieces."""

    def __init__(self, vocab: dict[str, int], do_lower_case: bool) -> None:
        self._vocab, self._do_lower_case = vocab, do_lower_case

    def tokenize(self, text: str) -> list[str]:
        pieces = []
        for word in self._words(text):
            for piece in self._pieces(word):
                pieces.append(piece)
        return pieces

    def _words(self, text: str) -> list[str]:
        text = self._space_chinese(self._clean(text))
        words = []
        for word in text.split():
            if self._do_lower_case:
                word = self._strip_accents(word.lower())
            words.extend(self._split_at_punctuation(word))
        return " ".join(words).split()

    def _clean(self, text: str) -> str:
        output = []
        for character in text:
            if ord(character) in (0, 0xFFFD) or _is_control(character):
                continue
            output.append(" " if _is_whitespace(character) else character)
        return "".join(output)

    def _space_chinese(self, text: str) -> str:
        output = []
        for character in text:
            if _is_chinese(ord(character)):
                output.append(" ")
                output.append(character)
                output.append(" ")
            else:
                output.append(character)
        return "".join(output)

    def _strip_accents(self, word: str) -> str:
        output = []
        for character in unicodedata.normalize("NFD", word):
            if unicodedata.category(character) != "Mn":
                output.append(character)
        return "".join(output)

    def _split_at_punctuation(self, word: str) -> list[str]:
        parts: list[list[str]] = []
        begins = True
        for character in word:
            if _is_punctuation(character):
                parts.append([character])
                begins = True
            else:
                if begins:
                    parts.append([])
                begins = False
                parts[-1].append(character)
        return ["".join(part) for part in parts]

    def _pieces(self, word: str) -> list[str]:
        characters = list(word)
        if len(characters) > 200:
            return ["[UNK]"]
        pieces = []
        start = 0
        while start < len(characters):
            end = len(characters)
            found = None
            while start < end:
                piece = "".join(characters[start:end])
                if start > 0:
                    piece = "##" + piece
                if piece in self._vocab:
                    found = piece
                    break
                end -= 1
            if found is None:
                return ["[UNK]"]
            pieces.append(found)
            start = end
        return pieces


def _is_whitespace(character: str) -> bool:
    if character in (" ", "\t", "\n", "\r"):
        return True
    return unicodedata.category(character) == "Zs"


def _is_control(character: str) -> bool:
    if character in ("\t", "\n", "\r"):
        return False
    return unicodedata.category(character) in ("Cc", "Cf")


def _is_punctuation(character: str) -> bool:
    code = ord(character)
    # All ASCII but letters, digits, spaces and control characters.
    if (
        33 <= code <= 47
        or 58 <= code <= 64
        or 91 <= code <= 96
        or 123 <= code <= 126
    ):
        return True
    return unicodedata.category(character).startswith("P")


def _is_chinese(code: int) -> bool:
    return (
        0x4E00 <= code <= 0x9FFF
        or 0x3400 <= code <= 0x4DBF
        or 0x20000 <= code <= 0x2A6DF
        or 0x2A700 <= code <= 0x2CEAF
        or 0xF900 <= code <= 0xFAFF
        or 0x2F800 <= code <= 0x2FA1F
    )


class _InstanceMaker:
    """Documents -> pairs -> masked instances."""

    def __init__(
        self,
        documents: list[list[list[str]]],
        vocab_words: list[str],
        rng: random.Random,
        options: flags.FlagValues,
    ) -> None:
        self._documents, self._vocab_words = documents, vocab_words
        self._rng, self._options = rng, options

    def instances_of(self, index: int) -> list[Instance]:
        options, rng = self._options, self._rng
        document = self._documents[index]
        room = options.max_seq_length - 3
        target = room
        if rng.random() < options.short_seq_prob:
            target = rng.randint(2, room)
        instances = []
        chunk: list[list[str]] = []
        length, i = 0, 0
        while i < len(document):
            chunk.append(document[i])
            length += len(document[i])
            if i == len(document) - 1 or length >= target:
                split = 1
                if len(chunk) >= 2:
                    split = rng.randint(1, len(chunk) - 1)
                a: list[str] = []
                for sentence in chunk[:split]:
                    a.extend(sentence)
                b: list[str] = []
                is_random_next = len(chunk) == 1 or rng.random() < 0.5
                if is_random_next:
                    self._add_random_segment(b, index, target - len(a))
                    # What was not used is put back.
                    i -= len(chunk) - split
                else:
                    for sentence in chunk[split:]:
                        b.extend(sentence)
                self._truncate(a, b, room)
                instances.append(self._instance(a, b, is_random_next))
                chunk, length = [], 0
            i += 1
        return instances

    def _add_random_segment(
        self, segment: list[str], index: int, target: int
    ) -> None:
        rng = self._rng
        for _ in range(10):
            other = rng.randint(0, len(self._documents) - 1)
            if other != index:
                break
        document = self._documents[other]
        for sentence in document[rng.randint(0, len(document) - 1) :]:
            segment.extend(sentence)
            if len(segment) >= target:
                break

    def _truncate(self, a: list[str], b: list[str], room: int) -> None:
        while len(a) + len(b) > room:
            longer = a if len(a) > len(b) else b
            if self._rng.random() < 0.5:
                del longer[0]
            else:
                longer.pop()

    def _instance(
        self, a: list[str], b: list[str], is_random_next: bool
    ) -> Instance:
        tokens, segment_ids = ["[CLS]"], [0]
        for token in a:
            tokens.append(token)
            segment_ids.append(0)
        tokens.append("[SEP]")
        segment_ids.append(0)
        for token in b:
            tokens.append(token)
            segment_ids.append(1)
        tokens.append("[SEP]")
        segment_ids.append(1)
        output, positions, labels = self._mask(tokens)
        return Instance(output, segment_ids, is_random_next, positions, labels)

    def _mask(
        self, tokens: list[str]
    ) -> tuple[list[str], list[int], list[str]]:
        options, rng = self._options, self._rng
        words: list[list[int]] = []
        for position, token in enumerate(tokens):
            if token in ("[CLS]", "[SEP]"):
                continue
            # Asking absl for every token takes 100 microseconds an instance.
            if options.do_whole_word_mask and words and token.startswith("##"):
                words[-1].append(position)
            else:
                words.append([position])
        rng.shuffle(words)
        output = list(tokens)
        most = min(
            options.max_predictions_per_seq,
            max(1, round(len(tokens) * options.masked_lm_prob)),
        )
        masked: list[tuple[int, str]] = []
        for word in words:
            if len(masked) >= most:
                break
            if len(masked) + len(word) > most:
                continue
            for position in word:
                if rng.random() < 0.8:
                    replacement = "[MASK]"
                elif rng.random() < 0.5:
                    replacement = tokens[position]
                else:
                    drawn = rng.randint(0, len(self._vocab_words) - 1)
                    replacement = self._vocab_words[drawn]
                output[position] = replacement
                masked.append((position, tokens[position]))
        masked.sort(key=lambda item: item[0])
        return (
            output,
            [position for position, _ in masked],
            [label for _, label in masked],
        )


def _write(
    instances: Sequence[Instance],
    vocab: dict[str, int],
    path: str,
    options: flags.FlagValues,
) -> None:
    with tf.io.TFRecordWriter(path) as writer:
        for instance in instances:
            example = _example(instance, vocab, options)
            writer.write(example.SerializeToString())


def _example(
    instance: Instance, vocab: dict[str, int], options: flags.FlagValues
) -> tf.train.Example:
    ids = _ids(instance.tokens, vocab)
    mask = [1] * len(ids)
    segment_ids = list(instance.segment_ids)
    while len(ids) < options.max_seq_length:
        ids.append(0)
        mask.append(0)
        segment_ids.append(0)
    positions = list(instance.masked_lm_positions)
    labels = _ids(instance.masked_lm_labels, vocab)
    weights = [1.0] * len(labels)
    while len(positions) < options.max_predictions_per_seq:
        positions.append(0)
        labels.append(0)
        weights.append(0.0)
    features = collections.OrderedDict()
    features["input_ids"] = _integers(ids)
    features["input_mask"] = _integers(mask)
    features["segment_ids"] = _integers(segment_ids)
    features["masked_lm_positions"] = _integers(positions)
    features["masked_lm_ids"] = _integers(labels)
    features["masked_lm_weights"] = tf.train.Feature(
        float_list=tf.train.FloatList(value=list(weights))
    )
    features["next_sentence_labels"] = _integers([int(instance.is_random_next)])
    return tf.train.Example(features=tf.train.Features(feature=features))


def _ids(tokens: Sequence[str], vocab: dict[str, int]) -> list[int]:
    ids = []
    for token in tokens:
        ids.append(vocab[token])
    return ids


def _integers(values: Sequence[int]) -> tf.train.Feature:
    return tf.train.Feature(int64_list=tf.train.Int64List(value=list(values)))
