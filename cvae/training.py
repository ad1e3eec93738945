"""Training: corpus -> batches -> ELBO -> best weights.

The data lie on the device as booleans and a whole epoch is one compiled program; Python only
shuffles, scores the validation split and writes checkpoints between epochs. All bounds are upper
bounds on the negative log-likelihood, in nats a step: lower is better.
"""

import contextlib
from dataclasses import dataclass
from numbers import Integral, Real
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from cvae.evaluation import Frames, check_match, frames, score
from cvae.models.base import check_seed
from cvae.music.keys import parse_key
from cvae.progress import progress_bar
from cvae.runs import STATE, WEIGHTS, load_arrays, locked, save_arrays, set_weights, weights_of

__all__ = ["TrainingConfig", "TrainingDiverged", "fit"]


@dataclass(frozen=True)
class TrainingConfig:
    """Settings of `fit`; the defaults are the original code's, but for the optimizer.

    Parameters
    ----------
    epochs : int
        At most so many passes over the training split.
    batch_size : int
        Steps in a batch. Each epoch leaves out a different remainder of fewer steps than that.
    learning_rate : float
        Above 0.
    optimizer : str
        A Keras optimizer by name.
    class_weight : float
        Weight of the log-probability of the true key, times K - 1 as in the original. 0: the
        classifier learns from the bound alone.
    kl_anneal : int
        Epochs over which the weight of KL z rises in a line from 0 to 1; 0: it is 1 at once.
    w_kl_anneal : int
        The same for KL w.
    patience : int
        Stop after so many epochs without a better validation bound (counted from the end of
        annealing). 0: never.
    transpose : int
        Augmentation: move each training step by up to so many semitones, and its key with it, if
        that gives another of the corpus's keys. (In `jsb-c` no key can move.)
    seed : int
        Of the order of the data, the posterior samples and the augmentation (on the command line
        of the first weights too).
    """

    epochs: int = 200
    batch_size: int = 100
    learning_rate: float = 1e-3
    optimizer: str = "adam"
    class_weight: float = 1.0
    kl_anneal: int = 0
    w_kl_anneal: int = 0
    patience: int = 5
    transpose: int = 0
    seed: int = 0

    def __post_init__(self):
        least = {"epochs": 1, "batch_size": 1} | dict.fromkeys(
            ("kl_anneal", "w_kl_anneal", "patience", "transpose"), 0
        )
        for name, bound in least.items():
            value = getattr(self, name)
            if not isinstance(value, Integral) or value < bound:
                raise ValueError(
                    f"{name}: got {value!r}, must be a whole number of at least {bound}"
                )
        check_seed(self.seed)
        for name in ("learning_rate", "class_weight"):
            value = getattr(self, name)
            if not isinstance(value, Real) or not 0 <= value < np.inf:
                raise ValueError(f"{name}: got {value!r}, must be finite and at least 0")
        if self.learning_rate == 0:
            raise ValueError("learning_rate: got 0, must be above 0")
        try:
            keras.optimizers.get(str(self.optimizer))
        except (TypeError, ValueError):
            raise ValueError(
                f"optimizer: got {self.optimizer!r}, must be the name of a Keras optimizer"
            ) from None
        if self.transpose > 11:
            raise ValueError(f"transpose: got {self.transpose}, must be at most 11")
        for name in ("kl_anneal", "w_kl_anneal"):
            if getattr(self, name) > self.epochs:
                raise ValueError(f"{name}: got {getattr(self, name)}, must be at most epochs")


class TrainingDiverged(RuntimeError):
    """The loss is no longer a number. The model holds the last good weights."""


def fit(model, corpus, config=None, folder=None, resume=False, log_dir=None, progress=None):
    """Train a model; it ends with the weights of the best validation bound.

    Parameters
    ----------
    model : LatentModel
    corpus : Corpus
    config : TrainingConfig, optional
    folder : path, optional
        Of the run: best weights and the state to resume from are written there after each epoch.
    resume : bool
        Go on from `folder`; ends in the same weights as a training that was never interrupted.
    log_dir : path, optional
        Write TensorBoard logs there.
    progress : bool, optional
        Show a bar with the validation bound and key accuracy (by default: to people only).

    Returns
    -------
    dict of lists
        The history: epoch, train_bound, valid_bound, valid_reconstruction, valid_kl_z, valid_kl_w
        (nats a step), valid_key_accuracy (share of steps).

    Raises
    ------
    ValueError
        If a split is empty, a batch larger than the training split, pitches or classes of model
        and corpus differ, a file of `folder` is not what it should be, or `log_dir` cannot be
        written.
    TrainingDiverged
        If the loss is not finite.
    """
    trainer = Trainer(model, corpus, config or TrainingConfig(), folder)
    if log_dir is not None:
        trainer.log_to(log_dir)
    if resume:
        trainer.load_state()
    return trainer.run(progress)


