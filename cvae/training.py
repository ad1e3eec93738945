"""Training: corpus -> batches -> ELBO -> best weights.

The data lie on the device as booleans and an epoch is one compiled program (with whole songs, one
for each length); Python only shuffles, scores the validation split and writes checkpoints between
epochs. All bounds are upper bounds on the negative log-likelihood, in nats a step: lower is better.
"""

import contextlib
from dataclasses import dataclass, fields
from numbers import Integral, Real
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from cvae.evaluation import check_match, score
from cvae.examples import SONG, examples, gather, lanes, shortened, shuffled_batches
from cvae.models.checks import check_seed
from cvae.progress import progress_bar
from cvae.replicas import share
from cvae.runs import (
    STATE,
    WEIGHTS,
    Run,
    check_history,
    find_run,
    load_arrays,
    locked,
    save_arrays,
    set_weights,
    weights_of,
)
from cvae.transposition import Transposition

__all__ = ["Trainer", "TrainingConfig", "TrainingDiverged", "fit", "retrained"]


@dataclass(frozen=True)
class TrainingConfig:
    """Settings of `fit`; the defaults are the original code's, but for the optimizer.

    Parameters
    ----------
    epochs : int
        At most so many passes over the training split.
    seq_length : int or "song"
        Steps in an example of a model of sequences: windows that start at every step, or whole
        songs. By default 16, the original's. (A model of single steps has 1, and no other.)
    carry_state : bool
        The windows of a model of sequences follow one another through each song, and the memory
        begins each as it ended the one before; else it begins each window empty, as it always does
        on the validation split.
    batch_size : int
        Examples in a batch. Each epoch leaves out a different remainder of fewer than that (with
        `carry_state`, what is left where the shortest of the batch's rows of songs has ended).
    learning_rate : float
        Above 0.
    cosine_decay : bool
        The learning rate falls towards 0 over the `epochs`, in half a cosine. (Resumed with more
        epochs, a training is not the one that had them from the start.)
    clip_norm : float
        Scale a gradient down to this norm (over all weights) where it is longer. 0: never.
    optimizer : str
        A Keras optimizer by name.
    class_weight : float
        Weight of the log-probability of the true key, times K - 1 as in the original. 0: the
        classifier learns from the bound alone.
    bound_samples : int
        Draws of each z_t in the bound that is maximised, and that on the validation split says
        which epoch is kept: 1 for the ELBO, more for the tighter importance-weighted bound. For a
        model of single steps or with an LSTM prior.
    kl_anneal : int
        Epochs over which the weight of KL z rises in a line from 0 to 1; 0: it is 1 at once.
    w_kl_anneal : int
        The same for KL w.
    patience : int
        Stop after so many epochs without a better validation bound (counted from the end of
        annealing). 0: never.
    transpose : int
        Augmentation: move each training example by up to so many semitones, and its key with it,
        if that gives another of the corpus's keys. (In `jsb-c` no key can move.)
    any_key : bool
        Let examples move to keys without songs, all shifts equally often. Needs `transpose`; and if
        the model has classes, a corpus of whose classes all such keys are (`all-keys`).
    any_length : bool
        Each training window has a number of steps of its own, drawn anew in each epoch from 1 to
        `seq_length`, uniform in the square root: so a classifier learns to tell a key from however
        many steps there are, few or all. A window starts at each step, to the end of its song, of
        whole songs too. Excludes `carry_state`.
    seed : int
        Of the order of the data, the posterior samples and the augmentation (on the command line
        of the first weights too).
    """

    epochs: int = 200
    seq_length: int | str | None = None
    carry_state: bool = False
    batch_size: int = 100
    learning_rate: float = 1e-3
    cosine_decay: bool = False
    clip_norm: float = 0.0
    optimizer: str = "adam"
    class_weight: float = 1.0
    bound_samples: int = 1
    kl_anneal: int = 0
    w_kl_anneal: int = 0
    patience: int = 5
    transpose: int = 0
    any_key: bool = False
    any_length: bool = False
    seed: int = 0

    def __post_init__(self):
        least = {"epochs": 1, "batch_size": 1, "bound_samples": 1} | dict.fromkeys(
            ("kl_anneal", "w_kl_anneal", "patience", "transpose"), 0
        )
        for name, bound in least.items():
            value = getattr(self, name)
            if not isinstance(value, Integral) or value < bound:
                raise ValueError(
                    f"{name}: got {value!r}, must be a whole number of at least {bound}"
                )
        check_seed(self.seed)
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(field.default, bool) and not isinstance(value, bool):
                raise ValueError(f"{field.name}: got {value!r}, must be true or false")
        steps = self.seq_length
        if steps not in (None, SONG) and (not isinstance(steps, Integral) or steps < 1):
            raise ValueError(
                f"seq_length: got {steps!r}, must be a whole number of at least 1, or {SONG!r}"
            )
        if self.carry_state and self.seq_length == SONG:
            raise ValueError("carry_state: excludes whole songs, which are read at once")
        for name in ("learning_rate", "class_weight", "clip_norm"):
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
        if self.any_key and not self.transpose:
            raise ValueError("any_key: got True, needs transpose of at least 1")
        if self.any_length and self.carry_state:
            raise ValueError("any_length: got True, excludes carry_state")
        for name in ("kl_anneal", "w_kl_anneal"):
            if getattr(self, name) > self.epochs:
                raise ValueError(
                    f"{name}: got {getattr(self, name)}, must be at most epochs, {self.epochs}"
                )


