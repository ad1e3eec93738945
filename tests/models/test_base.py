"""The contract that every family keeps: bounds, gradients, key inference."""

import numpy as np
import pytest
import tensorflow as tf
from small import (
    KINDS,
    H,
    K,
    P,
    Z,
    batch,
    before,
    elbo,
    make,
    rolls,
    set_log_variance,
    spread,
    total_log_prob,
)

from cvae.models import MODELS, LatentModel
from cvae.models.autoregressive import MADE, OUTPUTS
from cvae.models.base import windows_about
from cvae.models.vae_lstm import PRIORS

SEED = (1, 2)


@pytest.fixture(scope="module", params=KINDS)
def model(request, shaken):
    return shaken(make(request.param))


@pytest.mark.parametrize("missing", ["posterior_z", "likelihood", "prior_z"])  # as `elbo` asks
def test_a_family_that_lacks_a_conditional_is_told_which(missing):
    whole = make("vae")

    class Half(LatentModel):
        pass

    for name in ("posterior_z", "likelihood", "prior_z"):
        if name == missing:
            break
        setattr(Half, name, staticmethod(getattr(whole, name)))
    with pytest.raises(NotImplementedError, match=f"^{missing}: Half must supply it$"):
        elbo(Half(), batch(whole, 2))


def test_bound_is_the_sum_of_its_terms(model):
    terms = elbo(model, batch(model, 5))
    assert all(term.shape == (5,) and term.dtype == tf.float32 for term in terms[:5])
    difference = terms.log_likelihood - terms.kl_z - terms.kl_w
    np.testing.assert_allclose(terms.bound, difference, rtol=1e-6)
    assert np.all(terms.kl_z > 0) and np.all(terms.log_likelihood < 0)


def test_bound_depends_on_its_seed_only(model):
    data = batch(model, 5)
    first, same, other = (elbo(model, data, seed) for seed in [SEED, SEED, (1, 3)])
    for a, b in zip(first[:5], same[:5], strict=True):
        np.testing.assert_array_equal(a, b)
    assert not np.allclose(first.log_likelihood, other.log_likelihood)
    assert elbo(model, data, np.array(SEED)).bound.shape == (5,)  # int64 will do


def test_rows_of_a_batch_do_not_mix(model):
    data = batch(model, 4)
    together = elbo(model, data)
    data.x[3], data.x_prev[3] = 1 - data.x[3], 1 - data.x_prev[3]
    data.key[3] = (data.key[3] + 1) % K
    changed = elbo(model, data)
    for a, b in zip(together[:5], changed[:5], strict=True):
        np.testing.assert_array_equal(a[:3], b[:3])
    assert together.log_likelihood[3] != changed.log_likelihood[3]


def perceptron(inputs, hidden, outputs):
    return (inputs + 1) * hidden + (hidden + 1) * outputs


def lstm(inputs):
    """Four gates, each with an input, a recurrent kernel and a bias."""
    return 4 * H * (inputs + H + 1)


def test_number_of_weights(model):
    k = model.classes
    if not model.sequential:
        arrays, weights = 8, perceptron(P + k, H, 2 * Z) + perceptron(k + Z + P, H, P)
    elif model.prior == "standard":
        arrays = 10
        weights = lstm(P + k) + (H + 1) * 2 * Z + lstm(Z + k + P) + (H + 1) * P
    else:
        arrays, weights = 15, lstm(P + k) + perceptron(H + k, H, 2 * Z)
        weights += perceptron(P + H + k, H, 2 * Z) + perceptron(Z + k + H, H, P)
    if k:
        arrays += 4 + 2 * model.sequential
        inputs = 7 if model.sequential else P
        weights += perceptron(inputs, 7, 2 * (K - 1)) + model.sequential * (P + 1) * 7
    network = model.to_x if model.sequential and model.prior == "standard" else model.decoder
    if isinstance(network, MADE):
        inputs = network.condition.kernel.shape[0]
        arrays, weights = arrays + 4, weights + (inputs + 1) * H + 2 * P * H
        if network is not model.decoder:  # and a perceptron in the place of a dense layer
            arrays, weights = arrays + 2, weights + (H + 1) * H
    assert len(model.trainable_variables) == arrays
    assert sum(v.numpy().size for v in model.trainable_variables) == weights


def call(model, data, **options):
    return model(data.x, data.x_prev, data.key, np.int32(SEED), data.mask, **options)


def test_every_variable_gets_a_gradient_from_the_bound(model):
    with tf.GradientTape() as tape:
        loss = -tf.reduce_mean(call(model, batch(model, 30), training=True).bound)
    gradients = tape.gradient(loss, model.trainable_variables)
    for variable, gradient in zip(model.trainable_variables, gradients, strict=True):
        assert gradient is not None and np.any(gradient != 0), variable.path
        assert np.all(np.isfinite(gradient)), variable.path


