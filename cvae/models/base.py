"""What all models share: the evidence lower bound, key inference and the sampler, written once.

A model is a joint density over a piano roll x, a latent z and a class latent w (the key),

    p(x, z, w) = p(w) p(z | w) p(x | z, w, x_prev),      q(w, z | x) = q(w | x) q(z | x, w),

and supplies these conditionals as TFP distributions:

    prior_w(), prior_z(w), likelihood(z, w, x_prev), posterior_w(x), posterior_z(x, w).

Shapes: B batch, S samples, T steps, P pitches, K classes (0 for a model without w), Z latent
dimensions, H hidden units. All terms are in nats.
"""

from numbers import Integral, Real
from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf
import tensorflow_probability as tfp

from cvae.models.distributions import nothing

tfd = tfp.distributions

W_FROM = ("mean", "sample", "discrete")
Z_FROM = ("prior", "posterior")


class Elbo(NamedTuple):
    """Terms of the evidence lower bound on log p(x), unweighted, in nats, each (B,).

    bound : log_likelihood - kl_z - kl_w
    log_likelihood : log p(x | z, w, x_prev) at one sample of q, the (negative) reconstruction
    kl_z : KL(q(z | x, w) || p(z | w))
    kl_w : KL(q(w | x) || p(w)), 0 for a model without w
    log_key : log of the w of the true class at the same sample. Not part of the bound: training
        may reward it, with a class weight.
    """

    bound: tf.Tensor
    log_likelihood: tf.Tensor
    kl_z: tf.Tensor
    kl_w: tf.Tensor
    log_key: tf.Tensor


class KeyPosterior(NamedTuple):
    """Class probabilities of a whole roll, (K,), and of each of its steps, (T, K)."""

    whole: np.ndarray
    steps: np.ndarray


