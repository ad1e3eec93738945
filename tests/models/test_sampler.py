"""Generation, the same for all families: what it draws from, what it remembers, what it refuses."""

from math import erfc

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp
from small import KINDS, K, P, before, make, rolls, spread

from cvae.models import VAE, VAELSTM, ClassifyingVAE, ClassifyingVAELSTM
from cvae.models.distributions import (
    diagonal_normal,
    independent_bernoulli,
    standard_normal,
)
from cvae.models.sampler import tempered

tfd = tfp.distributions

Z_FROM = ("prior", "posterior")
CLASSIFYING = [kind for kind in KINDS if kind.startswith("cl-")]
COLD = 1e-12  # a temperature at which the likeliest is drawn


@pytest.fixture(scope="module", params=KINDS)
def model(request, shaken):
    return shaken(make(request.param))


@pytest.fixture(
    scope="module", params=["vae-lstm", "cl-vae-lstm, LSTM prior", "cl-vae-lstm, LSTM prior, MADE"]
)
def compiled(request, shaken):
    """Not of every kind: compilation is slow."""
    return shaken(make(request.param))


def test_generate_returns_bool_rolls_that_the_seed_decides(compiled):
    seed_roll = rolls(4, 3)
    first, same, other = (compiled.generate(seed_roll, 5, seed=seed) for seed in (0, 0, 1))
    assert first.shape == (4, 5, P) and first.dtype == bool
    np.testing.assert_array_equal(first, same)
    assert not np.array_equal(first, other)
    assert len({sample.tobytes() for sample in first}) == 4  # the samples differ, too
    assert np.array_equal(first, compiled.generate(seed_roll > 0, 5))  # a bool seed will do


# What a sample depends on


@pytest.mark.parametrize("z_from", Z_FROM)
@pytest.mark.parametrize("kind", KINDS)
def test_a_memory_reads_the_whole_seed_and_others_its_end_only(kind, z_from, shaken, eagerly):
    model = shaken(make(kind), scale=1)
    key = 0 if model.classes else None  # otherwise the whole seed decides the key
    seed_roll = rolls(200, 3)
    other_start = seed_roll.copy()
    other_start[:, 0] = 1 - other_start[:, 0]
    first = model.generate(seed_roll, 3, key, z_from=z_from)
    second = model.generate(other_start, 3, key, z_from=z_from)
    assert np.array_equal(first, second) != model.sequential


@pytest.mark.parametrize("z_from", Z_FROM)
@pytest.mark.parametrize("kind", KINDS)
def test_sample_i_depends_on_its_own_seed_only(kind, z_from, shaken, eagerly):
    model, seed_roll = shaken(make(kind), scale=1), rolls(20, 2)
    changed = seed_roll.copy()
    changed[1::2] = 1 - changed[1::2]
    first = model.generate(seed_roll, 2, z_from=z_from)
    second = model.generate(changed, 2, z_from=z_from)
    np.testing.assert_array_equal(first[::2], second[::2])
    assert not np.array_equal(first[1::2], second[1::2])


@pytest.mark.parametrize("kind", CLASSIFYING)
def test_a_key_for_each_sample(kind, shaken, eagerly):
    model, seed_roll = shaken(make(kind), scale=1), rolls(20, 2)
    one, other = model.generate(seed_roll, 3, 1), model.generate(seed_roll, 3, 2)
    assert not np.array_equal(one, other)
    each = model.generate(seed_roll, 3, [1, 2] * 10)
    np.testing.assert_array_equal(each[::2], one[::2])
    np.testing.assert_array_equal(each[1::2], other[1::2])


@pytest.mark.parametrize("steps", [1, np.int64(2)])
def test_generate_of_one_step_or_a_numpy_number_of_steps(model, steps, eagerly):
    assert model.generate(rolls(2, 1), steps).shape == (2, steps, P)


def test_generate_in_double_the_steps_begins_alike(model, eagerly):
    seed_roll = rolls(10, 2)
    short, long = (model.generate(seed_roll, steps) for steps in (2, 4))
    np.testing.assert_array_equal(short, long[:, :2])


