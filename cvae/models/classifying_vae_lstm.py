"""The Classifying VAE+LSTM: one class (the key), inferred, for a whole sequence."""

import tensorflow as tf

from cvae.models.classifying_vae import Classifying
from cvae.models.distributions import LogisticNormal, diagonal_normal
from cvae.models.networks import dense, seeds
from cvae.models.vae_lstm import VAELSTM

__all__ = ["ClassifyingVAELSTM"]


class ClassifyingVAELSTM(Classifying, VAELSTM):
    """Classifying variational autoencoder of sequences.

    ::

        p(w) = LogisticNormal(0, v I)
        q(w | x) = LogisticNormal(classifier(mean_t features(x_t)))

    and p(z_t | x_<t, w), p(x_t | z_t, x_<t, w) and q(z_t | x_<=t, w) as in `VAELSTM`, where each
    network also sees w. There is one w for all steps of x, a window or a whole song, so its KL
    divergence counts once. The classifier reads the mean of features of all steps: it takes any
    number of them, and what matters is how often each note sounds, not when.

    Parameters
    ----------
    classes, hidden_class_dim, class_dropout, w_log_var_prior, coordinates
        See `ClassifyingVAE`.
    **vae_lstm
        See `VAELSTM`.

    References
    ----------
    Hennig, Umakantha & Williamson (2017), arXiv 1711.07050. Zaheer et al. (2017), Deep Sets, arXiv
    1703.06114 (the classifier).
    """

    def __init__(self, name="classifying_vae_lstm", **options):
        super().__init__(name=name, **options)
        width, own = self.hidden_class_dim, seeds(self.seed, "features")[0]
        self.features = dense("features", width, own, activation="relu", inputs=self.pitches)

    def posterior_w(self, x, mask=None):
        """q(w | all steps of x (..., T, P) whose mask (..., T) is 1). Event (K,), batch (...)."""
        features = self.features(x)  # (..., T, H)
        mask = tf.ones_like(features[..., :1]) if mask is None else mask[..., None]
        steps = tf.maximum(tf.reduce_sum(mask, axis=-2), 1)
        return self._classify(tf.reduce_sum(mask * features, axis=-2) / steps)

    def infer_w(self, rolls):
        """q(w | a whole roll): rolls (..., T, P); event (K,), batch (...)."""
        return self.posterior_w(rolls)

    def infer_w_so_far(self, roll):
        """q(w | x_<=t) for each t: roll (T, P); event (K,), batch (T,)."""
        steps = tf.range(1, roll.shape[0] + 1, dtype=tf.float32)[:, None]
        return self._classify(tf.cumsum(self.features(roll)) / steps)

    def _classify(self, mean):
        """q(w | mean features (..., H))."""
        normal = diagonal_normal(self.classifier(mean[..., None, :])[..., 0, :])
        return LogisticNormal(normal.mean(), normal.stddev(), self.coordinates)
