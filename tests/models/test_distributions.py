"""Oracles: Monte Carlo, quadrature over the simplex, finite differences."""

import numpy as np
import pytest
import scipy.special
import scipy.stats
import tensorflow as tf
import tensorflow_probability as tfp
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from cvae.models import LogisticNormal
from cvae.models.distributions import (
    between,
    diagonal_normal,
    independent_bernoulli,
    nothing,
    standard_normal,
)

tfd = tfp.distributions

COORDINATES = ("additive", "isometric")
LOC, SCALE = np.float32([0.7, -0.4]), np.float32([1.3, 0.6])


@pytest.fixture(scope="module", params=COORDINATES)
def logistic_normal(request):
    return LogisticNormal(LOC, SCALE, request.param)


def log_density(w, loc, scale, coordinates):
    """Log-density at w (..., K), in NumPy, by the change of variables.

    The isometric coordinates are an orthonormal basis: they stretch the additive ones' volume by
    1 / sqrt(K) all over.
    """
    log_w = np.log(np.asarray(w, float))
    y, log_volume = log_w[..., :-1] - log_w[..., -1:], 0.0
    if coordinates == "isometric":
        y, log_volume = log_w @ basis(w.shape[-1]), -0.5 * np.log(w.shape[-1])
    normals = -0.5 * ((y - loc) / scale) ** 2 - np.log(scale) - 0.5 * np.log(2 * np.pi)
    return normals.sum(axis=-1) - log_w.sum(axis=-1) + log_volume


def basis(classes):
    """V (K, K - 1) of ``w = softmax(V y)``, as the modes at the unit vectors show it."""
    units = np.eye(classes - 1, dtype=np.float32)
    log_w = np.log(LogisticNormal(units, np.ones_like(units), "isometric").mode())
    return (log_w - log_w.mean(axis=1, keepdims=True)).T


def simplex_grid(classes, cells):
    """Midpoints of equal cells of the first K - 1 probabilities inside the simplex; their area."""
    axis = (np.arange(cells) + 0.5) / cells
    inner = np.stack(np.meshgrid(*[axis] * (classes - 1), indexing="ij"), -1)
    inner = inner.reshape(-1, classes - 1)
    inner = inner[inner.sum(axis=1) < 1 - 1e-6]
    return np.concatenate([inner, 1 - inner.sum(axis=1, keepdims=True)], 1), cells ** (1 - classes)


@pytest.mark.parametrize("classes", [2, 3, 10])
def test_isometric_coordinates_are_an_orthonormal_basis(classes):
    v = basis(classes)
    np.testing.assert_allclose(v.T @ v, np.eye(classes - 1), atol=1e-5)
    np.testing.assert_allclose(v.sum(axis=0), np.zeros(classes - 1), atol=1e-5)


def test_isometric_coordinates_treat_all_classes_alike():
    """Permuting the classes leaves the standard distribution as it is; in additive ones not."""
    w = np.random.default_rng(0).dirichlet([1.0] * 4, 20).astype(np.float32)
    standard = {c: LogisticNormal(np.zeros(3, "f"), np.ones(3, "f"), c) for c in COORDINATES}
    turned = np.roll(w, 1, axis=1)
    isometric, additive = standard["isometric"], standard["additive"]
    np.testing.assert_allclose(isometric.log_prob(w), isometric.log_prob(turned), atol=1e-4)
    assert np.max(np.abs(additive.log_prob(w) - additive.log_prob(turned))) > 0.1
    np.testing.assert_allclose(isometric.mean(draws=100_000), np.full(4, 0.25), atol=0.005)


@pytest.mark.parametrize("coordinates", COORDINATES)
@pytest.mark.parametrize(("classes", "cells"), [(2, 4000), (3, 400)])
def test_density_integrates_to_one(classes, cells, coordinates):
    w, area = simplex_grid(classes, cells)
    d = LogisticNormal(LOC[: classes - 1], SCALE[: classes - 1], coordinates)
    density = np.exp(d.log_prob(w.astype(np.float32)).numpy())
    assert density.sum() * area == pytest.approx(1, abs=0.005)
    # The mean by the same quadrature: the density is right in place, not only in total.
    mean = (density[:, None] * w).sum(axis=0) * area
    np.testing.assert_allclose(d.mean(draws=200_000), mean, atol=0.005)


