"""Probabilities that can be believed: how often answers are right, and how sure they should be."""

from typing import NamedTuple

import numpy as np
from scipy.optimize import minimize_scalar

__all__ = ["Answers", "Reliability", "fit_sharpness", "reliability", "sharpened"]

SHARPEST = 10.0


class Answers(NamedTuple):
    """What a method says of N windows.

    Attributes
    ----------
    scores : float (N, K)
        Probabilities, or a profile's correlations.
    key : int (N,)
        The true class.
    song : int (N,)
        Number of the song in its split.
    """

    scores: np.ndarray
    key: np.ndarray
    song: np.ndarray

    @property
    def right(self):
        """Whether the class with the highest score is the true one: bool (N,)."""
        return self.scores.argmax(axis=-1) == self.key


def sharpened(probs, sharpness):
    """Probabilities to a power, and scaled to sum to 1: above 1 surer, below 1 less sure.

    The likeliest class stays the likeliest. This is temperature scaling, with the temperature
    1 / `sharpness`: for a w is a probability that was drawn towards the centre of the simplex by
    its prior.

    Parameters
    ----------
    probs : array (..., K)
    sharpness : float
        Above 0.

    Returns
    -------
    ndarray (..., K)

    Raises
    ------
    ValueError
        For another sharpness.
    """
    if not 0 < sharpness < np.inf:
        raise ValueError(f"sharpness: got {sharpness!r}, must be above 0 and finite")
    log_probs = sharpness * np.log(np.maximum(probs, np.finfo(np.float32).tiny))
    weight = np.exp(log_probs - log_probs.max(axis=-1, keepdims=True))
    return weight / weight.sum(axis=-1, keepdims=True)


def fit_sharpness(given):
    """Sharpness that gives the true classes the highest probability: to be fitted on validation.

    Parameters
    ----------
    given : Answers
        Of a classifying model.

    Returns
    -------
    float
        From 0.1 to 10.

    References
    ----------
    Guo, Pleiss, Sun & Weinberger (2017), On calibration of modern neural networks, arXiv
    1706.04599, section 4.2.
    """

    def loss(log_sharpness):
        probs = sharpened(given.scores, np.exp(log_sharpness))
        return -np.mean(np.log(probs[np.arange(len(probs)), given.key] + 1e-12))

    bounds = -np.log(SHARPEST), np.log(SHARPEST)
    return float(np.exp(minimize_scalar(loss, bounds=bounds, method="bounded").x))


class Reliability(NamedTuple):
    """How often answers of like confidence are right; of bins without answers NaN.

    Attributes
    ----------
    confidence, accuracy : float (bins,)
        Means over the answers in each bin.
    count : int (bins,)
    error : float
        The expected calibration error: mean of ``|accuracy - confidence|`` over the answers.
    """

    confidence: np.ndarray
    accuracy: np.ndarray
    count: np.ndarray
    error: float


def reliability(given, bins=10):
    """Reliability of the most probable class.

    Parameters
    ----------
    given : Answers
        Of a classifying model.
    bins : int
        Of equal width, from 0 to 1.

    Returns
    -------
    Reliability

    References
    ----------
    Guo, Pleiss, Sun & Weinberger (2017), On calibration of modern neural networks, arXiv
    1706.04599, equation 3.
    """
    top = given.scores.max(axis=-1)
    place = np.minimum((top * bins).astype(int), bins - 1)
    count = np.bincount(place, minlength=bins)
    with np.errstate(invalid="ignore"):
        confidence = np.bincount(place, top, bins) / count
        accuracy = np.bincount(place, given.right, bins) / count
    gap = np.nansum(count * np.abs(accuracy - confidence)) / count.sum()
    return Reliability(confidence, accuracy, count, float(gap))