def test_gradient_of_the_bound_is_that_of_finite_differences(model):
    """Through both samples: the bound at a fixed seed is a function of the weights."""
    data, step = batch(model, 50), 1e-2

    @tf.function
    def loss():
        return tf.reduce_mean(elbo(model, data).bound)

    with tf.GradientTape() as tape:
        value = loss()
    rng = np.random.default_rng(0)
    for variable, gradient in zip(
        model.trainable_variables, tape.gradient(value, model.trainable_variables), strict=True
    ):
        direction = rng.normal(size=variable.shape).astype(np.float32)
        direction /= np.linalg.norm(direction)
        here = variable.numpy()
        variable.assign(here + step * direction)
        up = loss()
        variable.assign(here - step * direction)
        down = loss()
        variable.assign(here)
        slope = float(up - down) / (2 * step)
        assert np.sum(gradient * direction) == pytest.approx(slope, abs=0.02, rel=0.02)


@pytest.mark.parametrize("kind", KINDS)
def test_dropout_acts_in_training_only(kind, shaken):
    model = shaken(make(kind, dropout=0.5))
    data = batch(model, 5)
    plain = elbo(model, data).bound
    np.testing.assert_array_equal(plain, call(model, data).bound)
    np.testing.assert_array_equal(plain, call(model, data, training=False).bound)
    assert not np.allclose(plain, call(model, data, training=True).bound)


def test_a_mask_may_be_given_by_name(model):
    data = batch(model, 5)
    np.testing.assert_array_equal(
        elbo(model, data).bound, model(**data._asdict(), seed=np.int32(SEED)).bound
    )


@pytest.mark.parametrize("kind", KINDS)
def test_weights_are_drawn_by_seed(kind):
    first, same, other = (make(kind, seed=seed, dropout=0.1) for seed in (0, 0, 1))
    for a, b, c in zip(first.variables, same.variables, other.variables, strict=True):
        np.testing.assert_array_equal(a, b, a.path)
        if "kernel" in a.path:
            assert not np.any(a.numpy() == c.numpy())


@pytest.mark.parametrize("kind", KINDS)
def test_networks_do_not_start_alike(kind):
    """Two layers of one shape have different weights."""
    sizes = {"pitches": 5, "latent_dim": 5, "hidden_dim": 5, "use_x_prev": False}
    model = make(kind, **sizes, **({"hidden_class_dim": 5} if kind.startswith("cl-") else {}))
    kernels = [v.numpy() for v in model.trainable_variables if "kernel" in v.path]
    assert len({kernel.shape for kernel in kernels}) < len(kernels)
    for i, a in enumerate(kernels):
        for b in kernels[:i]:
            assert a.shape != b.shape or not np.any(a == b)


# The importance-weighted bound, where quadrature gives log p(x)

TOYS = KINDS | {f"{kind}, predict_next": KINDS[kind] for kind in ("vae", "cl-vae-lstm")}


@pytest.fixture(scope="module", params=TOYS)
def toy(request, shaken):
    """A model of three pitches with one z a step, and two classes: one coordinate of w."""
    kind, *predict_next = request.param.split(", predict_next")
    options = {"pitches": 3, "latent_dim": 1, "hidden_dim": 5}
    if predict_next:
        options |= {"predict_next": True, "use_x_prev": False}
    if kind.startswith("cl-"):
        options |= {"classes": 2, "w_log_var_prior": 0.5}
    model = spread(shaken(make(kind, **options), seed=1), log_variance=0.7)
    if model.sequential and model.prior == "lstm":
        set_log_variance(model.prior_network.output_layer, 0)
    return model  # its q are wider than its p: no importance weight is large


def toy_data(model):
    """A step, or a roll of two, as `importance_weighted_bound` takes it; the roll is padded."""
    x, x_prev = np.float32([[1, 0, 1]]), np.float32([[0, 1, 1]])
    if not model.sequential:
        return {"x": x, "x_prev": x_prev, "mask": None}
    x = np.concatenate([x, 1 - x, np.ones_like(x)])[None]
    return {"x": x, "x_prev": before(x), "mask": np.float32([[1, 1, 0]])}


