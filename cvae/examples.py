"""From songs to batches: stretches of songs, cut on the device when they are needed.

A split lies in memory once, however many windows it is cut into.
"""

from typing import NamedTuple

import numpy as np
import tensorflow as tf

from cvae.music.pianoroll import PITCHES, windows

__all__ = ["Batch", "Examples", "examples", "frames", "gather"]

SONG = "song"


class Examples(NamedTuple):
    """N stretches of the songs of a split.

    Attributes
    ----------
    steps : bool (R, P)
        The songs one after the other, with a silent step before each.
    start, length : int32 (N,)
        Row of the first step of each example, and its number of steps.
    key, song : int32 (N,)
        Class of each example, and the number of its song.
    """

    steps: np.ndarray
    start: np.ndarray
    length: np.ndarray
    key: np.ndarray
    song: np.ndarray


class Batch(NamedTuple):
    """What a model takes.

    Attributes
    ----------
    x, x_prev : array (B, P), or (B, T, P) in a model of sequences
        Steps, and the step before each.
    key : int32 (B,)
    mask : float32 (B, T)
        1 for a step and 0 for padding; None for a model of single steps.
    """

    x: np.ndarray
    x_prev: np.ndarray
    key: np.ndarray
    mask: np.ndarray | None = None


def songs_of(corpus, split):
    """Songs of a split; ValueError if it is unknown or empty."""
    songs = corpus.split(split)
    if not songs:
        raise ValueError(f"split: {split} of the corpus {corpus.name!r} is empty")
    return songs


def frames(corpus, split):
    """Every step of every song of a split, as one batch for a model of single steps.

    Raises
    ------
    ValueError
        If the split is unknown or empty.
    """
    cut = windows(songs_of(corpus, split), corpus.keys)
    return Batch(cut.x[:, 0], cut.x_prev[:, 0], cut.key)


def examples(corpus, split, length=1, stride=1, to_the_end=False):
    """Cut the songs of a split.

    Parameters
    ----------
    corpus : Corpus
    split : {"train", "valid", "test"}
    length : int or "song"
        Steps in an example. A song with fewer steps is one example.
    stride : int
        Steps from the start of an example to that of the next. What is left at the end of a song
        is a shorter example.
    to_the_end : bool
        Examples start in the last steps of a song too, and are shorter than `length`.

    Returns
    -------
    cvae.examples.Examples

    Raises
    ------
    ValueError
        If the split is unknown or empty.
    """
    songs = songs_of(corpus, split)
    steps, start, size, song = [], [], [], []
    row = 0
    for i, entry in enumerate(songs):
        total = len(entry.roll)
        longest = total if length == SONG else length
        starts = list(range(0, max(total - longest, 0) + 1, total if length == SONG else stride))
        if to_the_end:
            starts = list(range(0, total, stride))
        elif starts[-1] + longest < total and starts[-1] + stride < total:
            starts.append(starts[-1] + stride)
        steps += [np.zeros((1, PITCHES), bool), entry.roll]
        start += [row + 1 + first for first in starts]
        size += [min(longest, total - first) for first in starts]
        song += [i] * len(starts)
        row += total + 1
    strange = next((entry for entry in songs if entry.key not in corpus.keys), None)
    if strange:
        raise ValueError(
            f"corpus: {strange.key!r}, the key of {strange.title!r}, is none of its classes; "
            f"these are {', '.join(corpus.keys)}"
        )
    song = np.array(song, np.int32)
    key = np.array([corpus.keys.index(entry.key) for entry in songs], np.int32)[song]
    return Examples(
        np.concatenate(steps), np.array(start, np.int32), np.array(size, np.int32), key, song
    )


def shortened(data, rng):
    """Each example ended after 1 to all of its steps, uniform in the square root of the number."""
    kept = np.ceil(data.length * (1 - rng.random(len(data.length))) ** 2)
    return data._replace(length=kept.astype(np.int32))


