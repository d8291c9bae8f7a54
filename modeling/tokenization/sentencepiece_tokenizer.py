"""SentencePiece with ALBERT's treatment of text, for models that come so."""

import functools
import hashlib
import os
import re
import unicodedata
from collections.abc import Collection, Sequence
from typing import Any

import numpy as np

from modeling.errors import UserError
from modeling.tokenization import interface, unicode_tables, wordpiece

_SPACE = "▁"
_QUOTES = ("``", "''")
# White space and quotes as one, all else character by character.
_SOURCE = re.compile(r"\s+|``|''|.", re.DOTALL)


class SentencePieceTokenizer(interface.TokenIds):
    """Text to pieces of a SentencePiece model, as ALBERT does it.

    Before the model: white space becomes single spaces, quotes `` and '' become
    ", characters are decomposed for compatibility (NFKD) and lose their
    accents, and are lower-cased. After it: a piece of digits that ends in a
    comma is split before the comma.

    Args:
      model_file: the model, often `spiece.model` or `30k-clean.model`.
      do_lower_case: whether the model is uncased.
      strip_accents: whether to decompose and drop accents; the model has its
        own normalization besides.
      special_tokens: pieces such as "[MASK]" that are kept whole where they
        stand in the text.

    Attributes:
      number_splits: pieces such as "▁2000," -> the ids that they are split
        into.

    Raises:
      UserError: sentencepiece is not installed, the file is not a model of it,
        or a special token is missing.

    Source: `preprocess_text` and `encode_pieces` of google-research/albert's
    `tokenization.py`.
    """

    def __init__(
        self,
        model_file: str | os.PathLike[str],
        do_lower_case: bool = False,
        strip_accents: bool = True,
        special_tokens: Collection[str] = (),
    ) -> None:
        self.do_lower_case = do_lower_case
        self.strip_accents = strip_accents
        self.vocab_name = f"The SentencePiece model {os.fspath(model_file)}"
        self._processor = _load_processor(model_file)
        size = self._processor.get_piece_size()
        self.inv_vocab = {
            index: self._processor.id_to_piece(index) for index in range(size)
        }
        self.vocab = {piece: index for index, piece in self.inv_vocab.items()}
        self._special = wordpiece.special_token_pattern(
            special_tokens, self.vocab
        )
        self._special_tokens = tuple(special_tokens)
        self.number_splits = self._split_every_number()

    @property
    def serialized_model(self) -> bytes:
        """The model, as its file has it."""
        return self._processor.serialized_model_proto()

    @functools.cached_property
    def is_continuation(self) -> np.ndarray:
        """Over ids, whether the piece goes on with a word: bool [vocab_size]

        Those without "▁", except control pieces and the unknown one.
        """
        specials = ("[CLS]", "[SEP]", "[MASK]", "[PAD]", "[UNK]")
        flags = np.array(
            [
                not piece.startswith(_SPACE)
                and piece not in specials
                and not self._processor.is_control(index)
                and not self._processor.is_unknown(index)
                for index, piece in self.inv_vocab.items()
            ],
            bool,
        )
        flags.setflags(write=False)
        return flags

    def tokenize(self, text: str) -> list[str]:
        """Pieces of a text; what the model does not know is its unknown."""
        return [self.inv_vocab[index] for index in self.encode(text)]

    def encode(self, text: str) -> list[int]:
        """Ids of a text, without [CLS] and [SEP]."""
        ids: list[int] = []
        for part, is_special in wordpiece.split_special_tokens(
            text, self._special
        ):
            if is_special:
                ids.append(self.vocab[part])
            else:
                text = normalize_text(
                    part, self.do_lower_case, self.strip_accents
                )
                pieces = self._processor.encode(text)
                ids += self._with_split_numbers(pieces)
        return ids

    def encode_batch(self, texts: Sequence[str]) -> list[list[int]]:
        """Ids of every text."""
        return list(map(self.encode, texts))

    def encode_with_offsets(self, text: str) -> interface.Encoding:
        """Ids of a text and where they stand in it.

        The space before a word is not part of its span, so the span of a lone
        "▁" is empty, and so may be that of a piece which the model's own
        normalization adds.
        """
        ids: list[int] = []
        offsets: list[tuple[int, int]] = []
        start = 0
        for part, is_special in wordpiece.split_special_tokens(
            text, self._special
        ):
            if is_special:
                ids.append(self.vocab[part])
                offsets.append((start, start + len(part)))
            else:
                encoding = self._encode_part_with_offsets(part)
                ids += encoding.ids
                offsets += [(start + a, start + b) for a, b in encoding.offsets]
            start += len(part)
        return interface.Encoding(ids, offsets)

    def digest(self) -> str:
        """Tells apart tokenizers that may give a text other ids."""
        shaping = (
            self.serialized_model,
            self.do_lower_case,
            self.strip_accents,
            sorted(self._special_tokens),
        )
        return hashlib.sha256(repr(shaping).encode()).hexdigest()

    def join_pieces(self, tokens: Sequence[str]) -> str:
        """The words that the pieces make, without the space before."""
        return "".join(tokens).replace(_SPACE, " ").strip()

    def _normalize_aligned(
        self, text: str
    ) -> tuple[str, list[tuple[int, int]]]:
        """`normalize_text`, with a span in the text for every character."""
        characters: list[str] = []
        spans: list[tuple[int, int]] = []
        for match in _SOURCE.finditer(text.rstrip()):
            source = match[0]
            if source.isspace():
                source = " " if match.start() else ""
            elif source in _QUOTES:
                source = '"'
            elif self.strip_accents:
                source = _decompose(source)
                if not source and spans:  # an accent of the one before
                    spans[-1] = spans[-1][0], match.end()
            characters += source
            spans += [match.span()] * len(source)
        if not self.do_lower_case:
            return "".join(characters), spans
        lowered = unicode_tables.lower_characters("".join(characters))
        spans = [
            span
            for span, lower in zip(spans, lowered, strict=True)
            for _ in lower
        ]
        return "".join(lowered), spans

    def _encode_part_with_offsets(self, text: str) -> interface.Encoding:
        normalized, spans = self._normalize_aligned(text)
        result = self._processor.encode(
            normalized, return_type="offset_mapping"
        )
        ids: list[int] = []
        offsets: list[tuple[int, int]] = []
        for index, (start, end) in zip(
            result["ids"], result["offsets"], strict=True
        ):
            while start < end and normalized[start] == " ":
                start += 1
            for piece, a, b in self._number_parts(index, start, end):
                ids.append(piece)
                offsets.append(_source_span(spans, a, b))
        return interface.Encoding(ids, offsets)

    def _number_parts(
        self, index: int, start: int, end: int
    ) -> list[tuple[int, int, int]]:
        """Ids that a piece is split into, with their places in its span."""
        ids = self.number_splits.get(index)
        if ids is None:
            return [(index, start, end)]
        lengths = [len(self.inv_vocab[i].removeprefix(_SPACE)) for i in ids]
        parts = []
        for part, length in zip(ids, lengths, strict=True):
            stop = min(start + length, end)
            parts.append((part, start, stop))
            start = stop
        return parts

    def _with_split_numbers(self, ids: list[int]) -> list[int]:
        if self.number_splits.keys().isdisjoint(ids):
            return ids
        return [
            part
            for index in ids
            for part in self.number_splits.get(index, (index,))
        ]

    def _split_every_number(self) -> dict[int, tuple[int, ...]]:
        """What every piece such as "▁2000," becomes: "▁2000" and ","."""
        split = {}
        for index, piece in self.inv_vocab.items():
            if not (piece.endswith(",") and piece[:-1][-1:].isdigit()):
                continue
            digits = piece[:-1].replace(_SPACE, "")
            parts = self._processor.encode(digits, out_type=str)
            if not piece.startswith(_SPACE):
                # Encoding has put a space before what had none.
                parts[0] = parts[0].removeprefix(_SPACE)
            parts = [part for part in parts if part] + [","]
            split[index] = tuple(map(self._processor.piece_to_id, parts))
        return split


