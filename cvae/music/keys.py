"""Keys: names, scales, relative majors, and key finding by key profiles.

A key is a tonic (pitch class, C = 0) and a mode. Each of the 24 keys has one canonical name,
spelled as music21 spells it, flats as ``-``: ``"E- major"``, ``"F# minor"``. A minor key is given
the scale of its natural minor, which is that of its relative major: the 24 keys share 12 scales.

A *class* is what a model tells apart: one of the 12 relative majors, or one of the 24 keys; or
something else that has a name, such as a composer.
"""

import re
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from cvae.music.pianoroll import PITCHES, pitch_class_counts

__all__ = [
    "CIRCLE_OF_FIFTHS",
    "MAJOR_MINOR",
    "PROFILES",
    "RELATIVE_MAJORS",
    "Key",
    "are_keys",
    "fifths_apart",
    "modulation_probabilities",
    "parse_key",
    "profile_key",
    "profile_scores",
    "scale_mask",
]

_TONICS = {
    "major": ("C", "D-", "D", "E-", "E", "F", "F#", "G", "A-", "A", "B-", "B"),
    "minor": ("C", "C#", "D", "E-", "E", "F", "F#", "G", "G#", "A", "B-", "B"),
}
_SCALES = {"major": (0, 2, 4, 5, 7, 9, 11), "minor": (0, 2, 3, 5, 7, 8, 10)}
_NATURALS = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}
_MODES = {"major": "major", "maj": "major", "minor": "minor", "min": "minor", "m": "minor"}
_KEY_PATTERN = re.compile(r"([A-Ga-g])(##?|♯|--?|bb?|♭)?\s*((?i:major|maj|minor|min)|m)?")


class Key(NamedTuple):
    """A major or minor key.

    Attributes
    ----------
    tonic : int
        Pitch class 0 to 11, C = 0.
    mode : {"major", "minor"}
    """

    tonic: int
    mode: str

    @property
    def name(self) -> str:
        """Canonical name, such as ``"E- major"``."""
        return f"{_TONICS[self.mode][self.tonic]} {self.mode}"

    @property
    def relative_major(self) -> "Key":
        """The major key with the same scale; a major key is its own."""
        return self if self.mode == "major" else Key((self.tonic + 3) % 12, "major")

    @property
    def scale(self) -> tuple[int, ...]:
        """The 7 pitch classes of the scale, upwards from the tonic."""
        return tuple((self.tonic + degree) % 12 for degree in _SCALES[self.mode])

    def transpose(self, semitones: int) -> "Key":
        """Key that many semitones higher (lower if negative)."""
        return Key((self.tonic + semitones) % 12, self.mode)


RELATIVE_MAJORS = tuple(Key(tonic, "major").name for tonic in range(12))
"""The 12 major keys, by pitch class of the tonic."""

MAJOR_MINOR = tuple(Key(tonic, mode).name for tonic in range(12) for mode in ("major", "minor"))
"""The 24 keys, by pitch class of the tonic, major before minor."""

CIRCLE_OF_FIFTHS = tuple(Key(7 * fifth % 12, "major").name for fifth in range(12))
"""The 12 major keys, each a fifth above the one before: C, G, D, ..."""


def parse_key(text: str, argument: str = "key") -> Key:
    """Read the name of a key.

    Parameters
    ----------
    text : str
        A letter, its accidental (``#``, ``♯`` or sharp; ``-``, ``b``, ``♭`` or flat) and the mode:
        ``"E- major"``, ``"E flat major"``, ``"c minor"``, ``"Cm"``. Without a mode, a capital
        letter is major and a small one minor: ``"E-"``, ``"e-"``. Any enharmonic spelling will do.
    argument : str
        What an error calls it.

    Returns
    -------
    Key

    Raises
    ------
    ValueError
        If `text` is not the name of a key.
    """
    spelt = re.sub(r"[- ]?flat\b", "-", re.sub(r"[- ]?sharp\b", "#", str(text).strip()))
    match = _KEY_PATTERN.fullmatch(spelt)
    if match is None:
        raise ValueError(
            f"{argument}: {text!r:.60} is not a key; write it as 'E- major', 'c minor' or 'F#m'"
        )
    letter, accidental, mode = match.groups()
    shift = len(accidental or "") * (1 if accidental and accidental[0] in "#♯" else -1)
    if mode is None:
        mode = "major" if letter.isupper() else "minor"
    return Key((_NATURALS[letter.upper()] + shift) % 12, _MODES[mode.lower()])