def gather(data, index, longest, sequential):
    """The examples of a batch.

    Parameters
    ----------
    data : cvae.examples.Examples
    index : int32 (B,)
        Their numbers.
    longest : int
        Steps to which they are padded.
    sequential : bool
        Whether they are for a model of sequences; else `longest` is 1.

    Returns
    -------
    Batch
        Its `x` and `x_prev` are bool.
    """
    offset = tf.range(longest)
    row = tf.gather(data.start, index)[:, None] + offset  # (B, T)
    inside = offset < tf.gather(data.length, index)[:, None]
    last = tf.shape(data.steps)[0] - 1
    x = tf.gather(data.steps, tf.minimum(row, last)) & inside[..., None]
    x_prev = tf.gather(data.steps, tf.minimum(row - 1, last)) & inside[..., None]
    key = tf.gather(data.key, index)
    if not sequential:
        return Batch(x[:, 0], x_prev[:, 0], key)
    return Batch(x, x_prev, key, tf.cast(inside, tf.float32))


def padded_length(lengths):
    """Each length rounded up to a power of two, 16 at least, but not above the longest.

    So few are different: each is compiled by itself.
    """
    return np.minimum(2 ** np.ceil(np.log2(np.maximum(lengths, 16))).astype(int), np.max(lengths))


def chunks(lengths, steps):
    """All examples, in groups of like length and of few shapes, as each is compiled by itself.

    Parameters
    ----------
    lengths : int (N,)
    steps : int
        A group has at most so many, padding included (but one example at least).

    Returns
    -------
    list of (int32 (n,), int, int)
        Numbers of the examples, padded to n by repeating the last; how many are no repeats; and
        the length to which the examples are padded.
    """
    padded = padded_length(lengths)
    result = []
    for longest in np.unique(padded):
        group = np.flatnonzero(padded == longest).astype(np.int32)
        size = min(max(1, steps // int(longest)), len(group))
        for i in range(0, len(group), size):
            part = group[i : i + size]
            repeats = np.full(size - len(part), part[-1], np.int32)
            result.append((np.append(part, repeats), len(part), int(longest)))
    return result


def shuffled_batches(lengths, size, rng):
    """Batches of examples of like length, in random order; a remainder is left out.

    Returns
    -------
    list of (int32 (n, size), int)
        Numbers of the examples of n batches, and the length to which they are padded.
    """
    padded = padded_length(lengths)
    order = rng.permutation(len(padded))[: len(padded) // size * size].astype(np.int32)
    if padded.min() == padded.max():
        return [(order.reshape(-1, size), int(padded[0]))]
    order = order[np.argsort(padded[order], kind="stable")].reshape(-1, size)
    rows = rng.permutation(len(order))
    return [(order[i : i + 1], int(padded[order[i]].max())) for i in rows]


def lanes(song, size, rng):
    """Batches in which each example goes on where the one before it in the same place stopped.

    Parameters
    ----------
    song : int (N,)
        Number of the song of each example; those of a song are in order.
    size : int
        Examples in a batch, at most as many as songs.

    Returns
    -------
    int32 (n, size), bool (n, size)
        Numbers of the examples; and where one is the first of its song.
    """
    of_song = np.split(np.arange(len(song)), np.flatnonzero(np.diff(song)) + 1)
    queues = [[] for _ in range(size)]
    # Longest first, so that all end at nearly the same time and little is left out.
    shuffled = [of_song[i] for i in rng.permutation(len(of_song))]
    for numbers in sorted(shuffled, key=len, reverse=True):
        min(queues, key=lambda queue: sum(map(len, queue))).append(numbers)
    rows = [np.concatenate([queue[i] for i in rng.permutation(len(queue))]) for queue in queues]
    shortest = min(map(len, rows))
    order = np.stack([row[:shortest] for row in rows], axis=1).astype(np.int32)
    first = np.isin(order, [numbers[0] for numbers in of_song])
    return order, first
