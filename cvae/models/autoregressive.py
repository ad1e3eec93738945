"""Notes that know of each other: MADE, an autoregressive distribution over the notes of a step."""

import keras
import numpy as np
import tensorflow as tf
import tensorflow_probability as tfp

from cvae.models.distributions import independent_bernoulli
from cvae.models.networks import Perceptron, dense, seeds

__all__ = ["MADE", "OUTPUTS", "AutoregressiveBernoulli", "notes"]

tfd = tfp.distributions


class MADE(keras.layers.Layer):
    """A perceptron whose log-odds of each note also depend on the notes below it.

    ::

        logits_i(x, c) = perceptron(c)_i + sum_j V_ij relu(sum_i' U_ji' x_i' + (A c + b)_j)

    Unit j of the masked layer sees the lowest ``degree_j`` notes (U_ji' = 0 for the others), and
    note i sees the units of degrees up to i (V_ij = 0 for the others): so log-odds i depend on
    x_0 ... x_i-1 alone, and with V = 0 this is the perceptron of independent notes.

    Parameters
    ----------
    name : str
    inputs, hidden, outputs : int
        Length of c, units of either hidden layer, P.
    dropout : float
        Share of the units of either hidden layer that are dropped in training.
    seed : int
        Of the first weights and of dropout; those of the dependence differ by `name`, too.

    References
    ----------
    Germain, Gregor, Murray & Larochelle (2015), MADE: Masked Autoencoder for Distribution
    Estimation, arXiv 1502.03509, section 3; the conditional weights A are those of section 3.2 of
    Boulanger-Lewandowski, Bengio & Vincent (2012), arXiv 1206.6392 (RNN-NADE).
    """

    def __init__(self, name, inputs, hidden, outputs, dropout, seed):
        super().__init__(name=name)
        self.outputs = outputs
        self.independent = Perceptron("independent", inputs, hidden, outputs, dropout, seed)
        first, second, third = seeds(seed, f"{name} masked")
        degree = 1 + np.arange(hidden) * (outputs - 1) // hidden  # from 1 to P - 1, all alike often
        self.sees = (np.arange(outputs)[:, None] < degree).astype(np.float32)  # (P, H)
        self.condition = dense("condition", hidden, first, inputs=inputs)
        self.into = self._weights("into", (outputs, hidden), second)
        self.out_of = self._weights("out_of", (hidden, outputs), third)
        self.dropout = self.independent.dropout
        self.built = True

    def _weights(self, name, shape, seed):
        initializer = keras.initializers.GlorotUniform(seed)
        return self.add_weight(shape=shape, initializer=initializer, name=name)

    def _masked(self):
        """Weights into the masked layer and out of it, 0 where a note would see itself or more."""
        return self.into * self.sees, self.out_of * (1 - self.sees.T)

    def call(self, inputs, x):
        """Log-odds (..., P) of the notes x (..., P), each given those below it."""
        into, out_of = self._masked()
        heard = self.condition(inputs) + tf.tensordot(x, into, axes=1)
        return self.independent(inputs) + self.dropout(tf.nn.relu(heard)) @ out_of

    def draw(self, inputs, uniform, temperature):
        """Notes (N, P), the lowest first, from inputs (N, ...) and uniform numbers (N, P).

        Each note that is drawn is added to what the masked layer has heard. So a whole step costs
        hardly more than one pass, and not P of them.
        """
        into, out_of = self._masked()
        independent = self.independent(inputs)

        def next_note(i, heard, notes):
            logit = independent[:, i] + tf.linalg.matvec(tf.nn.relu(heard), out_of[:, i])
            note = tf.cast(uniform[:, i] < tf.sigmoid(logit / temperature), tf.float32)[:, None]
            return i + 1, heard + note * into[i], notes + note * tf.one_hot(i, self.outputs)

        start = 0, self.condition(inputs), tf.zeros_like(uniform)
        return tf.while_loop(lambda i, *_: i < self.outputs, next_note, start)[2]


class AutoregressiveBernoulli(tfd.Distribution):
    """A coin for each note, whose log-odds depend on the notes below it. Event (P,).

    ::

        p(x | c) = prod_i Bernoulli(x_i; logits_i(x_0 ... x_i-1, c) / temperature)

    The log-probability is exact, in nats, and takes one pass of the network. The mean has no closed
    form.

    Parameters
    ----------
    network : MADE
    inputs : float32 (..., I)
        c.
    temperature : float
        Of each coin, given those below it.
    """

    def __init__(self, network, inputs, temperature=1.0, name="AutoregressiveBernoulli"):
        parameters = dict(locals())
        self.network, self.inputs, self.temperature = network, inputs, temperature
        super().__init__(
            dtype=tf.float32,
            reparameterization_type=tfd.NOT_REPARAMETERIZED,
            validate_args=False,
            allow_nan_stats=True,
            parameters=parameters,
            name=name,
        )

    def _batch_shape(self):
        return self.inputs.shape[:-1]

    def _batch_shape_tensor(self):
        return tf.shape(self.inputs)[:-1]

    def _event_shape(self):
        return tf.TensorShape([self.network.outputs])

    def _event_shape_tensor(self):
        return tf.constant([self.network.outputs])

    def _log_prob(self, x):
        logits = self.network(self.inputs, x) / self.temperature
        return tf.reduce_sum(tfd.Bernoulli(logits=logits).log_prob(x), axis=-1)

    def _sample_n(self, n, seed=None):
        shape = tf.concat([[n], tf.shape(self.inputs)], axis=0)
        inputs = tf.reshape(tf.broadcast_to(self.inputs, shape), [-1, shape[-1]])
        drawn = [tf.shape(inputs)[0], self.network.outputs]
        uniform = tf.random.stateless_uniform(drawn, tfp.random.sanitize_seed(seed))
        notes = self.network.draw(inputs, uniform, self.temperature)
        return tf.reshape(notes, tf.concat([shape[:-1], drawn[1:]], axis=0))


OUTPUTS = {"bernoulli": Perceptron, "made": MADE}
"""Networks that make the notes of a step, by the names that the option `output` has for them."""


def notes(network, inputs):
    """p(x | ...) of the notes of a step, of the kind that its network makes.

    Parameters
    ----------
    network : MADE, Perceptron or other layer
    inputs : float32 (..., I)
        What it reads.

    Returns
    -------
    tfd.Distribution
        Event (P,), batch (...): `AutoregressiveBernoulli` of a `MADE`, `independent_bernoulli` of
        any other, whose outputs are log-odds.
    """
    if isinstance(network, MADE):
        return AutoregressiveBernoulli(network, inputs)
    return independent_bernoulli(network(inputs))