def are_keys(classes: Sequence[str]) -> bool:
    """Whether classes are keys, by their canonical names; if not, none of them is.

    What belongs to keys (scales, profiles, transposition from one to another) is asked only of
    classes that are keys. Music that is transposed stays in any other class.

    Parameters
    ----------
    classes : sequence of str

    Returns
    -------
    bool
        True also of no classes.

    Raises
    ------
    ValueError
        If a name is empty or stands twice, is that of a key in another spelling, or some are keys
        and some are not, as when one is misspelt.
    """
    others = [name for name in classes if name not in MAJOR_MINOR]
    for i, name in enumerate(classes):
        if not isinstance(name, str) or not name.strip() or name in classes[:i]:
            raise ValueError(f"keys: {name!r:.60} must be a name, and stand once")
    for name in others:
        try:
            key = parse_key(name)
        except ValueError:
            continue
        raise ValueError(f"keys: {name!r} must be written {key.name!r}")
    if others and len(others) < len(classes):
        raise ValueError(f"keys: {others[0]!r:.60} is not a key, and others of the classes are")
    return not others


def scale_mask(key_name: str) -> np.ndarray:
    """Pitch classes in the scale of a key.

    Parameters
    ----------
    key_name : str
        Any name that `parse_key` reads.

    Returns
    -------
    ndarray of bool, shape (12,)
        True at the seven pitch classes of the scale, C first.
    """
    mask = np.zeros(12, dtype=bool)
    mask[list(parse_key(key_name).scale)] = True
    return mask


def fifths_apart(one: str, other: str) -> int:
    """Steps round the circle of fifths from the scale of a key to that of another.

    Parameters
    ----------
    one, other : str
        Any names that `parse_key` reads.

    Returns
    -------
    int
        0 to 6: so many notes of the one scale are not in the other (5 for 6 steps).
    """
    first, second = (parse_key(name).relative_major.tonic for name in (one, other))
    fifths = 7 * (second - first) % 12
    return min(fifths, 12 - fifths)


def modulation_probabilities(classes: Sequence[str], stay: float) -> np.ndarray:
    """Probability of the key of a step after that of the step before: near keys are likelier.

    A key stays with the probability `stay`. Else it moves, e times less likely for each step round
    the circle of fifths, and for a change of mode.

    Parameters
    ----------
    classes : sequence of K key names
        At least 2.
    stay : float
        Between 0 and 1.

    Returns
    -------
    ndarray of float, shape (K, K)
        Row: the key before.

    Raises
    ------
    ValueError
        For fewer classes or another `stay`.
    """
    if len(classes) < 2:
        raise ValueError(f"classes: got {len(classes)}, must be at least 2")
    if not 0 < stay < 1:
        raise ValueError(f"stay: got {stay!r}, must be between 0 and 1")
    modes = np.array([parse_key(name).mode for name in classes])
    apart = np.array([[fifths_apart(one, other) for other in classes] for one in classes])
    move = np.exp(-(apart + (modes[:, None] != modes)))
    np.fill_diagonal(move, 0)
    move *= (1 - stay) / move.sum(axis=1, keepdims=True)
    return move + stay * np.eye(len(classes))


