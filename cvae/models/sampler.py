"""Ancestral sampling from a model, written once: continue rolls step by step, as one program."""

from numbers import Integral, Real

import numpy as np
import tensorflow as tf
import tensorflow_probability as tfp

from cvae.models.autoregressive import AutoregressiveBernoulli
from cvae.models.checks import check_choice, check_roll, check_seed, check_sizes
from cvae.models.distributions import independent_bernoulli

__all__ = ["tempered"]

tfd = tfp.distributions

W_FROM = ("mean", "sample", "discrete")
Z_FROM = ("prior", "posterior")
HOTTEST = 1e6  # every coin is fair by then


class Sampler:
    """The part of `LatentModel` that generates; it needs nothing but the model's conditionals."""

    def generate(
        self,
        seed_roll,
        steps,
        key=None,
        certainty=None,
        w_from="mean",
        z_from="prior",
        temperature=1.0,
        seed=0,
        w=None,
        z_towards=None,
    ):
        """Continue piano rolls, step by step, as one compiled program for the whole batch.

        Parameters
        ----------
        seed_roll : array (S, T, P)
            What came before: at least one step (two for ``z_from="posterior"``). A model with a
            memory reads all of it.
        steps : int
            Steps to generate, at least 1.
        key : int or int array (S,) or (S, steps), optional
            Class of each sample, or of each of its steps: so a piece can modulate. By default w is
            inferred from `seed_roll`.
        certainty : float
            How sure w is of a class that is given, or inferred as "discrete", from 0 to 1: a
            mixture of its one-hot vector, with this weight, and of even probabilities. 1 is the
            paper's one-hot vector; in training the w of a single step is seldom so sure, and the
            decoder answers with thicker chords. The default is the model's `certainty`.
        w_from : {"mean", "sample", "discrete"}
            The inferred w: mean of q(w | seed_roll), a draw from it, or its most probable class.
        z_from : {"prior", "posterior"}
            Draw z_t from p(z_t | past), which is sampling from the model itself, or (the original
            code's default) from q(z | x_{t-1}, w), which makes a chain of variations of the last
            step. A model with `predict_next` needs the latter: its z tells what comes next.
        temperature : float
            Above 0, at most 1e6. Each z_t and x_t is drawn from its distribution to the power
            1 / temperature.
        seed : int
            The same seed gives the same samples.
        w : float array (K,), (S, K) or (S, steps, K), optional
            Instead of a key, w itself: weights of the classes, at least 0, that add up to 1.
        z_towards : (int, float), optional
            Another seed, and how far the noise of z has turned to its noise, from 0 to 1; all else
            stays. With e and f the noise of the two, z is drawn with
            ``cos(a) e + sin(a) f, a = share * pi / 2``: a standard normal at each place, while a
            straight line would pass places nearer to the mean than any draw.

        Returns
        -------
        bool array (S, steps, P)
            Without the seed.

        Raises
        ------
        ValueError
            If an argument is out of its range.
        """
        check_choice("w_from", w_from, W_FROM)
        check_choice("z_from", z_from, Z_FROM)
        check_sizes(steps=steps)
        check_seed(seed)
        if w is not None and (key is not None or certainty is not None):
            raise ValueError("w: excludes a key and a certainty, got also one of them")
        if certainty is not None and not self.classes:
            raise ValueError(
                f"certainty: got {certainty!r}, the model {self.name!r} has no classes"
            )
        if certainty is not None and key is None and w_from != "discrete":
            raise ValueError(f"certainty: got {certainty!r}, needs a key, or w_from to be discrete")
        inferred = self.classes and key is None and w is None
        if w_from != "mean" and not inferred:
            raise ValueError(f"w_from: got {w_from!r}, where no w is inferred")
        certainty = self.certainty if certainty is None else certainty
        if not isinstance(certainty, Real) or not 0 <= certainty <= 1:
            raise ValueError(f"certainty: got {certainty!r}, must be from 0 to 1")
        if not isinstance(temperature, Real) or not 0 < temperature <= HOTTEST:
            raise ValueError(
                f"temperature: got {temperature!r}, must be above 0, at most {HOTTEST:g}"
            )
        needed = 2 if z_from == "posterior" else 1
        seed_roll = check_roll(seed_roll, "seed_roll", self.pitches, ndim=3, steps=needed)
        seed_w, seed_x = np.array([[seed, 0], [seed, 1]], np.int32)
        other, angle = _check_towards(z_towards)
        if other is not None and other[0] == seed:
            other = angle = None  # to turn noise to itself would make it larger
        if w is None:
            w = self._choose_w(seed_roll, int(steps), key, certainty, w_from, seed_w)
        else:
            w = self._check_w(w, len(seed_roll), int(steps))
        if not self.sequential:
            seed_roll = seed_roll[:, -2:]
        temperature = tf.constant(temperature, tf.float32)
        roll = self._roll_out(seed_roll, w, temperature, seed_x, z_from, other, angle)
        return roll.numpy() > 0

    def w_of(self, key, certainty=None):
        """W of a class that is known, as `generate` makes it of `key` and `certainty`.

        Parameters
        ----------
        key : int or int array (...)
        certainty : float, optional
            By default the model's.

        Returns
        -------
        float32 tensor (..., K)
        """
        certainty = self.certainty if certainty is None else certainty
        return certainty * tf.one_hot(key, self.classes) + (1 - certainty) / self.classes

    def _check_w(self, w, samples, steps):
        """W at each step, (steps, S, K)."""
        w, each = np.asarray(w, np.float32), (self.classes,)
        shapes = (each, (samples, *each), (samples, steps, *each))
        fits = self.classes and w.shape in shapes
        # Written so that NaN fails, too.
        if not (fits and np.all(w >= 0) and np.all(np.abs(w.sum(axis=-1) - 1) < 1e-4)):
            raise ValueError(
                f"w: got shape {w.shape}, must be weights of {self.classes} classes that add up to "
                f"1, one row or one for each of {samples} samples, or of their {steps} steps"
            )
        by_sample = w if w.ndim == 3 else np.broadcast_to(w, (samples, *each))[:, None]
        return np.broadcast_to(by_sample.transpose(1, 0, 2), (steps, samples, *each))

    def _choose_w(self, seed_roll, steps, key, certainty, w_from, seed):
        """W at each step, (steps, S, K)."""
        samples = len(seed_roll)
        if key is not None:
            known, shape = np.isin(key, np.arange(self.classes)), np.shape(key)
            if not known.all() or shape not in ((), (samples,), (samples, steps)):
                raise ValueError(
                    f"key: got {key}, must be a class below {self.classes}, one for each of "
                    f"{samples} samples, or ({samples}, {steps}) for each of their steps"
                )
            by_step = np.broadcast_to(np.transpose(key), (steps, samples))
            return self.w_of(by_step, certainty)
        q_w = self.infer_w(seed_roll)
        if not self.classes or w_from == "sample":
            w = q_w.sample(seed=seed)
        elif w_from == "discrete":
            w = self.w_of(tf.argmax(q_w.mode(), axis=-1), certainty)
        else:
            w = q_w.mean()
        return tf.broadcast_to(w, [steps, samples, self.classes])

    @tf.function(jit_compile=True)
    def _roll_out(self, seed_roll, w, temperature, seed, z_from, other, angle):
        """seed_roll (S, T, P) and w (steps, S, K) -> float32 (S, steps, P)."""
        # A z from the posterior tells of the last step, so the memory must not have read it yet
        # (it has not if it is a step behind anyway).
        unread = 1 if z_from == "posterior" and not self.predict_next else 0
        read = seed_roll[:, : seed_roll.shape[1] - unread]
        state = self._read(read, w[0], temperature, seed)
        before, last = seed_roll[:, -min(2, seed_roll.shape[1])], seed_roll[:, -1]
        roll = tf.TensorArray(tf.float32, size=len(w))
        for t in tf.range(len(w)):
            seed_z, seed_x = _seeds_of_step(seed, t)
            newest = self._as_step(last)
            if z_from == "prior":
                context = self.context(newest, w[t], state)
                p_z = self.prior_z(w[t], context)
            else:
                context = self.context(self._as_step(before), w[t], state)
                p_z = self.posterior_z(newest, w[t], context)
            p_z = tempered(p_z, temperature)
            z = p_z.sample(seed=seed_z)
            if other is not None:
                turned = p_z.sample(seed=_seeds_of_step(other, t)[0])
                mean = p_z.mean()
                z = mean + tf.cos(angle) * (z - mean) + tf.sin(angle) * (turned - mean)
            x = tempered(self.likelihood(z, w[t], context), temperature).sample(seed=seed_x)
            # (With z from its prior no encoder is asked again: what it reads makes no difference.)
            state = self.advance(newest, z, w[t], context)
            before, last = last, tf.reshape(x, tf.shape(last))
            roll = roll.write(t, last)
        return tf.transpose(roll.stack(), [1, 0, 2])

    def _as_step(self, x):
        """(S, P) as a roll of one step, in the shape that the conditionals take."""
        return x[:, None] if self.sequential else x

    def _read(self, roll, w, temperature, seed):
        """State of the memory after a roll (S, T, P)."""
        if not self.sequential:
            return []
        x_prev = tf.pad(roll[:, :-1], [[0, 0], [1, 0], [0, 0]])
        context = self.context(x_prev, w, self.initial_state(tf.shape(roll)[0]))
        observed = x_prev if self.predict_next else roll
        z = tempered(self.posterior_z(observed, w, context), temperature).sample(seed=seed)
        return self.advance(observed, z, w, context)


