"""Scores of a trained model: bounds, key accuracy, statistics of samples.

Every bound is an upper bound on the negative log-likelihood in nats a step, with every KL term in
it, and never weighted: lower is better.
"""

from typing import NamedTuple

import numpy as np
import tensorflow as tf

from cvae.models.base import check_seed, check_sizes
from cvae.music import statistics
from cvae.music.pianoroll import PITCHES, windows

__all__ = [
    "Frames",
    "evaluate",
    "frames",
    "key_accuracy",
    "key_confusion",
    "sample_statistics",
    "score",
]

CHUNK = 10_000
WINDOW_LENGTHS = (1, 4, 8, 16, 32)


class Frames(NamedTuple):
    """Single steps: x and x_prev bool (N, P), key int32 (N,), the class of each."""

    x: np.ndarray
    x_prev: np.ndarray
    key: np.ndarray


def songs_of(corpus, split):
    """Songs of a split; ValueError if it is unknown or empty."""
    songs = corpus.split(split)
    if not songs:
        raise ValueError(f"split: {split} of the corpus {corpus.name!r} is empty")
    return songs


def frames(corpus, split):
    """Every step of every song of a split.

    Raises
    ------
    ValueError
        If the split is unknown or empty.
    """
    cut = windows(songs_of(corpus, split), corpus.keys)
    return Frames(cut.x[:, 0], cut.x_prev[:, 0], cut.key)


def check_match(model, corpus):
    """Raise ValueError if model and corpus differ in the number of pitches or of keys."""
    if model.pitches != PITCHES:
        raise ValueError(f"pitches: the model has {model.pitches}, the corpus {PITCHES}")
    if model.classes not in (0, len(corpus.keys)):
        raise ValueError(
            f"corpus: {corpus.name!r} has {len(corpus.keys)} keys, the model {model.classes}"
        )


def score(model, data, seed, draw=0):
    """Bound and key accuracy, one posterior sample a step.

    Parameters
    ----------
    model : LatentModel
    data : Frames
    seed, draw : int
        Each pair gives other posterior samples.

    Returns
    -------
    dict
        bound, reconstruction, kl_z, kl_w: nats a step; key_accuracy: share of the steps whose
        most probable class is the true one (NaN for a model without classes).
    """
    parts = []
    starts = range(0, len(data.x), CHUNK)
    for i, start in enumerate(starts):
        chunk = (array[start : start + CHUNK] for array in data)
        parts.append(_terms(model, *chunk, np.array([seed, draw * len(starts) + i], np.int32)))
    log_likelihood, kl_z, kl_w, right = np.concatenate(parts, axis=1).mean(axis=1, dtype=float)
    return {
        "bound": kl_z + kl_w - log_likelihood,
        "reconstruction": -log_likelihood,
        "kl_z": kl_z,
        "kl_w": kl_w,
        "key_accuracy": right,
    }


@tf.function(jit_compile=True)
def _terms(model, x, x_prev, key, seed):
    x, x_prev = tf.cast(x, tf.float32), tf.cast(x_prev, tf.float32)
    elbo = model.elbo(x, x_prev, key, seed)
    right = tf.fill(tf.shape(key), np.nan)
    if model.classes:
        guess = tf.argmax(model.posterior_w(x).mode(), axis=-1, output_type=key.dtype)
        right = tf.cast(guess == key, tf.float32)
    return tf.stack([elbo.log_likelihood, elbo.kl_z, elbo.kl_w, right])


def evaluate(model, corpus, split="test", seed=0, draws=10):
    """All scores of a model on a split.

    Parameters
    ----------
    model : LatentModel
    corpus : Corpus
    split : {"train", "valid", "test"}
    seed : int
    draws : int
        The bound is a mean over so many posterior samples a step.

    Returns
    -------
    dict
        corpus, split, seed; bound, reconstruction, kl_z, kl_w (nats a step, mean over all steps
        of all songs); key_accuracy (object: number of steps in the window -> accuracy, with
        "song" for whole songs; empty for a model without classes); songs, steps.

    Raises
    ------
    ValueError
        If the split is empty, an argument out of its range, or pitches or classes of model and
        corpus differ.
    """
    check_seed(seed)
    check_sizes(draws=draws)
    check_match(model, corpus)
    data = frames(corpus, split)
    rows = [score(model, data, seed, draw) for draw in range(draws)]
    means = {name: float(np.mean([row[name] for row in rows])) for name in rows[0]}
    means.pop("key_accuracy")
    return {
        "corpus": corpus.name,
        "split": split,
        "seed": seed,
        **means,
        "key_accuracy": key_accuracy(model, corpus, split) if model.classes else {},
        "songs": len(corpus.split(split)),
        "steps": len(data.x),
    }


def key_accuracy(model, corpus, split, lengths=WINDOW_LENGTHS):
    """Share of windows whose most probable key is the song's, by length of the window.

    Windows start at every step of every song; those of whole songs are named "song". Lengths that
    no song reaches are left out.

    Returns
    -------
    dict
        Number of steps, as a string, or "song" -> accuracy.
    """
    songs = songs_of(corpus, split)
    accuracy = {}
    for length in lengths:
        if max(len(song.roll) for song in songs) >= length:
            cut = windows(songs, corpus.keys, length=length)
            accuracy[str(length)] = float(np.mean(_guesses(model, cut.x) == cut.key))
    guesses = [_guesses(model, song.roll[None])[0] for song in songs]
    truth = [corpus.keys.index(song.key) for song in songs]
    return accuracy | {"song": float(np.mean(np.equal(guesses, truth)))}


def key_confusion(model, corpus, split, length=1):
    """How often each key is taken for each other on windows of `length` steps.

    Returns
    -------
    int array (K, K)
        Rows: the song's key; columns: the most probable key.
    """
    cut = windows(songs_of(corpus, split), corpus.keys, length=length)
    confusion = np.zeros((len(corpus.keys), len(corpus.keys)), int)
    np.add.at(confusion, (cut.key, _guesses(model, cut.x)), 1)
    return confusion


def _guesses(model, rolls):
    """Most probable class of each roll (N, T, P): int (N,)."""
    if not model.classes:
        raise ValueError(f"model: {model.name!r} has no classes")
    chunks = [rolls[i : i + CHUNK] for i in range(0, len(rolls), CHUNK)]
    modes = [model.infer_w(tf.cast(chunk, tf.float32)).mode() for chunk in chunks]
    return np.concatenate([np.argmax(mode, axis=-1) for mode in modes])


def sample_statistics(rolls, keys=None):
    """Musical statistics of rolls, under the field's names: means over the rolls.

    Parameters
    ----------
    rolls : sequence of bool arrays (T, 88)
    keys : sequence of str, optional
        The key that was asked for, for each roll: adds pitch_in_scale_rate.

    Returns
    -------
    dict
        scale_consistency, polyphony, note_repetition, pitch_class_entropy, and
        pitch_in_scale_rate. Rolls without notes are left out; None where none is left.
    """
    names = ("scale_consistency", "polyphony", "note_repetition", "pitch_class_entropy")
    result = {n: _mean([getattr(statistics, n)(roll) for roll in rolls]) for n in names}
    if keys is not None:
        rates = [statistics.pitch_in_scale_rate(*pair) for pair in zip(rolls, keys, strict=True)]
        result["pitch_in_scale_rate"] = _mean(rates)
    return result


def _mean(values):
    """Mean without the NaN; None, which JSON can say, when nothing is left."""
    values = np.array(values)
    values = values[~np.isnan(values)]
    return float(values.mean()) if values.size else None
