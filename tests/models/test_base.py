"""The contract that every family keeps: bound, gradients, key inference, sampler."""

import numpy as np
import pytest
import tensorflow as tf

from cvae.models import MODELS, VAE, ClassifyingVAE

P, K, Z = 6, 3, 2
SIZES = {"pitches": P, "latent_dim": Z, "hidden_dim": 8, "use_x_prev": True}


def make(kind, **options):
    if kind == "cl-vae":
        options = {"classes": K, "hidden_class_dim": 7} | options
    return MODELS[kind](**(SIZES | options))


def rolls(*shape, seed=0):
    return (np.random.default_rng(seed).random((*shape, P)) < 0.4).astype(np.float32)


def batch(size, seed=0):
    key = np.random.default_rng(seed).integers(0, K, size).astype(np.int32)
    return rolls(size, seed=seed), rolls(size, seed=seed + 1), key


@pytest.fixture(scope="module", params=MODELS)
def model(request, shaken):
    return shaken(make(request.param))


def test_bound_is_the_sum_of_its_terms(model):
    elbo = model.elbo(*batch(5), seed=(1, 2))
    assert all(term.shape == (5,) and term.dtype == tf.float32 for term in elbo)
    np.testing.assert_allclose(elbo.bound, elbo.log_likelihood - elbo.kl_z - elbo.kl_w, rtol=1e-6)
    assert np.all(elbo.kl_z > 0) and np.all(elbo.log_likelihood < 0)


def test_bound_depends_on_its_seed_only(model):
    first, same, other = (model.elbo(*batch(5), seed=seed) for seed in [(1, 2), (1, 2), (1, 3)])
    for a, b in zip(first, same, strict=True):
        np.testing.assert_array_equal(a, b)
    assert not np.allclose(first.log_likelihood, other.log_likelihood)
    assert model.elbo(*batch(5), seed=np.array([1, 2])).bound.shape == (5,)  # int64 will do


def test_rows_of_a_batch_do_not_mix(model):
    x, x_prev, key = batch(4)
    together = model.elbo(x, x_prev, key, seed=(1, 2))
    x[3], x_prev[3], key[3] = 1 - x[3], 1 - x_prev[3], (key[3] + 1) % K
    changed = model.elbo(x, x_prev, key, seed=(1, 2))
    for a, b in zip(together, changed, strict=True):
        np.testing.assert_array_equal(a[:3], b[:3])
    assert together.log_likelihood[3] != changed.log_likelihood[3]


def test_number_of_variables(model):
    """Two weights and two biases for each of encoder, decoder and classifier."""
    networks = 3 if model.classes else 2
    assert len(model.trainable_variables) == 4 * networks
    assert len(model.variables) == 4 * networks
    encoder = (P + model.classes + 1) * 8 + 9 * 2 * Z
    decoder = (model.classes + Z + P + 1) * 8 + 9 * P
    classifier = (P + 1) * 7 + 8 * 2 * (K - 1) if model.classes else 0
    assert model.count_params() == encoder + decoder + classifier


def test_every_variable_gets_a_gradient_from_the_bound(model):
    with tf.GradientTape() as tape:
        loss = -tf.reduce_mean(model(*batch(30), seed=(1, 2), training=True).bound)
    gradients = tape.gradient(loss, model.trainable_variables)
    for variable, gradient in zip(model.trainable_variables, gradients, strict=True):
        assert gradient is not None and np.any(gradient != 0), variable.path
        assert np.all(np.isfinite(gradient)), variable.path


def test_gradient_of_the_bound_is_that_of_finite_differences(model):
    """Through both samples: the bound at a fixed seed is a function of the weights."""
    data, step = batch(50), 1e-2

    def loss():
        return tf.reduce_mean(model.elbo(*data, seed=(1, 2)).bound)

    with tf.GradientTape() as tape:
        value = loss()
    rng = np.random.default_rng(0)
    for variable, gradient in zip(
        model.trainable_variables, tape.gradient(value, model.trainable_variables), strict=True
    ):
        direction = rng.normal(size=variable.shape).astype(np.float32)
        direction /= np.linalg.norm(direction)
        before = variable.numpy()
        variable.assign(before + step * direction)
        up = loss()
        variable.assign(before - step * direction)
        down = loss()
        variable.assign(before)
        slope = float(up - down) / (2 * step)
        assert np.sum(gradient * direction) == pytest.approx(slope, abs=0.02, rel=0.02)


@pytest.mark.parametrize("kind", MODELS)
def test_dropout_acts_in_training_only(kind, shaken):
    model = shaken(make(kind, dropout=0.5))
    data = batch(5)
    plain = model.elbo(*data, seed=(1, 2)).bound
    np.testing.assert_array_equal(plain, model(*data, seed=(1, 2)).bound)
    np.testing.assert_array_equal(plain, model(*data, seed=(1, 2), training=False).bound)
    assert not np.allclose(plain, model(*data, seed=(1, 2), training=True).bound)


@pytest.mark.parametrize("kind", MODELS)
def test_weights_are_drawn_by_seed(kind):
    first, same, other = (make(kind, seed=seed) for seed in (0, 0, 1))
    for a, b, c in zip(first.variables, same.variables, other.variables, strict=True):
        np.testing.assert_array_equal(a, b)
        if "kernel" in a.path:
            assert not np.any(a.numpy() == c.numpy())


def test_networks_do_not_start_alike():
    model = ClassifyingVAE(classes=4, pitches=5, latent_dim=1, hidden_dim=5, hidden_class_dim=5)
    kernels = [v.numpy() for v in model.trainable_variables if "kernel" in v.path]
    for i, a in enumerate(kernels):
        for b in kernels[:i]:
            assert a.shape != b.shape or not np.any(a == b)