class TrainingDiverged(FloatingPointError):
    """The loss is no longer a number. The model holds the last good weights."""


def fit(model, corpus, config=None, folder=None, resume=False, log_dir=None, progress=None):
    """Train a model; it ends with the weights of the best validation bound.

    Parameters
    ----------
    model : LatentModel
    corpus : Corpus
    config : TrainingConfig, optional
    folder : path, optional
        Of the run, made by `Run.start`: best weights and the state to resume from are written
        there after each epoch.
    resume : bool
        Go on from `folder`; ends in the same weights as a training that was never interrupted.
    log_dir : path, optional
        Write TensorBoard logs there.
    progress : bool, optional
        Show a bar with the validation bound and key accuracy (by default: to people only).

    Notes
    -----
    Within the scope of a `tf.distribute.Strategy`, where the model was built too, each replica
    takes its share of each batch, and all make the same update. What is drawn at random differs
    from a training without replicas: each draws for its own share.

    The programs that XLA compiles for a model stay in memory until the process ends, tens of MB for
    each (``tests/long_run.py``). Who trains models by the hundred gives each a process, as
    `reproduce` does.

    Returns
    -------
    dict of lists
        The history: epoch, train_bound, valid_bound, valid_reconstruction, valid_kl_z, valid_kl_w
        (nats a step), valid_key_accuracy (share of the examples: steps, windows or songs).

    Raises
    ------
    ValueError
        If a split is empty, a batch larger than the training split or no multiple of the number of
        replicas, pitches or classes of model and corpus differ, `folder` is not there or one of
        its files not what it should be, or `log_dir` cannot be written.
    TrainingDiverged
        If the loss is not finite.
    ConnectionError
        If another worker is gone.
    """
    trainer = Trainer(model, corpus, config or TrainingConfig(), folder)
    if log_dir is not None:
        trainer.log_to(log_dir)
    if resume:
        trainer.load_state()
    return trainer.run(progress)


def retrained(name_or_path, progress=None, **changes):
    """Train the model of a run anew, from its first weights; nothing is written.

    Parameters
    ----------
    name_or_path : str or Path
        See `load_run`.
    progress : bool, optional
        See `fit`.
    **changes
        Training settings that differ from the run's, such as fewer `epochs`.

    Returns
    -------
    Run

    Raises
    ------
    ValueError
        If there is no such run, or a setting is out of its range.
    """
    run = Run.untrained(find_run(name_or_path))
    fit(
        run.model,
        run.corpus(),
        TrainingConfig(**run.settings["training"] | changes),
        progress=progress,
    )
    return run


