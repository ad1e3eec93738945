"""Piano rolls: which of the piano's 88 pitches sound in each step.

A roll is a bool array (T, 88): T steps, of a quarter note where nothing else is said; column 0 is
the lowest A of the piano (MIDI number 21), column 87 its highest C (108). Nothing is repaired in
silence: a note outside that range is an error.
"""

from collections.abc import Sequence
from numbers import Integral
from typing import NamedTuple

import numpy as np

__all__ = [
    "HIGHEST",
    "LOWEST",
    "PITCHES",
    "Windows",
    "notes_to_roll",
    "pitch_class_counts",
    "roll_to_notes",
    "transpose",
    "windows",
]

LOWEST = 21
"""MIDI number of the piano's lowest A."""

HIGHEST = 108
"""MIDI number of its highest C."""

PITCHES = HIGHEST - LOWEST + 1
"""P: 88."""


def notes_to_roll(steps: Sequence[Sequence[int]]) -> np.ndarray:
    """Piano roll of the notes that sound in each step.

    Parameters
    ----------
    steps : sequence of T sequences of int
        MIDI numbers, 21 to 108, in any order; an empty step is silence.

    Returns
    -------
    ndarray of bool, shape (T, 88)

    Raises
    ------
    ValueError
        If a note is not a whole number from 21 to 108.
    """
    step_of_note = np.repeat(np.arange(len(steps)), [len(step) for step in steps])
    notes = np.array([note for step in steps for note in step])
    if notes.size == 0:
        return np.zeros((len(steps), PITCHES), dtype=bool)
    if notes.ndim != 1 or notes.dtype.kind not in "iu":
        raise ValueError("steps: notes must be whole MIDI numbers from 21 to 108")
    outside = np.flatnonzero((notes < LOWEST) | (notes > HIGHEST))
    if outside.size:
        note, step = notes[outside[0]], step_of_note[outside[0]]
        raise ValueError(f"steps: note {note} in step {step} is outside {LOWEST} to {HIGHEST}")
    roll = np.zeros((len(steps), PITCHES), dtype=bool)
    roll[step_of_note, notes - LOWEST] = True
    return roll


def roll_to_notes(roll: np.ndarray) -> list[tuple[int, ...]]:
    """MIDI numbers that sound in each step of a roll, from low to high.

    Parameters
    ----------
    roll : array, shape (T, 88)

    Returns
    -------
    list of T tuples of int
    """
    return [tuple(int(p) + LOWEST for p in np.flatnonzero(step)) for step in check_roll(roll)]


def transpose(roll: np.ndarray, semitones: int) -> np.ndarray:
    """Move every note up by some semitones (down if negative).

    Parameters
    ----------
    roll : array, shape (..., 88)
    semitones : int

    Returns
    -------
    ndarray of bool, shape (..., 88)

    Raises
    ------
    ValueError
        If a note would leave MIDI 21 to 108, or `semitones` is no whole number.
    """
    if not isinstance(semitones, Integral):
        raise ValueError(f"semitones: got {semitones!r}, must be a whole number")
    roll = np.asarray(roll, dtype=bool)
    used = np.flatnonzero(roll.any(axis=tuple(range(roll.ndim - 1))))
    if used.size and not (0 <= used[0] + semitones and used[-1] + semitones < PITCHES):
        lowest, highest = used[0] + LOWEST, used[-1] + LOWEST
        raise ValueError(
            f"semitones: {semitones} would move notes {lowest} to {highest} "
            f"out of {LOWEST} to {HIGHEST}"
        )
    moved = np.zeros_like(roll)
    moved[..., used + semitones] = roll[..., used]
    return moved


class Windows(NamedTuple):
    """Windows of n steps cut from songs; the four arrays have one row for each window.

    Attributes
    ----------
    x : ndarray of bool, shape (N, n, 88)
        The steps.
    x_prev : ndarray of bool, shape (N, n, 88)
        The step before each; silence before the first step of a song.
    key : ndarray of int32, shape (N,)
        Index of the song's key in the classes.
    song : ndarray of int32, shape (N,)
        Index of the song.
    """

    x: np.ndarray
    x_prev: np.ndarray
    key: np.ndarray
    song: np.ndarray


def windows(songs: Sequence, classes: Sequence[str], length: int = 1, stride: int = 1) -> Windows:
    """Cut songs into windows, song by song, from each song's first step on.

    With a stride of 1 every step of a song at least `length` steps long is in some window.

    Parameters
    ----------
    songs : sequence of Song
        Anything with a ``roll`` (T, 88) and a ``key`` that is one of the classes. Songs shorter
        than `length` are left out.
    classes : sequence of str
        The names of the keys.
    length : int
        Steps in a window, at least 1.
    stride : int
        Steps from the start of a window to the start of the next, at least 1.

    Returns
    -------
    Windows

    Raises
    ------
    ValueError
        For a length or stride below 1, a song whose key is not a class, or when every song is
        shorter than `length`.
    """
    for name, value in (("length", length), ("stride", stride)):
        if value < 1:
            raise ValueError(f"{name}: {value} must be at least 1")
    index = {name: i for i, name in enumerate(classes)}
    parts = []
    for i, song in enumerate(songs):
        if song.key not in index:
            raise ValueError(f"classes: no {song.key!r}, the key of song {i}; got {list(classes)}")
        roll = check_roll(song.roll)
        if len(roll) < length:
            continue
        padded = np.concatenate([np.zeros((1, PITCHES), dtype=bool), roll])
        # A window of length + 1 holds the step before, then the window itself.
        views = np.lib.stride_tricks.sliding_window_view(padded, length + 1, axis=0)[::stride]
        views = views.swapaxes(1, 2)  # (windows, length + 1, 88)
        numbers = np.broadcast_to(np.array([index[song.key], i], dtype=np.int32), (len(views), 2))
        parts.append((views, numbers))
    if not parts:
        longest = max((len(song.roll) for song in songs), default=0)
        raise ValueError(f"length: no song has {length} steps; the longest has {longest}")
    views, numbers = (np.concatenate(part) for part in zip(*parts, strict=True))
    return Windows(views[:, 1:], views[:, :-1], numbers[:, 0].copy(), numbers[:, 1].copy())


def pitch_class_counts(roll: np.ndarray) -> np.ndarray:
    """How often each pitch class sounds.

    Parameters
    ----------
    roll : array, shape (..., T, 88)

    Returns
    -------
    ndarray of int, shape (..., 12)
        Counts over all octaves and steps, C first.
    """
    by_pitch = np.asarray(roll, dtype=bool).sum(axis=-2)  # (..., 88)
    before, after = LOWEST % 12, -(HIGHEST + 1) % 12  # pad to whole octaves from C to B
    padding = [(0, 0)] * (by_pitch.ndim - 1) + [(before, after)]
    octaves = np.pad(by_pitch, padding).reshape(*by_pitch.shape[:-1], -1, 12)
    return octaves.sum(axis=-2)


def check_roll(roll: np.ndarray) -> np.ndarray:
    """Return a roll as a bool array; ValueError unless its shape is (T, 88)."""
    roll = np.asarray(roll, dtype=bool)
    if roll.ndim != 2 or roll.shape[1] != PITCHES:
        raise ValueError(f"roll: shape {roll.shape} is not (steps, {PITCHES})")
    return roll
