"""The mixture over transpositions: a density, by hand and by summing over all rolls."""

import itertools

import numpy as np
import pytest
import tensorflow as tf
from models.small import before, make, set_log_variance, spread

from cvae.mixture import TranspositionMixture, forward
from cvae.models import MODELS
from cvae.music.keys import RELATIVE_MAJORS, parse_key

STEPS, PITCHES, COPIES = 2, 3, 400


@pytest.mark.parametrize("stay", [0.0, 0.3, 0.9, 1.0])
def test_the_forward_algorithm_against_a_sum_over_all_chains(stay):
    log_likelihood = np.random.default_rng(0).normal(size=(3, 2, 4)).astype(np.float32)
    total = np.zeros(2)
    for chain in itertools.product(range(3), repeat=4):
        probability = 1 / 3
        for old, new in itertools.pairwise(chain):
            probability *= stay * (old == new) + (1 - stay) / 3
        total += probability * np.exp(sum(log_likelihood[s, :, t] for t, s in enumerate(chain)))
    np.testing.assert_allclose(forward(log_likelihood, stay), np.log(total), rtol=1e-5, atol=1e-6)


def test_a_chain_that_stays_is_a_mean_over_whole_rolls_and_one_that_does_not_over_steps():
    log_likelihood = np.random.default_rng(1).normal(size=(5, 2, 4)).astype(np.float32)
    whole = np.log(np.mean(np.exp(log_likelihood.sum(axis=2)), axis=0))
    np.testing.assert_allclose(forward(log_likelihood, 1.0), whole, rtol=1e-5)
    steps = np.log(np.mean(np.exp(log_likelihood), axis=0)).sum(axis=1)
    np.testing.assert_allclose(forward(log_likelihood, 0.0), steps, rtol=1e-5)


KINDS_OF_MIXTURE = (
    "vae",
    "cl-vae",
    "vae-lstm, LSTM prior",
    "vae-lstm",
    "cl-vae-lstm, LSTM prior, MADE",
)
THIRDS = tuple(RELATIVE_MAJORS[i] for i in (0, 4, 8))  # each other, moved by a major third


@pytest.mark.parametrize("kind", KINDS_OF_MIXTURE)
def test_probabilities_of_all_rolls_sum_to_one(kind, shaken):
    """Within the error of the importance weights, which are an unbiased estimate of them."""
    own = {"w_log_var_prior": 0.5} if kind.startswith("cl-") else {}
    model = make(kind, pitches=PITCHES, latent_dim=1, hidden_dim=4, **own)
    model = spread(shaken(model, seed=1), log_variance=0.7)
    if model.sequential and model.prior == "lstm":
        set_log_variance(model.prior_network.output_layer, 0)
    steps = STEPS if model.sequential else 1
    rolls = np.array(list(itertools.product([0, 1], repeat=steps * PITCHES)), np.float32)
    x = np.repeat(rolls.reshape(-1, steps, PITCHES), COPIES, axis=0)
    x, x_prev = (roll if model.sequential else roll[:, 0] for roll in (x, before(x)))
    mixture = TranspositionMixture(model, THIRDS, (-4, 0, 4), stay=0.7)
    bounds = mixture.importance_weighted_bound(x, x_prev, np.int32([2, 1]), samples=4)
    sums = np.exp(bounds.numpy().astype(float)).reshape(len(rolls), COPIES).sum(axis=0)
    error = np.std(sums) / np.sqrt(COPIES)
    assert error < 0.02
    assert np.mean(sums) == pytest.approx(1, abs=4 * error + 1e-4)


class Telling:
    """Stands for a model, and remembers what it was asked about."""

    sequential, classes = True, 12

    def importance_weighted_bound(self, x, x_prev, seed, samples, mask, given_w):
        return given_w(x, x_prev, tf.one_hot([2, 7], 12), seed, samples, mask)

    def log_evidence_of_steps(self, x, x_prev, w, seed, samples, mask):
        self.asked = [None if part is None else np.asarray(part) for part in (x, x_prev, w, mask)]
        return -tf.cast(tf.argmax(x, axis=-1), tf.float32) / 88


def two_notes():
    """Two rolls of two steps, each with a note that is held."""
    x = np.zeros((2, 2, 88), np.float32)
    x[0, :, 40], x[1, :, 86] = 1, 1
    return x


def test_classes_move_with_the_music():
    x = two_notes()
    mask = np.float32([[1, 1], [1, 0]])
    model, shifts = Telling(), range(-6, 6)
    mixture = TranspositionMixture(model, RELATIVE_MAJORS, shifts, stay=1.0)
    bound = mixture.importance_weighted_bound(x, x, None, 1, mask)
    moved, moved_before, w, masks = (
        array.reshape(12, 2, *array.shape[1:]) for array in model.asked
    )
    for i, shift in enumerate(shifts):
        for b, (pitch, key) in enumerate([(40, 2), (86, 7)]):
            assert np.all(moved[i, b].argmax(axis=-1) == (pitch + shift) % 88)
            heard = RELATIVE_MAJORS[w[i, b].argmax()]
            assert heard == parse_key(RELATIVE_MAJORS[key]).transpose(shift).name
        np.testing.assert_array_equal(masks[i], mask)
    np.testing.assert_array_equal(moved, moved_before)
    pitches = (np.array([[40], [86]]) + np.array(shifts)) % 88
    expected = np.log(np.mean(np.exp(-pitches / 88 * [[2], [1]]), axis=1))
    np.testing.assert_allclose(bound, expected, rtol=1e-5, atol=1e-6)


class TellingOfRolls(Telling):
    """And of one whose steps depend on each other: it tells of whole rolls."""

    def log_evidence_of_steps(self, *asked):
        return tf.reduce_sum(super().log_evidence_of_steps(*asked), axis=-1)


@pytest.mark.parametrize("stay", [0.0, 0.9])
def test_a_whole_roll_is_heard_in_one_transposition(stay):
    x = two_notes()
    mixture = TranspositionMixture(TellingOfRolls(), RELATIVE_MAJORS, stay=stay)
    bound = mixture.importance_weighted_bound(x, x, None, 1, np.ones((2, 2), np.float32))
    pitches = (np.array([[40], [86]]) + np.arange(-6, 6)) % 88
    expected = np.log(np.mean(np.exp(-2 * pitches / 88), axis=1))
    np.testing.assert_allclose(bound, expected, rtol=1e-5, atol=1e-6)


def test_padding_does_not_matter():
    x = two_notes()
    mixture = TranspositionMixture(Telling(), RELATIVE_MAJORS)
    mask = np.float32([[1, 0], [1, 1]])
    bound = mixture.importance_weighted_bound(x, x, None, 1, mask)
    alone = mixture.importance_weighted_bound(x[:, :1], x[:, :1], None, 1, mask[:, :1])
    np.testing.assert_allclose(bound[0], alone[0], rtol=1e-6)
    assert bound[1] < alone[1] - 0.01


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"stay": 1.5}, "stay: got 1.5, must be from 0 to 1"),
        ({"shifts": ()}, "shifts: got none, must be one at least"),
        ({"keys": ()}, "keys: got 0, the model has 12 classes"),
    ],
)
def test_what_makes_no_mixture_is_refused(options, message):
    with pytest.raises(ValueError, match=f"^{message}$"):
        TranspositionMixture(Telling(), **({"keys": RELATIVE_MAJORS} | options))


def test_classes_that_the_music_leaves_are_refused():
    model = MODELS["cl-vae"](classes=2)
    with pytest.raises(ValueError, match="^mixture: .* --key-classes all-keys"):
        TranspositionMixture(model, ("C major", "A minor"))
