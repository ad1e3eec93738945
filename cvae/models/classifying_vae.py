"""The Classifying VAE: a VAE whose class (the key) is itself inferred, as a logistic normal."""

import numpy as np
import tensorflow as tf

from cvae.models.base import LatentModel
from cvae.models.checks import check_shares, check_widths
from cvae.models.distributions import LogisticNormal, check_coordinates, diagonal_normal
from cvae.models.networks import Perceptron
from cvae.models.vae import VAE

__all__ = ["ClassifyingVAE"]


class Classifying(LatentModel):
    """What the Classifying models add to the plain ones: p(w), and q(w | x) from a classifier."""

    def __init__(
        self,
        classes=10,
        hidden_class_dim=88,
        class_dropout=0.0,
        w_log_var_prior=0.0,
        coordinates="isometric",
        seed=0,
        **plain,
    ):
        check_widths(classes=classes, hidden_class_dim=hidden_class_dim)
        check_shares(class_dropout=class_dropout)
        if classes < 2:
            raise ValueError(f"classes: got {classes}, must be at least 2")
        check_coordinates(coordinates)
        if not np.isfinite(w_log_var_prior):
            raise ValueError(f"w_log_var_prior: got {w_log_var_prior}, must be finite")
        # The networks of the plain model depend on K, so it is known before they are built.
        self.classes, self.hidden_class_dim, self.seed = classes, hidden_class_dim, seed
        super().__init__(seed=seed, **plain)
        self.w_log_var_prior, self.coordinates = w_log_var_prior, coordinates
        self.classifier = Perceptron(
            "classifier",
            hidden_class_dim if self.sequential else self.pitches,
            hidden_class_dim,
            2 * (classes - 1),
            class_dropout,
            seed,
        )

    def prior_w(self):
        """p(w). Event (K,), no batch."""
        zeros = tf.zeros(self.classes - 1)
        scale = tf.exp(zeros + 0.5 * self.w_log_var_prior)
        return LogisticNormal(zeros, scale, self.coordinates)


class ClassifyingVAE(Classifying, VAE):
    """Classifying variational autoencoder of single steps.

    ::

        p(w) = LogisticNormal(0, v I)
        p(z) = Normal(0, I)
        p(x | z, w, x_prev) = prod_i Bernoulli(x_i; decoder(w, z, x_prev)_i)
        q(w | x) = LogisticNormal(classifier(x))
        q(z | x, w) = Normal(encoder(x, w))

    w, a point of the simplex of K classes, relaxes the one-hot vector of the class.

    Parameters
    ----------
    classes : int
        K, number of classes (keys), at least 2.
    hidden_class_dim : int
        Units of the classifier's hidden layer.
    class_dropout : float
        Share of the classifier's hidden units dropped in training, in [0, 1).
    w_log_var_prior : float
        Log of v, the prior variance of each coordinate of w.
    coordinates : {"isometric", "additive"}
        Of the logistic normals, see `LogisticNormal`. The paper's are additive: there the key that
        happens to be the last is hardly ever recognised.
    **vae
        See `VAE`.

    References
    ----------
    Hennig, Umakantha & Williamson (2017), arXiv 1711.07050.
    """

    certainty = 0.35  # chosen for the model jsb-cl-vae: data/results/samples.json, valid

    def __init__(self, name="classifying_vae", **options):
        super().__init__(name=name, **options)

    def posterior_w(self, x, mask=None):
        """q(w | x), the classifier. Event (K,), batch that of x (..., P)."""
        normal = diagonal_normal(self.classifier(x))
        return LogisticNormal(normal.mean(), normal.stddev(), self.coordinates)

    def infer_w(self, rolls):
        """q(w | a whole roll): rolls (..., T, P) -> event (K,), batch (...).

        Steps of one piece are far from independent, so their evidence is pooled, not multiplied:
        the geometric mean of the T densities q(w | x_t) (a logarithmic opinion pool), which is
        again a logistic normal: precisions are averaged, and locations weighted by them.
        """
        normal = self.posterior_w(rolls).distribution
        log_precision = -2 * tf.math.log(normal.stddev())  # (..., T, K - 1)
        loc = tf.reduce_sum(tf.nn.softmax(log_precision, axis=-2) * normal.mean(), axis=-2)
        steps = tf.cast(tf.shape(rolls)[-2], tf.float32)
        log_pooled = tf.reduce_logsumexp(log_precision, axis=-2) - tf.math.log(steps)
        return LogisticNormal(loc, tf.exp(-0.5 * log_pooled), self.coordinates)