@pytest.mark.parametrize("kind", CLASSIFYING)
def test_a_key_for_each_step(kind, shaken, eagerly):
    """The same as one key up to the change, and another roll from there on."""
    model, seed_roll = shaken(make(kind), scale=1), rolls(30, 3)
    keys = np.full((30, 6), 1)
    keys[:10, 4:] = 2
    keys[10:20, 2:] = 0
    modulating = model.generate(seed_roll, 6, keys, certainty=1)
    constant = model.generate(seed_roll, 6, 1, certainty=1)
    np.testing.assert_array_equal(modulating[:10, :4], constant[:10, :4])
    np.testing.assert_array_equal(modulating[10:20, :2], constant[10:20, :2])
    np.testing.assert_array_equal(modulating[20:], constant[20:])
    assert not np.array_equal(modulating[:10, 4], constant[:10, 4])
    assert not np.array_equal(modulating[10:20, 2], constant[10:20, 2])


# What is drawn from


class Threshold:
    """Pitch 0 sounds where z is above 1, pitch i with log-odds i."""

    def likelihood(self, z, w, context):
        coins = tf.ones_like(z) * tf.range(1.0, P)
        return independent_bernoulli(tf.concat([1e20 * (z - 1), coins], axis=-1))


THRESHOLDS = {
    family.__name__: type(family.__name__, (Threshold, family), {})
    for family in (VAE, ClassifyingVAELSTM)
}


@pytest.mark.parametrize("temperature", [1.0, 0.25, 4, COLD])
@pytest.mark.parametrize("family", THRESHOLDS)
def test_z_and_notes_are_drawn_at_their_temperature(family, temperature, eagerly):
    """A normal keeps its mean, and has its variance times the temperature; log-odds are divided."""
    model = THRESHOLDS[family](pitches=P, latent_dim=1, hidden_dim=3)
    got = model.generate(rolls(1500, 1), 2, temperature=temperature).mean(axis=(0, 1))
    above_one = 0.5 * erfc(np.sqrt(0.5 / temperature))
    coins = 1 / (1 + np.exp(-np.arange(1, P) / temperature))
    expected = [above_one, *coins]
    np.testing.assert_allclose(got, expected, atol=4 * 0.5 / np.sqrt(3000))


def test_the_temperature_is_one_unless_given(eagerly):
    model = VAE(pitches=P, hidden_dim=3)
    seed_roll = rolls(10, 2)
    plain = model.generate(seed_roll, 4)
    np.testing.assert_array_equal(plain, model.generate(seed_roll, 4, temperature=1))
    assert not np.array_equal(plain, model.generate(seed_roll, 4, temperature=2))


@pytest.mark.parametrize("z_from", Z_FROM)
def test_when_it_is_cold_nothing_is_left_to_chance(model, z_from, eagerly):
    seed_roll = rolls(50, 3)
    one, other = (
        model.generate(seed_roll, 3, z_from=z_from, temperature=COLD, seed=seed) for seed in (0, 1)
    )
    np.testing.assert_array_equal(one, other)


# The walk from the noise of z of one seed to that of another


class Loudness:
    """A pitch sounds where z is above a threshold of its own: notes tell z, no coin is tossed."""

    def likelihood(self, z, w, context):
        return independent_bernoulli(1e20 * (z - tf.linspace(-1.5, 1.5, P)))


@pytest.mark.parametrize("also", [{"key": 1}, {"certainty": 0.5}])
def test_w_itself_excludes_what_would_make_it(also, eagerly):
    model = make("cl-vae")
    with pytest.raises(ValueError, match=r"\Aw: [^\n]+\Z"):
        model.generate(rolls(2, 2), 3, w=np.full(K, 1 / K), **also)


def test_z_that_turns_to_its_own_noise_stays(eagerly):
    model, seed_roll = VAE(pitches=P, hidden_dim=3), rolls(20, 2)
    same = model.generate(seed_roll, 4, seed=3, z_towards=(3, 0.5))
    np.testing.assert_array_equal(same, model.generate(seed_roll, 4, seed=3))


@pytest.mark.parametrize("z_from", Z_FROM)
@pytest.mark.parametrize("kind", KINDS)
def test_z_turns_from_one_seed_to_another(kind, z_from, shaken, eagerly):
    family = type(make(kind))
    model = make(kind, latent_dim=1)
    model.__class__ = type(family.__name__, (Loudness, family), {})
    seed_roll, steps = rolls(200, 3), 2
    walk = [
        model.generate(seed_roll, steps, z_from=z_from, z_towards=(1, share))
        for share in (0, 0.5, 1)
    ]
    here, there = (model.generate(seed_roll, steps, z_from=z_from, seed=seed) for seed in (0, 1))
    np.testing.assert_array_equal(walk[0], here)
    if z_from == "prior" and "LSTM prior" not in kind:  # else z hangs on more than its noise
        np.testing.assert_array_equal(walk[2], there)
    # Half-way it is as near to the one as to the other, and as widely spread as they.
    near = [(walk[1] != end).mean() for end in (here, there)]
    assert abs(near[0] - near[1]) < 0.08 and 0 < near[0] < (here != there).mean()
    counts = [roll.sum(axis=2).std() for roll in (walk[1], here)]
    assert abs(counts[0] / counts[1] - 1) < 0.2


