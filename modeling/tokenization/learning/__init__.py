"""Learning a vocabulary from text, and adding words to one."""

from modeling.tokenization.learning.counting import WordCounts, count_words
from modeling.tokenization.learning.extending import (
    ExtendedVocab,
    check_words,
    extend_vocab,
    find_words,
)
from modeling.tokenization.learning.job import (
    add_found_words,
    add_listed_words,
    check_output,
    learn_sentencepiece_file,
    learn_wordpiece_file,
)
from modeling.tokenization.learning.matching import match_vocabs
from modeling.tokenization.learning.measuring import Fit, measure_fit
from modeling.tokenization.learning.sentencepiece_learner import (
    SentencePieceOptions,
    learn_sentencepiece,
)
from modeling.tokenization.learning.wordpiece_learner import (
    WordpieceOptions,
    learn_wordpiece,
    measure_vocab,
)

__all__ = [
    "ExtendedVocab",
    "Fit",
    "SentencePieceOptions",
    "WordCounts",
    "WordpieceOptions",
    "add_found_words",
    "add_listed_words",
    "check_output",
    "check_words",
    "count_words",
    "extend_vocab",
    "find_words",
    "learn_sentencepiece",
    "learn_sentencepiece_file",
    "learn_wordpiece",
    "learn_wordpiece_file",
    "match_vocabs",
    "measure_fit",
    "measure_vocab",
]