def evidence(model, x, x_prev, mask):
    """Log p(x) by quadrature over w and all z."""
    if model.sequential:
        x, x_prev = x[:, :2], x_prev[:, :2]
    axes = bool(model.classes) + (2 if model.sequential else 1)
    axis = np.linspace(-7, 7, 43)
    grid = np.stack(np.meshgrid(*[axis] * axes), axis=-1).reshape(-1, axes)
    size, log_joint = len(grid), 0.0
    w = np.zeros((size, 0), np.float32)
    if model.classes:
        grid, y = grid[:, 1:], grid[:, 0]  # w = softmax of (y, -y) / sqrt(2)
        log_joint = -0.5 * y**2 / np.exp(0.5) - 0.25 - 0.5 * np.log(2 * np.pi)
        w = np.stack([1 / (1 + np.exp(-s * np.sqrt(2) * y)) for s in (1, -1)], 1).astype("f")
    z = grid.reshape(size, *x.shape[1:-1], 1).astype("f")
    x, x_prev = (np.repeat(array, size, axis=0) for array in (x, x_prev))
    context = model.context(x_prev, w, model.initial_state(size))
    log_joint = log_joint + total_log_prob(model.prior_z(w, context), z)
    log_joint += total_log_prob(model.likelihood(z, w, context), x)
    return np.log(np.sum(np.exp(log_joint)) * (axis[1] - axis[0]) ** axes)


def repeated(data, copies):
    return {k: v if v is None else np.repeat(v, copies, axis=0) for k, v in data.items()}


def importance_weighted(model, copies, samples):
    """The bound of so many copies of the toy's data, each with draws of its own."""
    data = repeated(toy_data(model), copies)
    bounds = model.importance_weighted_bound(**data, seed=np.int32(SEED), samples=samples)
    assert bounds.shape == (copies,)
    return bounds.numpy().astype(float)


def standard_error(values):
    return np.std(values) / np.sqrt(len(values))


@pytest.mark.parametrize("samples", [1, 3])
def test_importance_weights_are_an_unbiased_estimate_of_the_evidence(toy, samples):
    ratio = np.exp(importance_weighted(toy, 10_000, samples) - evidence(toy, **toy_data(toy)))
    assert standard_error(ratio) < 0.02
    assert np.mean(ratio) == pytest.approx(1, abs=4 * standard_error(ratio) + 1e-3)


def test_importance_weighted_bound_of_one_draw_is_the_bound_in_expectation(toy):
    copies = 10_000
    data = repeated(toy_data(toy), copies)
    bounds = toy.elbo(**data, key=np.zeros(copies, np.int32), seed=(3, 4)).bound.numpy()
    draws = importance_weighted(toy, copies, samples=1)
    error = np.hypot(standard_error(bounds), standard_error(draws))
    assert np.mean(draws) == pytest.approx(np.mean(bounds, dtype=float), abs=4 * error)
    assert error < 0.03


def test_importance_weighted_bound_rises_to_the_evidence(toy):
    truth = evidence(toy, **toy_data(toy))
    gaps = [truth - np.mean(importance_weighted(toy, 2000, samples)) for samples in (1, 2, 6)]
    assert gaps[0] > 1.4 * gaps[1] > 2.8 * gaps[2] > 0  # in the limit they fall like 1 / S


def test_each_draw_of_w_has_as_many_of_z_where_the_steps_are_independent(toy):
    """Elsewhere the draws are of w and z together: as many in all."""
    draws = []

    def given_w(x, x_prev, w, seed, samples, mask):
        draws.append(samples)
        return toy.log_evidence(x, x_prev, w, seed, samples, mask)

    toy.importance_weighted_bound(**toy_data(toy), seed=SEED, samples=3, given_w=given_w)
    each = 3 if toy.steps_independent or not toy.classes else 1
    assert draws == [each] * (3 if toy.classes else 1)


def test_the_tighter_bound_lies_between_the_elbo_and_the_evidence(toy):
    """Its KL of w is in it, so without classes it is the importance-weighted bound itself."""
    copies = 4000
    data = repeated(toy_data(toy), copies)
    key = np.zeros(copies, np.int32)
    one, six = (toy.elbo(**data, key=key, seed=(3, 4), samples=samples) for samples in (1, 6))
    for name in ("log_likelihood", "kl_z", "kl_w"):
        np.testing.assert_array_equal(getattr(one, name), getattr(six, name))
    bounds = [terms.bound.numpy().astype(float) for terms in (one, six)]
    error = standard_error(bounds[1])
    assert np.mean(bounds[0]) < np.mean(bounds[1]) - 4 * error
    assert np.mean(bounds[1]) < evidence(toy, **toy_data(toy)) + 4 * error
    if not toy.classes:
        draws = importance_weighted(toy, copies, samples=6)
        error = np.hypot(error, standard_error(draws))
        assert np.mean(bounds[1]) == pytest.approx(np.mean(draws), abs=4 * error)