def test_on_the_walk_the_coins_stay(eagerly):
    model = VAE(pitches=P, hidden_dim=3, use_x_prev=False)
    for variable in model.decoder.trainable_variables:
        variable.assign(tf.zeros_like(variable))  # all is left to the coins
    here, away = (model.generate(rolls(20, 2), 3, z_towards=z) for z in (None, (1, 1.0)))
    np.testing.assert_array_equal(here, away)
    assert not np.array_equal(here, model.generate(rolls(20, 2), 3, seed=1))


def test_the_compiled_walk_begins_where_it_should(compiled):
    seed_roll = rolls(30, 3)
    here = compiled.generate(seed_roll, 5)
    at_start = compiled.generate(seed_roll, 5, z_towards=(1, 0.0))
    assert (here != at_start).mean() < 0.01  # rounding may turn a coin
    assert not np.array_equal(here, compiled.generate(seed_roll, 5, z_towards=(1, 1.0)))


# What single steps are drawn from, by quadrature over one z

GRID = np.linspace(-9, 9, 1801)
CELL = GRID[1] - GRID[0]
NO_W = np.zeros(0, np.float32)
SEED_ROLL = rolls(3, seed=6)
DRAWS = 20_000
OPTIONS = [{}, {"use_x_prev": False}, {"use_x_prev": False, "predict_next": True}]


def repeated(row, times=GRID.size):
    return np.broadcast_to(row, (times, *row.shape))


def normal(z, mean=0.0, scale=1.0):
    return np.exp(-0.5 * ((z - mean) / scale) ** 2) / (scale * np.sqrt(2 * np.pi))


@pytest.fixture(scope="module", params=OPTIONS, ids=str)
def vae(request, shaken):
    return shaken(make("vae", latent_dim=1, **request.param))


@pytest.mark.parametrize("z_from", Z_FROM)
def test_frequencies_of_notes(vae, z_from, eagerly):
    """The first step is p(x | z, x_prev) averaged over z from the prior or from q(z | last)."""
    x_prev, last = SEED_ROLL[-2:]
    if z_from == "prior":
        density, context = normal(GRID), last
    else:
        mean, log_variance = vae.encoder(last[None]).numpy()[0].astype(float)
        density, context = normal(GRID, mean, np.exp(0.5 * log_variance)), x_prev
    z = np.float32(GRID)[:, None]
    coins = vae.likelihood(z, repeated(NO_W), repeated(context)).mean().numpy()
    expected = density @ coins * CELL
    got = vae.generate(repeated(SEED_ROLL, DRAWS), 1, z_from=z_from)[:, 0].mean(axis=0)
    assert np.ptp(expected) > 0.1
    np.testing.assert_allclose(got, expected, atol=4 * 0.5 / np.sqrt(DRAWS))


def follows_as_from_a_seed(model, z_from, draws):
    """Given the first step, the second has the frequencies of a roll that ends in it."""
    seed_roll = repeated(SEED_ROLL, draws)
    got = model.generate(seed_roll, 2, z_from=z_from)
    longer = np.concatenate([seed_roll, got[:, :1]], axis=1)
    again = model.generate(longer, 1, z_from=z_from, seed=1)[:, 0]
    played = got[:, 0, 0]
    for chosen in (played, ~played):
        tolerance = 4 * np.sqrt(0.5 / chosen.sum())
        np.testing.assert_allclose(
            got[chosen, 1].mean(axis=0), again[chosen].mean(axis=0), atol=tolerance
        )


@pytest.mark.parametrize("z_from", Z_FROM)
def test_generated_steps_follow_from_the_one_before(vae, z_from, eagerly):
    follows_as_from_a_seed(vae, z_from, DRAWS)


