"""Tagging of words: names, parts of speech, phrases, word segmentation.

Sentences are read (`SentenceFile`), their tags collected (`collect_tags`), laid
out in rows (`SentenceEncoder`, `encode_cached`, `stream`) and made batches of
(`batches.TaggingExamples`), which also brings a model's scores back into
sentences. Tags are judged (`evaluate`) and written (`TagWriter`). Nothing here
but `batches` needs TensorFlow, which workers would take seconds to import.
"""

from modeling.tasks.tagging.encoding import (
    EncodedSentences,
    SentenceEncoder,
    TaggingOptions,
    encode_cached,
    encode_sentences,
    stream,
)
from modeling.tasks.tagging.metrics import evaluate
from modeling.tasks.tagging.predictions import TagWriter, describe, show
from modeling.tasks.tagging.reading import SentenceFile
from modeling.tasks.tagging.sentences import Sentence, split_text
from modeling.tasks.tagging.tag_set import TagSet, collect_tags

__all__ = [
    "EncodedSentences",
    "Sentence",
    "SentenceEncoder",
    "SentenceFile",
    "TagSet",
    "TagWriter",
    "TaggingOptions",
    "collect_tags",
    "describe",
    "encode_cached",
    "encode_sentences",
    "evaluate",
    "show",
    "split_text",
    "stream",
]
