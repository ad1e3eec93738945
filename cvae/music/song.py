"""What a corpus is: songs as piano rolls with keys, in three splits."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from cvae.music.keys import MAJOR_MINOR, parse_key

__all__ = ["KEY_CLASSES", "SPLITS", "Corpus", "Song", "key_class", "make_corpus"]

SPLITS = ("train", "valid", "test")
"""Names of the splits."""

KEY_CLASSES = ("relative-major", "major-minor", "all-keys")
"""What a model may tell apart: relative majors, the keys that occur, or each of the 24 keys."""


@dataclass(frozen=True, eq=False)
class Song:
    """A song.

    Attributes
    ----------
    roll : ndarray of bool, shape (T, 88)
        Column 0 is MIDI number 21.
    key : str
        Its class: one of the corpus's keys.
    title : str
    source : str
        Where it comes from, such as ``"BWV 269"``, or the name of its file.
    composer : str
        Empty where it is not known, or the same for the whole corpus.
    year : int or None
        Of composition or publication, where it is known.
    analysis : str or None
        Of songs read from files: the key by music21's analysis, one of the 24 keys.
    """

    roll: np.ndarray = field(repr=False)
    key: str
    title: str
    source: str
    composer: str = field(default="", repr=False)
    year: int | None = field(default=None, repr=False)
    analysis: str | None = field(default=None, repr=False)


@dataclass(frozen=True, eq=False)
class Corpus:
    """Songs in three splits.

    Attributes
    ----------
    name : str
    keys : tuple of str
        The classes: the keys that occur, or all of them, by pitch class of the tonic, major before
        minor. Or other names, such as composers, that one has put in their place with
        `dataclasses.replace`: see `are_keys`.
    train, valid, test : tuple of Song
    step : float
        Of the rolls, in quarter notes.
    reading : dict
        How its files were read: the options of `load_corpus` that say so.
    skipped : tuple of str
        What was left out and why, a line for each.
    """

    name: str
    keys: tuple[str, ...]
    train: tuple[Song, ...] = field(repr=False)
    valid: tuple[Song, ...] = field(repr=False)
    test: tuple[Song, ...] = field(repr=False)
    step: float = 1.0
    reading: dict = field(default_factory=dict)
    skipped: tuple[str, ...] = field(default=(), repr=False)

    def split(self, name: str) -> tuple[Song, ...]:
        """Songs of one split.

        Raises
        ------
        ValueError
            If `name` is not ``"train"``, ``"valid"`` or ``"test"``.
        """
        if name not in SPLITS:
            raise ValueError(f"split: {name!r} is unknown; choose from {', '.join(SPLITS)}")
        return getattr(self, name)


def make_corpus(name: str, songs: Mapping, key_classes: str, **more) -> Corpus:
    """Corpus of songs that are labelled with any of the 24 keys.

    Parameters
    ----------
    name : str
    songs : mapping of str -> sequence of Song
        Songs by split.
    key_classes : str
        One of `KEY_CLASSES`, which says what becomes of their keys.
    **more
        Of `Corpus`: step, reading, skipped.

    Returns
    -------
    Corpus

    Raises
    ------
    ValueError
        If the key of a song is none.
    """
    named = {
        split: tuple(replace(song, key=key_class(song.key, key_classes)) for song in songs[split])
        for split in SPLITS
    }
    keys = {parse_key(song.key) for split in SPLITS for song in named[split]}
    if key_classes == "all-keys":
        keys = map(parse_key, MAJOR_MINOR)
    return Corpus(name, tuple(key.name for key in sorted(keys)), **named, **more)


def key_class(key_name: str, key_classes: str = "relative-major") -> str:
    """Class of a key: its relative major, or its own canonical name.

    Parameters
    ----------
    key_name : str
        Any name that `parse_key` reads.
    key_classes : str
        One of `KEY_CLASSES`.

    Returns
    -------
    str

    Raises
    ------
    ValueError
        If `key_name` is not the name of a key.
    """
    key = parse_key(key_name)
    return key.relative_major.name if key_classes == "relative-major" else key.name
