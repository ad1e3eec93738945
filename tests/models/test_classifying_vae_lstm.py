"""The Classifying VAE+LSTM: one w for a whole roll, from however many steps; key inference."""

import numpy as np
import pytest
import tensorflow as tf
from small import K, P, before, elbo, make, rolls

from cvae.examples import Batch
from cvae.models import ClassifyingVAELSTM

KINDS = ("cl-vae-lstm", "cl-vae-lstm, LSTM prior")


@pytest.fixture(scope="module", params=KINDS)
def model(request, shaken):
    return shaken(make(request.param))


def sequences(*shape, seed=0):
    x = rolls(*shape, seed=seed)
    return Batch(x, before(x), np.zeros(len(x), np.int32), np.ones(x.shape[:-1], np.float32))


def classifier(model, roll):
    """Means and log-variances of w from a roll (T, P), in NumPy."""

    def dense(layer, values):
        kernel, bias = (array.astype(float) for array in layer.get_weights())
        return values @ kernel + bias

    features = np.maximum(dense(model.features, roll), 0).mean(axis=0)
    hidden = np.maximum(dense(model.classifier.hidden, features), 0)
    return np.split(dense(model.classifier.output_layer, hidden), 2)


def test_w_is_read_from_the_mean_of_features(model):
    x = rolls(3, 4)
    normal = model.posterior_w(x).distribution
    for i, roll in enumerate(x):
        loc, log_variance = classifier(model, roll)
        np.testing.assert_allclose(normal.mean()[i], loc, rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(normal.variance()[i], np.exp(log_variance), rtol=1e-4)


def test_masked_steps_are_not_read(model):
    x = rolls(1, 6)
    mask = np.float32([[1, 0, 1, 1, 0, 0]])
    masked = model.posterior_w(x, mask).distribution
    alone = model.posterior_w(x[:, [0, 2, 3]]).distribution
    np.testing.assert_allclose(masked.mean(), alone.mean(), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(masked.stddev(), alone.stddev(), rtol=1e-4)
    assert np.all(np.isfinite(model.posterior_w(x, np.zeros_like(mask)).mean()))


@pytest.mark.parametrize("log_variance", [-1.0, 0.0, 2.0])
@pytest.mark.parametrize("steps", [1, 5])
def test_kl_w_in_closed_form_counts_once_for_a_roll(log_variance, steps, shaken):
    model = shaken(make(KINDS[0], w_log_var_prior=log_variance))
    data = sequences(1, steps)
    loc, log_var = classifier(model, data.x[0])
    prior = np.exp(log_variance)
    expected = 0.5 * np.sum((loc**2 + np.exp(log_var)) / prior - 1 - log_var + np.log(prior))
    np.testing.assert_allclose(elbo(model, data).kl_w, [expected], rtol=1e-4)


def test_kl_w_agrees_with_monte_carlo(model):
    data = sequences(1, 3)
    q = model.posterior_w(data.x)
    w = q.sample(20_000, seed=(1, 2))
    ratios = (q.log_prob(w) - model.prior_w().log_prob(w)).numpy()
    error = np.std(ratios) / np.sqrt(20_000)
    assert float(elbo(model, data).kl_w[0]) == pytest.approx(np.mean(ratios), abs=4 * error)


def test_one_w_is_heard_at_every_step(model):
    """Each conditional of each step moves when w does."""
    x, z = rolls(1, 3), np.zeros((1, 3, 2), np.float32)
    moved = []
    for w in np.float32([[[0.8, 0.1, 0.1]], [[0.1, 0.1, 0.8]]]):
        context = model.context(before(x), w, model.initial_state(1))
        conditionals = [model.posterior_z(x, w, context), model.likelihood(z, w, context)]
        if model.prior == "lstm":
            conditionals.append(model.prior_z(w, context))
        moved.append([conditional.mean() for conditional in conditionals])
    for one, other in zip(*moved, strict=True):
        assert np.all(np.any(np.abs(one - other) > 1e-3, axis=-1))


def test_log_key_is_the_log_of_the_true_class_of_a_draw(model):
    data = Batch(*(np.repeat(array, 5000, axis=0) for array in sequences(1, 2)))
    log_keys = [
        elbo(model, data._replace(key=np.full(5000, key, np.int32))).log_key for key in range(K)
    ]
    # The same seed draws the same w, whatever the key: the three are one point of the simplex.
    np.testing.assert_allclose(np.exp(log_keys).sum(axis=0), np.ones(5000), rtol=1e-5)
    mean = model.posterior_w(data.x[:1]).mean()[0]
    np.testing.assert_allclose(np.exp(log_keys).mean(axis=1), mean, atol=0.02)


def test_predict_next_hides_the_last_step_from_the_classifier(shaken):
    model = shaken(make(KINDS[0], use_x_prev=False, predict_next=True))
    data = sequences(4, 3)
    changed = data.x.copy()
    changed[:, -1] = 1 - changed[:, -1]
    first, second = elbo(model, data), elbo(model, data._replace(x=changed))
    for name in ("kl_z", "kl_w", "log_key"):
        np.testing.assert_array_equal(getattr(first, name), getattr(second, name))
    assert np.all(first.log_likelihood != second.log_likelihood)


# Key inference


def test_infer_key_is_the_posterior_of_the_roll_and_of_each_beginning(model):
    roll = rolls(5)
    whole, steps, *_ = model.infer_key(roll)
    assert whole.shape == (K,) and steps.shape == (5, K)
    np.testing.assert_allclose(whole, model.posterior_w(roll[None]).mean()[0], atol=1e-6)
    samples = model.posterior_w(roll[None]).sample(50_000, seed=(1, 2)).numpy()[:, 0]
    np.testing.assert_allclose(whole, samples.mean(axis=0), atol=0.02)
    normals = model.infer_w_so_far(tf.constant(roll)).distribution
    for t in range(5):
        so_far = model.posterior_w(roll[None, : t + 1])
        normal = so_far.distribution
        np.testing.assert_allclose(normals.mean()[t], normal.mean()[0], atol=1e-5)
        np.testing.assert_allclose(normals.stddev()[t], normal.stddev()[0], atol=1e-5)
        assert np.sum(steps[t]) == pytest.approx(1, abs=1e-5)
        # Monte Carlo means, from other random numbers: within the error that `mean` documents.
        np.testing.assert_allclose(steps[t], so_far.mean()[0], atol=2 * 0.71 / np.sqrt(1000))
    np.testing.assert_allclose(steps[-1], whole, atol=2 * 0.71 / np.sqrt(1000))
    assert np.max(np.abs(np.diff(normals.mean(), axis=0))) > 0.01  # each step is heard


def test_the_order_of_the_steps_does_not_matter_to_the_key(model):
    roll = rolls(6)
    shuffled = roll[[3, 0, 5, 1, 4, 2]]
    one, other = (model.infer_w(array[None]).distribution for array in (roll, shuffled))
    np.testing.assert_allclose(one.mean(), other.mean(), rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(one.stddev(), other.stddev(), rtol=1e-4)
    assert not np.allclose(one.mean(), model.infer_w(rolls(1, 6, seed=1)).distribution.mean())


def test_infer_w_takes_batches_of_rolls(model):
    batch = rolls(2, 3, 4)
    q = model.infer_w(batch)
    assert q.batch_shape == (2, 3) and q.event_shape == (K,)
    np.testing.assert_allclose(q[1, 2].mode(), model.infer_w(batch[1, 2]).mode(), rtol=1e-5)


def test_the_classifier_has_options_of_its_own():
    model = ClassifyingVAELSTM(
        pitches=P, classes=4, hidden_dim=3, hidden_class_dim=5, coordinates="additive"
    )
    assert model.features.kernel.shape == (P, 5)
    assert model.classifier.hidden.kernel.shape == (5, 5)
    assert model.prior_w().coordinates == model.posterior_w(rolls(1, 2)).coordinates == "additive"
    assert model.prior_w().event_shape == (4,)
