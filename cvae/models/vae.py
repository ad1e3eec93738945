"""The variational autoencoder of single steps of a piano roll."""

import tensorflow as tf

from cvae.models.autoregressive import OUTPUTS, notes
from cvae.models.base import LatentModel
from cvae.models.checks import check_choice, check_shares, check_widths
from cvae.models.distributions import diagonal_normal, standard_normal
from cvae.models.networks import Perceptron

__all__ = ["VAE"]


class VAE(LatentModel):
    """Variational autoencoder with one normal latent z for each step x.

    ::

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
    output : {"bernoulli", "made"}
        p(x | z, x_prev): independent notes, or each given the notes below it, by `MADE`.
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
        output="bernoulli",
        use_x_prev=False,
        predict_next=False,
        dropout=0.0,
        seed=0,
        name="vae",
    ):
        super().__init__(name=name)
        check_widths(pitches=pitches, latent_dim=latent_dim, hidden_dim=hidden_dim)
        check_shares(dropout=dropout)
        check_choice("output", output, OUTPUTS)
        if use_x_prev and predict_next:
            raise ValueError("use_x_prev: excludes predict_next, got both")
        self.pitches, self.latent_dim = pitches, latent_dim
        self.use_x_prev, self.predict_next = use_x_prev, predict_next
        context = pitches if use_x_prev else 0
        self.encoder = Perceptron(
            "encoder", pitches + self.classes, hidden_dim, 2 * latent_dim, dropout, seed
        )
        self.decoder = OUTPUTS[output](
            "decoder", self.classes + latent_dim + context, hidden_dim, pitches, dropout, seed
        )
        self.built = True  # all weights are there: `summary` and `count_params` work at once

    def prior_z(self, w, context=None):
        """p(z): standard normal. Event (Z,), batch that of w (..., K)."""
        return standard_normal(tf.shape(w)[:-1], self.latent_dim)

    def likelihood(self, z, w, x_prev):
        """p(x | z, w, x_prev): coins for the pitches. Event (P,), batch that of z (..., Z)."""
        context = [x_prev] if self.use_x_prev else []
        return notes(self.decoder, tf.concat([w, z, *context], axis=-1))

    def posterior_z(self, x, w, context=None):
        """q(z | x, w). Event (Z,), batch that of x (..., P)."""
        return diagonal_normal(self.encoder(tf.concat([x, w], axis=-1)))
