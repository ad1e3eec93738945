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
from cvae.models import VAE, VAELSTM, ClassifyingVAE, ClassifyingVAELSTM
from cvae.music import load_corpus, windows
from cvae.training import Trainer, TrainingConfig

ROUNDS = 15
BATCH = 100
WINDOW = 16


class Fit(keras.Model):
    """A model with its ELBO as a Keras loss, for `fit`."""

    def __init__(self, model):
        super().__init__()
        self.model = model
        self.seeds = keras.random.SeedGenerator(0)

    def call(self, x):
        key = np.zeros(BATCH, np.int32)
        mask = np.ones((BATCH, WINDOW), np.float32) if self.model.sequential else None
        elbo = self.model.elbo(x, x, key, self.seeds.next(), mask)
        self.add_loss(-keras.ops.mean(elbo.bound))
        return x


def seconds(function):
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def bench_training(new_model, length):
    """Ratio of the time of an epoch by Keras `fit` to that by `cvae.training.fit`."""
    corpus = load_corpus("jsb")
    cut = windows(corpus.train, corpus.keys, length=length).x.astype(np.float32)
    x = cut if length > 1 else cut[:, 0]
    x = x[: len(x) // BATCH * BATCH]
    contenders = {}
    for jit in (False, True):
        rival = Fit(new_model())
        rival.compile(optimizer="adam", jit_compile=jit)
        contenders["fit, XLA" if jit else "fit"] = lambda rival=rival: rival.fit(
            x, batch_size=BATCH, verbose=0
        )
    trainer = Trainer(new_model(), corpus, TrainingConfig(batch_size=BATCH))
    contenders["cvae"] = trainer.train_epoch
    times = {name: [] for name in contenders}
    for run in contenders.values():
        run()  # compiles
    for _ in range(ROUNDS if length == 1 else ROUNDS // 3):
        for name, run in contenders.items():
            times[name].append(seconds(run))
    medians = {name: float(np.median(column)) for name, column in times.items()}
    return {
        "examples": len(x),
        "epoch_s": medians,
        "times_as_fast_as_fit": medians["fit"] / medians["cvae"],
        "times_as_fast_as_fit_xla": medians["fit, XLA"] / medians["cvae"],
    }


def bench_sampling(model, seed_steps):
    """Milliseconds for a 64-step sample, by the size of the batch."""
    result = {}
    for size in (1, 10, 100, 1000):
        seed_roll = np.zeros((size, seed_steps, 88))
        model.generate(seed_roll, 64, key=0)
        times = [seconds(lambda s=seed_roll: model.generate(s, 64, key=0)) for _ in range(ROUNDS)]
        result[size] = 1000 * float(np.median(times)) / size
    return result


def main():
    result = {"command": "make bench", "version": cvae.__version__, "cores": os.cpu_count()}
    result["training"] = {
        "VAE, single steps": bench_training(VAE, 1),
        # The sizes of the original's LSTM model, whose epoch takes it 11 s on two cores.
        "VAE+LSTM, windows of 16": bench_training(
            lambda: VAELSTM(latent_dim=4, use_x_prev=True), WINDOW
        ),
    }
    sizes = {"hidden_class_dim": 256, "use_x_prev": True}
    frames = ClassifyingVAE(latent_dim=16, hidden_dim=256, **sizes)
    sequences = ClassifyingVAELSTM(latent_dim=32, hidden_dim=200, prior="lstm", **sizes)
    result["ms_per_64_step_sample_by_batch"] = {
        "Classifying VAE": bench_sampling(frames, 1),
        "Classifying VAE+LSTM, LSTM prior": bench_sampling(sequences, 16),
    }
    json.dump(result, sys.stdout, indent=2)
    print()


if __name__ == "__main__":
    main()