def test_importance_weighted_bound_depends_on_its_seed_only(model):
    data = batch(model, 5)
    first, same, other = (
        model.importance_weighted_bound(data.x, data.x_prev, seed, 2, data.mask).numpy()
        for seed in [SEED, SEED, (1, 3)]
    )
    np.testing.assert_array_equal(first, same)
    assert np.all(first != other)


# Key inference


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind.startswith("cl-")])
@pytest.mark.parametrize("window", [1, 3, 4, 5, 9])
def test_each_step_has_the_posterior_of_the_window_about_it(kind, window):
    model, roll = make(kind), rolls(5)
    steps = model.infer_key(roll, window).steps
    for t in range(5):
        first = min(max(t - window // 2, 0), max(5 - window, 0))
        alone = model.infer_key(roll[first : first + window])
        # Monte Carlo means from other random numbers: within the error that `mean` documents.
        np.testing.assert_allclose(steps[t], alone.whole, atol=3 * 0.71 / np.sqrt(1000))


def test_windows_lie_about_their_steps_and_within_the_roll():
    for window, starts in ((1, range(6)), (3, [0, 0, 1, 2, 3, 3]), (4, [0, 0, 0, 1, 2, 2])):
        expected = [list(range(start, start + window)) for start in starts]
        assert windows_about(6, window).tolist() == expected
    assert windows_about(2, 9).tolist() == [[0, 1], [0, 1]]


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind.startswith("cl-")])
def test_interval_and_leading_are_those_of_the_whole_roll(kind):
    model, roll = make(kind), rolls(5)
    posterior = model.infer_key(roll)
    draws = model.infer_w(roll).sample(40_000, seed=(3, 4)).numpy()
    np.testing.assert_allclose(posterior.interval, np.quantile(draws, [0.05, 0.95], 0), atol=0.03)
    leading = np.bincount(draws.argmax(axis=-1), minlength=K) / len(draws)
    np.testing.assert_allclose(posterior.leading, leading, atol=0.05)


# Arguments


@pytest.mark.parametrize("kind", ["cl-vae", "cl-vae-lstm"])
def test_infer_key_names_a_bad_window(kind):
    with pytest.raises(ValueError, match=r"\Awindow: [^\n]+\Z"):
        make(kind).infer_key(rolls(3), 0)


@pytest.mark.parametrize("kind", ["vae", "vae-lstm"])
def test_a_model_without_classes_infers_no_key(kind):
    with pytest.raises(ValueError, match="no classes"):
        make(kind).infer_key(rolls(3))


@pytest.mark.parametrize("shape", [(0,), (2, 3), ()])
@pytest.mark.parametrize("kind", ["cl-vae", "cl-vae-lstm"])
def test_infer_key_names_a_bad_roll(kind, shape):
    with pytest.raises(ValueError, match=r"\Aroll: [^\n]+\Z"):
        make(kind).infer_key(rolls(*shape))


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
        ({"use_x_prev": True, "predict_next": True}, "(use_x_prev|predict_next)"),
    ],
)
@pytest.mark.parametrize("family", MODELS.values())
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
@pytest.mark.parametrize("family", [MODELS["cl-vae"], MODELS["cl-vae-lstm"]])
def test_a_bad_option_of_the_classifier_is_named(family, options, named):
    with pytest.raises(ValueError, match=rf"\A{named}: [^\n]+\Z"):
        family(**options)


@pytest.mark.parametrize("options", [{"prior": "flat"}, {"prior": None}])
@pytest.mark.parametrize("family", [MODELS["vae-lstm"], MODELS["cl-vae-lstm"]])
def test_an_unknown_prior_is_named(family, options):
    with pytest.raises(ValueError, match=r"\Aprior: [^\n]+standard, lstm\Z"):
        family(**options)


@pytest.mark.parametrize("prior", PRIORS)
@pytest.mark.parametrize("name", MODELS)
def test_an_output_of_ones_own_makes_the_notes(name, prior, monkeypatch):
    class Own(MADE):
        pass

    monkeypatch.setitem(OUTPUTS, "own", Own)
    options = {"prior": prior} if name.endswith("lstm") else {}
    model = MODELS[name](output="own", **options)
    assert [type(layer) for layer in model._flatten_layers()].count(Own) == 1


@pytest.mark.parametrize("family", MODELS.values())
def test_an_unknown_output_is_named(family):
    with pytest.raises(ValueError, match=r"\Aoutput: [^\n]+bernoulli, made\Z"):
        family(output="nade")


def test_an_lstm_prior_excludes_predict_next():
    with pytest.raises(ValueError, match=r"\Apredict_next: [^\n]+\Z"):
        MODELS["vae-lstm"](prior="lstm", predict_next=True)
