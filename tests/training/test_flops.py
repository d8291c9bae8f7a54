"""Operations of a step against sums by hand."""

import pytest

from modeling.config import BertConfig
from modeling.training import flops


def test_operations_of_a_small_step():
    config = BertConfig(
        vocab_size=100,
        hidden_size=4,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=8,
    )
    # A token of a block: query, key, value and output 4 * 2 * 16 = 128, the
    # feed-forward layers 2 * 2 * 32 = 128, attention to 5 tokens in 2 heads of
    # size 2: scores and context 2 * 2 * (5 * 2) * 2 = 80.
    blocks = 2 * (3 * 5) * (128 + 128 + 80)
    # A prediction: transform 2 * 16, decoder 2 * 4 * 100.
    words = (3 * 2) * (32 + 800)
    # A row: pooler 2 * 16, two classes 2 * 4 * 2.
    pairs = 3 * (32 + 16)
    assert flops.training_flops(config, rows=3, length=5, predictions=2) == (
        3 * (blocks + words + pairs)
    )


def test_bert_base():
    config = BertConfig(vocab_size=30522, type_vocab_size=2)
    # Its 85 million weights in blocks, six operations each and token.
    blocks = 6 * 84_934_656 * 8 * 128
    total = flops.training_flops(config, rows=8, length=128, predictions=20)
    # Attention is 2.8% of that, the decoder at 20 of 128 positions 4.3%.
    assert blocks * 1.06 < total < blocks * 1.08


def test_ceiling_is_the_best_of_growing_products(monkeypatch):
    """Against a device of 1 TFLOP/s at the best, slower in small products."""
    sizes, now = [], [0.0]

    def seconds(left, right, repeats):
        (rows, size), width = left.shape, right.shape[1]
        sizes.append(rows)
        rate = 1e12 if rows >= 4096 else 1e11
        taken = repeats * 2 * rows * size * width / rate
        now[0] += taken
        return taken

    monkeypatch.setattr(flops, "_seconds", seconds)
    monkeypatch.setattr(flops.time, "perf_counter", lambda: now[0])
    assert flops.matrix_product_ceiling("float32") == pytest.approx(1e12)
    assert sizes == sorted(sizes) and len(set(sizes)) > 1
    assert 0.5 <= now[0] < 1.0


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_ceiling_of_this_machine(dtype):
    # No computer since 2000 is below, none to come above.
    assert 1e8 < flops.matrix_product_ceiling(dtype) < 1e17
