"""MADE against enumeration, TFP's own autoregressive distribution, and what a note may know."""

import itertools

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp
from small import rolls

from cvae.models.autoregressive import MADE, AutoregressiveBernoulli, notes
from cvae.models.networks import Perceptron

tfd = tfp.distributions

C, H, P = 3, 16, 6
ALL = np.float32(list(itertools.product([0, 1], repeat=P)))  # every step there is, (64, P)


def network(hidden=H, dropout=0.0, seed=0):
    return MADE("notes", C, hidden, P, dropout, seed)


def inputs(*shape):
    return tf.constant(np.random.default_rng(0).normal(size=(*shape, C)), tf.float32)


@pytest.fixture(scope="module")
def made(shaken):
    return shaken(network(), scale=1)


def test_probabilities_of_all_steps_add_up_to_one(made):
    p = AutoregressiveBernoulli(made, inputs(5)).prob(ALL[:, None])
    assert p.shape == (64, 5)
    np.testing.assert_allclose(tf.reduce_sum(p, axis=0), np.ones(5), rtol=1e-5)


def test_log_probability_is_that_of_tfp(made):
    """`tfd.Autoregressive`, from the same network, one note after the other."""
    c = inputs(2)

    def given(x):
        coins = tfd.Bernoulli(logits=made(c, tf.cast(x, tf.float32)), dtype=tf.float32)
        return tfd.Independent(coins, 1)

    theirs = tfd.Autoregressive(given, sample0=tf.zeros((2, P)), num_steps=P)
    x = rolls(2, pitches=P)
    ours = AutoregressiveBernoulli(made, c)
    np.testing.assert_allclose(ours.log_prob(x), theirs.log_prob(x), rtol=1e-5)


def test_a_note_depends_on_those_below_it_only(made):
    """In full: on none above it, not on itself, and on each one below."""
    x = tf.constant(rolls(1, pitches=P))
    with tf.GradientTape() as tape:
        tape.watch(x)
        logits = made(inputs(1), x)
    depends = tape.jacobian(logits, x)[0, :, 0] != 0
    np.testing.assert_array_equal(depends, np.tril(np.ones((P, P), bool), -1))


def test_all_units_are_used_alike():
    """In P - 1 degrees, as even as can be, whether they are many or few."""
    for hidden in (2, 5, 16, 320):
        degrees = network(hidden).sees.sum(axis=0)
        counts = np.bincount(degrees.astype(int), minlength=P)[1:]
        assert counts.sum() == hidden and np.ptp(counts) <= 1 and len(counts) == P - 1


def test_without_the_masked_layer_notes_are_independent(made, shaken):
    model = shaken(network(), scale=1)
    model.out_of.assign(tf.zeros_like(model.out_of))
    x, c = rolls(4, pitches=P), inputs(4)
    coins = tfd.Independent(tfd.Bernoulli(logits=model.independent(c)), 1)
    np.testing.assert_allclose(
        AutoregressiveBernoulli(model, c).log_prob(x), coins.log_prob(x), rtol=1e-5
    )


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("temperature", [1.0, 0.4])
def test_samples_have_the_frequencies_of_the_probabilities(made, compiled, temperature):
    draws = 40_000
    d = AutoregressiveBernoulli(made, inputs(2), temperature)
    drawn = tf.function(lambda: d.sample(draws, seed=(1, 2)), jit_compile=compiled)().numpy()
    assert drawn.shape == (draws, 2, P) and set(np.unique(drawn)) == {0, 1}
    numbers = (drawn @ 2 ** np.arange(P)[::-1]).astype(int)
    for i in range(2):
        frequency = np.bincount(numbers[:, i], minlength=64) / draws
        p = d.prob(ALL[:, None]).numpy()[:, i]
        np.testing.assert_allclose(frequency, p, atol=4 * 0.5 / np.sqrt(draws))


def test_a_temperature_divides_each_notes_log_odds(made):
    x, c = rolls(4, pitches=P), inputs(4)
    coins = tfd.Independent(tfd.Bernoulli(logits=made(c, x) / 0.3), 1)
    cold = AutoregressiveBernoulli(made, c, 0.3)
    np.testing.assert_allclose(cold.log_prob(x), coins.log_prob(x), rtol=1e-4)


def test_shapes(made):
    d = AutoregressiveBernoulli(made, inputs(2, 5))
    assert d.batch_shape == (2, 5) and d.event_shape == (P,)
    np.testing.assert_array_equal(d.batch_shape_tensor(), [2, 5])
    np.testing.assert_array_equal(d.event_shape_tensor(), [P])
    assert d.sample(seed=(1, 2)).shape == (2, 5, P)
    assert d.sample((3, 4), seed=(1, 2)).shape == (3, 4, 2, 5, P)


def test_dropout_of_the_masked_layer_acts_in_training_only(shaken):
    model, x, c = shaken(network(dropout=0.5), scale=1), rolls(4, pitches=P), inputs(4)
    np.testing.assert_array_equal(model(c, x), model(c, x, training=False))
    assert np.all(model(c, x, training=True) != model(c, x))


def test_notes_are_of_the_kind_that_their_network_makes():
    c = inputs(2)
    assert isinstance(notes(network(), c), AutoregressiveBernoulli)
    coins = notes(Perceptron("notes", C, H, P, 0.0, 0), c)
    assert isinstance(coins.distribution, tfd.Bernoulli)
