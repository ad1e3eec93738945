"""Models of sequences, with and without classes: what each step knows, and what a memory keeps."""

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp
from small import KINDS, H, K, P, Z, before, elbo, make, rolls, spread

from cvae.examples import Batch
from cvae.models import VAELSTM

tfd = tfp.distributions

STEPS = 4
OPTIONS = ({}, {"use_x_prev": False}, {"use_x_prev": False, "predict_next": True})
SEQUENCES = [
    (kind, options)
    for kind in KINDS
    for options in OPTIONS
    if "lstm" in kind and not ("LSTM prior" in kind and "predict_next" in options)
] + [("vae-lstm", {"output": "made"})]
TERMS = ("bound", "log_likelihood", "kl_z", "kl_w", "log_key")
CLOSE = {"rtol": 1e-4, "atol": 1e-5}


@pytest.fixture(scope="module", params=SEQUENCES, ids=str)
def model(request, shaken):
    kind, options = request.param
    return shaken(make(kind, **options), scale=0.6)


@pytest.fixture(scope="module", params=SEQUENCES, ids=str)
def sure(request, shaken):
    """Every draw of its z and w is the mean: the bound is the same for every seed."""
    kind, options = request.param
    return spread(shaken(make(kind, **options), scale=0.6), log_variance=-60)


def weights_of_classes(model, size, seed=0):
    """Points w of the simplex, (size, K)."""
    if not model.classes:
        return np.zeros((size, 0), np.float32)
    return np.random.default_rng(seed).dirichlet(np.ones(K), size).astype(np.float32)


def observed(model, x):
    """What the encoders see."""
    return before(x) if model.predict_next else x


def songs(lengths, seed=0):
    """Rolls of these lengths, padded with silence."""
    x = rolls(len(lengths), max(lengths), seed=seed)
    mask = (np.arange(max(lengths)) < np.array(lengths)[:, None]).astype(np.float32)
    x *= mask[..., None]
    key = np.arange(len(lengths), dtype=np.int32) % K
    return Batch(x, before(x) * mask[..., None], key, mask)


# Step by step


def test_step_by_step_is_the_same_as_all_at_once(model):
    """Log-densities of z and x, where each step begins with the state that `advance` gave."""
    x, w = rolls(3, STEPS), weights_of_classes(model, 3)
    z = np.random.default_rng(1).normal(size=(3, STEPS, Z)).astype(np.float32)

    def terms(part, state):
        context = model.context(before(x)[:, part], w, state)
        seen = observed(model, x)[:, part]
        densities = (
            model.prior_z(w, context).log_prob(z[:, part]),
            model.posterior_z(seen, w, context).log_prob(z[:, part]),
            model.likelihood(z[:, part], w, context).log_prob(x[:, part]),
        )
        return densities, model.advance(seen, z[:, part], w, context)

    whole, end = terms(slice(STEPS), model.initial_state(3))
    state, steps = model.initial_state(3), []
    for t in range(STEPS):
        densities, state = terms(slice(t, t + 1), state)
        steps.append(densities)
    for got, expected in zip(zip(*steps, strict=True), whole, strict=True):
        assert expected.shape == (3, STEPS)
        np.testing.assert_allclose(np.concatenate(got, axis=1), expected, rtol=0, atol=1e-5)
    for got, expected in zip(tf.nest.flatten(state), tf.nest.flatten(end), strict=True):
        np.testing.assert_allclose(got, expected, **CLOSE)


# Causality: by what the parameters of each conditional move


def influence(model):
    """Which step of x and of z each conditional of each step depends on: bool (T, T) by name."""
    x = tf.constant(rolls(1, STEPS))
    z = tf.constant(np.random.default_rng(1).normal(size=(1, STEPS, Z)).astype(np.float32))
    w = tf.constant(weights_of_classes(model, 1))
    random = np.random.default_rng(2)
    with tf.GradientTape(persistent=True) as tape:
        tape.watch([x, z])
        x_prev = tf.pad(x[:, :-1], [[0, 0], [1, 0], [0, 0]])
        context = model.context(x_prev, w, model.initial_state(1))
        q_z = model.posterior_z(x_prev if model.predict_next else x, w, context)
        p_z = model.prior_z(w, context)
        parameters = {
            "prior": tf.concat([p_z.mean(), p_z.stddev()], axis=-1),
            "posterior": tf.concat([q_z.mean(), q_z.stddev()], axis=-1),
            "notes": model.likelihood(z, w, context).log_prob(rolls(1, STEPS, seed=3))[..., None],
        }
        outputs = {
            name: tf.unstack(tf.reduce_sum(p * random.normal(size=p.shape), axis=[0, 2]))
            for name, p in parameters.items()
        }
    result = {}
    for name, steps in outputs.items():
        for source, values in (("x", x), ("z", z)):
            rows = [
                tape.gradient(step, values, unconnected_gradients=tf.UnconnectedGradients.ZERO)
                for step in steps
            ]
            result[name, source] = np.any(np.concatenate(rows) != 0, axis=-1)
    return result


NONE, SAME = np.zeros((STEPS, STEPS), bool), np.eye(STEPS, dtype=bool)
SO_FAR = np.tril(np.ones((STEPS, STEPS), bool))
EARLIER = SO_FAR & ~SAME


