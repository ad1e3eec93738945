"""The variational autoencoder of single steps of a piano roll."""

import zlib

import keras
import tensorflow as tf
import tensorflow_probability as tfp

from cvae.models.base import LatentModel, check_shares, check_sizes
from cvae.models.distributions import diagonal_normal, independent_bernoulli

tfd = tfp.distributions


class VAE(LatentModel):
    """Variational autoencoder with one normal latent z for each step x.

        p(z) = Normal(0, I)
        p(x | z, x_prev) = prod_i Bernoulli(x_i; decoder(z, x_prev)_i)
        q(z | x) = Normal(encoder(x))

    Encoder and decoder have one hidden layer each (ReLU).

    Parameters
    ----------
    pitches : int
        P, length of a step.
    latent_dim : int
        Z, length of z.
    hidden_dim : int
        H, units of the hidden layer of the encoder and of the decoder.
    use_x_prev : bool
        The decoder also sees the step before.
    predict_next : bool
        The encoder sees the step before *instead of* x. Excludes `use_x_prev`.
    dropout : float
        Share of hidden units dropped in training, in [0, 1).
    seed : int
        Of the first weights and of dropout.

    Raises
    ------
    ValueError
        If a size is below 1, `dropout` outside [0, 1), or both `use_x_prev` and `predict_next`.

    References
    ----------
    Kingma & Welling (2014), arXiv 1312.6114. Hennig et al. (2017), arXiv 1711.07050.
    """

    def __init__(
        self,
        pitches=88,
        latent_dim=2,
        hidden_dim=88,
        use_x_prev=False,
        predict_next=False,
        dropout=0.0,
        seed=0,
        name="vae",
    ):
        super().__init__(name=name)
        check_sizes(pitches=pitches, latent_dim=latent_dim, hidden_dim=hidden_dim)
        check_shares(dropout=dropout)
        if use_x_prev and predict_next:
            raise ValueError("use_x_prev: excludes predict_next, got both")
        self.pitches, self.latent_dim = pitches, latent_dim
        self.use_x_prev, self.predict_next = use_x_prev, predict_next
        context = pitches if use_x_prev else 0
        self.encoder = Perceptron(
            "encoder", pitches + self.classes, hidden_dim, 2 * latent_dim, dropout, seed
        )
        self.decoder = Perceptron(
            "decoder", self.classes + latent_dim + context, hidden_dim, pitches, dropout, seed
        )
        self.built = True  # all weights are there: `summary` and `count_params` work at once

    def prior_z(self, w):
        """p(z): standard normal. Event (Z,), batch that of w (..., K)."""
        zeros = tf.zeros(tf.concat([tf.shape(w)[:-1], [self.latent_dim]], axis=0))
        return tfd.MultivariateNormalDiag(zeros, tf.ones_like(zeros))

    def likelihood(self, z, w, x_prev):
        """p(x | z, w, x_prev): a coin for each pitch. Event (P,), batch that of z (..., Z)."""
        context = [x_prev] if self.use_x_prev else []
        return independent_bernoulli(self.decoder(tf.concat([w, z, *context], axis=-1)))

    def posterior_z(self, x, w):
        """q(z | x, w). Event (Z,), batch that of x (..., P)."""
        return diagonal_normal(self.encoder(tf.concat([x, w], axis=-1)))

    def start(self, seed_roll, w):
        """State before the first generated step: the last two steps of the seed, each (S, P)."""
        return seed_roll[:, -min(2, seed_roll.shape[1])], seed_roll[:, -1]

    def step(self, state, w, seed, z_from):
        """Draw x_t, (S, P), and return it with the next state."""
        before, last = state
        seed_z, seed_x = tf.unstack(tfp.random.split_seed(seed, n=2))
        if z_from == "prior":
            z, context = self.prior_z(w).sample(seed=seed_z), last
        else:
            z, context = self.posterior_z(last, w).sample(seed=seed_z), before
        x = self.likelihood(z, w, context).sample(seed=seed_x)
        return x, (last, x)


class Perceptron(keras.layers.Layer):
    """One hidden ReLU layer with dropout: (..., inputs) -> (..., outputs)."""

    def __init__(self, name, inputs, hidden, outputs, dropout, seed):
        super().__init__(name=name)
        # Layers of the same shape must not start alike, so each has a seed of its own.
        seeds = [zlib.crc32(f"{seed} {name} {i}".encode()) % 2**31 for i in range(3)]
        first, second = (keras.initializers.GlorotUniform(s) for s in seeds[:2])
        self.hidden = keras.layers.Dense(
            hidden, activation="relu", kernel_initializer=first, name="hidden"
        )
        self.dropout = keras.layers.Dropout(dropout, seed=seeds[2], name="dropout")
        self.output_layer = keras.layers.Dense(outputs, kernel_initializer=second, name="output")
        self.build((None, inputs))

    def build(self, shape):
        """Create the weights at once, so that they can be loaded before the first call."""
        self.hidden.build(shape)
        self.output_layer.build((None, self.hidden.units))
        self.built = True

    def call(self, inputs):
        """Map (..., inputs) to (..., outputs)."""
        return self.output_layer(self.dropout(self.hidden(inputs)))
