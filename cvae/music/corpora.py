"""Corpora: songs as piano rolls with keys, split into train, valid and test.

========================  ==========================================================================
name                      songs
========================  ==========================================================================
``jsb``                   Bach's chorales as music21 holds them, each once, held notes sounding
``jsb-c``                 the same, transposed to C major or C minor
``jsb-original``          the file that the paper's own code was run on
``jsb-bl``                Boulanger-Lewandowski's chorales and splits, those of the literature's
                          figures: in C major or C minor (a few are not; which of the two is a
                          guess by key profile, for the file names no keys)
path of a pickle          laid out as that file: ``train``, ``valid`` and ``test`` are lists of
                          songs, a song a list of steps, a step a list of MIDI numbers;
                          ``train_key`` and so on are lists of key names. Without them
                          ``train_mode`` and so on (True = major) say C major or C minor.
========================  ==========================================================================
"""

import json
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from scipy.io import loadmat

from cvae.music.downloads import download
from cvae.music.keys import parse_key, profile_key
from cvae.music.pianoroll import notes_to_roll, transpose
from cvae.music.pickles import load_plain_pickle
from cvae.paths import data_folder

__all__ = ["CORPORA", "FILES", "KEY_CLASSES", "SPLITS", "Corpus", "Song", "load_corpus"]

SPLITS = ("train", "valid", "test")
KEY_CLASSES = ("relative-major", "major-minor")
CORPORA = ("jsb", "jsb-c", "jsb-original", "jsb-bl")

_ORIGINAL = "JSB Chorales_all.pickle"
FILES = {
    "jsb-original": "seed",
    "jsb-bl": "boulanger-lewandowski/JSB_Chorales.mat",
}
"""What `download` must bring for a corpus that does not come with the project: a file or folder."""


@dataclass(frozen=True, eq=False)
class Song:
    """A song.

    Attributes
    ----------
    roll : ndarray of bool, shape (T, 88)
        Column 0 is MIDI number 21; a step is a quarter note.
    key : str
        One of the corpus's keys.
    title : str
    source : str
        Where it comes from, such as ``"BWV 269"``.
    """

    roll: np.ndarray = field(repr=False)
    key: str
    title: str
    source: str


@dataclass(frozen=True, eq=False)
class Corpus:
    """Songs in three splits.

    Attributes
    ----------
    name : str
    keys : tuple of str
        The classes: the keys that occur, by pitch class of the tonic, major before minor.
    train, valid, test : tuple of Song
    """

    name: str
    keys: tuple[str, ...]
    train: tuple[Song, ...] = field(repr=False)
    valid: tuple[Song, ...] = field(repr=False)
    test: tuple[Song, ...] = field(repr=False)

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


def load_corpus(name_or_path: str | Path, key_classes: str = "relative-major") -> Corpus:
    """Load a corpus by name, or from a pickle laid out as the original's.

    Parameters
    ----------
    name_or_path : str or Path
        ``"jsb"``, ``"jsb-c"``, ``"jsb-original"``, ``"jsb-bl"``, or the path of a pickle.
    key_classes : {"relative-major", "major-minor"}
        Whether a minor key is called by its relative major or keeps its own name. ``"jsb-c"`` and
        ``"jsb-bl"`` have the classes C major and C minor in either case.

    Returns
    -------
    Corpus

    Raises
    ------
    ValueError
        For an unknown corpus or `key_classes`, a file that cannot be downloaded, is altered or not
        a pickle of plain data, an empty split, a note outside MIDI 21 to 108, or keys that do not
        match the songs.
    """
    if key_classes not in KEY_CLASSES:
        raise ValueError(
            f"key_classes: {key_classes!r} is unknown; choose from {', '.join(KEY_CLASSES)}"
        )
    name = str(name_or_path)
    if name == "jsb":
        return _make_corpus(name, _read_jsb(), key_classes)
    if name == "jsb-c":
        songs = {split: [_to_c(song) for song in songs] for split, songs in _read_jsb().items()}
        return _make_corpus(name, songs, "major-minor")
    if name == "jsb-original":
        return _make_corpus(name, _read_original(), key_classes)
    if name == "jsb-bl":
        return _make_corpus(name, _read_bl(), "major-minor")
    path = Path(name_or_path)
    if path.is_file():
        return _make_corpus(str(path), _read_pickle(path), key_classes)
    raise ValueError(
        f"corpus: {name!r} is neither one of {', '.join(CORPORA)} nor the path of a pickle"
    )


