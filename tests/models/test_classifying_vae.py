"""The Classifying VAE: w by quadrature, and key inference."""

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp

from cvae.models import ClassifyingVAE

tfd = tfp.distributions

P, K = 5, 3
X = np.float32([[1, 0, 1, 1, 0]])
X_PREV = np.float32([[0, 1, 1, 0, 1]])


@pytest.fixture(scope="module")
def model(shaken):
    return shaken(ClassifyingVAE(classes=K, pitches=P, hidden_dim=8, hidden_class_dim=8))


def rolls(*shape, seed=0):
    return (np.random.default_rng(seed).random((*shape, P)) < 0.4).astype(np.float32)


def log_normal(x, loc=0.0, scale=1.0):
    return -0.5 * ((x - loc) / scale) ** 2 - np.log(scale) - 0.5 * np.log(2 * np.pi)


@pytest.mark.parametrize(
    "options",
    [
        {"coordinates": "additive"},
        {"coordinates": "isometric", "use_x_prev": True},
        {"coordinates": "isometric", "predict_next": True},
    ],
)
def test_bound_in_expectation_by_quadrature(options, shaken):
    """Two classes and one z: w is one coordinate y, and (y, z) a plane."""
    model = shaken(
        ClassifyingVAE(
            classes=2, pitches=P, latent_dim=1, hidden_dim=8, w_log_var_prior=0.8, **options
        )
    )
    y, z = (grid.ravel() for grid in np.meshgrid(*[np.linspace(-10, 10, 501)] * 2))
    cell = (20 / 500) ** 2
    log_ratio = y if options["coordinates"] == "additive" else np.sqrt(2) * y
    w = np.stack([1 / (1 + np.exp(-log_ratio)), 1 / (1 + np.exp(log_ratio))], 1).astype(np.float32)
    observed = X_PREV if model.predict_next else X
    x_prev = [np.repeat(X_PREV, len(y), 0)] if model.use_x_prev else []
    logits = model.decoder(np.concatenate([w, np.float32(z)[:, None], *x_prev], 1)).numpy()
    joint = log_normal(y, 0, np.exp(0.4)) + log_normal(z)
    joint += np.sum(X * logits - np.logaddexp(0, logits.astype(float)), axis=1)
    evidence = np.log(np.sum(np.exp(joint)) * cell)

    y_mean, y_log_variance = model.classifier(observed).numpy()[0].astype(float)
    encoded = model.encoder(np.concatenate([np.repeat(observed, len(y), 0), w], 1)).numpy()
    log_q = log_normal(y, y_mean, np.exp(0.5 * y_log_variance))
    log_q += log_normal(z, encoded[:, 0], np.exp(0.5 * encoded[:, 1].astype(float)))
    assert np.sum(np.exp(log_q)) * cell == pytest.approx(1, abs=1e-3)
    expected = np.sum(np.exp(log_q) * (joint - log_q)) * cell

    data = (np.repeat(row, 20_000, 0) for row in (X, X_PREV, np.int32([0])))
    bounds = model.elbo(*data, seed=(1, 2)).bound.numpy().astype(float)
    error = bounds.std() / np.sqrt(len(bounds))
    assert bounds.mean() == pytest.approx(expected, abs=4 * error + 0.002)
    assert expected < evidence


@pytest.mark.parametrize("log_variance", [-1.0, 0.0, 2.0])
def test_kl_w_in_closed_form(log_variance, shaken):
    model = shaken(
        ClassifyingVAE(classes=K, pitches=P, hidden_class_dim=8, w_log_var_prior=log_variance)
    )
    loc, log_var = np.split(model.classifier(X).numpy()[0].astype(float), 2)
    prior = np.exp(log_variance)
    expected = 0.5 * np.sum((loc**2 + np.exp(log_var)) / prior - 1 - log_var + np.log(prior))
    elbo = model.elbo(X, X_PREV, np.int32([0]), seed=(1, 2))
    np.testing.assert_allclose(elbo.kl_w, [expected], rtol=1e-4)
    np.testing.assert_allclose(model.prior_w().distribution.variance(), [prior] * 2, rtol=1e-5)


def test_log_key_is_the_log_of_the_true_class_of_a_draw(model):
    size = 5000
    x, x_prev = np.repeat(X, size, 0), np.repeat(X_PREV, size, 0)
    log_keys = [
        model.elbo(x, x_prev, np.full(size, key, np.int32), seed=(1, 2)).log_key for key in range(K)
    ]
    # The same seed draws the same w, whatever the key: the three are one point of the simplex.
    np.testing.assert_allclose(np.exp(log_keys).sum(axis=0), np.ones(size), rtol=1e-5)
    w = model.posterior_w(X)
    np.testing.assert_allclose(np.exp(log_keys).mean(axis=1), w.mean()[0], atol=0.02)