def test_log_prob_is_the_change_of_variables_formula(logistic_normal):
    w = np.float32([[0.2, 0.5, 0.3], [0.01, 0.01, 0.98], [0.9, 0.05, 0.05]])
    expected = log_density(w, LOC, SCALE, logistic_normal.coordinates)
    np.testing.assert_allclose(logistic_normal.log_prob(w), expected, rtol=1e-4)
    np.testing.assert_allclose(logistic_normal.prob(w), np.exp(expected), rtol=1e-3)


def test_log_prob_against_the_bijector_is_the_documented_half_log_k(logistic_normal):
    w = logistic_normal.sample(50, seed=(1, 2)).numpy()  # NumPy: not from the bijector's cache
    plain = tfd.TransformedDistribution(logistic_normal.distribution, logistic_normal.bijector)
    difference = logistic_normal.log_prob(w) - plain.log_prob(w)
    np.testing.assert_allclose(difference, np.full(50, np.log(3) / 2), atol=1e-3)


def test_log_prob_with_the_sample_is_log_prob_of_the_sample(logistic_normal):
    w, log_prob = logistic_normal.experimental_sample_and_log_prob(20, seed=(1, 2))
    np.testing.assert_allclose(log_prob, logistic_normal.log_prob(w.numpy()), atol=1e-4)


@pytest.mark.parametrize("corner", [[1, 0, 0], [0, 1, 0], [0, 0, 1], [0.5, 0.5, 0], [0, 0.5, 0.5]])
def test_corners_and_edges_have_a_finite_density_and_gradient(logistic_normal, corner):
    w = tf.constant(corner, tf.float32)
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(w)
        log_prob = logistic_normal.log_prob(w)
    assert np.isfinite(log_prob)
    assert np.all(np.isfinite(tape.gradient(log_prob, w)))
    assert log_prob < logistic_normal.log_prob([0.3, 0.3, 0.4])


@pytest.mark.parametrize("coordinates", COORDINATES)
def test_corner_gradient_with_respect_to_the_parameters(coordinates):
    loc, scale = tf.Variable(LOC), tf.Variable(SCALE)
    with tf.GradientTape() as tape:
        log_prob = LogisticNormal(loc, scale, coordinates).log_prob([1.0, 0.0, 0.0])
    for gradient in tape.gradient(log_prob, [loc, scale]):
        assert np.all(np.isfinite(gradient))
        assert np.all(gradient != 0)


@settings(max_examples=30, deadline=None)
@given(
    arrays(np.float32, (2,), elements=st.floats(-200, 200, width=32)),
    arrays(np.float32, (2,), elements=st.floats(2**-7, 8, width=32)),
    st.sampled_from(COORDINATES),
)
def test_own_samples_have_finite_densities(loc, scale, coordinates):
    d = LogisticNormal(loc, scale, coordinates)
    w = d.sample(5, seed=(0, 1)).numpy()
    np.testing.assert_allclose(w.sum(axis=-1), 1, atol=1e-5)
    assert np.all(np.isfinite(d.log_prob(w)))
    for summary in (d.mean(), d.mode()):
        assert np.all(np.isfinite(summary)) and np.sum(summary) == pytest.approx(1, abs=1e-5)


def test_kl_is_that_of_the_normals_and_agrees_with_monte_carlo(logistic_normal):
    other = LogisticNormal([0.0, 0.5], [1.0, 1.5], logistic_normal.coordinates)
    kl = tfd.kl_divergence(logistic_normal, other)
    ratio = SCALE / np.array([1.0, 1.5])
    shift = (LOC - np.array([0.0, 0.5])) / np.array([1.0, 1.5])
    closed_form = 0.5 * np.sum(ratio**2 + shift**2 - 1 - 2 * np.log(ratio))
    assert float(kl) == pytest.approx(closed_form, rel=1e-5)
    w = logistic_normal.sample(100_000, seed=(3, 4)).numpy()
    log_ratio = logistic_normal.log_prob(w) - other.log_prob(w)
    error = np.std(log_ratio) / np.sqrt(len(w))
    assert float(kl) == pytest.approx(np.mean(log_ratio), abs=4 * error)
    assert float(tfd.kl_divergence(logistic_normal, logistic_normal)) == 0


