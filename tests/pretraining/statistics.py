"""The statistics of corpus_stats.json, over arrays of instances."""

import numpy as np

QUANTILES = (1, 5, 10, 25, 50, 75, 90)


def describe(features, instances_per_document, vocab, options):
    """Every statistic by its name.

    Args:
      features: name -> array of the records' features, over all instances.
      instances_per_document: for every document.
      vocab: tokens in the order of their ids.
      options: max_seq_length, max_predictions_per_seq, masked_lm_prob.
    """
    lengths = features["input_mask"].sum(1)
    statistics = {"instances": len(lengths)}
    statistics.update(
        instances_per_document_mean=np.mean(instances_per_document),
        instances_per_document_std=np.std(instances_per_document),
        instances_per_document_max=np.max(instances_per_document),
    )
    statistics.update(_of_lengths(features, lengths, options))
    statistics.update(_of_masks(features, lengths, vocab, options))
    return {name: float(value) for name, value in statistics.items()}


def _of_lengths(features, lengths, options):
    longest = options["max_seq_length"]
    segment_b = features["segment_ids"].sum(1) - 1
    segment_a = lengths - segment_b - 3
    return {
        "length_mean": lengths.mean(),
        "length_std": lengths.std(),
        **{f"length_q{q:02}": np.quantile(lengths, q / 100) for q in QUANTILES},
        "share_full_length": np.mean(lengths == longest),
        "share_shorter_than_max": np.mean(lengths < longest),
        "share_shorter_than_0.9_max": np.mean(lengths < 0.9 * longest),
        "share_shorter_than_half_max": np.mean(lengths < 0.5 * longest),
        "share_random_next": features["next_sentence_labels"].mean(),
        "segment_a_length_mean": segment_a.mean(),
        "segment_a_length_std": segment_a.std(),
        "segment_b_length_mean": segment_b.mean(),
        "segment_b_length_std": segment_b.std(),
    }


def _of_masks(features, lengths, vocab, options):
    vocab = np.array(vocab)
    ids, rows = features["input_ids"], np.arange(len(lengths))[:, None]
    masked = features["masked_lm_weights"] > 0
    counts = masked.sum(1)
    target = np.minimum(
        options["max_predictions_per_seq"],
        np.maximum(1, np.round(lengths * options["masked_lm_prob"])),
    )
    positions = features["masked_lm_positions"]
    labels = features["masked_lm_ids"][masked]
    output = ids[rows, positions][masked]
    is_mask = output == np.flatnonzero(vocab == "[MASK]")[0]
    is_kept = output == labels
    drawn = output[~is_mask & ~is_kept]
    bracketed = np.array([t[:1] == "[" and t[-1:] == "]" for t in vocab])
    continues = np.array([t.startswith("##") for t in vocab])

    original = ids.copy()
    selected = np.zeros(ids.shape, bool)
    full_rows = np.broadcast_to(rows, positions.shape)[masked]
    original[full_rows, positions[masked]] = labels
    selected[full_rows, positions[masked]] = True
    whole, partly = _count_words(original, selected, lengths, continues)
    deciles = 10 * positions[masked] // np.repeat(lengths, counts)
    return {
        "masked_per_instance_mean": counts.mean(),
        "masked_per_instance_std": counts.std(),
        "share_masked_equals_target": np.mean(counts == target),
        "masked_short_of_target_mean": np.mean(target - counts),
        "masked_over_tokens": counts.sum() / lengths.sum(),
        "masked_total": counts.sum(),
        "share_mask_token": is_mask.mean(),
        "share_kept": is_kept.mean(),
        "share_random_word": len(drawn) / len(labels),
        "share_of_random_words_that_are_bracketed_specials": bracketed[
            drawn
        ].mean(),
        "share_of_random_words_in_first_half_of_vocab": np.mean(
            drawn < len(vocab) / 2
        ),
        "share_labels_wordpiece_continuation": continues[labels].mean(),
        "share_labels_unk": np.mean(vocab[labels] == "[UNK]"),
        "share_masked_followed_by_masked": (
            np.sum(selected[:, :-1] & selected[:, 1:]) / counts.sum()
        ),
        "multi_piece_words_wholly_masked": whole,
        "multi_piece_words_partly_masked": partly,
        **{f"position_decile_{d}": np.mean(deciles == d) for d in range(10)},
    }


def _count_words(original, selected, lengths, continues):
    """Words of several pieces with all, and with some, pieces masked."""
    real = np.arange(original.shape[1]) < lengths[:, None]
    joins = continues[original] & real
    joins[:, 0] = False
    word = np.cumsum(~joins.ravel()) - 1
    size = np.bincount(word)
    hit = np.bincount(word, selected.ravel())
    several = size > 1
    whole = several & (hit == size)
    partly = several & (hit > 0) & (hit < size)
    return whole.sum(), partly.sum()