def test_each_sample_has_a_latent_of_its_own(eagerly):
    """With coins that only copy the sign of z, notes are all on or all off, and both occur."""
    model = VAE(pitches=P, latent_dim=1, hidden_dim=2)
    loud = np.float32([[1e5, -1e5]])
    values = [loud, np.zeros(2), np.repeat([[50.0], [-50.0]], P, axis=1), np.zeros(P)]
    for variable, value in zip(model.decoder.trainable_variables, values, strict=True):
        variable.assign(value)
    got = model.generate(repeated(SEED_ROLL, 200), 3)
    loudness = got.mean(axis=2)
    assert np.all((loudness < 0.01) | (loudness > 0.99))
    assert np.all((loudness.mean(axis=0) > 0.3) & (loudness.mean(axis=0) < 0.7))
    assert len({tuple(row) for row in loudness.round()}) == 8  # and each step one of its own


# What a model with a memory draws from: the same step by step as all at once


@pytest.fixture
def recorded(monkeypatch):
    """The arguments and results of each call of a method."""

    def record(name):
        calls, method = [], getattr(VAELSTM, name)

        def recorder(self, *arguments):
            calls.append((arguments, method(self, *arguments)))
            return calls[-1][1]

        monkeypatch.setattr(VAELSTM, name, recorder)
        return calls

    return record


SEQUENCES = [
    (kind, options)
    for kind in KINDS
    for options in ({}, {"use_x_prev": False}, {"use_x_prev": False, "predict_next": True})
    if "lstm" in kind and not ("LSTM prior" in kind and "predict_next" in options)
]


@pytest.mark.parametrize("z_from", Z_FROM)
@pytest.mark.parametrize(("kind", "options"), SEQUENCES, ids=str)
def test_each_step_is_drawn_from_what_a_pass_over_all_steps_gives(
    kind, options, z_from, shaken, recorded, eagerly
):
    model, seed_roll, steps = shaken(make(kind, **options), scale=0.8), rolls(10, 4), 3
    w = np.full((10, model.classes), 0.1 / 3, np.float32)
    key = 1
    w[:, key:2] += 0.9
    advances, likelihoods = recorded("advance"), recorded("likelihood")
    of_z = recorded("prior_z" if z_from == "prior" else "posterior_z")
    told = (key, 0.9) if model.classes else ()
    new = model.generate(seed_roll, steps, *told, z_from=z_from)
    z = np.concatenate([arguments[1] for arguments, _ in advances], axis=1)
    chord = rolls(seed=3)
    of_chord = [call[1].log_prob(chord) for call in likelihoods][-steps:]
    moments = [(call[1].mean(), call[1].stddev()) for call in of_z][-steps:]

    roll = np.concatenate([seed_roll, new], axis=1).astype(np.float32)
    if z_from == "posterior" and not model.predict_next:
        roll = roll[:, :-1]  # each new step is a variation of the one before
    context = model.context(before(roll), w, model.initial_state(10))
    if z_from == "prior":
        p_z = model.prior_z(w, context)
    else:
        p_z = model.posterior_z(before(roll) if model.predict_next else roll, w, context)
    expected = model.likelihood(z, w, context).log_prob(chord)
    close = {"rtol": 0, "atol": 1e-5}
    np.testing.assert_allclose(np.concatenate(of_chord, 1), expected[:, -steps:], **close)
    for got, expected in zip(zip(*moments, strict=True), (p_z.mean(), p_z.stddev()), strict=True):
        np.testing.assert_allclose(np.concatenate(got, 1), expected[:, -steps:], **close)


def mean_z(model, roll, w):
    context = model.context(before(roll), w, model.initial_state(len(roll)))
    return model.posterior_z(roll, w, context).mean()


@pytest.mark.parametrize("kind", ["vae-lstm", "vae-lstm, LSTM prior"])
def test_frequencies_of_notes_by_quadrature(kind, shaken, eagerly):
    """The first step is p(x | z, past) averaged over z from its prior. (The seed's z are sure.)"""
    model = spread(shaken(make(kind, latent_dim=1), scale=0.8), log_variance=-60)
    grid = np.linspace(-6, 6, 301)
    weight = np.exp(-0.5 * grid**2) / np.sqrt(2 * np.pi) * (grid[1] - grid[0])
    seed_roll, w = np.repeat(rolls(1, 4), 301, axis=0), np.zeros((301, 0), np.float32)
    longer = np.pad(seed_roll, [(0, 0), (0, 1), (0, 0)])
    context = model.context(before(longer), w, model.initial_state(301))
    prior = model.prior_z(w, context)
    newest = prior.mean()[:, -1] + prior.stddev()[:, -1] * np.float32(grid)[:, None]
    z = np.concatenate([mean_z(model, seed_roll, w), newest[:, None]], axis=1)
    expected = weight @ model.likelihood(z, w, context).mean()[:, -1].numpy()
    got = model.generate(np.repeat(seed_roll[:1], 10_000, axis=0), 1).mean(axis=(0, 1))
    assert np.ptp(expected) > 0.1
    np.testing.assert_allclose(got, expected, atol=4 * 0.5 / np.sqrt(10_000))


