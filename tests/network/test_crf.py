"""The CRF against the enumeration of all paths."""

import itertools

import keras
import numpy as np
import pytest
from keras import ops

from modeling.network.crf import Crf
from modeling.network.tag_chains import (
    Allowed,
    Layout,
    Scores,
    log_likelihood,
    marginals,
    viterbi,
)

K = 3


def random_scores(rng, allowed=None):
    if allowed is None:
        allowed = Allowed.everything(K)
    parts = [rng.normal(size=part.shape) for part in allowed]
    return Scores(
        *(np.where(a, p, -1e9) for a, p in zip(allowed, parts, strict=True))
    )


def score(path, emissions, scores, begins, closes):
    """Of one path over the words of one row, by definition."""
    total = sum(emissions[t, tag] for t, tag in enumerate(path))
    for t, tag in enumerate(path):
        if begins[t]:
            total += scores.starts[tag]
            if t:
                total += scores.ends[path[t - 1]]
        elif t:
            total += scores.transitions[path[t - 1], tag]
    if len(path) and closes[-1]:
        total += scores.ends[path[-1]]
    return total


def enumerate_row(emissions, mask, begins, closes, scores):
    """Logarithm of all paths' sum, and the best of them."""
    kept = mask.astype(bool)
    emissions, begins, closes = emissions[kept], begins[kept], closes[kept]
    paths = list(itertools.product(range(K), repeat=len(emissions)))
    totals = [score(p, emissions, scores, begins, closes) for p in paths]
    best = paths[int(np.argmax(totals))]
    return np.logaddexp.reduce(totals), best


def batch(rng, rows=6, length=5):
    """Rows with gaps, of several sentences, of parts, and one of nothing."""
    emissions = rng.normal(size=(rows, length, K))
    tags = rng.integers(0, K, (rows, length))
    mask = rng.integers(0, 2, (rows, length))
    mask[0], mask[-1] = 1, 0
    begins = rng.integers(0, 2, (rows, length))
    closes = rng.integers(0, 2, (rows, length))
    return emissions, tags, mask, begins, closes


def plain_flags(mask):
    """What stands for one whole sentence a row."""
    begins, closes = np.zeros_like(mask), np.zeros_like(mask)
    for row, words in enumerate(mask):
        found = np.flatnonzero(words)
        if len(found):
            begins[row, found[0]] = closes[row, found[-1]] = 1
    return begins, closes


def test_marginals_are_shares_of_all_paths():
    rng = np.random.default_rng(6)
    emissions, _, mask, begins, closes = batch(rng, rows=12)
    transitions = np.ones((K, K), bool)
    transitions[0, 1] = False
    scores = random_scores(
        rng, Allowed.everything(K)._replace(transitions=transitions)
    )
    found = np.asarray(
        marginals(
            emissions.astype("float32"), Layout(mask, begins, closes), scores
        )
    )
    assert not found[mask == 0].any()
    for row in range(12):
        kept = mask[row].astype(bool)
        flags = begins[row, kept], closes[row, kept]
        paths = list(itertools.product(range(K), repeat=kept.sum()))
        totals = [score(p, emissions[row, kept], scores, *flags) for p in paths]
        shares = np.exp(totals - np.logaddexp.reduce(totals))
        expected = np.zeros((kept.sum(), K))
        for path, share in zip(paths, shares, strict=True):
            expected[np.arange(len(path)), list(path)] += share
        np.testing.assert_allclose(found[row, kept], expected, atol=1e-5)


@pytest.mark.parametrize("with_flags", [False, True])
def test_likelihood_is_that_of_all_paths(with_flags):
    rng = np.random.default_rng(0)
    emissions, tags, mask, begins, closes = batch(rng, rows=12)
    scores = random_scores(rng)
    layout = Layout(mask, begins, closes) if with_flags else Layout(mask)
    if not with_flags:
        begins, closes = plain_flags(mask)
    found = log_likelihood(emissions.astype("float32"), tags, layout, scores)
    for row in range(12):
        kept = mask[row].astype(bool)
        total, _ = enumerate_row(
            emissions[row], mask[row], begins[row], closes[row], scores
        )
        expected = -total + score(
            tags[row][kept],
            emissions[row][kept],
            scores,
            begins[row][kept],
            closes[row][kept],
        )
        if not kept.any():
            expected = 0.0
        np.testing.assert_allclose(found[row], expected, atol=2e-5)


