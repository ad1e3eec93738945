"""Augmentation: music moved to other keys, and the labels with it."""

import numpy as np
import tensorflow as tf

from cvae.music.keys import are_keys, parse_key

__all__ = ["Transposition"]


class Transposition:
    """Moves music, and its key, by a random number of semitones.

    The new key is drawn in proportion to the square root of its frequency: rare keys are heard more
    often, and yet common ones stay common, as a classifier must know. (From 6 semitones on
    some keys are reached by two shifts, up and down, and count twice.) What has a note that would
    leave the piano stays where it is.

    Parameters
    ----------
    keys : sequence of str
        The K classes of the corpus. Where they are no keys they stay, and all shifts are equally
        frequent.
    frequency : float array (K,)
        Share of each in the training split.
    semitones : int
        At most so far up or down.
    any_key : bool
        Move to keys without songs too, all shifts equally often. If some are none of the classes,
        the labels stay.

    Attributes
    ----------
    new_keys : int32 (K, 2 semitones + 1)
        Class of each key moved by -semitones to +semitones; -1 where it is none of the classes.
    has_all : bool
        Whether all keys that music can move to are classes.
    """

    def __init__(self, keys, frequency, semitones, any_key=False):
        self.semitones = semitones
        moved = moved_classes(keys, range(-semitones, semitones + 1))
        self.has_all = bool(np.all(moved >= 0))
        self.new_keys, self.weight = moved, np.ones(moved.shape)  # (K, 2 semitones + 1)
        if not any_key:
            self.weight = np.where(moved >= 0, np.sqrt(frequency)[moved], 0)
        elif not self.has_all:
            self.new_keys = np.tile(np.arange(len(keys), dtype=np.int32)[:, None], moved.shape[1])

    def of_batch(self, batch, seed):
        """Move each example of a `Batch` by a shift of its own. seed: int32 (2,)."""
        size, *_, pitches = batch.x.shape
        logits = tf.gather(np.log(self.weight + 1e-30).astype(np.float32), batch.key)
        column = tf.random.stateless_categorical(logits, 1, seed, dtype=tf.int32)  # (B, 1)
        source = tf.range(pitches) - (column - self.semitones)  # (B, P)
        inside = (source >= 0) & (source < pitches)
        both = tf.reshape(tf.stack([batch.x, batch.x_prev], axis=1), [size, -1, pitches])
        moved = tf.gather(both, tf.clip_by_value(source, 0, pitches - 1), axis=2, batch_dims=1)
        moved &= inside[:, None]
        whole = tf.reduce_all(notes(moved) == notes(both), axis=1)
        both = tf.where(whole[:, None, None], moved, both)
        x, x_prev = tf.unstack(tf.reshape(both, [size, 2, *batch.x.shape[1:]]), axis=1)
        key = tf.gather(tf.gather(self.new_keys, batch.key), column[:, 0], batch_dims=1)
        return batch._replace(x=x, x_prev=x_prev, key=tf.where(whole, key, batch.key))

    def of_songs(self, data, rng):
        """Move each song of `Examples` as a whole, so that a memory never hears a jump."""
        steps, key = data.steps.copy(), data.key.copy()
        for song in np.unique(data.song):
            mine = data.song == song
            old = data.key[mine][0]
            column = rng.choice(self.weight.shape[1], p=self.weight[old] / self.weight[old].sum())
            shift = column - self.semitones
            rows = slice(data.start[mine].min(), (data.start + data.length)[mine].max())
            moved = np.roll(data.steps[rows], shift, axis=1)
            wrapped = moved[:, :shift] if shift > 0 else moved[:, moved.shape[1] + shift :]
            if not wrapped.any():
                steps[rows], key[mine] = moved, self.new_keys[old, column]
        return data._replace(steps=steps, key=key)


def moved_classes(keys, shifts):
    """Class of each class moved by each shift, -1 where it is none of them: int32 (K, S)."""
    if not are_keys(keys):  # a composer is the same in any key
        return np.repeat(np.arange(len(keys), dtype=np.int32)[:, None], len(shifts), axis=1)
    index = {name: i for i, name in enumerate(keys)}
    moved = [[index.get(parse_key(k).transpose(s).name, -1) for s in shifts] for k in keys]
    return np.array(moved, np.int32).reshape(len(keys), len(shifts))


def notes(rolls):
    """Notes in each step."""
    return tf.reduce_sum(tf.cast(rolls, tf.int32), axis=-1)
