"""The four families of models, as TFP distributions. They know P pitches, K classes, no music."""

from cvae.models.base import Elbo, KeyPosterior, LatentModel
from cvae.models.classifying_vae import ClassifyingVAE
from cvae.models.distributions import LogisticNormal
from cvae.models.vae import VAE

__all__ = [
    "MODELS",
    "VAE",
    "ClassifyingVAE",
    "Elbo",
    "KeyPosterior",
    "LatentModel",
    "LogisticNormal",
]

MODELS = {"vae": VAE, "cl-vae": ClassifyingVAE}