def test_kl_between_coordinates_is_refused():
    q, p = (LogisticNormal(LOC, SCALE, coordinates) for coordinates in COORDINATES)
    with pytest.raises(NotImplementedError, match="additive"):
        tfd.kl_divergence(q, p)


def test_unknown_coordinates_are_named():
    with pytest.raises(ValueError, match=r"\Acoordinates: [^\n]+isometric\Z"):
        LogisticNormal(LOC, SCALE, "polar")


def test_kl_of_a_batch():
    q = LogisticNormal(tf.zeros([5, 2]), tf.ones([5, 2]))
    assert tfd.kl_divergence(q, LogisticNormal([1.0, 0.0], [1.0, 1.0])).shape == (5,)


def test_mean_is_a_monte_carlo_mean_within_its_documented_error(logistic_normal):
    samples = logistic_normal.sample(500_000, seed=(5, 6)).numpy()
    truth = samples.mean(axis=0, dtype=float)
    for draws in (100, 1000, 10_000):
        seeds = [(0, 0), (1, 2), (3, 4), (5, 6), (7, 8)]
        estimates = np.array([logistic_normal.mean(draws=draws, seed=seed) for seed in seeds])
        assert np.sqrt(np.mean((estimates - truth) ** 2)) < 0.5 / np.sqrt(draws)


def test_mean_is_the_same_at_each_call_and_depends_on_its_seed(logistic_normal):
    assert np.array_equal(logistic_normal.mean(), logistic_normal.mean())
    assert not np.array_equal(logistic_normal.mean(seed=(0, 0)), logistic_normal.mean(seed=(0, 1)))


@pytest.mark.parametrize("coordinates", COORDINATES)
def test_mean_and_mode_of_a_symmetric_distribution(coordinates):
    d = LogisticNormal([0.0], [3.0], coordinates)  # the mean is exact, as the pairs are mirrored
    np.testing.assert_allclose(d.mean(), [0.5, 0.5], atol=1e-6)
    np.testing.assert_allclose(d.mode(), [0.5, 0.5], atol=1e-6)


@pytest.mark.parametrize("coordinates", COORDINATES)
def test_narrow_distribution_has_its_mean_at_its_mode(coordinates):
    d = LogisticNormal(LOC, [1e-3, 1e-3], coordinates)
    weights = np.exp([*LOC, 0] if coordinates == "additive" else basis(3) @ LOC)
    np.testing.assert_allclose(d.mode(), weights / weights.sum(), rtol=1e-4)
    np.testing.assert_allclose(d.mean(), d.mode(), atol=1e-5)


def test_median_of_each_log_ratio_is_that_of_the_mode(logistic_normal):
    w = logistic_normal.sample(100_000, seed=(1, 1)).numpy()
    mode = logistic_normal.mode().numpy()
    medians = np.median(np.log(w[:, :2] / w[:, 2:]), axis=0)
    np.testing.assert_allclose(medians, np.log(mode[:2] / mode[2]), atol=0.03)


@pytest.mark.parametrize("draws", [1, 2, 3])
def test_mean_of_few_draws_is_still_a_point_of_the_simplex(logistic_normal, draws):
    assert np.sum(logistic_normal.mean(draws=draws)) == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("coordinates", COORDINATES)
def test_shapes(coordinates):
    d = LogisticNormal(tf.zeros([4, 3, 9]), tf.ones([4, 3, 9]), coordinates)
    assert d.event_shape == (10,) and d.batch_shape == (4, 3)
    assert d.sample(6, seed=(0, 0)).shape == (6, 4, 3, 10)
    assert d.log_prob(d.sample(6, seed=(0, 0))).shape == (6, 4, 3)
    assert d.mean().shape == d.mode().shape == (4, 3, 10)


@pytest.mark.parametrize("coordinates", COORDINATES)
def test_parameters_broadcast(coordinates):
    d = LogisticNormal([0.0, 1.0], tf.ones([5, 2]), coordinates)
    assert d.batch_shape == (5,)
    assert d.mean().shape == d.mode().shape == (5, 3)
    d = LogisticNormal(tf.zeros([5, 2]), [1.0, 1.0], coordinates)
    assert d.mean().shape == d.mode().shape == (5, 3)


