"""Speed and memory of training and sampling, measured side by side: `make bench`.

Machines are shared and noisy, so contenders take turns in one process, and the figures that count
are ratios of medians. Prints one JSON object. PyTorch takes part where it is installed.
"""

import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import tensorflow as tf

import cvae
from cvae.models import VAE, VAELSTM, ClassifyingVAE, ClassifyingVAELSTM
from cvae.music import load_corpus, windows
from cvae.training import Trainer, TrainingConfig

try:
    import bench_torch
except ImportError:
    bench_torch = None

ROUNDS = 15
BATCH = 100
WINDOW = 16
STEPS = 8192
SIZES = {"latent_dim": 32, "prior": "lstm", "use_x_prev": True}


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


def medians(contenders, rounds):
    """Median seconds of each contender; they take turns."""
    times = {name: [] for name in contenders}
    for run in contenders.values():
        run()  # compiles
    for _ in range(rounds):
        for name, run in contenders.items():
            times[name].append(seconds(run))
    return {name: float(np.median(column)) for name, column in times.items()}


def bench_training(new_model, length):
    """Seconds of an epoch by `cvae`, by Keras `fit` and by PyTorch, on the same network."""
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
    contenders["cvae"] = Trainer(
        new_model(), corpus, TrainingConfig(batch_size=BATCH, seq_length=length)
    ).train_epoch
    if bench_torch:
        contenders["PyTorch"] = bench_torch.epoch(new_model(), x, BATCH)
    epoch = medians(contenders, ROUNDS if length == 1 else ROUNDS // 3)
    ratios = {name: s / epoch["cvae"] for name, s in epoch.items() if name != "cvae"}
    return {"examples": len(x), "epoch_s": epoch, "times_as_fast_as": ratios}


def bench_sampling(model, seed_steps):
    """Milliseconds for a 64-step sample, by the size of the batch."""
    key = 0 if model.classes else None
    seeds = {size: np.zeros((size, seed_steps, 88)) for size in (1, 10, 100, 1000)}
    contenders = {
        n: lambda seed=seed: model.generate(seed, 64, key=key) for n, seed in seeds.items()
    }
    return {size: 1000 * s / size for size, s in medians(contenders, ROUNDS).items()}


def lstm_trainer(length=32, hidden=128, batch=32):
    """A trainer whose epoch has `STEPS` steps, whatever the length and the batch."""
    corpus = load_corpus("jsb")
    model = VAELSTM(hidden_dim=hidden, **SIZES)
    trainer = Trainer(model, corpus, TrainingConfig(seq_length=length, batch_size=batch))
    kept = STEPS // length
    fields = ("start", "length", "key", "song")
    trainer.train = trainer.train._replace(
        **{name: getattr(trainer.train, name)[:kept] for name in fields}
    )
    return trainer


def multiply_adds(trainer):
    """Of one step in one training epoch: forward once, and twice as much for the gradient."""
    kernels = [v for v in trainer.model.trainable_variables if len(v.shape) == 2]
    return 3 * sum(int(np.prod(v.shape)) for v in kernels)


def bench_growth():
    """Microseconds of training for a step of music, one size at a time being changed."""
    result = {}
    for name, values in {
        "length": (8, 16, 32, 64),
        "hidden": (32, 64, 128, 256, 512),
        "batch": (4, 8, 16, 32, 64, 128),
    }.items():
        contenders = {v: lstm_trainer(**{name: v}).train_epoch for v in values}
        result[name] = {v: 1e6 * s / STEPS for v, s in medians(contenders, 3).items()}
    return result


def bench_limit(hidden=256):
    """How near to the arithmetic that the machine can do, by a product of matrices beside it."""
    trainer, size = lstm_trainer(hidden=hidden), 2048
    matrix = tf.random.normal((size, size))
    product = tf.function(lambda: tf.reduce_sum(matrix @ matrix), jit_compile=False)
    took = medians({"epoch": trainer.train_epoch, "product": lambda: product().numpy()}, 5)
    needed = multiply_adds(trainer) * STEPS
    rates = {"epoch": needed / took["epoch"] / 1e9, "product": size**3 / took["product"] / 1e9}
    return {
        "hidden": hidden,
        "multiply_adds_a_step": multiply_adds(trainer),
        "billion_multiply_adds_a_second": rates,
        "share_of_the_limit": rates["epoch"] / rates["product"],
    }


MEMORY = {
    "nothing but imports": lambda: None,
    "VAE, an epoch": lambda: Trainer(VAE(), load_corpus("jsb"), TrainingConfig()).train_epoch(),
    "VAE+LSTM, LSTM prior, an epoch": lambda: lstm_trainer(hidden=256).train_epoch(),
    "1,000 samples of 64 steps": lambda: VAELSTM(hidden_dim=256, **SIZES).generate(
        np.zeros((1000, 16, 88)), 64
    ),
}


def bench_memory():
    """Peak memory of a process that does only this, in MiB; only Linux tells it."""
    if not Path("/proc/self/status").exists():
        return {}
    command = [sys.executable, __file__, "--memory"]
    return {name: int(subprocess.check_output([*command, name])) for name in MEMORY}


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
    made = VAELSTM(hidden_dim=200, output="made", **SIZES)
    result["ms_per_64_step_sample_by_batch"] = {
        "Classifying VAE": bench_sampling(frames, 1),
        "Classifying VAE+LSTM, LSTM prior": bench_sampling(sequences, 16),
        "VAE+LSTM, LSTM prior, MADE": bench_sampling(made, 16),
    }
    result["microseconds_a_step_by_size"] = bench_growth()
    result["limit"] = bench_limit()
    result["peak_memory_mib"] = bench_memory()
    json.dump(result, sys.stdout, indent=2)
    print()


if __name__ == "__main__":
    if sys.argv[1:2] == ["--memory"]:
        MEMORY[sys.argv[2]]()
        # (The peak that `resource` knows includes that of the process which started this one.)
        status = Path("/proc/self/status").read_text()
        print(int(re.search(r"VmHWM:\s+(\d+) kB", status)[1]) // 1024)
    else:
        main()
