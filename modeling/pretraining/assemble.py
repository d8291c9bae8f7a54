"""Instances -> arrays of token ids, as records hold them."""

from __future__ import annotations

import numpy as np

from modeling.pretraining.corpus import Corpus
from modeling.pretraining.masking import mask_batch
from modeling.pretraining.options import InstanceOptions
from modeling.pretraining.pairs import FIRST_FREE
from modeling.pretraining.random_streams import draw
from modeling.pretraining.vocabulary import RecordVocabulary
from modeling.records import JOINS_WORD


def make_columns(
    instances: np.ndarray,
    corpus: Corpus,
    options: InstanceOptions,
    vocabulary: RecordVocabulary,
) -> dict[str, np.ndarray]:
    """The features of instances: name -> [B, length].

    Args:
      instances: INSTANCE [B]
      corpus: where they point to.
      options: lengths and masking.
      vocabulary: special tokens, continuations, replacements.
    """
    ids, joins, segment_ids, lengths = _lay_out(
        instances, corpus, options, vocabulary
    )
    positions = np.arange(options.max_seq_length)
    columns = {
        "input_ids": ids,
        "input_mask": (positions < lengths[:, None]).astype(np.uint8),
        "segment_ids": segment_ids,
    }
    if options.masking.method == "none":
        columns["joins"] = joins
    else:
        masked = mask_batch(
            ids,
            lengths,
            joins,
            draw(instances["key"], FIRST_FREE),
            options.masking,
            vocabulary.masking,
        )
        columns["input_ids"] = masked.input_ids
        columns["masked_lm_positions"] = masked.positions
        columns["masked_lm_ids"] = masked.label_ids
        columns["masked_lm_weights"] = masked.weights
    columns["next_sentence_labels"] = instances["label"][:, None]
    return columns


def _lay_out(
    instances: np.ndarray,
    corpus: Corpus,
    options: InstanceOptions,
    vocabulary: RecordVocabulary,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Rows of ids, joins and segment ids, and their lengths.

    tokens:   [CLS] a a a a [SEP] b b b [SEP] [PAD]
    segments: 0     0 0 0 0 0     1 1 1 1     0
    """
    positions = np.arange(options.max_seq_length)
    a_length = instances["a_length"].astype(np.int64)[:, None]
    b_length = instances["b_length"].astype(np.int64)[:, None]
    first_sep = a_length + 1
    has_b = b_length > 0
    last_sep = first_sep + (b_length + 1) * has_b
    in_a = (positions > 0) & (positions < first_sep)
    in_b = (positions > first_sep) & (positions < last_sep)
    # Where each token of the text stands in the corpus: int64 [B, L]
    places = positions + np.where(
        positions < first_sep,
        instances["a_start"][:, None] - 1,
        instances["b_start"][:, None] - first_sep - 1,
    )
    is_text = in_a | in_b
    places = places[is_text]
    ids = np.full(is_text.shape, vocabulary.pad_id, np.int32)
    ids[is_text] = corpus.ids_at(places)
    ids[:, 0] = vocabulary.cls_id
    rows = np.arange(len(ids))[:, None]
    ids[rows, first_sep] = vocabulary.sep_id
    ids[rows, last_sep] = vocabulary.sep_id
    joins = np.zeros(ids.shape, np.uint8)
    if corpus.joins is None:
        joins[is_text] = JOINS_WORD * vocabulary.is_continuation[ids[is_text]]
    else:
        joins[is_text] = corpus.joins_at(places)
        # What begins in the middle of a word does not go on with another.
        joins[rows, np.minimum(first_sep + 1, last_sep)] = 0
    segment_ids = (positions > first_sep) & (positions <= last_sep)
    return ids, joins, segment_ids.astype(np.uint8), last_sep[:, 0] + 1
