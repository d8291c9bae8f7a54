"""Learns a vocabulary from text, or adds words to one.

A WordPiece vocabulary, as the models of google-research/bert have:

  python learn_vocab.py \\
    --input_file=sample_text/english.txt,sample_text/chinese.txt \\
    --output_file=vocab.txt --vocab_size=2000

A SentencePiece model:

  python learn_vocab.py --model_type=unigram \\
    --input_file=corpus/*.txt.gz --output_file=spiece.model --vocab_size=30000

The words of a list, one a line, added to a model's vocabulary; or the 500 that
a text of the domain needs most:

  python learn_vocab.py --base_vocab_file=uncased_L-12_H-768_A-12/vocab.txt \\
    --add_words=words.txt --output_file=vocab_medical.txt

  python learn_vocab.py --base_vocab_file=uncased_L-12_H-768_A-12/vocab.txt \\
    --input_file=medical.txt --num_new_words=500 \\
    --output_file=vocab_medical.txt

The model then gets rows for them: convert_checkpoint.py --new_vocab_file=...
See docs/vocabulary.md.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, NamedTuple

from absl import flags

import common_flags
from modeling.errors import UserError

if TYPE_CHECKING:
    from modeling.tokenization import BasicTokenizer

_INPUT_FILE = flags.DEFINE_string(
    "input_file",
    None,
    "Text, UTF-8: files and globs separated by commas, gzipped if they end in "
    '.gz; "-" is standard input.',
)
_OUTPUT_FILE = flags.DEFINE_string(
    "output_file", None, "Vocabulary or model to write."
)
_MODEL_TYPE = flags.DEFINE_enum(
    "model_type",
    "wordpiece",
    ["wordpiece", "unigram", "bpe"],
    "wordpiece: a vocab.txt. unigram, bpe: a SentencePiece model.",
)
_VOCAB_SIZE = flags.DEFINE_integer(
    "vocab_size", 30522, "Number of entries, exactly.", lower_bound=1
)
_NUM_UNUSED = flags.DEFINE_integer(
    "num_unused",
    None,
    "Entries kept free for words of yours, [unused0] and so on. Default: 99 "
    "in a WordPiece vocabulary where they leave room for 900 pieces, else 0.",
    lower_bound=0,
)
_MIN_FREQUENCY = flags.DEFINE_integer(
    "min_frequency",
    2,
    "Words and characters that occur less often teach nothing.",
    lower_bound=1,
)
_CHARACTER_COVERAGE = flags.DEFINE_float(
    "character_coverage",
    0.99999,
    "Share of the text's characters to know; the rarest are left out.",
    lower_bound=0.0,
    upper_bound=1.0,
)
_LIMIT_ALPHABET = flags.DEFINE_integer(
    "limit_alphabet",
    None,
    "Most characters to know. Default: as many as --character_coverage asks.",
    lower_bound=1,
)
_DO_LOWER_CASE = flags.DEFINE_bool(
    "do_lower_case", True, "Whether the model will be uncased."
)
_STRIP_ACCENTS = flags.DEFINE_bool(
    "strip_accents",
    None,
    "Whether accents are dropped. Default: as --do_lower_case; for a "
    "SentencePiece model true.",
)
_NUM_WORKERS = flags.DEFINE_integer(
    "num_workers",
    os.cpu_count(),
    "Processes that count words. The result does not depend on it.",
    lower_bound=1,
)
_BASE_VOCAB_FILE = flags.DEFINE_string(
    "base_vocab_file", None, "WordPiece vocabulary to add words to."
)
_ADD_WORDS = flags.DEFINE_string(
    "add_words", None, "File of words to add to it, one a line."
)
_NUM_NEW_WORDS = flags.DEFINE_integer(
    "num_new_words",
    None,
    "Words to find in --input_file and add to it.",
    lower_bound=1,
)
flags.mark_flags_as_required(["output_file"])


def main(argv: list[str]) -> None:
    del argv
    job = _choose_job()
    # Here, so that -h does not wait for TensorFlow.
    from modeling.text_files import find_files, read_lines
    from modeling.tokenization import BasicTokenizer, learning

    files = find_files(_ADD_WORDS.value or _INPUT_FILE.value, allow_stdin=True)
    base = [_BASE_VOCAB_FILE.value] if _BASE_VOCAB_FILE.value else []
    learning.check_output(_OUTPUT_FILE.value, files + base)
    tokenizer = BasicTokenizer(_DO_LOWER_CASE.value, _STRIP_ACCENTS.value)
    job.run(read_lines(files), tokenizer)


def _learn_wordpiece(lines: Iterator[str], tokenizer: BasicTokenizer) -> None:
    from modeling.tokenization import learning

    options = learning.WordpieceOptions(
        vocab_size=_VOCAB_SIZE.value,
        num_unused=_NUM_UNUSED.value,
        min_frequency=_MIN_FREQUENCY.value,
        character_coverage=_CHARACTER_COVERAGE.value,
        limit_alphabet=_LIMIT_ALPHABET.value,
    )
    learning.learn_wordpiece_file(
        lines, _OUTPUT_FILE.value, options, tokenizer, _NUM_WORKERS.value
    )


def _learn_sentencepiece(
    lines: Iterator[str], tokenizer: BasicTokenizer
) -> None:
    from modeling.tokenization import learning

    options = learning.SentencePieceOptions(
        model_type=_MODEL_TYPE.value,
        vocab_size=_VOCAB_SIZE.value,
        num_unused=_NUM_UNUSED.value or 0,
        character_coverage=_CHARACTER_COVERAGE.value,
        do_lower_case=tokenizer.do_lower_case,
        strip_accents=_STRIP_ACCENTS.value is not False,
    )
    learning.learn_sentencepiece_file(lines, _OUTPUT_FILE.value, options)


def _add_listed_words(lines: Iterator[str], tokenizer: BasicTokenizer) -> None:
    from modeling.tokenization import learning

    learning.add_listed_words(
        _BASE_VOCAB_FILE.value,
        lines,
        _OUTPUT_FILE.value,
        tokenizer,
        _ADD_WORDS.value,
    )


def _add_found_words(lines: Iterator[str], tokenizer: BasicTokenizer) -> None:
    from modeling.tokenization import learning

    learning.add_found_words(
        _BASE_VOCAB_FILE.value,
        lines,
        _OUTPUT_FILE.value,
        tokenizer,
        _NUM_NEW_WORDS.value,
        _MIN_FREQUENCY.value,
        _NUM_WORKERS.value,
    )


class _Job(NamedTuple):
    """One of the things that the script does.

    Attributes:
      run: does it, given the lines of the input and the tokenizer.
      needs: flags that must be given.
      takes: flags that may be given, besides those that every job takes.
    """

    run: Callable[[Iterator[str], BasicTokenizer], None]
    needs: tuple[str, ...]
    takes: tuple[str, ...]


_COUNTING = ("min_frequency", "num_workers")
_LEARNING = ("model_type", "vocab_size", "num_unused", "character_coverage")
_JOBS = {
    "a WordPiece vocabulary": _Job(
        _learn_wordpiece,
        ("input_file",),
        (*_LEARNING, *_COUNTING, "limit_alphabet"),
    ),
    "a SentencePiece model": _Job(
        _learn_sentencepiece, ("input_file",), _LEARNING
    ),
    "--add_words": _Job(
        _add_listed_words, ("base_vocab_file", "add_words"), ()
    ),
    "--num_new_words": _Job(
        _add_found_words,
        ("base_vocab_file", "input_file", "num_new_words"),
        _COUNTING,
    ),
}


def _choose_job() -> _Job:
    if _ADD_WORDS.value:
        name = "--add_words"
    elif _NUM_NEW_WORDS.value:
        name = "--num_new_words"
    elif _BASE_VOCAB_FILE.value:
        raise UserError(
            "--base_vocab_file goes with --add_words or --num_new_words."
        )
    elif _MODEL_TYPE.value == "wordpiece":
        name = "a WordPiece vocabulary"
    else:
        name = "a SentencePiece model"
    job = _JOBS[name]
    missing = [flag for flag in job.needs if not flags.FLAGS[flag].value]
    if missing:
        raise UserError(f"{name} needs --{', --'.join(missing)}.")
    others = {flag for j in _JOBS.values() for flag in j.needs + j.takes}
    for flag in sorted(others.difference(job.needs, job.takes)):
        if flags.FLAGS[flag].present:
            raise UserError(f"--{flag} does not go with {name}.")
    return job


def run() -> None:
    """Runs the script; the installed command."""
    common_flags.run(main)


if __name__ == "__main__":
    run()
