"""What all models share: the evidence lower bound and its importance-weighted form, key inference.

A model is a joint density over a piano roll x, a latent z for each step and a class latent w (the
key), one for the whole roll::

    p(x, z, w) = p(w) prod_t p(z_t | past, w) p(x_t | z_t, past, w),
    q(w, z | x) = q(w | x) prod_t q(z_t | x_t, past, w),

and supplies these conditionals as TFP distributions::

    prior_w(), prior_z(w, context), likelihood(z, w, context),
    posterior_w(x, mask), posterior_z(x, w, context).

`context` is what they know of the past: the step before (`x_prev`), or what a memory, an LSTM, has
kept of all of them. In a model of single steps the roll is one step long, and has no axis of time.

Shapes: B batch, S samples, T steps, P pitches, K classes (0 for a model without w), Z latent
dimensions, H hidden units. All terms are in nats.
"""

from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf
import tensorflow_probability as tfp

from cvae.models.checks import check_roll, check_sizes
from cvae.models.distributions import nothing
from cvae.models.sampler import Sampler

__all__ = ["Elbo", "KeyPosterior", "LatentModel", "log_key"]

tfd = tfp.distributions


class Elbo(NamedTuple):
    """Terms of the evidence lower bound on log p(x), unweighted, in nats, each (B,).

    In a model of sequences each is the sum over the steps of a roll.

    Attributes
    ----------
    bound
        log_likelihood - kl_z - kl_w, or with more samples a tighter one.
    log_likelihood
        ``log p(x | z, w, x_prev)`` at one sample of q, the (negative) reconstruction.
    kl_z
        ``KL(q(z | x, w) || p(z | w))``
    kl_w
        ``KL(q(w | x) || p(w))``, 0 for a model without w.
    log_key
        Log of the w of the true class at the same sample. Not part of the bound: training may
        reward it, with a class weight.
    state
        Of the memory after the last step (not a term), see `LatentModel.context`.
    """

    bound: tf.Tensor
    log_likelihood: tf.Tensor
    kl_z: tf.Tensor
    kl_w: tf.Tensor
    log_key: tf.Tensor
    state: tuple = ()


class KeyPosterior(NamedTuple):
    """What a roll says of its class.

    The probability of a class is the mean of its w: p(class | x) = E[w] under q(w | x).

    Attributes
    ----------
    whole : array (K,)
        Class probabilities of the whole roll.
    steps : array (T, K)
        Of each of its steps, see `LatentModel.infer_key`.
    interval : array (2, K)
        The 90 % credible interval of each w of the whole roll.
    leading : array (K,)
        Probability that each w of the whole roll is the largest.
    """

    whole: np.ndarray
    steps: np.ndarray
    interval: np.ndarray
    leading: np.ndarray