@pytest.mark.parametrize("z_from", Z_FROM)
def test_with_an_lstm_prior_what_is_generated_is_read_like_a_seed(z_from, shaken, eagerly):
    model = shaken(make("vae-lstm, LSTM prior"), scale=0.8)
    follows_as_from_a_seed(model, z_from, draws=5000)


# Temperature

TEMPERATURES = [0.25, 1.0, 3.0]


@pytest.mark.parametrize("temperature", TEMPERATURES)
@pytest.mark.parametrize("name", ["diagonal", "standard"])
def test_tempered_normal_is_the_power_of_its_density(name, temperature):
    normal = standard_normal(tf.constant([], tf.int32), 1)
    if name == "diagonal":
        normal = diagonal_normal(tf.constant([0.7, np.log(1.69)]))
    z = np.linspace(-30, 30, 20_001)
    power = normal.prob(np.float32(z)[:, None]).numpy().astype(float) ** (1 / temperature)
    power /= power.sum() * (z[1] - z[0])
    got = tempered(normal, temperature).prob(np.float32(z)[:, None])
    np.testing.assert_allclose(got, power, atol=1e-4)


@pytest.mark.parametrize("temperature", TEMPERATURES)
def test_tempered_coins_are_the_power_of_their_probabilities(temperature):
    coins = independent_bernoulli(tf.constant([[0.0, 1.0, -3.0], [5.0, -0.1, 0.2]]))
    outcomes = np.float32(np.stack(np.meshgrid(*[[0, 1]] * 3), -1).reshape(-1, 1, 3))
    power = coins.prob(outcomes).numpy().astype(float) ** (1 / temperature)
    got = tempered(coins, temperature)
    assert got.event_shape == (3,) and got.batch_shape == (2,)
    np.testing.assert_allclose(got.prob(outcomes), power / power.sum(axis=0), rtol=1e-4)


@pytest.mark.parametrize(
    "other",
    [
        tfd.MixtureSameFamily(tfd.Categorical([0.0, 0.0]), tfd.Normal([0.0, 1.0], 1.0)),
        tfd.Independent(tfd.Normal([0.0, 1.0], 1.0), 1),
    ],
    ids=lambda other: type(other).__name__,
)
def test_tempered_names_a_kind_that_it_does_not_know(other):
    kind = type(other).__name__
    with pytest.raises(NotImplementedError, match=f"not known for a {kind}; add it to `tempered`"):
        tempered(other, 0.5)


def test_tempered_keeps_shapes_and_at_one_everything():
    normal = diagonal_normal(tf.constant([[[1.0, 2.0, 0.5, -0.5]]]))
    coins = independent_bernoulli(tf.constant([[0.5, -2.0]]))
    for temperature in (1.0, tf.constant(1.0)):
        same = tempered(normal, temperature)
        np.testing.assert_allclose(same.mean(), normal.mean())
        np.testing.assert_allclose(same.stddev(), normal.stddev(), rtol=1e-6)
        np.testing.assert_allclose(tempered(coins, temperature).mean(), coins.mean(), rtol=1e-6)
    assert tempered(normal, 0.5).batch_shape == (1, 1)
    np.testing.assert_allclose(tempered(normal, 0.5).mean(), normal.mean())


# What it makes of a key: a decoder whose notes are the components of w


class Transparent(ClassifyingVAE):
    """P = K, and pitch k sounds with probability w_k."""

    def likelihood(self, z, w, context):
        return independent_bernoulli(tf.math.log(w + 1e-20) - tf.math.log(1 - w + 1e-20))


@pytest.fixture(scope="module")
def transparent(shaken):
    return shaken(Transparent(classes=P, pitches=P, hidden_class_dim=8))


