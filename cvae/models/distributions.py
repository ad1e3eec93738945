"""Distributions of the Classifying VAE that TensorFlow Probability lacks or leaves unfinished.

Conventions: K classes; a point of the simplex is K probabilities, event (K,); K - 1 real
coordinates y, its log-ratios, say the same.
Densities are with respect to Lebesgue measure on the first K - 1 probabilities, as the Dirichlet's
are (TFP's `SoftmaxCentered` measures the simplex's own surface: log(K) / 2 nats less). Units: nats.
"""

import numpy as np
import tensorflow as tf
import tensorflow_probability as tfp

tfd, tfb = tfp.distributions, tfp.bijectors

COORDINATES = ("additive", "isometric")

__all__ = [
    "LogisticNormal",
    "between",
    "diagonal_normal",
    "independent_bernoulli",
    "nothing",
    "standard_normal",
]


class LogisticNormal(tfd.TransformedDistribution):
    """The softmax of a normal: a distribution over the simplex with reparameterised samples.

    Draw ``y ~ Normal(loc, scale_diag)`` in K - 1 dimensions and return ``w = softmax([y, 0])``, or
    the same in other coordinates. `kl_divergence` between two of them with the same coordinates is
    exact: it is that of the normals.

    Parameters
    ----------
    loc : array (..., K - 1)
        Mean of the log-ratios.
    scale_diag : array (..., K - 1)
        Their standard deviations, above 0.
    coordinates : {"additive", "isometric"}
        additive: ``y_k = log(w_k / w_K)``, the paper's. The last class is the reference, and not
        like the others: from the centre of the simplex, a margin of m nats over all other classes
        is m away for them and ``m sqrt(K - 1)`` for it.
        isometric: ``w = softmax(V y)``, with V (K, K - 1) an orthonormal basis of the vectors
        that sum to 0, so that all corners are alike.

    Raises
    ------
    ValueError
        For other coordinates.

    Notes
    -----
    `mode` is the w of ``y = loc``: the peak of the density with respect to Aitchison's measure on
    the simplex, and the median of each log-ratio. (The Lebesgue density can have one peak in each
    corner, so that "its" mode would jump.) `mean` has no closed form: ``mean(draws, seed)`` is a
    Monte Carlo estimate over antithetic pairs, the same at each call with the same seed; its
    standard error is below 0.71 / sqrt(draws). `credible_interval` and `leading` are estimates from
    the same draws.

    References
    ----------
    Aitchison & Shen (1980), Logistic-normal distributions: some properties and uses, Biometrika 67.
    Egozcue et al. (2003), Isometric logratio transformations for compositional data analysis,
    Mathematical Geology 35.
    Hennig, Umakantha & Williamson (2017), arXiv 1711.07050.
    """

    def __init__(
        self, loc, scale_diag, coordinates="additive", validate_args=False, name="LogisticNormal"
    ):
        parameters = dict(locals())
        check_coordinates(coordinates)
        self._coordinates = coordinates
        with tf.name_scope(name):
            normal = tfd.MultivariateNormalDiag(loc, scale_diag)
            bijector = tfb.SoftmaxCentered()
            if coordinates == "isometric":
                bijector = tfb.Chain([bijector, isometric_to_additive(normal)])
            super().__init__(normal, bijector, validate_args=validate_args, name=name)
        self._parameters = parameters

    @property
    def coordinates(self):
        """Additive or isometric."""
        return self._coordinates

    @classmethod
    def _parameter_properties(cls, dtype, num_classes=None):
        return tfd.MultivariateNormalDiag._parameter_properties(dtype, num_classes)

    def _log_prob(self, w):
        # The bijector's own inverse gives NaN (0 * inf) in a corner. Bounded from below, w has
        # a very low but finite log-density there.
        log_w = tf.math.log(tf.maximum(w, np.finfo(w.dtype.as_numpy_dtype).tiny))
        log_volume = -tf.reduce_sum(log_w, axis=-1)  # |d additive log-ratios / d w|
        if self.coordinates == "isometric":
            basis = tf.constant(isometric_basis(w.shape[-1]), w.dtype)
            y = tf.linalg.matvec(basis, log_w, transpose_a=True)
            log_volume -= 0.5 * np.log(w.shape[-1])  # |d isometric / d additive| = K**-0.5
        else:
            y = log_w[..., :-1] - log_w[..., -1:]
        return self.distribution.log_prob(y) + log_volume

    def _mode(self):
        return self.bijector.forward(self.distribution.mean())

    def _mean(self, draws=1000, seed=(0, 0)):
        return tf.reduce_mean(self._antithetic(draws, seed), axis=0)

    def credible_interval(self, level=0.9, draws=1000, seed=(0, 0)):
        """Interval of each probability by itself that holds it with the probability `level`.

        Parameters
        ----------
        level : float
            Between 0 and 1; as much lies below the interval as above.
        draws, seed
            As for `mean`.

        Returns
        -------
        tensor (2, ..., K)
            Lower and upper ends.

        Raises
        ------
        ValueError
            For another level.
        """
        if not 0 < level < 1:
            raise ValueError(f"level: got {level!r}, must be between 0 and 1")
        ends = [50 * (1 - level), 50 * (1 + level)]
        return tfp.stats.percentile(self._antithetic(draws, seed), ends, axis=0)

    def leading(self, draws=1000, seed=(0, 0)):
        """Probability that each class has the largest of the probabilities: (..., K).

        `mean` says how probable a class is; this, how sure it is that none is more probable.
        """
        draws = self._antithetic(draws, seed)
        largest = tf.one_hot(tf.argmax(draws, axis=-1), draws.shape[-1], dtype=self.dtype)
        return tf.reduce_mean(largest, axis=0)

    def _antithetic(self, draws, seed):
        """Draws in pairs that mirror each other about `loc`: (draws, ..., K)."""
        normal = self.distribution
        pairs = [(draws + 1) // 2]
        shape = tf.concat([pairs, normal.batch_shape_tensor(), normal.event_shape_tensor()], axis=0)
        # A named algorithm draws the same numbers in a compiled program as outside one.
        offsets = tf.random.stateless_normal(shape, seed, dtype=self.dtype, alg="philox")
        offsets *= normal.stddev()
        offsets = tf.concat([offsets, -offsets], axis=0)
        return self.bijector.forward(normal.loc + offsets)

    def _sample_and_log_prob(self, sample_shape, seed):
        w = self.sample(sample_shape, seed=seed)
        return w, self.log_prob(w)


@tfd.RegisterKL(LogisticNormal, LogisticNormal)
def _kl_logistic_normals(q, p, name=None):
    if q.coordinates != p.coordinates:
        raise NotImplementedError(f"KL of {q.coordinates} and {p.coordinates} coordinates")
    return tfd.kl_divergence(q.distribution, p.distribution, name=name)


def check_coordinates(coordinates):
    """Raise ValueError unless additive or isometric."""
    if coordinates not in COORDINATES:
        allowed = ", ".join(COORDINATES)
        raise ValueError(f"coordinates: got {coordinates!r}, must be one of {allowed}")


def isometric_basis(classes):
    """Helmert's orthonormal basis V of the vectors that sum to 0: (K, K - 1)."""
    sizes = np.arange(1, classes)  # contrasts of the first k classes with the next
    contrasts = np.tril(np.ones((classes, classes)), -1)[1:] - np.diag(sizes, 1)[:-1]
    return (contrasts / np.sqrt(sizes * (sizes + 1))[:, None]).T


def isometric_to_additive(normal):
    """The linear bijector from isometric to additive log-ratios, for a normal's event (K - 1,)."""
    basis = isometric_basis(normal.event_shape[-1] + 1)
    matrix = tf.constant(basis[:-1] - basis[-1:], normal.dtype)
    operator = tf.linalg.LinearOperatorFullMatrix(matrix, is_non_singular=True)
    return tfb.ScaleMatvecLinearOperator(operator)


def between(start, end, share):
    """Points on the way from one point of the simplex to another, straight in log-ratios.

    ``w`` is in proportion to ``start ** (1 - share) * end ** share``. In these coordinates (all of
    `LogisticNormal` alike) w is normal, so what lies between two likely points is likely, and equal
    ways change the odds of any two classes by equal factors. A straight line in probabilities is
    another way: at its middle each class has the mean of its two weights, and nearly all of the
    change in odds happens at its ends.

    Parameters
    ----------
    start, end : array (..., K)
        Weights above 0: a corner of the simplex, a one-hot vector, is infinitely far away.
    share : float or array (...)
        0 is `start`, 1 is `end`.

    Returns
    -------
    ndarray of float32 (..., K)

    Raises
    ------
    ValueError
        If a weight is not above 0.
    """
    logs = []
    for name, w in {"start": start, "end": end}.items():
        w = np.asarray(w, float)
        if not np.all(w > 0):
            raise ValueError(f"{name}: got a weight of {w.min():g}, must be above 0")
        logs.append(np.log(w))
    share = np.asarray(share, float)[..., None]
    mixed = (1 - share) * logs[0] + share * logs[1]
    w = np.exp(mixed - mixed.max(axis=-1, keepdims=True))
    return (w / w.sum(axis=-1, keepdims=True)).astype(np.float32)


def diagonal_normal(parameters):
    """Normal with independent components from a network's output.

    Parameters
    ----------
    parameters : array (..., 2 * D)
        Means, then log-variances (as in the paper).

    Returns
    -------
    tfd.MultivariateNormalDiag
        Event (D,), batch (...).
    """
    loc, log_variance = tf.split(parameters, 2, axis=-1)
    return tfd.MultivariateNormalDiag(loc, tf.exp(0.5 * log_variance))


def standard_normal(batch_shape, dimensions):
    """Normal(0, I): event (dimensions,), batch `batch_shape`."""
    zeros = tf.zeros(tf.concat([batch_shape, [dimensions]], axis=0))
    return tfd.MultivariateNormalDiag(zeros, tf.ones_like(zeros))


def independent_bernoulli(logits):
    """One coin per pitch: event (P,), float32 zeros and ones, from log-odds (..., P)."""
    return tfd.Independent(tfd.Bernoulli(logits=logits, dtype=tf.float32), 1)


def nothing(batch_shape):
    """The distribution of a latent that is not there: a point mass on the empty vector.

    Event (0,), batch `batch_shape`; its KL divergence to itself is 0. With it a model without
    classes is the special case K = 0, and needs no branch in the objective.
    """
    empty = tf.zeros(tf.concat([tf.cast(batch_shape, tf.int32), [0]], axis=0))
    return tfd.Independent(tfd.Deterministic(empty), 1)