@pytest.mark.parametrize("with_flags", [False, True])
def test_viterbi_finds_the_best_path(with_flags):
    rng = np.random.default_rng(1)
    emissions, _, mask, begins, closes = batch(rng, rows=40)
    scores = random_scores(rng)
    layout = Layout(mask, begins, closes) if with_flags else Layout(mask)
    if not with_flags:
        begins, closes = plain_flags(mask)
    found = ops.convert_to_numpy(
        viterbi(emissions.astype("float32"), layout, scores)
    )
    assert found.dtype == np.int32
    for row in range(40):
        _, best = enumerate_row(
            emissions[row], mask[row], begins[row], closes[row], scores
        )
        kept = mask[row].astype(bool)
        assert tuple(found[row][kept]) == best
        assert not found[row][~kept].any()


def test_sentences_of_a_row_are_as_if_they_stood_alone():
    rng = np.random.default_rng(2)
    emissions = rng.normal(size=(1, 7, K)).astype("float32")
    tags = rng.integers(0, K, (1, 7))
    scores = random_scores(rng)
    ones = np.ones((1, 7))
    begins = np.array([[1, 0, 0, 1, 1, 0, 0]])
    closes = np.array([[0, 0, 1, 1, 0, 0, 1]])
    whole = log_likelihood(
        emissions, tags, Layout(ones, begins, closes), scores
    )
    parts = [slice(0, 3), slice(3, 4), slice(4, 7)]
    alone = [
        log_likelihood(emissions[:, p], tags[:, p], Layout(ones[:, p]), scores)
        for p in parts
    ]
    np.testing.assert_allclose(
        whole[0], sum(ops.convert_to_numpy(a)[0] for a in alone), rtol=1e-5
    )
    best = viterbi(emissions, Layout(ones, begins, closes), scores)
    alone = [
        viterbi(emissions[:, p], Layout(ones[:, p]), scores) for p in parts
    ]
    np.testing.assert_array_equal(best, np.concatenate(alone, axis=1))


def test_what_is_forbidden_has_no_share():
    """0 is O, 1 is B, 2 is I: I follows B or I only."""
    allowed = Allowed(
        np.array([[1, 1, 0], [1, 1, 1], [1, 1, 1]], bool),
        np.array([1, 1, 0], bool),
        np.ones(K, bool),
    )
    rng = np.random.default_rng(3)
    crf = Crf(allowed)
    crf.build()
    for weight in crf.weights:
        weight.assign(rng.normal(size=weight.shape))
    emissions = rng.normal(size=(1, 4, K)).astype("float32")
    emissions[:, :, 2] += 5  # The best tags of single words are not legal.
    paths = np.array(list(itertools.product(range(K), repeat=4)))
    shares = crf.log_likelihood(
        np.tile(emissions, (len(paths), 1, 1)), paths, Layout(paths >= 0)
    )
    shares = np.exp(ops.convert_to_numpy(shares))
    before = np.pad(paths, ((0, 0), (1, 0)))[:, :-1]
    is_legal = ~np.any((before == 0) & (paths == 2), axis=1)
    assert not shares[~is_legal].any() and np.any(~is_legal)
    np.testing.assert_allclose(shares[is_legal].sum(), 1.0, rtol=1e-5)
    layout = Layout(np.ones((1, 4)))
    assert ops.convert_to_numpy(crf(emissions, layout)).tolist() == [
        [1, 2, 2, 2]
    ]
    # Also for a classifier that has learned no such scores.
    best = viterbi(emissions, layout, Scores.neutral(allowed))
    assert ops.convert_to_numpy(best)[0, 0] != 2


