"""A model that may play on in another key at each step, and its bound."""

import numpy as np
import tensorflow as tf
import tensorflow_probability as tfp

from cvae.transposition import moved_classes

__all__ = ["TranspositionMixture", "forward"]

SHIFTS = range(-6, 6)
STAY = 0.9


class TranspositionMixture:
    """A model in all twelve transpositions at once, one of which is heard at each step.

    ::

        p(s_1) = 1 / N
        p(s_t | s_t-1) = stay [s_t = s_t-1] + (1 - stay) / N
        p(x_t | x_<t, s_t, w) = the model's, of all of them moved by s_t semitones

    A model that has heard too little music makes different mistakes in each transposition. Where a
    model's steps are not independent, or it has but one, a single s is drawn for the whole roll.

    Parameters
    ----------
    model : LatentModel
        Its classes, if it has any, move with the music.
    keys : sequence of str
        The classes, K.
    shifts : sequence of int
        N of them, in semitones; by default all twelve. What leaves one end of the piano comes in at
        the other, so that no two rolls become one, and probabilities still sum to 1.
    stay : float
        From 0 to 1; of no effect where a single s is drawn. 0.9 was chosen on the validation
        split of `jsb-bl`.

    Raises
    ------
    ValueError
        If `keys` are not the classes of the model, the music moves to keys that are none of them,
        there are no shifts, or `stay` is not in [0, 1].
    """

    def __init__(self, model, keys=(), shifts=SHIFTS, stay=STAY):
        self.model, self.sequential, self.stay = model, model.sequential, float(stay)
        self.shifts = tuple(shifts)
        if not 0 <= self.stay <= 1:
            raise ValueError(f"stay: got {stay}, must be from 0 to 1")
        if not self.shifts:
            raise ValueError("shifts: got none, must be one at least")
        if model.classes not in (0, len(keys)):
            raise ValueError(f"keys: got {len(keys)}, the model has {model.classes} classes")
        # Moving by s brings to class k what was in the class that k moved by -s is.
        self.sources = moved_classes(keys if model.classes else (), [-s for s in self.shifts])
        if np.any(self.sources < 0):
            raise ValueError(
                "mixture: in other transpositions the music has keys that are no classes of the "
                "model; train it with --key-classes all-keys"
            )

    def importance_weighted_bound(self, x, x_prev, seed, samples=64, mask=None):
        """See `LatentModel.importance_weighted_bound`."""
        return self.model.importance_weighted_bound(
            x, x_prev, seed, samples, mask, self._log_evidence
        )

    def _log_evidence(self, x, x_prev, w, seed, samples, mask):
        """Estimate log p(x | w), see `LatentModel.log_evidence`."""
        x, x_prev = (self._moved(roll) for roll in (x, x_prev))
        w = tf.concat([tf.gather(w, source, axis=1) for source in self.sources.T], axis=0)
        masks = tf.concat([mask] * len(self.shifts), axis=0) if self.sequential else None
        of_steps = self.model.log_evidence_of_steps(x, x_prev, w, seed, samples, masks)
        of_steps = tf.stack(tf.split(of_steps, len(self.shifts)))  # (shifts, B, T) or (shifts, B)
        if of_steps.shape.rank == 2:
            return tf.reduce_logsumexp(of_steps, axis=0) - np.log(len(self.shifts))
        return forward(mask * of_steps, self.stay)

    def _moved(self, roll):
        return tf.concat([tf.roll(roll, shift, axis=-1) for shift in self.shifts], axis=0)


def forward(log_likelihood, stay):
    """Log-likelihood of a hidden Markov chain that stays where it is, or starts anew.

    Parameters
    ----------
    log_likelihood : float32 (N, B, T)
        Of each step, in each of the N states.
    stay : float
        Probability that a step does not draw its state anew.

    Returns
    -------
    float32 (B,)
    """
    states, batch = tf.shape(log_likelihood)[0], tf.shape(log_likelihood)[1]
    anew = tf.math.log((1 - stay) / tf.cast(states, tf.float32))

    def add_step(alpha, of_step):
        drawn = anew + tf.reduce_logsumexp(alpha, axis=0, keepdims=True)
        return tfp.math.log_add_exp(tf.math.log(stay) + alpha, drawn) + of_step

    even = tf.fill([states, batch], -tf.math.log(tf.cast(states, tf.float32)))
    alpha = tf.foldl(add_step, tf.transpose(log_likelihood, [2, 0, 1]), even)
    return tf.reduce_logsumexp(alpha, axis=0)
