"""One of several workers that train together: `python tests/worker.py SETTINGS`, in JSON.

Of the environment variable TF_CONFIG, or alone. number: its own; training, folder, resume: of the
run; die_at: the epoch that it does not survive; devices: CPUs to pretend. Its posterior's noise is
tiny, as each worker draws noise for its own share of a batch: what is left must be the same however
many workers there are.
"""

import json
import os
import signal
import sys
from pathlib import Path
from types import SimpleNamespace

import tensorflow as tf
import tensorflow_probability as tfp
from conftest import make_tiny_corpus

from cvae.models import ClassifyingVAELSTM, LogisticNormal
from cvae.replicas import strategy
from cvae.runs import save_arrays, weights_of
from cvae.training import Trainer, TrainingConfig

given = SimpleNamespace(**json.loads(sys.argv[1]))
SPREAD = 1e-6


class Sure(ClassifyingVAELSTM):
    def posterior_z(self, *arguments):
        mean = super().posterior_z(*arguments).mean()
        return tfp.distributions.MultivariateNormalDiag(mean, SPREAD * tf.ones_like(mean))

    def posterior_w(self, *arguments):
        mean = super().posterior_w(*arguments).distribution.mean()
        return LogisticNormal(mean, SPREAD * tf.ones_like(mean), self.coordinates)


class Mortal(Trainer):
    def run_epoch(self):
        if self.epoch == given.die_at:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().run_epoch()


if given.devices > 1:
    cpu = tf.config.list_physical_devices("CPU")[0]
    several = [tf.config.LogicalDeviceConfiguration()] * given.devices
    tf.config.set_logical_device_configuration(cpu, several)
    chosen = tf.distribute.MirroredStrategy([f"CPU:{i}" for i in range(given.devices)])
else:
    chosen = strategy("workers" if "TF_CONFIG" in os.environ else "none")
with chosen.scope():
    model = Sure(classes=3, hidden_dim=16, hidden_class_dim=8, prior="lstm", use_x_prev=True)
    config = TrainingConfig(**given.training)
    trainer = Mortal(model, make_tiny_corpus(), config, given.folder)
    if given.resume:
        trainer.load_state()
    trainer.run()
    save_arrays(Path(given.folder) / f"end-{given.number}.npz", weights_of(model.variables))