class LatentModel(Sampler, keras.Model):
    """Base of the four families. A subclass supplies the conditionals named above.

    Attributes
    ----------
    pitches, classes : int
        P and K.
    predict_next : bool
        The encoders see x_prev instead of x, and the decoder predicts x.
    sequential : bool
        A model of sequences: x is (B, T, P), else (B, P).
    steps_independent : bool
        Given x and w the z_t do not depend on each other, nor does the likelihood of x_t on any
        other than its own: p(x_t | x_<t, w) can be estimated step by step.
    certainty : float
        How sure w is of a given class if `generate` is not told, from 0 to 1: 0.35 for
        `ClassifyingVAE`, 1 for `ClassifyingVAELSTM`. An attribute of the class and no option, so
        that the settings of a run do not keep it.
    """

    classes = 0
    predict_next = False
    sequential = False
    steps_independent = True
    certainty = 1.0

    def prior_w(self):
        """p(w): nothing for a model without classes. Event (K,)."""
        return nothing([])

    def prior_z(self, w, context):
        """p(z | past, w). w (B, K); event (Z,), batch (B,) or (B, T)."""
        raise NotImplementedError(f"prior_z: {type(self).__name__} must supply it")

    def likelihood(self, z, w, context):
        """p(x | z, past, w). z (B, Z) or (B, T, Z), w (B, K); event (P,), batch (B,) or (B, T)."""
        raise NotImplementedError(f"likelihood: {type(self).__name__} must supply it")

    def posterior_w(self, x, mask=None):
        """q(w | x), the classifier. x (B, P) or (B, T, P); event (K,), batch (B,)."""
        return nothing(tf.shape(x)[: -2 if self.sequential else -1])

    def posterior_z(self, x, w, context):
        """q(z | x, past, w). x (B, P) or (B, T, P), w (B, K); event (Z,), batch (B,) or (B, T)."""
        raise NotImplementedError(f"posterior_z: {type(self).__name__} must supply it")

    def initial_state(self, batch):
        """State of the memory of `batch` rolls before they begin: nested lists of (B, H)."""
        return []

    def context(self, x_prev, w, state):
        """What the conditionals of each step know of the past: here, the step before.

        x_prev (B, P) or (B, T, P), w (B, K), `state` as `initial_state` gives it. Its own kind and
        shape are those that the conditionals and `advance` take.
        """
        return x_prev

    def advance(self, x, z, w, context):
        """State of the memory after these steps, as `initial_state` gives it.

        x (B, P) or (B, T, P), z (B, Z) or (B, T, Z), w (B, K).
        """
        return []

    def elbo(self, x, x_prev, key, seed, mask=None, state=None, samples=1):
        """Evidence lower bound (Hennig et al. 2017), with one sample of q(w, z | x).

        Parameters
        ----------
        x, x_prev : float32 (B, P) or (B, T, P)
            Steps of a piano roll, and the step before each (zeros before a song starts).
        key : int32 (B,)
            True class of each; used in `log_key` only.
        seed : int32 (2,)
            Stateless seed.
        mask : float32 (B, T), optional
            For a model of sequences: 1 for a step, 0 for padding after the end. By default all 1.
        state : optional
            Of the memory before the first step, by default empty.
        samples : int
            With more than 1 the bound is tighter: importance-weighted, with so many more draws of
            each z_t (`log_likelihood` and `kl_z` stay those of the first).

        Returns
        -------
        Elbo
        """
        seed_w, seed_z = tf.unstack(tfp.random.split_seed(tf.cast(seed, tf.int32), n=2))
        mask = self._mask(x, mask)
        observed = x_prev if self.predict_next else x
        q_w = self.posterior_w(observed, mask)
        w = q_w.sample(seed=seed_w)  # (B, K), on the simplex
        context = self.context(x_prev, w, state or self.initial_state(tf.shape(x)[0]))
        q_z = self.posterior_z(observed, w, context)
        z = q_z.sample(seed=seed_z)  # (B, Z) or (B, T, Z)
        log_likelihood = total(self.likelihood(z, w, context).log_prob(x), mask)  # (B,)
        kl_z = total(tfd.kl_divergence(q_z, self.prior_z(w, context)), mask)
        kl_w = tfd.kl_divergence(q_w, self.prior_w())
        bound = log_likelihood - kl_z - kl_w
        if samples > 1:
            tighter = self._importance_weighted(x, w, context, q_z, seed_z, samples, mask)
            bound = self._summed(tighter, mask) - kl_w
        state = self.advance(observed, z, w, context)
        return Elbo(bound, log_likelihood, kl_z, kl_w, log_key(w, key), state)

    def importance_weighted_bound(self, x, x_prev, seed, samples=64, mask=None, given_w=None):
        """Importance-weighted lower bound on log p(x).

        ::

            log 1/S sum_w p(w) / q(w | x) prod_t 1/S sum_z p(x_t | z, w) p(z | w) / q(z | x_t, w)

        with S draws of w from q(w | x), and for each of them S draws of each z_t. The product of
        means is an unbiased estimate of p(x | w) because the z_t are independent given x and w.
        Where they are not (`steps_independent`), the mean is one over S draws of all of (w, z).

        Parameters
        ----------
        x, x_prev, seed, mask
            As for `elbo`.
        samples : int
            S, at least 1.
        given_w : callable, optional
            Estimates log p(x | w), in place of the model's own `log_evidence`.

        Returns
        -------
        float32 (B,)
            In nats. Grows with S in the mean, towards log p(x).

        Raises
        ------
        ValueError
            If `samples` is below 1.

        References
        ----------
        Burda, Grosse & Salakhutdinov (2016), Importance Weighted Autoencoders, arXiv 1509.00519,
        equation 8.
        """
        check_sizes(samples=samples)
        mask = self._mask(x, mask)
        draws_w = samples if self.classes else 1
        draws_z = samples if self.steps_independent or not self.classes else 1
        given_w = given_w or self.log_evidence
        q_w = self.posterior_w(x_prev if self.predict_next else x, mask)
        p_w = self.prior_w()
        over_w = tf.fill(tf.shape(x)[:1], -np.inf)
        for i in tf.range(draws_w):
            seed_i = tf.random.experimental.stateless_fold_in(seed, i)
            w = q_w.sample(seed=seed_i)
            log_weight = given_w(x, x_prev, w, seed_i, draws_z, mask)
            log_weight += p_w.log_prob(w) - q_w.log_prob(w)
            over_w = tf.reduce_logsumexp([over_w, log_weight], axis=0)
        return over_w - tf.math.log(tf.cast(draws_w, tf.float32))

    def log_evidence(self, x, x_prev, w, seed, samples, mask):
        """Estimate log p(x | w): (B,). See `log_evidence_of_steps`."""
        of_steps = self.log_evidence_of_steps(x, x_prev, w, seed, samples, mask)
        return self._summed(of_steps, mask)

    def log_evidence_of_steps(self, x, x_prev, w, seed, samples, mask):
        """Estimate log p(x_t | x_<t, w) from so many draws of each z_t: (B, T).

        Where the steps are not independent, log p(x | w) from so many draws of all z: (B,).
        """
        context = self.context(x_prev, w, self.initial_state(tf.shape(x)[0]))
        q_z = self.posterior_z(x_prev if self.predict_next else x, w, context)
        return self._importance_weighted(x, w, context, q_z, seed, samples, mask)

    def _importance_weighted(self, x, w, context, q_z, seed, samples, mask):
        """See `log_evidence_of_steps`."""
        p_z, steps = self.prior_z(w, context), tf.shape(x)[:-1]

        def add_draw(over_z, j):
            z = q_z.sample(seed=tf.random.experimental.stateless_fold_in(seed, j + 1))
            log_weight = self.likelihood(z, w, context).log_prob(x)
            log_weight += p_z.log_prob(z) - q_z.log_prob(z)
            if not self.steps_independent:
                log_weight = total(log_weight, mask)
            return tf.reduce_logsumexp([over_z, log_weight], axis=0)

        # (A loop that needs no AutoGraph, which stops at Keras's `__call__`.)
        nothing_yet = tf.fill(steps if self.steps_independent else steps[:1], -np.inf)
        over_z = tf.foldl(add_draw, tf.range(samples), nothing_yet)
        return over_z - tf.math.log(tf.cast(samples, tf.float32))

    def _summed(self, log_evidence, mask):
        """Of `log_evidence_of_steps`, that of the roll: (B,)."""
        return total(log_evidence, mask) if self.steps_independent else log_evidence

    def _mask(self, x, mask):
        return tf.ones(tf.shape(x)[:-1]) if self.sequential and mask is None else mask

    def call(self, x, x_prev, key, seed, mask=None, state=None, samples=1, training=None):
        """The ELBO as a Keras call: `training` reaches the dropout layers through it."""
        return self.elbo(x, x_prev, key, seed, mask, state, samples)

    def infer_w(self, rolls):
        """q(w | a whole roll): rolls (..., T, P); event (K,), batch (...)."""
        return nothing(tf.shape(rolls)[:-2])

    def infer_w_so_far(self, roll):
        """q(w | x_t) of each step by itself: roll (T, P); event (K,), batch (T,)."""
        return self.posterior_w(roll)

    def infer_key(self, roll, window=None):
        """Posterior probabilities of the classes.

        Parameters
        ----------
        roll : array (T, P)
            A piano roll of at least one step.
        window : int, optional
            Steps that tell of each step: a window about it (at the ends of the roll, the first or
            last so many steps; all steps of a shorter roll). By default a step by itself, or in a
            model of sequences it and all before it.

        Returns
        -------
        KeyPosterior

        Raises
        ------
        ValueError
            If the model has no classes, `roll` is not (T, P) with T of at least 1, or `window` is
            below 1.
        """
        if not self.classes:
            raise ValueError(f"infer_key: the model {self.name!r} has no classes")
        roll = check_roll(roll, "roll", self.pitches, ndim=2)
        if window is None:
            steps = self.infer_w_so_far(roll)
        else:
            steps = self.infer_w(tf.gather(roll, windows_about(len(roll), window)))
        whole = self.infer_w(roll)
        return KeyPosterior(
            whole.mean().numpy(),
            means(steps),
            whole.credible_interval().numpy(),
            whole.leading().numpy(),
        )


def means(distribution, size=256):
    """Means of a batch of logistic normals, (B, K), so many at once: each takes 1000 draws."""
    count = distribution.batch_shape[0]
    parts = [distribution[i : i + size].mean().numpy() for i in range(0, count, size)]
    return np.concatenate(parts)


def windows_about(steps, window):
    """Numbers of the steps in a window about each of so many, see `infer_key`: (T, window)."""
    check_sizes(window=window)
    size = min(window, steps)
    start = np.clip(np.arange(steps) - size // 2, 0, steps - size)
    return start[:, None] + np.arange(size)


def total(terms, mask):
    """Sum over the steps that are no padding: (B, T) -> (B,); of a single step, itself."""
    return terms if mask is None else tf.reduce_sum(mask * terms, axis=-1)


def log_key(w, key):
    """Log w of the true class, 0 without classes: w (B, K), key (B,) -> (B,)."""
    if w.shape[-1] == 0:
        return tf.zeros(tf.shape(w)[:-1])
    return tf.math.log(tf.maximum(tf.gather(w, key, batch_dims=1), np.finfo(np.float32).tiny))