def likelihood_of(parameters, inputs):
    """A function of everything that has a gradient, in float32."""
    emissions, *scores = parameters
    tags, *flags = inputs
    values = log_likelihood(emissions, tags, Layout(*flags), Scores(*scores))
    return ops.sum(values)


def gradients(parameters, inputs, jit):
    if keras.backend.backend() == "jax":
        import jax

        function = jax.grad(likelihood_of)
        return (jax.jit(function) if jit else function)(parameters, inputs)
    import tensorflow as tf

    @tf.function(jit_compile=jit)
    def run(parameters, inputs):
        with tf.GradientTape() as tape:
            tape.watch(parameters)
            value = likelihood_of(parameters, inputs)
        return tape.gradient(value, parameters)

    return run(list(map(tf.constant, parameters)), inputs)


@pytest.mark.parametrize("jit", [False, True])
def test_gradients_are_differences(jit):
    rng = np.random.default_rng(4)
    emissions, *inputs = batch(rng)
    parameters = [emissions, *random_scores(rng)]
    parameters = [p.astype("float32") for p in parameters]
    found = gradients(parameters, inputs, jit)
    for index, gradient in enumerate(found):
        direction = rng.normal(size=gradient.shape)
        step = 1e-2
        values = []
        for sign in (1, -1):
            moved = list(parameters)
            moved[index] = parameters[index] + sign * step * direction
            moved = [p.astype("float32") for p in moved]
            values.append(float(likelihood_of(moved, inputs)))
        difference = (values[0] - values[1]) / (2 * step)
        along = float(np.sum(ops.convert_to_numpy(gradient) * direction))
        np.testing.assert_allclose(along, difference, rtol=2e-3, atol=2e-3)


def test_gradient_of_emissions_is_tags_less_their_probabilities():
    rng = np.random.default_rng(5)
    emissions = rng.normal(size=(1, 4, K)).astype("float32")
    tags = np.array([[0, 2, 1, 1]])
    scores = random_scores(rng)
    inputs = (tags, np.ones((1, 4)), None, None)
    parameters = [emissions, *(p.astype("float32") for p in scores)]
    found = ops.convert_to_numpy(gradients(parameters, inputs, False)[0])
    ones = np.ones(4)
    total, _ = enumerate_row(emissions[0], ones, *plain_row(4), scores)
    expected = np.eye(K)[tags[0]]
    for path in itertools.product(range(K), repeat=4):
        share = score(path, emissions[0], scores, *plain_row(4)) - total
        expected = expected - np.exp(share) * np.eye(K)[list(path)]
    np.testing.assert_allclose(found[0], expected, atol=1e-5)


def plain_row(length):
    return np.eye(length)[0], np.eye(length)[-1]


@pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="TensorFlow's compiler"
)
@pytest.mark.parametrize("jit", [False, True])
def test_shapes_may_be_unknown_and_compiled(jit):
    import tensorflow as tf

    rng = np.random.default_rng(6)
    scores = Scores(*(p.astype("float32") for p in random_scores(rng)))

    @tf.function(
        jit_compile=jit,
        input_signature=[
            tf.TensorSpec([None, None, K], tf.float32),
            *[tf.TensorSpec([None, None], tf.int64)] * 4,
        ],
    )
    def run(emissions, tags, *flags):
        layout = Layout(*flags)
        with tf.GradientTape() as tape:
            tape.watch(emissions)
            value = log_likelihood(emissions, tags, layout, scores)
        return (
            value,
            viterbi(emissions, layout, scores),
            tape.gradient(value, emissions),
        )

    for length in (3, 6):
        emissions, *others = batch(rng, length=length)
        emissions = emissions.astype("float32")
        value, best, gradient = run(emissions, *others)
        layout = Layout(*others[1:])
        np.testing.assert_allclose(
            value,
            log_likelihood(emissions, others[0], layout, scores),
            atol=1e-5,
        )
        np.testing.assert_array_equal(best, viterbi(emissions, layout, scores))
        assert np.isfinite(gradient).all() and np.any(gradient)