class Trainer:
    """State of one training: everything that `save_state` writes and `load_state` reads."""

    def __init__(self, model, corpus, config, folder=None):
        check_match(model, corpus)
        self.model, self.config = model, config
        self.folder = Path(folder) if folder is not None else None
        self.train, self.valid = frames(corpus, "train"), frames(corpus, "valid")
        if len(self.train.x) < config.batch_size:
            raise ValueError(
                f"batch_size: got {config.batch_size}, the training split has {len(self.train.x)}"
                " steps"
            )
        self.optimizer = keras.optimizers.get(
            {"class_name": config.optimizer, "config": {"learning_rate": config.learning_rate}}
        )
        self.optimizer.build(model.trainable_variables)
        self.variables = [*model.variables, *self.optimizer.variables]
        self.epoch, self.history, self.writer = 0, {}, None
        self.best_weights = weights_of(model.variables)
        self.new_keys = key_shifts(corpus.keys, config.transpose)
        self.key_frequency = np.bincount(self.train.key, minlength=len(corpus.keys)) / len(
            self.train.key
        )

    @property
    def annealing(self):
        return max(self.config.kl_anneal, self.config.w_kl_anneal)

    @property
    def best_epoch(self):
        """Index of the best epoch since the KL weights are 1; None before that."""
        bounds = self.history.get("valid_bound", [])[self.annealing :]
        return self.annealing + int(np.argmin(bounds)) if bounds else None

    @property
    def out_of_patience(self):
        patience, best = self.config.patience, self.best_epoch
        return bool(patience) and best is not None and self.epoch - best > patience

    def train_epoch(self):
        """One pass over the training split; mean bound and mean loss, nats a step."""
        config = self.config
        order = np.random.default_rng([config.seed, self.epoch]).permutation(len(self.train.x))
        order = order[: len(order) // config.batch_size * config.batch_size]
        order = order.reshape(-1, config.batch_size).astype(np.int32)
        return self._train_epoch(
            order,
            np.array([config.seed, self.epoch], np.int32),
            np.float32(ramp(self.epoch, config.kl_anneal)),
            np.float32(ramp(self.epoch, config.w_kl_anneal)),
        )

    def run_epoch(self):
        """Train for an epoch, score it, write it down; a row of the history."""
        bound, loss = self.train_epoch()
        valid = score(self.model, self.valid, self.config.seed)
        # The last update of the epoch shows in the validation bound only.
        if not np.isfinite([loss, valid["bound"]]).all():
            set_weights(self.model.variables, self.best_weights, "best weights")
            raise TrainingDiverged(
                f"epoch {self.epoch + 1}: the loss is {loss:.3g}, the validation bound "
                f"{valid['bound']:.3g}; kept the best weights so far"
            )
        row = {"epoch": self.epoch + 1, "train_bound": float(bound)}
        row |= {f"valid_{name}": value for name, value in valid.items()}
        for name, value in row.items():
            self.history.setdefault(name, []).append(value)
        is_best = self.best_epoch in (self.epoch, None)
        self.epoch += 1
        if is_best:
            self.best_weights = weights_of(self.model.variables)
        if self.folder:
            if is_best:
                save_arrays(self.folder / WEIGHTS, self.best_weights)
            self.save_state()
        return row

    @tf.function(jit_compile=True)
    def _train_epoch(self, order, seed, kl_weight, w_kl_weight):
        """The compiled part: the batches are the rows of `order`, (N, B)."""
        bounds, losses = tf.constant(0.0), tf.constant(0.0)
        for i in tf.range(tf.shape(order)[0]):
            step_seed = tf.random.experimental.stateless_fold_in(seed, i)
            batch = Frames(*(tf.gather(array, order[i]) for array in self.train))
            if self.config.transpose:
                batch = transposed(batch, self.new_keys, self.key_frequency, step_seed)
            with tf.GradientTape() as tape:
                x, x_prev = tf.cast(batch.x, tf.float32), tf.cast(batch.x_prev, tf.float32)
                elbo = self.model(x, x_prev, batch.key, step_seed, training=True)
                weight = self.config.class_weight * max(self.model.classes - 1, 0)
                objective = (
                    elbo.log_likelihood
                    - kl_weight * elbo.kl_z
                    - w_kl_weight * elbo.kl_w
                    + weight * elbo.log_key
                )
                loss = -tf.reduce_mean(objective)
            variables = self.model.trainable_variables
            self.optimizer.apply(tape.gradient(loss, variables), variables)
            bounds -= tf.reduce_mean(elbo.bound)
            losses += loss
        batches = tf.cast(tf.shape(order)[0], tf.float32)
        return bounds / batches, losses / batches

    def save_state(self):
        state = {f"now/{name}": array for name, array in weights_of(self.variables).items()}
        state |= {f"best/{name}": array for name, array in self.best_weights.items()}
        state |= {f"history/{name}": np.array(column) for name, column in self.history.items()}
        save_arrays(self.folder / STATE, state)

    def load_state(self):
        """Go on from the folder; from the beginning if no epoch was finished there."""
        path = self.folder / STATE
        if not path.exists():
            return
        state = load_arrays(path)
        self.best_weights = _below("best/", state)
        set_weights(self.model.variables, self.best_weights, path)  # to check them
        set_weights(self.variables, _below("now/", state), path)
        self.history = {k: column.tolist() for k, column in _below("history/", state).items()}
        self.epoch = len(self.history.get("epoch", []))
        if not self.epoch:
            raise ValueError(f"{path}: holds no history")

    def log_to(self, folder):
        """Write TensorBoard logs to a folder; ValueError if it cannot be made."""
        try:
            Path(folder).mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ValueError(f"log_dir: {folder} cannot be written: {error.strerror}") from error
        self.writer = tf.summary.create_file_writer(str(folder))

    def run(self, progress=None):
        """Train to the end, see `fit`; returns the history."""
        epochs = self.config.epochs
        bar = progress_bar(show=progress, total=epochs, initial=self.epoch, unit="epoch")
        with locked(self.folder) if self.folder else contextlib.nullcontext(), bar:
            while self.epoch < epochs and not self.out_of_patience:
                row = self.run_epoch()
                if self.writer:
                    log(self.writer, row)
                bar.set_postfix_str(describe(row))
                bar.update()
        set_weights(self.model.variables, self.best_weights, "best weights")
        return self.history


def log(writer, row):
    """Write a row of the history as TensorBoard's scalars (without TensorBoard installed)."""
    scalar = tf.compat.v1.SummaryMetadata(plugin_data={"plugin_name": "scalars"}, data_class=1)
    with writer.as_default(step=row["epoch"]):
        for name, value in row.items():
            tf.summary.write(name, tf.constant(value, tf.float32), metadata=scalar)
    writer.flush()


def describe(row):
    """A row of the history in a few words."""
    words = f"valid {row['valid_bound']:.3f} nats a step"
    accuracy = row["valid_key_accuracy"]
    return words if np.isnan(accuracy) else f"{words}, key {accuracy:.2f}"


def ramp(epoch, length):
    """Weight of a KL term in an epoch: from 0 in a line to 1 at epoch `length`."""
    return min(1.0, epoch / length) if length else 1.0


def key_shifts(keys, semitones):
    """Class of each key moved by -semitones to +semitones: int32 (K, 2 semitones + 1).

    -1 where the moved key is not one of the classes.
    """
    shifts = range(-semitones, semitones + 1)
    if not semitones:
        return np.arange(len(keys), dtype=np.int32)[:, None]
    index = {name: i for i, name in enumerate(keys)}
    moved = [[index.get(parse_key(key).transpose(s).name, -1) for s in shifts] for key in keys]
    return np.array(moved, np.int32)


def transposed(batch, new_keys, key_frequency, seed):
    """Move each step of a batch, and its key, by a random number of semitones.

    The new key is drawn in proportion to the square root of its frequency in the training split:
    rare keys are heard more often, and yet common ones stay common, as the classifier must know. A
    step stays where it is when a note would leave the piano.
    """
    reach, pitches = new_keys.shape[1] // 2, batch.x.shape[-1]
    weight = np.where(new_keys >= 0, np.sqrt(key_frequency[new_keys]), 0)  # (K, 2 reach + 1)
    logits = tf.gather(np.log(weight + 1e-30).astype(np.float32), batch.key)
    column = tf.random.stateless_categorical(logits, 1, seed, dtype=tf.int32)  # (B, 1)
    source = tf.range(pitches) - (column - reach)  # (B, P)
    inside = (source >= 0) & (source < pitches)
    both = tf.stack([batch.x, batch.x_prev], axis=1)  # (B, 2, P)
    moved = tf.gather(both, tf.clip_by_value(source, 0, pitches - 1), axis=2, batch_dims=1)
    moved &= inside[:, None]
    whole = tf.reduce_all(count(moved) == count(both), axis=1)
    key = tf.gather(tf.gather(new_keys, batch.key), column[:, 0], batch_dims=1)
    both = tf.where(whole[:, None, None], moved, both)
    return Frames(both[:, 0], both[:, 1], tf.where(whole, key, batch.key))


def count(rolls):
    """Notes in each step."""
    return tf.reduce_sum(tf.cast(rolls, tf.int32), axis=-1)


def _below(prefix, arrays):
    return {k.removeprefix(prefix): array for k, array in arrays.items() if k.startswith(prefix)}
