"""Lines of text to a SentencePiece model for `SentencePieceTokenizer`.

SentencePiece learns from lines, not from word counts: Chinese has no spaces
that would make words. It holds them in memory, so a large text is sampled.
"""

from __future__ import annotations

import collections
import dataclasses
import io
import re
from collections.abc import Iterable, Iterator, Sequence

import sentencepiece

from modeling.errors import UserError
from modeling.progress import Progress
from modeling.tokenization.learning.measuring import Fit, measure_fit
from modeling.tokenization.sentencepiece_tokenizer import normalize_text

MODEL_TYPES = ("unigram", "bpe")

# ALBERT's first pieces, in its order.
_PAD, _UNKNOWN = "<pad>", "<unk>"
_CONTROL = ("[CLS]", "[SEP]", "[MASK]")

# For this much text the learner takes up to 2 GB.
MAX_CHARACTERS = 1 << 26
_MEASURED_CHARACTERS = 1 << 20
# The learner counts the places in a line in 16 bits.
_MAX_LINE = 4096
# A constant, since the result depends on it: each thread adds up its share.
_NUM_THREADS = 16


@dataclasses.dataclass(frozen=True)
class SentencePieceOptions:
    """What model to learn.

    Attributes:
      model_type: one of `MODEL_TYPES`.
      vocab_size: number of pieces, exactly.
      num_unused: pieces [unused0], [unused1], ... after [MASK].
      character_coverage: share of the text's characters to know.
      do_lower_case: as the tokenizer will be told.
      strip_accents: likewise.

    Raises:
      UserError: a value out of its range.
    """

    model_type: str
    vocab_size: int = 30522
    num_unused: int = 0
    character_coverage: float = 0.99999
    do_lower_case: bool = True
    strip_accents: bool = True

    def __post_init__(self) -> None:
        if self.model_type not in MODEL_TYPES:
            raise UserError(
                f"model_type must be one of {', '.join(MODEL_TYPES)}. "
                f"Received: {self.model_type!r}"
            )
        if self.num_unused < 0:
            raise UserError(
                f"num_unused must be at least 0. Received: {self.num_unused}"
            )
        least = len([_PAD, _UNKNOWN, *self.control_pieces])
        if self.vocab_size < least:
            raise UserError(
                f"vocab_size must be at least {least}, for the special pieces. "
                f"Received: {self.vocab_size}"
            )
        # The learner refuses less.
        if not 0.98 <= self.character_coverage <= 1:
            raise UserError(
                "character_coverage of a SentencePiece model must be from "
                f"0.98 to 1. Received: {self.character_coverage}"
            )

    @property
    def control_pieces(self) -> list[str]:
        """The pieces after the unknown one that no text becomes."""
        unused = (f"[unused{index}]" for index in range(self.num_unused))
        return [*_CONTROL, *unused]


def normalized_lines(
    lines: Iterable[str], options: SentencePieceOptions
) -> Iterator[str]:
    """The lines as `SentencePieceTokenizer` hands them to its model.

    Blank lines are left out, and very long ones are cut.
    """
    with Progress("Reading", "lines") as progress:
        for line in lines:
            progress.advance(1)
            line = normalize_text(
                line, options.do_lower_case, options.strip_accents
            )
            for start in range(0, len(line), _MAX_LINE):
                yield line[start : start + _MAX_LINE]


def sample_lines(
    lines: Iterable[str], max_characters: int = MAX_CHARACTERS
) -> list[str]:
    """Every line, or every 2nd, 4th, 8th ..., as many as there is room for."""
    kept: list[str] = []
    step, characters = 1, 0
    for index, line in enumerate(lines):
        if index % step:
            continue
        kept.append(line)
        characters += len(line)
        while characters > max_characters and len(kept) > 1:
            kept = kept[::2]
            step *= 2
            characters = sum(map(len, kept))
    return kept


def learn_sentencepiece(
    lines: Sequence[str], options: SentencePieceOptions
) -> bytes:
    """Learns a model, as the bytes of its file.

    Args:
      lines: normalized, at least one.
      options: size and contents.

    Raises:
      UserError: a size too small for the characters of the text, or larger
        than the number of pieces that it has, or a text without characters.
    """
    model = io.BytesIO()
    try:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(lines),
            model_writer=model,
            model_type=options.model_type,
            vocab_size=options.vocab_size,
            character_coverage=options.character_coverage,
            pad_id=0,
            unk_id=1,
            bos_id=-1,
            eos_id=-1,
            pad_piece=_PAD,
            unk_piece=_UNKNOWN,
            control_symbols=options.control_pieces,
            max_sentence_length=4 * _MAX_LINE,  # in bytes
            num_threads=_NUM_THREADS,
            minloglevel=2,
        )
    except RuntimeError as error:
        raise _explained(error, options) from error
    return model.getvalue()


def measure_model(model: bytes, lines: Iterable[str]) -> Fit:
    """What becomes of the words between spaces, in a sample of the lines."""
    processor = sentencepiece.SentencePieceProcessor(model_proto=model)
    sample = sample_lines(lines, _MEASURED_CHARACTERS)
    counts = collections.Counter(
        word for line in sample for word in line.split()
    )
    return measure_fit(processor.encode, processor.unk_id(), counts)


def _explained(error: RuntimeError, options: SentencePieceOptions) -> UserError:
    """The learner's complaint, in our words where it is about the size."""
    told = str(error)
    size = f"vocab_size={options.vocab_size}"
    least = re.search(r"smaller than required_chars\. \d+ vs (\d+)", told)
    if least:
        return UserError(
            f"{size} is too small: at least {least[1]} are needed for the "
            "special pieces and the characters of the text. A lower "
            "character_coverage makes it less."
        )
    most = re.search(r"to a value <= (\d+)", told)
    if most:
        return UserError(
            f"{size} is too large for this text: it gives {most[1]} pieces at "
            "most."
        )
    return UserError(f"SentencePiece cannot learn from this text: {told}")
