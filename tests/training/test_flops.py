"""What a device can do in large matrix products."""

import functools

import pytest
import tensorflow as tf

from modeling.training import flops


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


def test_where_memory_ends_smaller_products_count(monkeypatch):
    def seconds(left, right, repeats):
        if left.shape[0] > 4096:
            raise tf.errors.ResourceExhaustedError(None, None, "no room")
        return repeats * 1e-3

    monkeypatch.setattr(flops, "_seconds", seconds)
    # 4096 x 768 by 768 x 3072 in a millisecond.
    expected = 2 * 4096 * 768 * 3072 / 1e-3
    assert flops.matrix_product_ceiling("float32") == pytest.approx(expected)


def test_the_ceiling_is_measured_once_for_all_trainings(monkeypatch):
    measured = []
    monkeypatch.setattr(
        flops,
        "_known_ceiling",
        functools.cache(lambda dtype: measured.append(dtype) or 5.0),
    )
    strategy = tf.distribute.get_strategy()
    for dtype in ("float32", "float32", "bfloat16"):
        assert flops.device_ceiling(strategy, dtype) == 5.0
    assert measured == ["float32", "bfloat16"]


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_ceiling_of_this_machine(dtype):
    # No computer since 2000 is below, none to come above.
    assert 1e8 < flops.matrix_product_ceiling(dtype) < 1e17