def test_each_step_knows_the_past_it_should_and_no_future(model):
    """In full: what must not matter does not, and what may matter does."""
    lstm_prior = model.prior == "lstm"
    assert model.steps_independent == lstm_prior
    expected = {
        ("prior", "x"): EARLIER if lstm_prior else NONE,
        ("prior", "z"): NONE,
        ("posterior", "x"): EARLIER if model.predict_next else SO_FAR,
        ("posterior", "z"): NONE,
        ("notes", "x"): EARLIER if model.use_x_prev else NONE,
        ("notes", "z"): SAME if lstm_prior else SO_FAR,
    }
    got = influence(model)
    assert got.keys() == expected.keys()
    for name, table in expected.items():
        np.testing.assert_array_equal(got[name], table, str(name))


# The bound of a roll


def test_padding_does_not_matter(model):
    """Whatever stands in the padding, each term stays as it is."""
    data = songs([4, 2])
    inside = data.mask[..., None]
    garbage = 7 * np.random.default_rng(3).normal(size=data.x.shape).astype(np.float32)
    x, x_prev = (inside * roll + (1 - inside) * garbage for roll in (data.x, data.x_prev))
    clean, noisy = elbo(model, data), elbo(model, data._replace(x=x, x_prev=x_prev))
    for name in TERMS:
        np.testing.assert_allclose(getattr(clean, name), getattr(noisy, name), **CLOSE)
    bounds = [
        model.importance_weighted_bound(*rolls, (1, 2), 2, data.mask)
        for rolls in ((data.x, data.x_prev), (x, x_prev))
    ]
    np.testing.assert_allclose(*bounds, **CLOSE)


def test_a_padded_song_has_the_bound_of_the_song_by_itself(sure):
    lengths = [4, 2]
    data = songs(lengths)
    together = elbo(sure, data)
    for i, length in enumerate(lengths):
        row = slice(i, i + 1)
        x, x_prev, mask = (array[row, :length] for array in (data.x, data.x_prev, data.mask))
        alone = elbo(sure, Batch(x, x_prev, data.key[row], mask))
        for name in TERMS:
            np.testing.assert_allclose(getattr(together, name)[row], getattr(alone, name), **CLOSE)


def test_terms_of_the_bound_are_sums_over_the_steps(sure):
    """Of the conditionals' own, at the draw that is sure."""
    data = songs([5, 3])
    seen = observed(sure, data.x)
    w = sure.posterior_w(seen, data.mask).mode()
    context = sure.context(data.x_prev, w, sure.initial_state(2))
    q_z = sure.posterior_z(seen, w, context)
    z = q_z.mean()
    terms = elbo(sure, data)
    notes = sure.likelihood(z, w, context).log_prob(data.x)
    np.testing.assert_allclose(terms.log_likelihood, np.sum(data.mask * notes, axis=1), **CLOSE)
    q, p = ((d.mean().numpy(), d.stddev().numpy()) for d in (q_z, sure.prior_z(w, context)))
    kl = 0.5 * ((q[0] - p[0]) ** 2 + q[1] ** 2) / p[1] ** 2 - 0.5 + np.log(p[1] / q[1])
    np.testing.assert_allclose(terms.kl_z, np.sum(data.mask * kl.sum(axis=2), axis=1), **CLOSE)


@pytest.mark.parametrize("prior", ["standard", "lstm"])
def test_kl_z_agrees_with_monte_carlo(prior, shaken):
    model, data = shaken(VAELSTM(pitches=P, hidden_dim=H, prior=prior), scale=0.6), songs([3])
    no_w = np.zeros((1, 0), np.float32)
    context = model.context(data.x_prev, no_w, model.initial_state(1))
    q_z, p_z = model.posterior_z(data.x, no_w, context), model.prior_z(no_w, context)
    draws = q_z.sample(20_000, seed=(1, 2))
    ratios = np.sum(q_z.log_prob(draws) - p_z.log_prob(draws), axis=(1, 2))
    error = np.std(ratios) / np.sqrt(20_000)
    assert float(elbo(model, data).kl_z[0]) == pytest.approx(np.mean(ratios), abs=4 * error)


# Carried state


@pytest.mark.parametrize(("kind", "options"), SEQUENCES, ids=str)
def test_windows_with_the_state_carried_are_one_song(kind, options, shaken):
    """At one w: that of a classifier that looks at nothing."""
    model = spread(shaken(make(kind, **options), scale=0.6), log_variance=-60)
    if model.classes:
        kernel = model.classifier.output_layer.kernel
        kernel.assign(tf.zeros_like(kernel))
    whole = songs([6, 4])

    def window(steps, state=None):
        part = (array[:, steps] for array in (whole.x, whole.x_prev))
        return elbo(model, Batch(*part, whole.key, whole.mask[:, steps]), state=state)

    first = window(slice(3))
    second, forgetful = window(slice(3, 6), first.state), window(slice(3, 6))
    together = elbo(model, whole)
    for name in ("log_likelihood", "kl_z"):
        parts = getattr(first, name) + getattr(second, name)
        np.testing.assert_allclose(parts, getattr(together, name), **CLOSE)
        assert np.all(np.abs(getattr(forgetful, name) - getattr(second, name)) > 1e-4)
    for a, b in zip(*map(tf.nest.flatten, (second.state, together.state)), strict=True):
        np.testing.assert_allclose(a[0], b[0], **CLOSE)
