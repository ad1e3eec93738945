"""A hidden Markov model on top of a classifier: the class may change as a piece goes on."""

from typing import NamedTuple

import numpy as np
import tensorflow as tf
import tensorflow_probability as tfp

tfd = tfp.distributions

__all__ = ["Smoothed", "smooth"]


class Smoothed(NamedTuple):
    """Class of each of T steps, given all of them.

    Attributes
    ----------
    marginals : array (T, K)
        Probabilities of the classes in each step.
    path : int (T,)
        The most probable sequence of classes.
    """

    marginals: np.ndarray
    path: np.ndarray


def smooth(probs, transition, prior=None, window=1):
    """Class of each step by a hidden Markov model whose evidence is a classifier's.

    A classifier tells p(class | x_t), a hidden Markov model asks for p(x_t | class); by Bayes' rule
    the one over p(class) is the other but for a factor without the class, which makes no difference
    (Bourlard & Morgan 1994). The evidence of a step enters as Pearl's virtual evidence: a coin that
    shows heads with a probability in proportion to it, and did.

    Parameters
    ----------
    probs : array (T, K)
        The classifier's probabilities, T of at least 1.
    transition : array (K, K)
        Row i: probabilities of the class in a step when it was i in the one before.
    prior : array (K,), optional
        Share of the classes in the classifier's training, which is also that of the first step. By
        default all alike.
    window : int
        Steps that the classifier saw for each step: as many windows hold a step, so that the
        evidence of each counts 1 / window.

    Returns
    -------
    Smoothed

    Raises
    ------
    ValueError
        For shapes that do not fit, probabilities that do not sum to 1, or a window below 1.

    References
    ----------
    Rabiner (1989), A tutorial on hidden Markov models, Proceedings of the IEEE 77. Bourlard and
    Morgan (1994), Connectionist Speech Recognition. Pearl (1988), Probabilistic Reasoning in
    Intelligent Systems, section 2.2.2.
    """
    probs, transition = np.asarray(probs, float), np.asarray(transition, float)
    classes = probs.shape[-1]
    prior = np.full(classes, 1 / classes) if prior is None else np.asarray(prior, float)
    shapes = {"probs": (len(probs), classes), "transition": (classes,) * 2, "prior": (classes,)}
    for name, array in {"probs": probs, "transition": transition, "prior": prior}.items():
        if array.shape != shapes[name] or not array.size:
            raise ValueError(f"{name}: shape {array.shape}, must be {shapes[name]}")
        if (array < 0).any() or not np.allclose(array.sum(axis=-1), 1, atol=1e-3):
            raise ValueError(f"{name}: must be probabilities that sum to 1")
    if window < 1:
        raise ValueError(f"window: got {window}, must be at least 1")
    log_evidence = (np.log(probs + 1e-12) - np.log(prior + 1e-12)) / window
    heads = np.exp(log_evidence - log_evidence.max(axis=-1, keepdims=True))
    marginals, path = _posterior(tf.constant(prior), tf.constant(transition), tf.constant(heads))
    return Smoothed(marginals.numpy(), path.numpy())


@tf.function(reduce_retracing=True)
def _posterior(prior, transition, heads):
    markov = tfd.HiddenMarkovModel(
        tfd.Categorical(probs=prior),
        tfd.Categorical(probs=transition),
        tfd.Bernoulli(probs=heads),
        num_steps=tf.shape(heads)[0],
        time_varying_observation_distribution=True,
    )
    seen = tf.ones(tf.shape(heads)[:1], tf.int32)
    return markov.posterior_marginals(seen).probs_parameter(), markov.posterior_mode(seen)
