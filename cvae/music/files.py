"""Songs from files of music: MIDI and MusicXML, one's own or a corpus's.

What was read is kept in the user's cache, under a name made of the file's content, the options and
the code that reads: so a file that can be read is read once, and never passed off as another.
"""

import hashlib
import importlib.metadata
import io
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import numpy as np

from cvae.music.keys import parse_key
from cvae.music.pianoroll import PITCHES
from cvae.music.score import MAX_BYTES, Score, check_step
from cvae.music.song import SPLITS, Song
from cvae.paths import check_file, parsed_folder, write_atomically
from cvae.progress import progress_bar
from cvae.stored import read_arrays

__all__ = [
    "KEYS_FROM",
    "SUFFIXES",
    "Reading",
    "hash_split",
    "read_folder",
    "read_score",
    "read_song",
    "read_songs",
]

MIDI_SUFFIXES = (".mid", ".midi")
SUFFIXES = (*MIDI_SUFFIXES, ".musicxml", ".xml", ".mxl")
"""Names of files of music end so, in small letters or capitals."""

KEYS_FROM = ("signature", "analysis")
"""Where the key of a song comes from, see `Reading`."""

SHARES = (0.6, 0.2, 0.2)
"""Of train, valid and test in one's own music: those of the chorales."""


@dataclass(frozen=True)
class Reading:
    """How files are read.

    Attributes
    ----------
    step : float
        Of the rolls, in quarter notes, 1/16 to 4.
    pedal : bool
        Whether notes sound on while the sustain pedal of a MIDI file is down.
    key_from : {"signature", "analysis"}
        Whether a song's key is that of its key signature (of the major and the minor key that share
        it the better by profile; where there is no signature, the analysis) or music21's analysis.

    Raises
    ------
    ValueError
        If an option is out of its range.
    """

    step: float = 0.5
    pedal: bool = False
    key_from: str = "signature"

    def __post_init__(self):
        check_step(self.step)
        if self.pedal not in (True, False):
            raise ValueError(f"pedal: got {self.pedal!r}, must be true or false")
        if self.key_from not in KEYS_FROM:
            raise ValueError(
                f"key_from: {self.key_from!r} is unknown; choose from {', '.join(KEYS_FROM)}"
            )


def read_score(path: str | Path, pedal: bool = False) -> Score:
    """Notes and key signature of a file, by its suffix MIDI or MusicXML.

    Raises
    ------
    ValueError
        One line that names the file; see `read_midi_score` and `read_musicxml`.
    """
    suffix = Path(path).suffix.lower()
    if suffix in MIDI_SUFFIXES:
        from cvae.music.midi import read_midi_score

        return read_midi_score(path, pedal)
    if suffix in SUFFIXES:
        from cvae.music.musicxml import read_musicxml

        return read_musicxml(path)
    raise ValueError(f"{path}: not a file of music: its name ends in none of {', '.join(SUFFIXES)}")


def read_songs(
    paths: Sequence[Path], reading: Reading, name: Callable[[Path], str]
) -> tuple[dict[Path, Song], list[str]]:
    """Read files, those that were read before from the cache.

    Parameters
    ----------
    paths : sequence of Path
    reading : Reading
    name : function
        Of a path, its name as `Song.source`.

    Returns
    -------
    dict
        Path -> song, for the files that could be read.
    list of str
        A line for each other file: its name and the reason.
    """
    songs, skipped = {}, []
    with progress_bar(paths, unit="file") as bar:
        for path in bar:
            try:
                songs[path] = replace(read_song(path, reading), source=name(path))
            except ValueError as error:
                skipped.append(str(error).replace(str(path), name(path), 1).replace("\n", " "))
    return songs, skipped


def read_song(path: Path, reading: Reading) -> Song:
    """Song of a file, read or from the cache; its title is the stem of its name.

    Raises
    ------
    ValueError
        One line that names the file: see `read_midi` and `read_musicxml`.
    """
    roll, signature, analysis = _read(path, reading)
    key = analysis if reading.key_from == "analysis" else signature or analysis
    return Song(roll, key, path.stem, path.name, analysis=analysis)


