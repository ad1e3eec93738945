"""Small models of every kind, and rolls for them."""

import numpy as np
import tensorflow as tf

from cvae.examples import Batch
from cvae.models import MODELS

P, K, Z, H, STEPS = 6, 3, 2, 8, 4

# Each family, those of sequences with each prior, and with notes that depend on each other.
KINDS = {
    "vae": ("vae", {}),
    "cl-vae": ("cl-vae", {}),
    "vae-lstm": ("vae-lstm", {"prior": "standard"}),
    "vae-lstm, LSTM prior": ("vae-lstm", {"prior": "lstm"}),
    "cl-vae-lstm": ("cl-vae-lstm", {"prior": "standard"}),
    "cl-vae-lstm, LSTM prior": ("cl-vae-lstm", {"prior": "lstm"}),
    "vae, MADE": ("vae", {"output": "made"}),
    "cl-vae-lstm, LSTM prior, MADE": ("cl-vae-lstm", {"prior": "lstm", "output": "made"}),
}


def make(kind, **options):
    family, own = KINDS[kind]
    sizes = {"pitches": P, "latent_dim": Z, "hidden_dim": H, "use_x_prev": True}
    if family.startswith("cl-"):
        sizes |= {"classes": K, "hidden_class_dim": 7}
    return MODELS[family](**(sizes | own | options))


def rolls(*shape, pitches=P, seed=0):
    return (np.random.default_rng(seed).random((*shape, pitches)) < 0.4).astype(np.float32)


def before(x):
    """x_prev of whole rolls (B, T, P): silence, then all steps but the last."""
    return np.pad(x[:, :-1], [(0, 0), (1, 0), (0, 0)])


def batch(model, size, seed=0):
    """Steps, or for a model of sequences rolls of different lengths: `elbo` takes its arrays."""
    key = np.random.default_rng(seed).integers(0, K, size).astype(np.int32)
    if not model.sequential:
        return Batch(rolls(size, seed=seed), rolls(size, seed=seed + 1), key)
    x = rolls(size, STEPS, seed=seed)
    lengths = 1 + np.arange(size) % STEPS
    return Batch(x, before(x), key, (np.arange(STEPS) < lengths[:, None]).astype(np.float32))


def elbo(model, data, seed=(1, 2), state=None):
    return model.elbo(data.x, data.x_prev, data.key, seed, data.mask, state)


def spread(model, log_variance):
    """Give q(z | x) and q(w | x) this variance everywhere; -60: every draw is the mean."""
    set_log_variance(getattr(model, "to_z", None) or model.encoder.output_layer, log_variance)
    if model.classes:
        set_log_variance(model.classifier.output_layer, log_variance)
    return model


def set_log_variance(layer, log_variance):
    kernel, bias = layer.get_weights()
    half = len(bias) // 2
    kernel[:, half:], bias[half:] = 0, log_variance
    layer.set_weights([kernel, bias])


def total_log_prob(distribution, values):
    """Log-density of (B, T) or (B,) values, summed over the steps: float64 (B,)."""
    terms = tf.cast(distribution.log_prob(values), tf.float64).numpy()
    return terms.reshape(len(terms), -1).sum(axis=1)
