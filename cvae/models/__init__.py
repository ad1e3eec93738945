"""The four families of models, as TFP distributions. They know P pitches, K classes, no music."""

import tensorflow as tf

from cvae.models.base import Elbo, KeyPosterior, LatentModel
from cvae.models.classifying_vae import ClassifyingVAE
from cvae.models.classifying_vae_lstm import ClassifyingVAELSTM
from cvae.models.distributions import LogisticNormal
from cvae.models.vae import VAE
from cvae.models.vae_lstm import VAELSTM

__all__ = [
    "MODELS",
    "VAE",
    "VAELSTM",
    "ClassifyingVAE",
    "ClassifyingVAELSTM",
    "Elbo",
    "KeyPosterior",
    "LatentModel",
    "LogisticNormal",
]

MODELS = {
    "vae": VAE,
    "cl-vae": ClassifyingVAE,
    "vae-lstm": VAELSTM,
    "cl-vae-lstm": ClassifyingVAELSTM,
}
"""The families by the names that settings and the command line have for them."""

# Scores and samplers are compiled for each model and each length, on purpose and once only.
tf.get_logger().addFilter(lambda record: "tf.function retracing" not in record.getMessage())
