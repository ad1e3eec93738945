"""Statistics of piano rolls and of corpora, under the field's names.

A share of notes in a scale says little by itself: few notes, narrow notes or repeated notes raise
it. So report polyphony, pitch range and note repetition beside it. Where no note sounds (or, for
the repetition, none after the first step) a statistic of notes is NaN; polyphony is then 0.

References
----------
Dong et al., "MusPy: A Toolkit for Symbolic Music Generation", ISMIR 2020, section 4 (pitch range,
polyphony, pitch-in-scale rate, scale consistency, pitch-class entropy). Here polyphony counts
silent steps too, and the range is given by its two ends.
"""

from collections.abc import Sequence

import numpy as np

from cvae.music.keys import RELATIVE_MAJORS, are_keys, scale_mask
from cvae.music.pianoroll import LOWEST, check_roll, pitch_class_counts
from cvae.music.song import key_class

__all__ = [
    "copied_share",
    "corpus_statistics",
    "note_repetition",
    "notes_in_common",
    "pitch_class_entropy",
    "pitch_in_scale_rate",
    "pitch_range",
    "polyphony",
    "scale_consistency",
    "semitone_clash_rate",
    "step_change",
]


def pitch_in_scale_rate(roll: np.ndarray, key_name: str) -> float:
    """Share of the notes of a roll (T, 88) that belong to the scale of a key, 0 to 1."""
    counts = pitch_class_counts(check_roll(roll))
    return _ratio(counts[scale_mask(key_name)].sum(), counts.sum())


def scale_consistency(roll: np.ndarray) -> float:
    """Share of the notes of a roll (T, 88) in the scale that fits best of the 12 major scales."""
    counts = pitch_class_counts(check_roll(roll))
    scales = np.stack([scale_mask(name) for name in RELATIVE_MAJORS])
    return _ratio((scales @ counts).max(), counts.sum())


def polyphony(roll: np.ndarray) -> float:
    """Mean number of notes in a step of a roll (T, 88), silent steps counted."""
    roll = check_roll(roll)
    return _ratio(roll.sum(), len(roll))


def pitch_range(roll: np.ndarray) -> tuple[float, float]:
    """Lowest and highest MIDI number in a roll (T, 88)."""
    used = np.flatnonzero(check_roll(roll).any(axis=0))
    if used.size == 0:
        return float("nan"), float("nan")
    return int(used[0]) + LOWEST, int(used[-1]) + LOWEST


def pitch_class_entropy(roll: np.ndarray) -> float:
    """Entropy in bits, 0 to log2(12), of the pitch classes of the notes of a roll (T, 88)."""
    counts = pitch_class_counts(check_roll(roll))
    if not counts.any():
        return float("nan")
    shares = counts[counts > 0] / counts.sum()
    return float(shares @ np.log2(1 / shares))


def note_repetition(roll: np.ndarray) -> float:
    """Share of the notes of a roll (T, 88), from its second step on, heard in the step before."""
    roll = check_roll(roll)
    return _ratio((roll[1:] & roll[:-1]).sum(), roll[1:].sum())


def semitone_clash_rate(roll: np.ndarray) -> float:
    """Share of the steps of a roll (T, 88) with notes that hold two pitch classes a semitone apart.

    They are the sharpest dissonances: minor seconds, major sevenths, and these with octaves
    between. Music has some: a passing note shares its step with the note that it leaves.
    """
    roll = check_roll(roll)
    heard = pitch_class_counts(roll[:, None]) > 0  # (T, 12)
    clashes = np.any(heard & np.roll(heard, 1, axis=1), axis=1)
    return _ratio(clashes.sum(), heard.any(axis=1).sum())


def notes_in_common(roll: np.ndarray, other: np.ndarray) -> float:
    """Share of the notes of two rolls that sound in both, of those in one or both.

    Parameters
    ----------
    roll, other : array (T, 88)

    Returns
    -------
    float
        0 to 1.

    Raises
    ------
    ValueError
        If they differ in their number of steps, or are no rolls.
    """
    roll, other = check_roll(roll), check_roll(other)
    if len(roll) != len(other):
        raise ValueError(f"other: has {len(other)} steps, not {len(roll)}")
    return _ratio((roll & other).sum(), (roll | other).sum())


def step_change(roll: np.ndarray) -> float:
    """Mean number of pitches of a roll (T, 88) that begin or end from one step to the next."""
    roll = check_roll(roll)
    return _ratio((roll[1:] != roll[:-1]).sum(), len(roll) - 1)


def copied_share(rolls: Sequence[np.ndarray], songs: Sequence[np.ndarray]) -> np.ndarray:
    """How much of each roll stands, note by note, in one stretch of a song.

    Parameters
    ----------
    rolls : N arrays (T, 88)
        Of at least one step.
    songs : arrays (T, 88)
        What may have been copied: the training set.

    Returns
    -------
    ndarray of float, shape (N,)
        Length of the longest run of steps of a roll that a song has in the same order, as a share
        of the roll's steps, 0 to 1. (A held chord in both makes a run too.)
    """
    number = {}  # of each step that differs
    gap = [-1]  # so that no run goes from one song to the next

    def numbers(roll):
        steps = np.packbits(check_roll(roll), axis=1)
        return [number.setdefault(step.tobytes(), len(number)) for step in steps]

    heard = np.array([n for song in songs for n in gap + numbers(song)])
    shares = []
    for roll in rolls:
        run, longest = np.zeros(len(heard), int), 0  # run that ends at each step of the songs
        for step in numbers(roll):
            run = np.where(heard == step, np.append(0, run[:-1]) + 1, 0)
            longest = max(longest, run.max(initial=0))
        shares.append(longest / len(roll))
    return np.array(shares)


def corpus_statistics(corpus) -> dict:
    """Size and musical statistics of a corpus.

    Parameters
    ----------
    corpus : Corpus

    Returns
    -------
    dict
        ``name``; ``keys`` (number of classes); ``by_key`` (songs in each); then for each of
        ``train``, ``valid`` and ``test`` a dict of ``songs``, ``steps``, ``silent_steps``,
        ``notes_per_step``, ``pitch_range`` (lowest and highest MIDI number); where the classes are
        keys also ``in_scale`` (share of all notes in the scale of their song's key), and for songs
        read from files ``analysis_agrees`` (share of the songs whose key has the scale of the key
        that music21's analysis gives).
    """
    everything = [*corpus.train, *corpus.valid, *corpus.test]
    by_key = {key: sum(song.key == key for song in everything) for key in corpus.keys}
    report = {"name": corpus.name, "keys": len(corpus.keys), "by_key": by_key}
    for split in ("train", "valid", "test"):
        songs = corpus.split(split)
        roll = np.concatenate([song.roll for song in songs])
        report[split] = {
            "songs": len(songs),
            "steps": len(roll),
            "silent_steps": int((~roll.any(axis=1)).sum()),
            "notes_per_step": polyphony(roll),
            "pitch_range": pitch_range(roll),
        }
        if not are_keys(corpus.keys):
            continue
        in_scale = sum(pitch_class_counts(song.roll)[scale_mask(song.key)].sum() for song in songs)
        report[split]["in_scale"] = _ratio(in_scale, roll.sum())
        analysed = [song for song in songs if song.analysis]
        if analysed:
            agree = [key_class(song.key) == key_class(song.analysis) for song in analysed]
            report[split]["analysis_agrees"] = float(np.mean(agree))
    return report


def _ratio(part: int, whole: int) -> float:
    """``part / whole``; NaN when `whole` is 0."""
    return float(part / whole) if whole else float("nan")
