"""The VAE with one latent dimension, where quadrature gives every quantity exactly."""

import numpy as np
import pytest
import tensorflow as tf

from cvae.models import VAE

P = 5
X = np.float32([1, 0, 1, 1, 0])
X_PREV = np.float32([0, 1, 1, 0, 1])
KEY = np.int32(0)
GRID = np.linspace(-9, 9, 6001)
CELL = GRID[1] - GRID[0]
NO_W = np.zeros((1, 0), np.float32)

KINDS = {
    "plain": {},
    "use_x_prev": {"use_x_prev": True},
    "predict_next": {"predict_next": True},
}


@pytest.fixture(scope="module", params=KINDS)
def model(request, shaken):
    return shaken(VAE(pitches=P, latent_dim=1, hidden_dim=8, **KINDS[request.param]))


def column(values):
    return np.float32(values)[:, None]


def repeated(row, times=GRID.size):
    return np.broadcast_to(row, (times, *row.shape))


def log_normal(z, loc=0.0, scale=1.0):
    return -0.5 * ((z - loc) / scale) ** 2 - np.log(scale) - 0.5 * np.log(2 * np.pi)


def log_joint(model):
    """Log of p(z) p(x | z, x_prev) on the grid, in NumPy from the decoder's log-odds."""
    inputs = [column(GRID)] + ([repeated(X_PREV)] if model.use_x_prev else [])
    logits = model.decoder(np.concatenate(inputs, 1)).numpy().astype(float)
    return log_normal(GRID) + np.sum(X * logits - np.logaddexp(0, logits), axis=1)


def posterior(model):
    """Mean and standard deviation of q(z | x), in NumPy from the encoder's output."""
    observed = X_PREV if model.predict_next else X
    mean, log_variance = model.encoder(observed[None]).numpy()[0].astype(float)
    return mean, np.exp(0.5 * log_variance)


def many_bounds(model, draws=20_000):
    data = repeated(X, draws), repeated(X_PREV, draws), repeated(KEY, draws)
    return model.elbo(*data, seed=(1, 2))


def test_bound_in_expectation_by_quadrature(model):
    """It is log p(x) less KL(q(z | x) || p(z | x)), so never above log p(x)."""
    joint = log_joint(model)
    evidence = np.log(np.sum(np.exp(joint)) * CELL)
    log_q = log_normal(GRID, *posterior(model))
    gap = np.sum(np.exp(log_q) * (log_q - joint + evidence)) * CELL
    bounds = many_bounds(model).bound.numpy().astype(float)
    error = bounds.std() / np.sqrt(len(bounds))
    assert gap > 0.01
    assert bounds.mean() == pytest.approx(evidence - gap, abs=4 * error)
    assert bounds.mean() < evidence + 4 * error


def test_kl_z_in_closed_form(model):
    mean, scale = posterior(model)
    expected = 0.5 * (mean**2 + scale**2 - 1) - np.log(scale)
    elbo = many_bounds(model, draws=3)
    np.testing.assert_allclose(elbo.kl_z, np.full(3, expected), rtol=1e-4)


def test_a_model_without_classes_pays_nothing_for_them(model):
    elbo = many_bounds(model, draws=3)
    np.testing.assert_array_equal(elbo.kl_w, np.zeros(3))
    np.testing.assert_array_equal(elbo.log_key, np.zeros(3))


def test_kl_is_zero_where_encoder_and_prior_agree():
    model = VAE(pitches=P, latent_dim=3, hidden_dim=8)
    for variable in model.encoder.trainable_variables:
        variable.assign(tf.zeros_like(variable))
    np.testing.assert_allclose(many_bounds(model, draws=2).kl_z, [0, 0], atol=1e-6)


def gradients(model, of):
    x, x_prev = (tf.Variable(repeated(row, 4)) for row in (X, X_PREV))
    with tf.GradientTape() as tape:
        term = getattr(model.elbo(x, x_prev, repeated(KEY, 4), seed=(1, 2)), of)
    none = tf.UnconnectedGradients.ZERO
    return tape.gradient(term, [x, x_prev], unconnected_gradients=none)


def test_what_the_encoder_sees(model):
    from_x, from_x_prev = gradients(model, "kl_z")
    assert np.any(from_x != 0) != model.predict_next
    assert np.any(from_x_prev != 0) == model.predict_next


def test_what_the_decoder_sees(model):
    z, w = column([0.3]), NO_W
    here, there = (model.likelihood(z, w, row[None]).log_prob(X[None]) for row in (X, X_PREV))
    assert np.any(here != there) == model.use_x_prev


def test_reconstruction_when_predicting_next_meets_x_in_the_coins_only(shaken):
    """With predict_next the gradient of the log-likelihood by x is the decoder's log-odds."""
    model = shaken(VAE(pitches=P, latent_dim=1, hidden_dim=8, predict_next=True))
    from_x, _ = gradients(model, "log_likelihood")
    x = tf.constant(1 - repeated(X, 4))  # another x, the same seed: the same z, the same log-odds
    data = x, repeated(X_PREV, 4), repeated(KEY, 4)
    changed = model.elbo(*data, seed=(1, 2))
    same = model.elbo(repeated(X, 4), *data[1:], seed=(1, 2))
    difference = tf.reduce_sum((x - X) * from_x, axis=1)
    np.testing.assert_allclose(
        changed.log_likelihood - same.log_likelihood, difference, rtol=1e-4, atol=1e-5
    )
    np.testing.assert_array_equal(changed.kl_z, same.kl_z)