PROFILES = {
    "krumhansl-kessler": np.array(
        [
            [6.35, 2.23, 3.48, 2.33, 4.38, 4.09, 2.52, 5.19, 2.39, 3.66, 2.29, 2.88],
            [6.33, 2.68, 3.52, 5.38, 2.60, 3.53, 2.54, 4.75, 3.98, 2.69, 3.34, 3.17],
        ]
    ),
    "aarden-essen": np.array(
        [
            [17.7661, 0.145624, 14.9265, 0.160186, 19.8049, 11.3587]
            + [0.291248, 22.062, 0.145624, 8.15494, 0.232998, 4.95122],
            [18.2648, 0.737619, 14.0499, 16.8599, 0.702494, 14.4362]
            + [0.702494, 18.6161, 4.56621, 1.93186, 7.37619, 1.75623],
        ]
    ),
    "temperley": np.array(
        [
            [0.748, 0.060, 0.488, 0.082, 0.670, 0.460, 0.096, 0.715, 0.104, 0.366, 0.057, 0.400],
            [0.712, 0.084, 0.474, 0.618, 0.049, 0.460, 0.105, 0.747, 0.404, 0.067, 0.133, 0.330],
        ]
    ),
}
"""Weight of each pitch class, counted from the tonic, in a major and in a minor key: (2, 12)."""


def profile_scores(
    notes: np.ndarray, profile: str = "krumhansl-kessler", classes: Sequence[str] = RELATIVE_MAJORS
) -> np.ndarray:
    """Correlation of the pitch classes that sound with the profile of each key.

    Parameters
    ----------
    notes : array, shape (..., T, 88) or (..., 12)
        Piano rolls, or counts of pitch classes.
    profile : str
        A name in `PROFILES`.
    classes : sequence of K key names
        Where all are major they stand for relative majors: each scores the better of itself and its
        relative minor.

    Returns
    -------
    ndarray of float, shape (..., K)
        Pearson correlations, -1 to 1; 0 where all pitch classes sound equally often or none does.

    Raises
    ------
    ValueError
        For an unknown profile or class, or another shape of `notes`.

    References
    ----------
    Krumhansl, Cognitive Foundations of Musical Pitch, 1990, chapter 4 (the method, and the profiles
    of Krumhansl and Kessler, 1982); Aarden, Dynamic Melodic Expectancy, 2003 (counted in the Essen
    folk songs); Temperley, Music and Probability, 2007 (counted in the Kostka-Payne workbook).
    """
    if profile not in PROFILES:
        raise ValueError(f"profile: {profile!r} is unknown; choose from {', '.join(PROFILES)}")
    notes = np.asarray(notes)
    if notes.shape[-1:] != (12,) and (notes.ndim < 2 or notes.shape[-1] != PITCHES):
        raise ValueError(f"notes: shape {notes.shape} is neither (..., T, 88) nor (..., 12)")
    counts = notes if notes.shape[-1] == 12 else pitch_class_counts(notes)
    keys = [parse_key(name) for name in classes]
    scores = _correlations(counts, profile, keys)
    if all(key.mode == "major" for key in keys):
        relative_minors = [Key((key.tonic + 9) % 12, "minor") for key in keys]
        scores = np.maximum(scores, _correlations(counts, profile, relative_minors))
    return scores


def profile_key(
    roll: np.ndarray, profile: str = "krumhansl-kessler", classes: Sequence[str] = RELATIVE_MAJORS
) -> str:
    """Class with the highest of the `profile_scores` of one roll; of equals, the first.

    Parameters
    ----------
    roll : array, shape (T, 88) or (12,)
        A piano roll, or counts of pitch classes.
    profile : str
        A name in `PROFILES`.
    classes : sequence of key names
        As in `profile_scores`.

    Returns
    -------
    str
        A member of `classes`.
    """
    return classes[int(np.argmax(profile_scores(roll, profile, classes)))]


def _correlations(counts: np.ndarray, profile: str, keys: Sequence[Key]) -> np.ndarray:
    """Pearson correlation of counts (..., 12) with the profile of each of K keys, (..., K)."""
    major, minor = PROFILES[profile]
    weights = np.stack([np.roll(major if k.mode == "major" else minor, k.tonic) for k in keys])
    weights = weights - weights.mean(axis=-1, keepdims=True)  # (K, 12)
    weights /= np.linalg.norm(weights, axis=-1, keepdims=True)
    centred = counts - counts.mean(axis=-1, keepdims=True)  # (..., 12)
    norm = np.linalg.norm(centred, axis=-1, keepdims=True)
    return centred @ weights.T / np.where(norm > 0, norm, 1)