def _read_jsb() -> dict[str, list[Song]]:
    """Songs of the project's own table by split, each with one of the 24 keys."""
    table = json.loads((data_folder() / "corpora" / "jsb.json").read_text("utf-8"))
    songs = {split: [] for split in SPLITS}
    for entry in table["songs"]:
        roll = notes_to_roll(entry["steps"])
        song = Song(roll, entry["key"], entry["title"], f"BWV {entry['bwv']}")
        songs[entry["split"]].append(song)
    return songs


def _to_c(song: Song) -> Song:
    """Move a song to C by the smallest shift: up at most 6 semitones or down at most 5."""
    key = parse_key(song.key)
    up = -key.tonic % 12
    shift = up if up <= 6 else up - 12
    return replace(song, roll=transpose(song.roll, shift), key=key.transpose(shift).name)


def _read_original() -> dict[str, list[Song]]:
    """Songs of the original's file by split, with the keys as labelled there."""
    path = download(f"{FILES['jsb-original']}/{_ORIGINAL}", "jsb-original")[0]
    bwvs = json.loads((data_folder() / "corpora" / "jsb-original.json").read_text("utf-8"))
    titles = {song.source: song.title for songs in _read_jsb().values() for song in songs}
    return {
        split: [
            replace(song, source=f"BWV {bwv}", title=titles[f"BWV {bwv}"])
            for song, bwv in zip(songs, bwvs[split], strict=True)
        ]
        for split, songs in _read_pickle(path).items()
    }


def _read_bl() -> dict[str, list[Song]]:
    """Songs of Boulanger-Lewandowski's file by split, each in C major or C minor."""
    cells = loadmat(download(FILES["jsb-bl"], "jsb-bl")[0])
    songs = {}
    for split in SPLITS:
        rolls = [cell.astype(bool) for cell in cells[f"{split}data"][0]]
        keys = [profile_key(roll, "aarden-essen", ("C major", "C minor")) for roll in rolls]
        songs[split] = [
            Song(roll, key, f"JSB Chorales, {split} {i}", f"{split} {i}")
            for i, (roll, key) in enumerate(zip(rolls, keys, strict=True))
        ]
    return songs


def _read_pickle(path: Path) -> dict[str, list[Song]]:
    """Songs by split of a pickle laid out as the original's; the keys are as labelled there."""
    data = load_plain_pickle(path)
    if not isinstance(data, dict):
        raise ValueError(f"{path}: holds no dict of train, valid and test")
    return {split: _read_split(path, data, split) for split in SPLITS}


def _read_split(path: Path, data: dict, split: str) -> list[Song]:
    """Songs of one split of the original's layout."""
    songs = data.get(split)
    if not isinstance(songs, list | tuple) or not songs:
        raise ValueError(f"{path}: its split {split!r} is missing or empty")
    field_name = f"{split}_key" if f"{split}_key" in data else f"{split}_mode"
    if field_name not in data:
        raise ValueError(f"{path}: has neither '{split}_key' nor '{split}_mode'")
    labels = data[field_name]
    if not isinstance(labels, list | tuple):
        raise ValueError(f"{path}: its '{field_name}' is not a list")
    if field_name == f"{split}_mode":
        labels = ["C major" if is_major else "C minor" for is_major in labels]
    if len(labels) != len(songs):
        raise ValueError(f"{path}: {len(songs)} songs in {split!r}, but {len(labels)} keys")
    read = []
    for i, (steps, label) in enumerate(zip(songs, labels, strict=True)):
        source = f"{split} {i}"
        try:
            song = Song(notes_to_roll(steps), parse_key(label).name, path.stem, source)
        except (TypeError, ValueError) as error:
            raise ValueError(f"{path}: {source}: {error}") from error
        if not len(song.roll):
            raise ValueError(f"{path}: {source}: has no steps")
        read.append(song)
    return read


def _make_corpus(name: str, songs: dict[str, list[Song]], key_classes: str) -> Corpus:
    """Corpus of songs labelled with any of the 24 keys."""
    named = {
        split: tuple(replace(song, key=_class_of(song.key, key_classes)) for song in songs[split])
        for split in SPLITS
    }
    occurring = {parse_key(song.key) for split in SPLITS for song in named[split]}
    return Corpus(name, tuple(key.name for key in sorted(occurring)), **named)


def _class_of(key_name: str, key_classes: str) -> str:
    key = parse_key(key_name)
    return key.relative_major.name if key_classes == "relative-major" else key.name