def read_folder(path: Path, reading: Reading) -> tuple[dict[str, list[Song]], list[str]]:
    """Songs of one's own files by split.

    Each file's split is drawn by a hash of its name, so that another file never moves it; or it is
    given by a folder named train, valid or test within `path`, if there are these three. One file
    alone is cut in time: its first 60 per cent are for training, the last 20 for testing.

    Parameters
    ----------
    path : Path
        A folder, with all that is in it, or a file.
    reading : Reading

    Returns
    -------
    dict
        Split -> songs.
    list of str
        A line for each file that could not be read.

    Raises
    ------
    ValueError
        If nothing could be read, or a split is left without songs.
    """
    if path.is_file():
        songs, skipped = read_songs([path], reading, lambda file: file.name)
        if skipped:
            raise ValueError(f"corpus: {skipped[0]}")
        return _cut(songs[path]), []
    paths, closed = _files_in(path)
    if not paths and not closed:
        raise ValueError(f"corpus: {path} holds no file of music ({', '.join(SUFFIXES)})")
    songs, skipped = read_songs(paths, reading, lambda file: file.relative_to(path).as_posix())
    skipped += closed
    if not songs:
        raise ValueError(
            f"corpus: {path}: none of its {len(skipped)} files can be read; the first: {skipped[0]}"
        )
    is_split = all((path / split).is_dir() for split in SPLITS)
    result = {split: [] for split in SPLITS}
    for file, song in songs.items():
        result[_folder_split(file, path) if is_split else hash_split(file.name)].append(song)
    empty = [split for split in SPLITS if not result[split]]
    if empty:
        first = f"; the first of {len(skipped)} skipped: {skipped[0]}" if skipped else ""
        raise ValueError(
            f"corpus: {path}: none of the {len(songs)} files that could be read falls in "
            f"{' or '.join(empty)}; add files, or put them in folders train, valid and test{first}"
        )
    return result, skipped


def _files_in(folder: Path) -> tuple[list[Path], list[str]]:
    """Files of music in a folder and those within it, links followed; a line for each closed."""
    found, seen, closed = [], set(), []

    def note(error):
        closed.append(f"{os.path.relpath(error.filename, folder)}: {error.strerror}")

    for place, folders, names in os.walk(folder, followlinks=True, onerror=note):
        real = os.path.realpath(place)
        if real in seen:  # a link that leads back
            folders.clear()
            continue
        seen.add(real)
        found += [Path(place, name) for name in names if Path(name).suffix.lower() in SUFFIXES]
    return sorted(found), closed


def hash_split(name: str) -> str:
    """Split of a file by its name: train, valid or test with the chances `SHARES`."""
    number = int.from_bytes(hashlib.sha256(os.fsencode(name)).digest()[:8]) / 2**64
    return SPLITS[int(np.searchsorted(np.cumsum(SHARES), number, side="right"))]


def _folder_split(file: Path, folder: Path) -> str:
    top = file.relative_to(folder).parts[0]
    if top not in SPLITS:
        raise ValueError(f"corpus: {file} is in none of the folders {', '.join(SPLITS)}")
    return top


def _cut(song: Song) -> dict[str, list[Song]]:
    """Parts of a song, one after the other, as the three splits."""
    ends = np.round(np.cumsum(SHARES) * len(song.roll)).astype(int)
    parts = np.split(song.roll, ends[:-1])
    if not all(map(len, parts)):
        raise ValueError(f"corpus: {song.source}: {len(song.roll)} steps are too few for 3 splits")
    return {
        split: [replace(song, roll=part, source=f"{song.source}, {split}")]
        for split, part in zip(SPLITS, parts, strict=True)
    }


def _read(path: Path, reading: Reading) -> tuple[np.ndarray, str | None, str]:
    """Roll, key of the signature and analysed key of a file, from the cache if it is there."""
    check_file(path, MAX_BYTES)
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ValueError(f"{path}: {error.strerror}") from None
    options = f"{path.suffix.lower()} {reading.step} {reading.pedal}"
    digest = hashlib.sha256(content + options.encode() + _readers()).hexdigest()
    cached = parsed_folder() / f"{digest}.npz"
    try:
        return _unpacked(**read_arrays(cached))
    except (TypeError, ValueError):  # not there, or spoilt: read anew
        pass
    score = read_score(path, reading.pedal)
    try:
        roll = score.roll(reading.step)
        keys = score.signature_key(), score.analysis()
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None
    if path.read_bytes() != content:  # replaced meanwhile: not to be kept under the old name
        return roll, *keys
    data = io.BytesIO()
    np.savez(data, roll=np.packbits(roll), steps=len(roll), keys=np.array([keys[0] or "", keys[1]]))
    try:
        cached.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(cached, data.getvalue())
    except OSError:
        pass  # a cache that cannot be written only costs time
    return roll, *keys


def _unpacked(
    roll: np.ndarray, steps: np.ndarray, keys: np.ndarray
) -> tuple[np.ndarray, str | None, str]:
    """What the cache holds of a file, as `_read` gives it."""
    shape = int(steps), PITCHES
    if roll.size != -(-shape[0] * PITCHES // 8):
        raise ValueError("a roll of another length")
    signature, analysis = map(str, keys)
    for key in filter(None, (signature, analysis)):
        parse_key(key)
    rows = np.unpackbits(roll, count=shape[0] * PITCHES).reshape(shape)
    return rows.astype(bool), signature or None, analysis


@cache
def _readers() -> bytes:
    """The code that reads, and what it rests on: when it changes, files are read anew."""
    names = ("files", "keys", "midi", "musicxml", "pianoroll", "score")
    ours = b"".join(Path(__file__).with_name(f"{name}.py").read_bytes() for name in names)
    theirs = [importlib.metadata.version(name) for name in ("mido", "music21")]
    return ours + " ".join(theirs).encode()