class LatentModel(keras.Model):
    """Base of the four families. A subclass supplies the conditionals named above.

    Attributes
    ----------
    pitches, classes : int
        P and K.
    predict_next : bool
        The encoders see x_prev instead of x, and the decoder predicts x.
    """

    classes = 0
    predict_next = False

    def prior_w(self):
        """p(w): nothing for a model without classes. Event (K,)."""
        return nothing([])

    def posterior_w(self, x):
        """q(w | x), the classifier. x (..., P); event (K,)."""
        return nothing(tf.shape(x)[:-1])

    def elbo(self, x, x_prev, key, seed):
        """Evidence lower bound (Hennig et al. 2017), with one sample of q(w, z | x).

        Parameters
        ----------
        x, x_prev : float32 (B, P)
            Steps of a piano roll, and the step before each (zeros before a song starts).
        key : int32 (B,)
            True class of each; used in `log_key` only.
        seed : int32 (2,)
            Stateless seed.

        Returns
        -------
        Elbo
        """
        seed_w, seed_z = tf.unstack(tfp.random.split_seed(tf.cast(seed, tf.int32), n=2))
        observed = x_prev if self.predict_next else x
        q_w = self.posterior_w(observed)
        w = q_w.sample(seed=seed_w)  # (B, K), on the simplex
        q_z = self.posterior_z(observed, w)
        z = q_z.sample(seed=seed_z)  # (B, Z)
        log_likelihood = self.likelihood(z, w, x_prev).log_prob(x)  # (B,)
        kl_z = tfd.kl_divergence(q_z, self.prior_z(w))
        kl_w = tfd.kl_divergence(q_w, self.prior_w())
        return Elbo(log_likelihood - kl_z - kl_w, log_likelihood, kl_z, kl_w, log_key(w, key))

    def call(self, x, x_prev, key, seed, training=None):
        """The ELBO as a Keras call: `training` reaches the dropout layers through it."""
        return self.elbo(x, x_prev, key, seed)

    def infer_w(self, rolls):
        """q(w | a whole roll): rolls (..., T, P); event (K,), batch (...)."""
        return nothing(tf.shape(rolls)[:-2])

    def infer_key(self, roll):
        """Posterior probabilities of the classes.

        Parameters
        ----------
        roll : array (T, P)
            A piano roll of at least one step.

        Returns
        -------
        KeyPosterior
            `whole`, the mean of q(w | roll), (K,), and `steps`, the mean of q(w | x_t) for each
            step, (T, K).

        Raises
        ------
        ValueError
            If the model has no classes, or `roll` is not (T, P) with T of at least 1.
        """
        if not self.classes:
            raise ValueError(f"infer_key: the model {self.name!r} has no classes")
        roll = self._checked(roll, "roll", ndim=2)
        return KeyPosterior(
            self.infer_w(roll).mean().numpy(), self.posterior_w(roll).mean().numpy()
        )

    def generate(
        self, seed_roll, steps, key=None, certainty=0.35, w_from="mean", z_from="prior", seed=0
    ):
        """Continue piano rolls, step by step, as one compiled program for the whole batch.

        Parameters
        ----------
        seed_roll : array (S, T, P)
            What came before: at least one step (two for ``z_from="posterior"``).
        steps : int
            Steps to generate, at least 1.
        key : int or int array (S,), optional
            Class of each sample. By default w is inferred from `seed_roll`.
        certainty : float
            How sure w is of a class that is given, or inferred as "discrete", from 0 to 1: a
            mixture of its one-hot vector, with this weight, and of even probabilities. 1 is the
            paper's one-hot vector; in training w is seldom so sure, and the decoder answers with
            thicker chords. The default was chosen for the model `jsb-cl-vae`.
        w_from : {"mean", "sample", "discrete"}
            The inferred w: mean of q(w | seed_roll), a draw from it, or its most probable class.
        z_from : {"prior", "posterior"}
            Draw z_t from p(z), which is sampling from the model itself, or (the original code's
            default) from q(z | x_{t-1}, w), which makes a chain of variations of the last step. A
            model with `predict_next` needs the latter: its z tells what comes next.
        seed : int
            The same seed gives the same samples.

        Returns
        -------
        bool array (S, steps, P)
            Without the seed.

        Raises
        ------
        ValueError
            If an argument is out of its range.
        """
        _one_of("w_from", w_from, W_FROM)
        _one_of("z_from", z_from, Z_FROM)
        check_sizes(steps=steps)
        check_seed(seed)
        if not isinstance(certainty, Real) or not 0 <= certainty <= 1:
            raise ValueError(f"certainty: got {certainty!r}, must be from 0 to 1")
        needed = 2 if z_from == "posterior" else 1
        seed_roll = self._checked(seed_roll, "seed_roll", ndim=3, steps=needed)
        seed_w, seed_x = np.array([[seed, 0], [seed, 1]], np.int32)
        w = self._choose_w(seed_roll, key, certainty, w_from, seed_w)
        return self._roll_out(seed_roll[:, -2:], w, seed_x, int(steps), z_from).numpy() > 0

    def _choose_w(self, seed_roll, key, certainty, w_from, seed):
        if key is not None:
            known = np.isin(key, np.arange(self.classes))
            if not known.all() or known.shape not in ((), (len(seed_roll),)):
                raise ValueError(
                    f"key: got {key}, must be a class below {self.classes}, "
                    f"or one for each of {len(seed_roll)} samples"
                )
            return self._w_of(np.broadcast_to(key, len(seed_roll)), certainty)
        if not self.classes:
            return self.infer_w(seed_roll).sample()
        q_w = self.infer_w(seed_roll)
        if w_from == "sample":
            return q_w.sample(seed=seed)
        if w_from == "discrete":
            return self._w_of(tf.argmax(q_w.mode(), axis=-1), certainty)
        return q_w.mean()

    def _w_of(self, key, certainty):
        return certainty * tf.one_hot(key, self.classes) + (1 - certainty) / self.classes

    @tf.function(jit_compile=True)
    def _roll_out(self, seed_roll, w, seed, steps, z_from):
        state = self.start(seed_roll, w)
        roll = tf.TensorArray(tf.float32, size=steps)
        for t in tf.range(steps):
            x, state = self.step(
                state, w, tf.random.experimental.stateless_fold_in(seed, t), z_from
            )
            roll = roll.write(t, x)
        return tf.transpose(roll.stack(), [1, 0, 2])

    def _checked(self, roll, name, ndim, steps=1):
        roll = tf.cast(roll, tf.float32)
        if roll.ndim != ndim or roll.shape[-1] != self.pitches or roll.shape[-2] < steps:
            raise ValueError(
                f"{name}: got shape {tuple(roll.shape)}, "
                f"must be ({'samples, ' * (ndim == 3)}at least {steps} steps, {self.pitches})"
            )
        return roll


def log_key(w, key):
    """Log of the w of the true class; 0 where there are no classes. w (B, K), key (B,) -> (B,)."""
    if w.shape[-1] == 0:
        return tf.zeros(tf.shape(w)[:-1])
    return tf.math.log(tf.maximum(tf.gather(w, key, batch_dims=1), np.finfo(np.float32).tiny))


def check_sizes(**sizes):
    """Raise ValueError for a size that is not a whole number of at least 1, naming it."""
    for name, size in sizes.items():
        if not isinstance(size, Integral) or size < 1:
            raise ValueError(f"{name}: got {size!r}, must be a whole number of at least 1")


def check_seed(seed):
    """Raise ValueError for a seed that is not a whole number that TensorFlow takes."""
    if not isinstance(seed, Integral) or not 0 <= seed < 2**31:
        raise ValueError(f"seed: got {seed!r}, must be a whole number from 0 to 2**31 - 1")


def check_shares(**shares):
    """Raise ValueError for a share outside [0, 1), naming it."""
    for name, share in shares.items():
        if not isinstance(share, Real) or not 0 <= share < 1:
            raise ValueError(f"{name}: got {share!r}, must be at least 0 and below 1")


def _one_of(name, value, allowed):
    if value not in allowed:
        raise ValueError(f"{name}: got {value!r}, must be one of {', '.join(allowed)}")
