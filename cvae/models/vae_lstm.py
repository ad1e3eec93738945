"""The VAE+LSTM: a VAE of each step, whose networks remember the steps before."""

from typing import NamedTuple

import tensorflow as tf

from cvae.models.autoregressive import OUTPUTS, notes
from cvae.models.base import LatentModel
from cvae.models.checks import check_choice, check_shares, check_widths
from cvae.models.distributions import diagonal_normal, standard_normal
from cvae.models.networks import Memory, Perceptron, dense, seeds

__all__ = ["PRIORS", "VAELSTM"]

PRIORS = ("standard", "lstm")
"""What the option `prior` of a `VAELSTM` may be."""


class Context(NamedTuple):
    """What the conditionals know of the past of each step.

    past : (B, T, P) the step before, or (B, T, H) what the LSTM has kept of all steps before
    state : of the memory before the first step (standard prior) or after the last (LSTM prior)
    """

    past: tf.Tensor
    state: list


class VAELSTM(LatentModel):
    """Variational autoencoder of sequences, with one normal latent z_t for each step x_t.

    With a standard-normal prior it is the paper's, a STORN: two LSTMs, one that encodes and one
    that decodes::

        p(z_t) = Normal(0, I)
        p(x_t | z_<=t, x_<t) = prod_i Bernoulli(x_ti; d_ti), d_t = LSTM of z_1, x_0 ... z_t, x_t-1
        q(z_t | x_<=t) = Normal(e_t), e_t = LSTM of x_1 ... x_t

    With an LSTM prior there is one LSTM, h_t = LSTM of x_1 ... x_t-1, and all else is the VAE of a
    single step, which hears what h_t expects::

        p(z_t | x_<t) = Normal(prior(h_t))
        p(x_t | z_t, x_<t) = prod_i Bernoulli(x_ti; decoder(z_t, h_t)_i)
        q(z_t | x_<=t) = Normal(encoder(x_t, h_t))

    What z_<t had to say is in x_<t, which it caused: so p(z_t | x_<t, z_<t) = p(z_t | x_<t). The
    z_t are then independent given x, training is parallel over time but for the LSTM, and
    p(x_t | x_<t) can be estimated step by step.

    Parameters
    ----------
    pitches : int
        P, length of a step.
    latent_dim : int
        Z, length of z.
    hidden_dim : int
        H, units of each LSTM and each hidden layer.
    prior : {"standard", "lstm"}
        p(z_t).
    output : {"bernoulli", "made"}
        p(x_t | z_t, past): independent notes, or each given the notes below it, by
        `MADE`.
    use_x_prev : bool
        The decoder also sees the past: x_t-1, or with an LSTM prior h_t.
    predict_next : bool
        The encoder sees the step before *instead of* x. Excludes `use_x_prev` and an LSTM prior.
    dropout : float
        Share of the hidden units, those of an LSTM as others see them, that are dropped in
        training, in [0, 1).
    seed : int
        Of the first weights and of dropout.

    Raises
    ------
    ValueError
        If a size is below 1, `dropout` outside [0, 1), `prior` unknown, or `predict_next` comes
        with what it excludes.

    References
    ----------
    Bayer & Osendorfer (2014), Learning Stochastic Recurrent Networks, arXiv 1411.7610 (STORN).
    Chung et al. (2015), A Recurrent Latent Variable Model for Sequential Data, arXiv 1506.02216
    (a prior from the state of an RNN). Hennig et al. (2017), arXiv 1711.07050.
    """

    sequential = True

    def __init__(
        self,
        pitches=88,
        latent_dim=2,
        hidden_dim=88,
        prior="standard",
        output="bernoulli",
        use_x_prev=False,
        predict_next=False,
        dropout=0.0,
        seed=0,
        name="vae_lstm",
    ):
        super().__init__(name=name)
        check_widths(pitches=pitches, latent_dim=latent_dim, hidden_dim=hidden_dim)
        check_shares(dropout=dropout)
        check_choice("prior", prior, PRIORS)
        check_choice("output", output, OUTPUTS)
        if predict_next and (use_x_prev or prior == "lstm"):
            raise ValueError("predict_next: excludes use_x_prev and an LSTM prior, got both")
        self.pitches, self.latent_dim, self.prior = pitches, latent_dim, prior
        self.use_x_prev, self.predict_next = use_x_prev, predict_next
        self.steps_independent = prior == "lstm"
        classes, common = self.classes, (dropout, seed)
        if prior == "standard":
            past = pitches if use_x_prev else 0
            self.encoder = Memory("encoder", pitches + classes, hidden_dim, *common)
            self.to_z = dense("to_z", 2 * latent_dim, seeds(seed, "to_z")[0], inputs=hidden_dim)
            self.decoder = Memory("decoder", latent_dim + classes + past, hidden_dim, *common)
            if output == "bernoulli":
                self.to_x = dense("to_x", pitches, seeds(seed, "to_x")[0], inputs=hidden_dim)
            else:
                self.to_x = OUTPUTS[output]("to_x", hidden_dim, hidden_dim, pitches, *common)
        else:
            past = hidden_dim if use_x_prev else 0
            self.memory = Memory("memory", pitches + classes, hidden_dim, *common)
            inputs = hidden_dim + classes
            self.prior_network = Perceptron("prior", inputs, hidden_dim, 2 * latent_dim, *common)
            self.encoder = Perceptron(
                "encoder", pitches + inputs, hidden_dim, 2 * latent_dim, *common
            )
            self.decoder = OUTPUTS[output](
                "decoder", latent_dim + classes + past, hidden_dim, pitches, *common
            )
        self.built = self.supports_masking = True

    def initial_state(self, batch):
        """State of the memory of a batch of rolls before they begin: that of each LSTM."""
        lstms = [self.encoder, self.decoder] if self.prior == "standard" else [self.memory]
        return [lstm.empty(batch) for lstm in lstms]

    def context(self, x_prev, w, state):
        """What each step knows of the past. x_prev (B, T, P), w (B, K)."""
        if self.prior == "standard":
            return Context(x_prev, state)
        past, after = self.memory(beside(w, x_prev), state[0])
        return Context(past, [after])

    def prior_z(self, w, context):
        """p(z_t | x_<t, w). Event (Z,), batch (B, T)."""
        if self.prior == "standard":
            return standard_normal(tf.shape(context.past)[:-1], self.latent_dim)
        return diagonal_normal(self.prior_network(beside(w, context.past)))

    def likelihood(self, z, w, context):
        """p(x_t | z_t, past, w): coins for the pitches. z (B, T, Z); event (P,), batch (B, T)."""
        if self.prior == "standard":
            return notes(self.to_x, self._decode(z, w, context)[0])
        return notes(self.decoder, self._decoder_inputs(z, w, context))

    def posterior_z(self, x, w, context):
        """q(z_t | x_<=t, w). x (B, T, P); event (Z,), batch (B, T)."""
        if self.prior == "standard":
            return diagonal_normal(self.to_z(self.encoder(beside(w, x), context.state[0])[0]))
        return diagonal_normal(self.encoder(beside(w, x, context.past)))

    def advance(self, x, z, w, context):
        """State of the memory after the steps x (B, T, P), with their z (B, T, Z)."""
        if self.prior == "standard":
            _, encoded = self.encoder(beside(w, x), context.state[0])
            return [encoded, self._decode(z, w, context)[1]]
        return context.state

    def _decode(self, z, w, context):
        return self.decoder(self._decoder_inputs(z, w, context), context.state[1])

    def _decoder_inputs(self, z, w, context):
        return beside(w, z, *([context.past] if self.use_x_prev else []))


def beside(w, *parts):
    """Join w (B, K), the same at each step, to arrays (B, T, ...): (B, T, K + ...)."""
    at_each_step = w[:, None] + tf.zeros_like(parts[0][..., :1])
    return tf.concat([at_each_step, *parts], axis=-1)