def test_a_given_key_is_a_one_hot_w(transparent, eagerly):
    keys = [0, 3, 4, 1]
    for z_from in ("prior", "posterior"):
        seeds = repeated(SEED_ROLL, 4)
        got = transparent.generate(seeds, 6, keys, certainty=1, z_from=z_from)
        np.testing.assert_array_equal(got, np.repeat(np.eye(P, dtype=bool)[keys][:, None], 6, 1))


CHANCES = np.float32([0.1, 0.2, 0.4, 0.15, 0.1, 0.05])


@pytest.mark.parametrize("z_from", Z_FROM)
def test_w_itself_may_be_given(transparent, eagerly, z_from):
    seeds = repeated(SEED_ROLL, 2000)
    got = transparent.generate(seeds, 3, w=CHANCES, z_from=z_from).mean(axis=(0, 1))
    np.testing.assert_allclose(got, CHANCES, atol=0.03)


@pytest.mark.parametrize("shape", [(P,), (4, P), (4, 6, P)])
def test_w_for_each_sample_and_step(transparent, eagerly, shape):
    corners = np.eye(P, dtype=np.float32)[np.arange(24).reshape(4, 6) % P]
    index = {1: (0, 0), 2: (slice(None), 0), 3: ()}[len(shape)]
    got = transparent.generate(repeated(SEED_ROLL, 4), 6, w=corners[index])
    expected = corners[index] if len(shape) != 2 else corners[:, :1]
    np.testing.assert_array_equal(got, np.broadcast_to(expected, (4, 6, P)) > 0)


@pytest.mark.parametrize("kind", CLASSIFYING)
def test_a_key_is_a_w(kind, shaken, eagerly):
    model, seed_roll = shaken(make(kind), scale=1), rolls(20, 2)
    for certainty in (None, 0.3):
        by_key = model.generate(seed_roll, 3, 2, certainty)
        by_w = model.generate(seed_roll, 3, w=model.w_of(2, certainty))
        np.testing.assert_array_equal(by_key, by_w)
    np.testing.assert_allclose(model.w_of([0, 2], 0.4).numpy()[1], [0.2, 0.2, 0.6], atol=1e-6)


@pytest.mark.parametrize("certainty", [0, 0.4, 0.9])
def test_certainty_of_a_given_key(transparent, eagerly, certainty):
    seeds = repeated(SEED_ROLL, 2000)
    got = transparent.generate(seeds, 3, 1, certainty=certainty).mean(axis=(0, 1))
    expected = np.full(P, (1 - certainty) / P)
    expected[1] += certainty
    np.testing.assert_allclose(got, expected, atol=0.03)


@pytest.mark.parametrize("certainty", [-0.1, 1.1, float("nan"), "high"])
@pytest.mark.parametrize("arguments", [{"key": 1}, {"w_from": "discrete"}])
def test_a_certainty_that_is_no_share(transparent, certainty, arguments):
    with pytest.raises(ValueError, match=r"\Acertainty: [^\n]+\Z"):
        transparent.generate(SEED_ROLL[None], 2, certainty=certainty, **arguments)


@pytest.mark.parametrize(
    ("named", "arguments"),
    [
        ("certainty", {"certainty": 1}),
        ("certainty", {"certainty": 1, "w_from": "sample"}),
        ("w_from", {"key": 1, "w_from": "sample"}),
        ("w_from", {"w": np.full(P, 1 / P), "w_from": "discrete"}),
    ],
)
def test_an_argument_without_effect_is_refused(transparent, named, arguments):
    with pytest.raises(ValueError, match=rf"\A{named}: got [^\n]+\Z"):
        transparent.generate(SEED_ROLL[None], 2, **arguments)


def test_a_model_without_w_infers_none():
    with pytest.raises(ValueError, match=r"\Aw_from: got 'sample', where no w is inferred\Z"):
        VAE(pitches=P).generate(SEED_ROLL[None], 2, w_from="sample")


def test_w_from_mean_discrete_and_sample(transparent, eagerly):
    size, steps = 2000, 20
    seeds = repeated(SEED_ROLL, size)
    q = transparent.infer_w(SEED_ROLL)

    got = transparent.generate(seeds, 3, w_from="mean")
    np.testing.assert_allclose(got.mean(axis=(0, 1)), q.mean(), atol=0.04)

    got = transparent.generate(seeds[:3], 3, w_from="discrete", certainty=1)
    assert np.all(got == np.eye(P, dtype=bool)[np.argmax(q.mode())])

    # One draw of w for each sample, kept through its steps: the spread between the samples'
    # frequencies is that of w, and the coins' own.
    got = transparent.generate(seeds, steps, w_from="sample").mean(axis=1)
    draws = q.sample(20_000, seed=(3, 4)).numpy()
    variance = draws.var(axis=0) + (draws * (1 - draws)).mean(axis=0) / steps
    np.testing.assert_allclose(got.mean(axis=0), draws.mean(axis=0), atol=0.03)
    np.testing.assert_allclose(got.var(axis=0), variance, rtol=0.15, atol=0.002)
    assert draws.var(axis=0).max() > 0.01


