"""The whole jobs: text in, one file of a vocabulary or a model out."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Sequence

from absl import logging

from modeling.errors import UserError
from modeling.progress import Phases
from modeling.tokenization import case, vocabulary, wordpiece
from modeling.tokenization.learning import (
    extending,
    sentencepiece_learner,
    wordpiece_learner,
)
from modeling.tokenization.learning.counting import WordCounts, count_words


def learn_wordpiece_file(
    lines: Iterable[str],
    output_file: str,
    options: wordpiece_learner.WordpieceOptions,
    tokenizer: wordpiece.BasicTokenizer,
    num_workers: int = 1,
) -> None:
    """Learns a `vocab.txt` and logs how it fits the text.

    Args:
      lines: the text.
      output_file: replaced when the new one is whole.
      options: size and contents.
      tokenizer: as the model's will be.
      num_workers: processes that count words.

    Raises:
      UserError: a text without words, a size that does not fit it, or an
        output that cannot be written.
    """
    phases = Phases()
    words = _count(lines, tokenizer, num_workers, phases)
    with phases.phase("learning"):
        vocab = wordpiece_learner.learn_wordpiece(
            words.counts, options, tokenizer
        )
    with phases.phase("measuring"):
        fit = wordpiece_learner.measure_vocab(vocab, words.counts)
    _write(output_file, _vocab_content(vocab))
    logging.info("%s: %d entries; %s", output_file, len(vocab), fit)
    logging.info("Seconds: %s", phases)


def learn_sentencepiece_file(
    lines: Iterable[str],
    output_file: str,
    options: sentencepiece_learner.SentencePieceOptions,
) -> None:
    """Learns a SentencePiece model and logs how it fits the text.

    Args:
      lines: the text.
      output_file: replaced when the new one is whole.
      options: kind, size and contents.

    Raises:
      UserError: a text without words, a size that does not fit it, or an
        output that cannot be written.
    """
    phases = Phases()
    with phases.phase("reading"):
        sample = sentencepiece_learner.sample_lines(
            sentencepiece_learner.normalized_lines(lines, options)
        )
    if not sample:
        raise _no_words()
    with phases.phase("learning"):
        model = sentencepiece_learner.learn_sentencepiece(sample, options)
    with phases.phase("measuring"):
        fit = sentencepiece_learner.measure_model(model, sample)
    _write(output_file, model)
    logging.info(
        "%s: %d pieces, learned from %d lines; %s",
        output_file,
        options.vocab_size,
        len(sample),
        fit,
    )
    logging.info("Seconds: %s", phases)


def add_listed_words(
    base_vocab_file: str,
    lines: Iterable[str],
    output_file: str,
    tokenizer: wordpiece.BasicTokenizer,
    name: str,
) -> None:
    """Adds the words of a list to a vocabulary; see `extend_vocab`.

    Args:
      base_vocab_file: the vocabulary of a model.
      lines: a word each.
      output_file: replaced when the new one is whole.
      tokenizer: as the model's.
      name: what messages call the list.

    Raises:
      UserError: a line that is not one word, a word that stands twice,
        nothing to add, or a file that cannot be used.
    """
    vocab = _load_base(base_vocab_file, tokenizer)
    words = extending.check_words(lines, tokenizer, name)
    _write_extended(vocab, words, output_file)


def add_found_words(
    base_vocab_file: str,
    lines: Iterable[str],
    output_file: str,
    tokenizer: wordpiece.BasicTokenizer,
    num_words: int,
    min_frequency: int,
    num_workers: int = 1,
) -> None:
    """Adds the words that a text needs most to a vocabulary.

    Args:
      base_vocab_file: the vocabulary of a model.
      lines: the text.
      output_file: replaced when the new one is whole.
      tokenizer: as the model's.
      num_words: to add.
      min_frequency: words that occur less often are passed over.
      num_workers: processes that count words.

    Raises:
      UserError: a text without so many words to add, or a file that cannot be
        used.
    """
    vocab = _load_base(base_vocab_file, tokenizer)
    phases = Phases()
    counts = _count(lines, tokenizer, num_workers, phases).counts
    with phases.phase("choosing"):
        words = extending.find_words(counts, vocab, num_words, min_frequency)
    tokens = _write_extended(vocab, words, output_file)
    with phases.phase("measuring"):
        for name, entries in {"before": vocab, "after": tokens}.items():
            fit = wordpiece_learner.measure_vocab(entries, counts)
            logging.info("The text %s: %s", name, fit)
    logging.info("Seconds: %s", phases)


def check_output(path: str, inputs: Sequence[str]) -> None:
    """Checks before any work that a file can be written.

    Raises:
      UserError: it cannot, or is one of the inputs.
    """
    if not path:
        raise UserError("The output file's name is empty.")
    if os.path.abspath(path) in map(os.path.abspath, inputs):
        raise UserError(f"{path} is both input and output.")
    if os.path.isdir(path):
        raise UserError(f"The output {path} is a directory. Name a file in it.")
    directory = os.path.dirname(os.path.abspath(path))
    if not os.path.isdir(directory):
        raise UserError(f"The output's directory {directory} does not exist.")
    if not os.access(directory, os.W_OK):
        raise UserError(f"The output's directory {directory} is not writable.")


def _count(
    lines: Iterable[str],
    tokenizer: wordpiece.BasicTokenizer,
    num_workers: int,
    phases: Phases,
) -> WordCounts:
    with phases.phase("counting"):
        words = count_words(lines, tokenizer, num_workers)
    if not words.total:
        raise _no_words()
    logging.info(
        "%d lines, %d words, %d different",
        words.lines,
        words.total,
        len(words.counts),
    )
    if words.max_missed:
        logging.info(
            "There were more different words than fit in memory. The rarest "
            "were forgotten: counts may be short by up to %d.",
            words.max_missed,
        )
    return words


def _load_base(
    path: str, tokenizer: wordpiece.BasicTokenizer
) -> dict[str, int]:
    vocab = vocabulary.load_vocab(path)
    warning = case.describe_case_mismatch(tokenizer.do_lower_case, vocab)
    if warning:
        logging.warning("%s: %s", path, warning)
    return vocab


def _write_extended(
    vocab: dict[str, int], words: Sequence[str], output_file: str
) -> list[str]:
    extended = extending.extend_vocab(vocab, words)
    _write(output_file, _vocab_content(extended.tokens))
    logging.info(
        "%s: %d entries; %d words in the places of unused entries, %d at the "
        "end, %d were there already",
        output_file,
        len(extended.tokens),
        len(extended.filled),
        len(extended.appended),
        len(extended.known),
    )
    logging.info(
        "Give the model rows for the new words: convert_checkpoint.py "
        "--new_vocab_file=%s ...",
        output_file,
    )
    return extended.tokens


def _vocab_content(vocab: Iterable[str]) -> bytes:
    return "".join(f"{token}\n" for token in vocab).encode()


def _write(path: str, content: bytes) -> None:
    """Replaces a file by a whole one, or leaves it as it is."""
    directory, name = os.path.split(os.path.abspath(path))
    temporary = None
    try:
        with tempfile.NamedTemporaryFile(
            dir=directory, prefix=f".{name}.", delete=False
        ) as file:
            temporary = file.name
            file.write(content)
        # Temporary files are their owner's alone; a new file is not.
        umask = os.umask(0)
        os.umask(umask)
        os.chmod(temporary, 0o666 & ~umask)
        os.replace(temporary, path)
    except OSError as error:
        if temporary is not None:
            os.unlink(temporary)
        raise UserError(f"Cannot write {path}: {error.strerror}") from error


def _no_words() -> UserError:
    return UserError("The text has no words: all of its lines are blank.")