def test_log_key_of_an_impossible_class_is_finite():
    model = ClassifyingVAE(classes=2, pitches=P)
    for variable in model.classifier.trainable_variables:
        variable.assign(tf.zeros_like(variable))
    model.classifier.output_layer.bias.assign([500.0, -5.0])
    log_key = model.elbo(X, X_PREV, np.int32([1]), seed=(1, 2)).log_key
    assert np.isfinite(log_key) and log_key < -80


def test_the_key_label_is_no_part_of_the_bound(model):
    size = 6
    x, x_prev = rolls(size), rolls(size, seed=1)
    first = model.elbo(x, x_prev, np.zeros(size, np.int32), seed=(1, 2))
    second = model.elbo(x, x_prev, np.ones(size, np.int32), seed=(1, 2))
    np.testing.assert_array_equal(first.bound, second.bound)
    assert np.all(first.log_key != second.log_key)


def test_predict_next_hides_x_from_classifier_and_encoder(shaken):
    model = shaken(ClassifyingVAE(classes=K, pitches=P, hidden_dim=8, predict_next=True))
    key = np.int32([0] * 4)
    x_prev = rolls(4)
    first = model.elbo(rolls(4, seed=1), x_prev, key, seed=(1, 2))
    second = model.elbo(rolls(4, seed=2), x_prev, key, seed=(1, 2))
    for term in ("kl_z", "kl_w", "log_key"):
        np.testing.assert_array_equal(getattr(first, term), getattr(second, term))
    assert np.all(first.log_likelihood != second.log_likelihood)


# Key inference


def test_infer_key_gives_probabilities(model):
    whole, steps, *_ = model.infer_key(rolls(7))
    assert whole.shape == (K,) and steps.shape == (7, K)
    np.testing.assert_allclose(whole.sum(), 1, rtol=1e-5)
    np.testing.assert_allclose(steps.sum(axis=1), np.ones(7), rtol=1e-5)
    assert np.all(whole > 0) and np.all(steps > 0)
    samples = model.posterior_w(rolls(7)).sample(20_000, seed=(1, 2)).numpy()
    np.testing.assert_allclose(steps, samples.mean(axis=0), atol=0.05)


def test_infer_key_of_one_step_is_that_step(model):
    whole, steps, *_ = model.infer_key(rolls(1))
    np.testing.assert_allclose(whole, steps[0], rtol=1e-4)
    np.testing.assert_allclose(
        model.infer_w(rolls(4, 1)).mode(), model.posterior_w(rolls(4)).mode(), rtol=1e-4
    )


def test_saying_a_step_twice_does_not_make_the_key_surer(model):
    """Pooled, not multiplied."""
    once, twice = (model.infer_w(np.repeat(rolls(3), n, axis=0)).distribution for n in (1, 2))
    np.testing.assert_allclose(once.mean(), twice.mean(), rtol=1e-4)
    np.testing.assert_allclose(once.stddev(), twice.stddev(), rtol=1e-4)


def test_order_of_steps_does_not_matter(model):
    roll = rolls(6)
    np.testing.assert_allclose(
        model.infer_key(roll).whole, model.infer_key(roll[::-1]).whole, atol=1e-5
    )


def test_pooled_density_is_the_geometric_mean_of_the_densities(model):
    roll = rolls(4)
    w = np.random.default_rng(0).dirichlet([2.0] * K, 200).astype(np.float32)
    log_densities = model.posterior_w(roll).log_prob(w[:, None]).numpy()  # (200, 4)
    assert np.ptp(log_densities, axis=1).min() > 0.01  # the four steps disagree
    ratio = model.infer_w(roll).log_prob(w).numpy() - log_densities.mean(axis=1)
    np.testing.assert_allclose(ratio, np.full(200, ratio[0]), atol=1e-2)


def test_infer_w_takes_batches_of_rolls(model):
    batch = rolls(2, 3, 4)
    q = model.infer_w(batch)
    assert q.batch_shape == (2, 3) and q.event_shape == (K,)
    np.testing.assert_allclose(q[1, 2].mode(), model.infer_w(batch[1, 2]).mode(), rtol=1e-5)