@pytest.mark.parametrize("coordinates", COORDINATES)
def test_double_precision(coordinates):
    d = LogisticNormal(np.zeros(2), np.ones(2), coordinates)
    assert d.mean().dtype == d.mode().dtype == d.sample(seed=(0, 0)).dtype == tf.float64
    assert np.isfinite(d.log_prob(np.array([1.0, 0.0, 0.0])))


@pytest.mark.parametrize("coordinates", COORDINATES)
def test_slicing_and_copying(coordinates):
    loc = np.arange(12, dtype=np.float32).reshape(2, 3, 2)
    d = LogisticNormal(loc, np.ones_like(loc), coordinates)
    assert d[1].batch_shape == (3,) and d[:, 1:].batch_shape == (2, 2)
    np.testing.assert_allclose(d[1, 2].mode(), d.mode()[1, 2], rtol=1e-5)
    moved = d.copy(loc=loc + 1)
    for derived in (moved, d[0]):
        assert isinstance(derived, LogisticNormal) and derived.coordinates == coordinates
    np.testing.assert_array_equal(moved.distribution.mean(), loc + 1)
    np.testing.assert_array_equal(moved.distribution.stddev(), np.ones_like(loc))


@pytest.mark.parametrize("coordinates", COORDINATES)
def test_samples_are_reparameterised(coordinates):
    """The gradient through the sample is that of finite differences with the same seed."""
    target = np.array([1.0, -2.0, 0.5])
    d = LogisticNormal(LOC, SCALE, coordinates)
    assert d.reparameterization_type == tfd.FULLY_REPARAMETERIZED

    def mean_payoff(loc, scale):
        w = LogisticNormal(loc, scale, coordinates).sample(2000, seed=(8, 9))
        return tf.reduce_mean(tf.reduce_sum(w * target, axis=-1))

    loc, scale = tf.Variable(LOC.astype(float)), tf.Variable(SCALE.astype(float))
    with tf.GradientTape() as tape:
        value = mean_payoff(loc, scale)
    gradients = np.concatenate(tape.gradient(value, [loc, scale]))
    step, parameters = 1e-5, np.concatenate([LOC, SCALE]).astype(float)
    for i, gradient in enumerate(gradients):
        moves = np.zeros(4)
        moves[i] = step
        up, down = (mean_payoff(*np.split(parameters + s * moves, 2)) for s in (1, -1))
        assert gradient == pytest.approx(float(up - down) / (2 * step), rel=1e-5)


@pytest.mark.parametrize("coordinates", COORDINATES)
def test_compiled_by_xla_it_gives_the_same(coordinates):
    def everything(loc, scale, w):
        d = LogisticNormal(loc, scale, coordinates)
        kl = tfd.kl_divergence(d, LogisticNormal(tf.zeros(2), tf.ones(2), coordinates))
        corner = d.log_prob([[1.0, 0.0, 0.0]])
        return d.log_prob(w), corner, kl, d.mean(), d.mode()

    @tf.function(jit_compile=True)
    def compiled(loc, scale):
        d = LogisticNormal(loc, scale, coordinates)
        w, log_prob = d.experimental_sample_and_log_prob(1000, seed=(1, 2))
        return w, log_prob, everything(loc, scale, w)

    w, log_prob, got = compiled(LOC, SCALE)  # other random numbers than outside a compiled program
    d = LogisticNormal(LOC, SCALE, coordinates)
    np.testing.assert_allclose(np.mean(w, axis=0), d.mean(), atol=0.04)
    np.testing.assert_allclose(log_prob, d.log_prob(w.numpy()), atol=1e-3)
    for a, b in zip(got, everything(LOC, SCALE, w.numpy()), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-3)


def test_diagonal_normal_reads_means_then_log_variances():
    d = diagonal_normal(tf.constant([[1.0, 2.0, 0.0, np.log(9.0)]]))
    np.testing.assert_allclose(d.mean(), [[1, 2]])
    np.testing.assert_allclose(d.stddev(), [[1, 3]], rtol=1e-6)


def test_independent_bernoulli_is_one_event_of_float_coins():
    d = independent_bernoulli(tf.constant([[0.0, np.log(3.0)], [-100.0, 100.0]]))
    assert d.event_shape == (2,) and d.batch_shape == (2,)
    sample = d.sample(seed=(0, 0))
    assert sample.dtype == tf.float32 and np.array_equal(sample[1], [0, 1])
    np.testing.assert_allclose(d.log_prob([0.0, 1.0])[0], np.log(0.5 * 0.75), rtol=1e-6)