def test_generate_returns_bool_rolls_that_the_seed_decides(model):
    seed_roll = rolls(4, 3)
    first, same, other = (model.generate(seed_roll, 5, seed=seed) for seed in (0, 0, 1))
    assert first.shape == (4, 5, P) and first.dtype == bool
    np.testing.assert_array_equal(first, same)
    assert not np.array_equal(first, other)
    assert len({sample.tobytes() for sample in first}) == 4  # the samples differ, too
    assert np.array_equal(first, model.generate(seed_roll > 0, 5))  # a bool seed will do


def test_generate_looks_at_the_end_of_the_seed_only(model, eagerly):
    key = 0 if model.classes else None  # otherwise the whole seed decides the key
    long, short = rolls(4, 6), rolls(4, 6)[:, -2:]
    for z_from in ("prior", "posterior"):
        np.testing.assert_array_equal(
            model.generate(long, 3, key, z_from=z_from),
            model.generate(short, 3, key, z_from=z_from),
        )


@pytest.mark.parametrize("z_from", ["prior", "posterior"])
def test_sample_i_depends_on_its_own_seed_and_key_only(model, z_from, eagerly):
    seed_roll = rolls(20, 2)
    changed = seed_roll.copy()
    changed[1::2] = 1 - changed[1::2]
    before = model.generate(seed_roll, 4, z_from=z_from)
    after = model.generate(changed, 4, z_from=z_from)
    np.testing.assert_array_equal(before[::2], after[::2])
    assert not np.array_equal(before[1::2], after[1::2])
    if model.classes:
        before = model.generate(seed_roll, 4, [0, 1] * 10, z_from=z_from)
        after = model.generate(seed_roll, 4, [0, 2] * 10, z_from=z_from)
        np.testing.assert_array_equal(before[::2], after[::2])
        assert not np.array_equal(before[1::2], after[1::2])
        one = model.generate(seed_roll, 4, 2, z_from=z_from)
        np.testing.assert_array_equal(after[1::2], one[1::2])


@pytest.mark.parametrize("steps", [1, np.int64(2)])
def test_generate_of_one_step_or_a_numpy_number_of_steps(model, steps, eagerly):
    assert model.generate(rolls(2, 1), steps).shape == (2, steps, P)


def test_generate_in_double_the_steps_begins_alike(model, eagerly):
    seed_roll = rolls(3, 2)
    np.testing.assert_array_equal(model.generate(seed_roll, 4), model.generate(seed_roll, 8)[:, :4])


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"steps": 0}, "steps"),
        ({"steps": -1}, "steps"),
        ({"w_from": "median"}, "w_from"),
        ({"z_from": "nowhere"}, "z_from"),
        ({"seed_roll": rolls(4)}, "seed_roll"),
        ({"seed_roll": rolls(2, 3)[..., :-1]}, "seed_roll"),
        ({"seed_roll": rolls(2, 0)}, "seed_roll"),
        ({"seed_roll": rolls(2, 1), "z_from": "posterior"}, "seed_roll"),
        ({"key": -1}, "key"),
        ({"key": K}, "key"),
        ({"key": [0, -1]}, "key"),
        ({"key": [0, 1, 2]}, "key"),
        ({"key": [[0], [1]]}, "key"),
        ({"key": 0.5}, "key"),
        ({"key": "C major"}, "key"),
        ({"seed": 2**31}, "seed"),
    ],
)
def test_generate_names_a_bad_argument_in_one_line(model, arguments, named):
    with pytest.raises(ValueError, match=rf"\A{named}: [^\n]+\Z"):
        model.generate(**({"seed_roll": rolls(2, 3), "steps": 2} | arguments))


def test_a_model_without_classes_takes_no_key():
    model = make("vae")
    with pytest.raises(ValueError, match="key"):
        model.generate(rolls(2, 3), 2, key=0)
    with pytest.raises(ValueError, match="no classes"):
        model.infer_key(rolls(3))


@pytest.mark.parametrize("shape", [(0,), (2, 3), ()])
def test_infer_key_names_a_bad_roll(shape):
    with pytest.raises(ValueError, match=r"\Aroll: [^\n]+\Z"):
        make("cl-vae").infer_key(rolls(*shape))


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"pitches": 0}, "pitches"),
        ({"latent_dim": 0}, "latent_dim"),
        ({"latent_dim": -2}, "latent_dim"),
        ({"latent_dim": 2.5}, "latent_dim"),
        ({"latent_dim": "4"}, "latent_dim"),
        ({"hidden_dim": 0}, "hidden_dim"),
        ({"dropout": 1}, "dropout"),
        ({"dropout": -0.1}, "dropout"),
        ({"dropout": float("nan")}, "dropout"),
        ({"dropout": "0.1"}, "dropout"),
        ({"use_x_prev": True, "predict_next": True}, "use_x_prev"),
    ],
)
@pytest.mark.parametrize("family", [VAE, ClassifyingVAE])
def test_a_bad_option_is_named(family, options, named):
    with pytest.raises(ValueError, match=rf"\A{named}: [^\n]+\Z"):
        family(**options)


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"classes": 1}, "classes"),
        ({"classes": 2.5}, "classes"),
        ({"hidden_class_dim": 0}, "hidden_class_dim"),
        ({"class_dropout": 1}, "class_dropout"),
        ({"w_log_var_prior": float("nan")}, "w_log_var_prior"),
        ({"w_log_var_prior": float("inf")}, "w_log_var_prior"),
        ({"coordinates": "polar"}, "coordinates"),
    ],
)
def test_a_bad_option_of_the_classifier_is_named(options, named):
    with pytest.raises(ValueError, match=rf"\A{named}: [^\n]+\Z"):
        ClassifyingVAE(**options)
