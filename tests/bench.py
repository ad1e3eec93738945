"""Speed of training and sampling, measured side by side: `make bench`.

Machines are shared and noisy, so contenders take turns in one process and the figure is a ratio of
medians. Prints one JSON object.
"""

import json
import os
import sys
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np

import cvae
from cvae.evaluation import frames
from cvae.models import VAE, ClassifyingVAE
from cvae.music import load_corpus
from cvae.training import Trainer, TrainingConfig

ROUNDS = 15
BATCH = 100


class FitVAE(keras.Model):
    """The same VAE, its ELBO as a Keras loss, for `fit`."""

    def __init__(self):
        super().__init__()
        self.vae = VAE()
        self.seeds = keras.random.SeedGenerator(0)

    def call(self, x):
        key = np.zeros(BATCH, np.int32)
        self.add_loss(-keras.ops.mean(self.vae.elbo(x, x, key, self.seeds.next()).bound))
        return x


def seconds(function):
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def bench_training():
    """Ratio of the time of an epoch by Keras `fit` to that by `cvae.training.fit`."""
    corpus = load_corpus("jsb")
    x = frames(corpus, "train").x.astype(np.float32)
    x = x[: len(x) // BATCH * BATCH]
    contenders = {}
    for jit in (False, True):
        rival = FitVAE()
        rival.compile(optimizer="adam", jit_compile=jit)
        contenders["fit, XLA" if jit else "fit"] = lambda rival=rival: rival.fit(
            x, batch_size=BATCH, verbose=0
        )
    trainer = Trainer(VAE(), corpus, TrainingConfig(batch_size=BATCH))
    contenders["cvae"] = trainer.train_epoch
    times = {name: [] for name in contenders}
    for run in contenders.values():
        run()  # compiles
    for _ in range(ROUNDS):
        for name, run in contenders.items():
            times[name].append(seconds(run))
    medians = {name: float(np.median(column)) for name, column in times.items()}
    return {
        "epoch_s": medians,
        "times_as_fast_as_fit": medians["fit"] / medians["cvae"],
        "times_as_fast_as_fit_xla": medians["fit, XLA"] / medians["cvae"],
    }


def bench_sampling():
    """Milliseconds for a 64-step sample, by the size of the batch."""
    model = ClassifyingVAE(latent_dim=16, hidden_dim=256, hidden_class_dim=256, use_x_prev=True)
    result = {}
    for size in (1, 10, 100, 1000):
        seed_roll = np.zeros((size, 1, 88))
        model.generate(seed_roll, 64, key=0)
        times = [seconds(lambda s=seed_roll: model.generate(s, 64, key=0)) for _ in range(ROUNDS)]
        result[size] = 1000 * float(np.median(times)) / size
    return {"ms_per_64_step_sample_by_batch": result}


def main():
    result = {"command": "make bench", "version": cvae.__version__, "cores": os.cpu_count()}
    result |= bench_training() | bench_sampling()
    json.dump(result, sys.stdout, indent=2)
    print()


if __name__ == "__main__":
    main()