def test_nothing_is_empty_and_costs_nothing():
    d = nothing([4])
    assert d.event_shape == (0,) and d.batch_shape == (4,)
    assert d.sample(seed=(0, 0)).shape == d.mean().shape == (4, 0)
    np.testing.assert_array_equal(tfd.kl_divergence(d, nothing([])), np.zeros(4))


@pytest.mark.parametrize("batch", [(), (4,), (4, 3)])
def test_standard_normal(batch):
    d = standard_normal(tf.constant(batch, tf.int32), 2)
    assert d.batch_shape == batch and d.event_shape == (2,)
    z = np.random.default_rng(0).normal(size=(*batch, 2)).astype(np.float32)
    expected = -0.5 * np.sum(z**2, axis=-1) - np.log(2 * np.pi)
    np.testing.assert_allclose(d.log_prob(z), expected, rtol=1e-5)
    like = diagonal_normal(tf.zeros((*batch, 4)))
    np.testing.assert_allclose(tfd.kl_divergence(d, like), np.zeros(batch), atol=1e-6)


@pytest.mark.parametrize("level", [0.5, 0.9])
def test_credible_interval_of_two_classes_in_closed_form(level):
    """With K = 2, w is the logistic function of a normal, whose quantiles are known."""
    loc, scale = np.float32([0.4]), np.float32([0.8])
    w = LogisticNormal(loc, scale)
    low, high = w.credible_interval(level, draws=40_000).numpy()
    quantiles = scipy.special.expit(
        scipy.stats.norm(0.4, 0.8).ppf([(1 - level) / 2, (1 + level) / 2])
    )
    np.testing.assert_allclose([low[0], high[0]], quantiles, atol=0.01)
    np.testing.assert_allclose([low[1], high[1]], 1 - quantiles[::-1], atol=0.01)


@pytest.mark.parametrize("level", [0.0, 1.0, 90])
def test_credible_interval_refuses_another_level(level):
    with pytest.raises(ValueError, match=r"\Alevel: [^\n]+\Z"):
        LogisticNormal([0.0], [1.0]).credible_interval(level)


@pytest.mark.parametrize("coordinates", ["additive", "isometric"])
def test_leading_of_two_classes_in_closed_form(coordinates):
    w = LogisticNormal(np.float32([[0.4], [-1.0]]), np.float32([[0.8], [2.0]]), coordinates)
    expected = scipy.stats.norm.cdf([0.5, -0.5])
    np.testing.assert_allclose(w.leading(draws=40_000)[:, 0], expected, atol=0.01)
    np.testing.assert_allclose(tf.reduce_sum(w.leading(), axis=-1), [1, 1], rtol=1e-5)


# The way between two points of the simplex


@pytest.mark.parametrize("coordinates", COORDINATES)
def test_the_way_between_two_points_is_straight_in_log_ratios(coordinates):
    normal = LogisticNormal(LOC, SCALE, coordinates)
    start, end = np.float32([[0.7, 0.2, 0.1], [0.05, 0.05, 0.9]])
    shares = np.linspace(0, 1, 5)
    y = normal.bijector.inverse(between(start, end, shares)).numpy()
    np.testing.assert_allclose(y, y[0] + shares[:, None] * (y[-1] - y[0]), atol=1e-5)
    np.testing.assert_allclose(between(start, end, 0.0), start, atol=1e-6)
    np.testing.assert_allclose(between(start, end, 1.0), end, atol=1e-6)


def test_between_far_points_nothing_overflows():
    w = between([1e-300, 1.0], [1.0, 1e-300], [0.0, 0.5, 1.0])
    np.testing.assert_allclose(w, [[0, 1], [0.5, 0.5], [1, 0]], atol=1e-6)


@pytest.mark.parametrize("corner", [[1, 0], [1.2, -0.2], [float("nan"), 1]])
def test_there_is_no_way_from_a_corner(corner):
    for name, ends in {"start": (corner, [0.5, 0.5]), "end": ([0.5, 0.5], corner)}.items():
        with pytest.raises(ValueError, match=rf"\A{name}: [^\n]+\Z"):
            between(*ends, 0.5)