def test_w_is_inferred_from_each_samples_own_seed(shaken, eagerly):
    transparent = shaken(Transparent(classes=P, pitches=P), scale=2)
    seeds = np.eye(P, dtype=np.float32)[:, None]  # in each a pitch of its own
    got = transparent.generate(seeds, 2, w_from="discrete", certainty=1)
    best = [np.argmax(transparent.infer_w(roll).mode()) for roll in seeds]
    assert len(set(best)) > 1
    np.testing.assert_array_equal(got[:, 0], np.eye(P, dtype=bool)[best])


# Arguments


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"steps": 0}, "steps"),
        ({"steps": -1}, "steps"),
        ({"steps": 2.5}, "steps"),
        ({"w_from": "median"}, "w_from"),
        ({"z_from": "nowhere"}, "z_from"),
        ({"temperature": 0}, "temperature"),
        ({"temperature": -1.0}, "temperature"),
        ({"temperature": float("nan")}, "temperature"),
        ({"temperature": float("inf")}, "temperature"),
        ({"temperature": "hot"}, "temperature"),
        ({"temperature": None}, "temperature"),
        ({"seed_roll": rolls(4)}, "seed_roll"),
        ({"seed_roll": rolls(2, 3)[..., :-1]}, "seed_roll"),
        ({"seed_roll": rolls(2, 0)}, "seed_roll"),
        ({"seed_roll": rolls(2, 1), "z_from": "posterior"}, "seed_roll"),
        ({"key": -1}, "key"),
        ({"key": K}, "key"),
        ({"key": [0, -1]}, "key"),
        ({"key": [0, 1, 2]}, "key"),
        ({"key": [[0], [1]]}, "key"),
        ({"key": [[0, 1], [1, K]]}, "key"),
        ({"key": [[0, 1, 1], [1, 0, 0]]}, "key"),
        ({"key": [[0, 1]]}, "key"),
        ({"key": 0.5}, "key"),
        ({"key": "C major"}, "key"),
        ({"seed": 2**31}, "seed"),
        ({"seed": -1}, "seed"),
        ({"seed": 0.5}, "seed"),
        ({"w": [0.5, 0.5, 0], "key": 0}, "w"),
        ({"w": [0.5, 0.5]}, "w"),
        ({"w": [0.5, 0.5, 0.5]}, "w"),
        ({"w": [-0.5, 0.5, 1]}, "w"),
        ({"w": [float("nan"), 0.5, 0.5]}, "w"),
        ({"w": [[0.5, 0.5, 0]]}, "w"),
        ({"w": 1.0}, "w"),
        ({"z_towards": 1}, "z_towards"),
        ({"z_towards": (1, 0.5, 0)}, "z_towards"),
        ({"z_towards": (-1, 0.5)}, "z_towards"),
        ({"z_towards": (0.5, 0.5)}, "z_towards"),
        ({"z_towards": (1, 1.1)}, "z_towards"),
        ({"z_towards": (1, float("nan"))}, "z_towards"),
        ({"z_towards": (1, "far")}, "z_towards"),
    ],
)
@pytest.mark.parametrize("kind", ["cl-vae", "cl-vae-lstm"])
def test_generate_names_a_bad_argument_in_one_line(kind, arguments, named):
    model = make(kind)
    with pytest.raises(ValueError, match=rf"\A{named}: [^\n]+\Z"):
        model.generate(**({"seed_roll": rolls(2, 3), "steps": 2} | arguments))


@pytest.mark.parametrize("kind", ["vae", "vae-lstm"])
@pytest.mark.parametrize("key", [0, [0, 0], [[0, 0], [0, 0]]])
def test_a_model_without_classes_takes_no_key(kind, key):
    with pytest.raises(ValueError, match=r"\Akey: [^\n]+\Z"):
        make(kind).generate(rolls(2, 3), 2, key=key)