def tempered(distribution, temperature):
    """A normal or coins with density or probabilities in proportion to ``p ** (1 / temperature)``.

    Below 1 draws keep to what is likely, above 1 they stray. Of notes that depend on each other it
    is each coin by itself, given the notes below it.

    Parameters
    ----------
    distribution : tfd.Distribution
        One that `diagonal_normal`, `standard_normal` or `notes` made.
    temperature : float
        Above 0.

    Returns
    -------
    tfd.Distribution
        Of the same kind and shapes.

    Raises
    ------
    NotImplementedError
        For any other kind: say here what its power is.
    """
    if isinstance(distribution, tfd.MultivariateNormalDiag):
        scale = distribution.stddev() * temperature**0.5
        return tfd.MultivariateNormalDiag(distribution.mean(), scale)
    if isinstance(distribution, AutoregressiveBernoulli):
        return distribution.copy(temperature=temperature)
    coins = getattr(distribution, "distribution", None)
    if isinstance(distribution, tfd.Independent) and isinstance(coins, tfd.Bernoulli):
        return independent_bernoulli(coins.logits_parameter() / temperature)
    raise NotImplementedError(
        f"temperature: not known for a {type(distribution).__name__}; add it to `tempered` in "
        f"{__name__}"
    )


def _seeds_of_step(seed, t):
    """Seeds of z and of x."""
    return tf.unstack(tfp.random.split_seed(tf.random.experimental.stateless_fold_in(seed, t), n=2))


def _check_towards(z_towards):
    """Seed (2,) of the noise that z turns to, and the angle in radians; None where it does not."""
    if z_towards is None:
        return None, None
    try:
        seed, share = z_towards
        known = isinstance(seed, Integral) and 0 <= seed < 2**31 and 0 <= share <= 1
    except (TypeError, ValueError):
        known = False
    if not known:
        raise ValueError(f"z_towards: got {z_towards!r}, must be a seed and a share from 0 to 1")
    return np.array([seed, 1], np.int32), tf.constant(share * np.pi / 2, tf.float32)