def normalize_text(text: str, do_lower_case: bool, strip_accents: bool) -> str:
    """What the tokenizer does to a text before its model sees it."""
    text = " ".join(text.split())
    for quote in _QUOTES:
        text = text.replace(quote, '"')
    if strip_accents and not text.isascii():
        text = _decompose(text)
    return unicode_tables.lower(text) if do_lower_case else text


def _load_processor(model_file: str | os.PathLike[str]) -> Any:
    try:
        import sentencepiece
    except ImportError as error:
        raise UserError(
            f"The model {os.fspath(model_file)} needs the package "
            "sentencepiece. Install it: pip install 'sentencepiece>=0.2.3'"
        ) from error
    try:
        with open(model_file, "rb") as file:
            content = file.read()
    except OSError as error:
        raise UserError(
            f"Cannot read the SentencePiece model {os.fspath(model_file)}: "
            f"{error.strerror}"
        ) from error
    try:
        # One thread: whoever wants several cores uses several processes.
        return sentencepiece.SentencePieceProcessor.from_proto(
            content, num_threads=1
        )
    except Exception as error:
        raise UserError(
            f"{os.fspath(model_file)} is not a SentencePiece model. Is it a "
            "WordPiece vocabulary? That goes into vocab_file."
        ) from error


def _decompose(text: str) -> str:
    decomposed = unicodedata.normalize("NFKD", text)
    return "".join(c for c in decomposed if not unicodedata.combining(c))


def _source_span(
    spans: list[tuple[int, int]], start: int, end: int
) -> tuple[int, int]:
    if start < end:
        return spans[start][0], spans[end - 1][1]
    place = spans[start][0] if start < len(spans) else spans[-1][1]
    return place, place