class Trainer:
    """State of one training: everything that `save_state` writes and `load_state` reads.

    Parameters
    ----------
    model, corpus, config, folder
        See `fit`.

    Raises
    ------
    ValueError
        As `fit`, but for what is wrong with its `folder` or `log_dir`.
    """

    def __init__(self, model, corpus, config, folder=None):
        check_match(model, corpus)
        self.model, self.config = model, config
        self.strategy = tf.distribute.get_strategy()
        self.replicas = self.strategy.num_replicas_in_sync
        self.folder = Path(folder) if folder is not None else None
        # Of several workers one writes; all of them read when they resume.
        self.writes = self.folder and self.strategy.extended.should_checkpoint
        length = seq_length(model, config)
        stride = length if config.carry_state else 1
        self.train = examples(corpus, "train", length, stride, to_the_end=config.any_length)
        self.valid = examples(corpus, "valid", length, stride)
        size = len(np.unique(self.train.song)) if config.carry_state else len(self.train.key)
        if size < config.batch_size:
            songs = config.carry_state or (length == SONG and not config.any_length)
            what = "songs" if songs else "steps or windows"
            raise ValueError(
                f"batch_size: got {config.batch_size}, the training split has {size} {what}"
            )
        if config.batch_size % self.replicas:
            raise ValueError(
                f"batch_size: got {config.batch_size}, must be a multiple of {self.replicas}, the "
                "number of replicas"
            )
        options = {"learning_rate": config.learning_rate}
        if config.clip_norm:
            options["global_clipnorm"] = config.clip_norm / self.replicas
        self.optimizer = keras.optimizers.get({"class_name": config.optimizer, "config": options})
        self.optimizer.build(model.trainable_variables)
        self.variables = [*model.variables, *self.optimizer.variables]
        self.epoch, self.history, self.writer = 0, {}, None
        # XLA compiles no communication between replicas.
        self._train_batches = tf.function(self._batches, jit_compile=self.replicas == 1)
        self.best_weights = weights_of(model.variables)
        if config.bound_samples > 1 and not model.steps_independent:
            raise ValueError(
                f"bound_samples: got {config.bound_samples}, must be 1 for the model "
                f"{model.name!r}, whose z_t depend on each other"
            )
        if config.any_length and not model.sequential:
            raise ValueError(f"any_length: got True, the model {model.name!r} sees single steps")
        frequency = np.bincount(self.train.key, minlength=len(corpus.keys)) / len(self.train.key)
        self.transposition = None
        if config.transpose:
            self.transposition = Transposition(
                corpus.keys, frequency, config.transpose, config.any_key
            )
            if config.any_key and model.classes and not self.transposition.has_all:
                raise ValueError(
                    f"any_key: got True, the model {model.name!r} has classes, and not of all keys "
                    "that music would move to; load the corpus with all-keys"
                )

    @property
    def annealing(self):
        """Epochs until the weights of both KL terms are 1."""
        return max(self.config.kl_anneal, self.config.w_kl_anneal)

    @property
    def best_epoch(self):
        """Index of the best epoch since the KL weights are 1; None before that."""
        bounds = self.history.get("valid_bound", [])[self.annealing :]
        return self.annealing + int(np.argmin(bounds)) if bounds else None

    @property
    def out_of_patience(self):
        """Whether the best epoch is too long ago."""
        patience, best = self.config.patience, self.best_epoch
        return bool(patience) and best is not None and self.epoch - best > patience

    def train_epoch(self):
        """One pass over the training split; mean bound and mean loss, nats a step."""
        config, data, first = self.config, self.train, None
        if config.cosine_decay:
            decay = 0.5 + 0.5 * np.cos(np.pi * self.epoch / config.epochs)
            self.optimizer.learning_rate.assign(config.learning_rate * decay)
        rng = np.random.default_rng([config.seed, self.epoch])
        if config.carry_state:
            order, first = lanes(data.song, config.batch_size, rng)
            groups = [(order, int(data.length.max()))]
            if self.transposition:
                data = self.transposition.of_songs(data, rng)
        else:
            if config.any_length:
                data = shortened(data, rng)
            groups = shuffled_batches(data.length, config.batch_size, rng)
        seed = np.array([config.seed, self.epoch], np.int32)
        ramps = (ramp(self.epoch, config.kl_anneal), ramp(self.epoch, config.w_kl_anneal))
        done, sums = 0, np.zeros(3)
        for order, longest in groups:
            sums += self._train_batches(
                data, order, first, longest, seed, np.int32(done), *map(np.float32, ramps)
            )
            done += len(order)
        return sums[:2] / sums[2]

    def run_epoch(self):
        """Train for an epoch, score it, write it down; a row of the history.

        Raises
        ------
        TrainingDiverged
            If the loss or the validation bound is not finite.
        OSError
            If the folder cannot be written.
        """
        bound, loss = self.train_epoch()
        valid = score(self.model, self.valid, self.config.seed, samples=self.config.bound_samples)
        # The last update of the epoch shows in the validation bound only.
        if not np.isfinite([loss, valid["bound"]]).all():
            set_weights(self.model.variables, self.best_weights, "best weights")
            raise TrainingDiverged(
                f"epoch {self.epoch + 1}: the loss is {loss:.3g}, the validation bound "
                f"{valid['bound']:.3g}; "
                + ("kept the best weights so far" if self.epoch else "no epoch was finished")
            )
        row = {"epoch": self.epoch + 1, "train_bound": float(bound)}
        row |= {f"valid_{name}": value for name, value in valid.items()}
        for name, value in row.items():
            self.history.setdefault(name, []).append(value)
        is_best = self.best_epoch in (self.epoch, None)
        self.epoch += 1
        if is_best:
            self.best_weights = weights_of(self.model.variables)
        if self.writes:
            if is_best:
                save_arrays(self.folder / WEIGHTS, self.best_weights)
            self.save_state()
        return row

    def _batches(self, data, order, first, longest, seed, done, kl_weight, w_kl_weight):
        """The compiled part: the batches are the rows of `order`, (N, B), after `done` others."""
        run, sums = self.strategy.run, tf.zeros(3)
        state = run(self.model.initial_state, (order.shape[1] // self.replicas,))
        for i in tf.range(tf.shape(order)[0]):
            step_seed = tf.random.experimental.stateless_fold_in(seed, done + i)
            batch = gather(data, order[i], longest, self.model.sequential)
            begins = None
            if self.config.carry_state:
                begins = first[i]
            elif self.transposition:
                batch = self.transposition.of_batch(batch, step_seed)
            one, state = run(
                self._train_batch, (batch, begins, state, step_seed, kl_weight, w_kl_weight)
            )
            sums += self.strategy.reduce("SUM", one, axis=None)
        return sums

    # The loop above needs AutoGraph; the rest it would rewrite, for seconds, into the same.
    @tf.autograph.experimental.do_not_convert
    def _train_batch(self, batch, begins, state, seed, kl_weight, w_kl_weight):
        """One update; of several replicas each has its share of the batch."""
        replica = tf.distribute.get_replica_context()
        size = tf.cast(tf.shape(batch.x)[0], tf.float32)
        steps = size if batch.mask is None else tf.reduce_sum(batch.mask)
        if self.replicas > 1:
            number = replica.replica_id_in_sync_group
            seed = tf.random.experimental.stateless_fold_in(seed, number)
            batch, begins = share((batch, begins), self.replicas, number)
        if self.config.carry_state:
            state = emptied(state, begins)
        with tf.GradientTape() as tape:
            x, x_prev = tf.cast(batch.x, tf.float32), tf.cast(batch.x_prev, tf.float32)
            before = state if self.config.carry_state else None
            options = {"samples": self.config.bound_samples, "training": True}
            elbo = self.model(x, x_prev, batch.key, seed, batch.mask, before, **options)
            given_w = elbo.bound + elbo.kl_w
            objective = kl_weight * given_w + (1 - kl_weight) * elbo.log_likelihood
            objective -= w_kl_weight * elbo.kl_w
            weight = self.config.class_weight * max(self.model.classes - 1, 0)
            loss = -tf.reduce_sum(objective) / steps - weight * tf.reduce_sum(elbo.log_key) / size
        variables = self.model.trainable_variables
        gradients = tape.gradient(loss, variables)
        if self.replicas > 1:
            # Each replica gives Keras, which adds them up, an equal part of the whole gradient: so
            # its norm, too, is that of the whole.
            gradients = [g / self.replicas for g in replica.all_reduce("SUM", gradients)]
        self.optimizer.apply(gradients, variables)
        sums = tf.stack([-tf.reduce_sum(elbo.bound), loss * steps, steps / self.replicas])
        return sums, elbo.state if self.config.carry_state else state

    def save_state(self):
        """Write all that `load_state` needs, and the best weights, to the folder."""
        state = {f"now/{name}": array for name, array in weights_of(self.variables).items()}
        state |= {f"best/{name}": array for name, array in self.best_weights.items()}
        state |= {f"history/{name}": np.array(column) for name, column in self.history.items()}
        save_arrays(self.folder / STATE, state)

    def load_state(self):
        """Go on from the folder; from the beginning if no epoch was finished there.

        Raises
        ------
        ValueError
            If a file of the folder is missing or not what it should be, or has more epochs than
            the settings ask for.
        """
        path = self.folder / STATE
        if not path.exists():
            if (self.folder / WEIGHTS).exists():
                raise ValueError(
                    f"{path}: missing, so the training cannot go on; its weights are kept"
                )
            return
        state = load_arrays(path)
        self.best_weights = _below("best/", state)
        set_weights(self.model.variables, self.best_weights, path)  # to check them
        set_weights(self.variables, _below("now/", state), path)
        history = _below("history/", state)
        check_history(history, path)
        self.history = {k: column.tolist() for k, column in history.items()}
        self.epoch = len(self.history["epoch"])
        if self.epoch > self.config.epochs:
            raise ValueError(
                f"epochs: got {self.config.epochs}, {self.folder} has {self.epoch} already"
            )

    def log_to(self, folder):
        """Write TensorBoard logs to a folder; ValueError if it cannot be made."""
        try:
            Path(folder).mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ValueError(f"log_dir: {folder} cannot be written: {error.strerror}") from error
        self.writer = tf.summary.create_file_writer(str(folder))

    def run(self, progress=None):
        """Train to the end, see `fit`; returns the history.

        Raises
        ------
        ValueError
            If the folder is not there, or another training is writing there.
        TrainingDiverged, OSError
            See `run_epoch`.
        ConnectionError
            If another worker is gone.
        MemoryError
            If the batches are too large.
        """
        epochs = self.config.epochs
        bar = progress_bar(show=progress, total=epochs, initial=self.epoch, unit="epoch")
        with locked(self.folder) if self.writes else contextlib.nullcontext(), bar:
            while self.epoch < epochs and not self.out_of_patience:
                try:
                    row = self.run_epoch()
                except (tf.errors.AbortedError, tf.errors.UnavailableError) as error:
                    raise ConnectionError(
                        "another worker is gone; start all of them again, to resume"
                    ) from error
                except tf.errors.ResourceExhaustedError as error:
                    raise MemoryError(
                        "not enough memory for batches so large: see batch_size, bound_samples, "
                        "seq_length and the sizes of the model"
                    ) from error
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


def seq_length(model, config):
    """Steps in an example; ValueError if a model of single steps is asked for more."""
    if model.sequential:
        return config.seq_length or 16
    if config.seq_length not in (None, 1) or config.carry_state:
        name, value = (
            ("carry_state", True) if config.carry_state else ("seq_length", config.seq_length)
        )
        raise ValueError(f"{name}: got {value!r}, the model {model.name!r} sees single steps")
    return 1


def emptied(state, first):
    """State of a memory with those of a batch, (B,) bool, where a song begins set to 0."""
    kept = tf.cast(~first, tf.float32)[:, None]
    return tf.nest.map_structure(lambda array: kept * array, state)


def ramp(epoch, length):
    """Weight of a KL term in an epoch: from 0 in a line to 1 at epoch `length`."""
    return min(1.0, epoch / length) if length else 1.0


def _below(prefix, arrays):
    return {k.removeprefix(prefix): array for k, array in arrays.items() if k.startswith(prefix)}
