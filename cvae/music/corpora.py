"""Corpora by name, and one's own music by path.

========================  ==========================================================================
name                      songs
========================  ==========================================================================
``jsb``                   Bach's chorales as music21 holds them, each once, held notes sounding
``jsb-c``                 the same, transposed to C major or C minor
``jsb-original``          the file that the paper's own code was run on
``jsb-bl``                Boulanger-Lewandowski's chorales and splits, those of the literature's
                          figures: in C major or C minor (a few are not; which of the two is a
                          guess by key profile, for the file names no keys)
``piano-midi``            337 piano pieces of piano-midi.de, from Bach to Ravel, in their own keys
``piano-midi-c``          the same, transposed to C major or C minor where the piano allows it
``piano-midi-bl``         Boulanger-Lewandowski's 124 of them and splits; keys as in ``jsb-bl``
``jsb+piano-midi``        both ``jsb`` and ``piano-midi``, in steps of a quarter note: all 24 keys
path of a folder or file  of MIDI and MusicXML: see `cvae.music.files`
path of a pickle          laid out as the original's: ``train``, ``valid`` and ``test`` are lists of
                          songs, a song a list of steps, a step a list of MIDI numbers;
                          ``train_key`` and so on are lists of key names. Without them
                          ``train_mode`` and so on (True = major) say C major or C minor.
========================  ==========================================================================
"""

from dataclasses import asdict, replace
from pathlib import Path

from cvae.music.downloads import download
from cvae.music.files import SUFFIXES, Reading, read_folder
from cvae.music.keys import parse_key, profile_key
from cvae.music.piano_midi import FOLDER, read_piano_midi
from cvae.music.pianoroll import notes_to_roll, transpose
from cvae.music.pickles import load_plain_pickle
from cvae.music.song import KEY_CLASSES, SPLITS, Corpus, Song, make_corpus
from cvae.paths import data_folder, reason
from cvae.stored import opened_json, read_json

__all__ = [
    *("CORPORA", "FILES", "KEY_CLASSES", "SPLITS", "Corpus", "Song"),
    *("is_read_from_files", "load_corpus"),
]

CORPORA = (
    *("jsb", "jsb-c", "jsb-original", "jsb-bl"),
    *("piano-midi", "piano-midi-c", "piano-midi-bl"),
    "jsb+piano-midi",
)
"""Names that `load_corpus` knows."""

_FROM_MIDI = ("piano-midi", "piano-midi-c")
_IN_C = ("jsb-c", "jsb-bl", "piano-midi-c", "piano-midi-bl")
_ORIGINAL = "JSB Chorales_all.pickle"
FILES = {
    "jsb-original": "seed",
    "jsb-bl": "boulanger-lewandowski/JSB_Chorales.mat",
    "piano-midi": FOLDER,
    "piano-midi-c": FOLDER,
    "jsb+piano-midi": FOLDER,
    "piano-midi-bl": "boulanger-lewandowski/Piano_midi.mat",
}
"""What `download` must bring for a corpus that does not come with the project: a file or folder."""


def load_corpus(
    name_or_path: str | Path,
    key_classes: str = "relative-major",
    *,
    step: float | None = None,
    pedal: bool | None = None,
    key_from: str | None = None,
) -> Corpus:
    """Load a corpus by name, or one's own music.

    Parameters
    ----------
    name_or_path : str or Path
        ``"jsb"``, ``"jsb-c"``, ``"jsb-original"``, ``"jsb-bl"``, ``"piano-midi"``,
        ``"piano-midi-c"``, ``"piano-midi-bl"``, ``"jsb+piano-midi"``; or the path of a folder or
        file of MIDI or MusicXML, or of a pickle laid out as the original's.
    key_classes : {"relative-major", "major-minor", "all-keys"}
        Whether a minor key is called by its relative major or keeps its own name; "all-keys" is the
        latter, and all 24 are classes, those without songs too. The corpora in C and those of
        Boulanger-Lewandowski have C major and C minor in any case.
    step, pedal, key_from : optional
        How files of MIDI and MusicXML are read, ``"piano-midi"`` among them: see
        `cvae.music.files.Reading`. By default in steps of an eighth note, 0.5, without the pedal,
        keys from the key signatures.

    Returns
    -------
    Corpus

    Raises
    ------
    ValueError
        For an unknown corpus or option, a file that cannot be downloaded, is altered or not what it
        should be, an empty split, a note outside MIDI 21 to 108, or keys that do not match the
        songs.
    """
    if key_classes not in KEY_CLASSES:
        raise ValueError(
            f"key_classes: {key_classes!r} is unknown; choose from {', '.join(KEY_CLASSES)}"
        )
    name = str(name_or_path)
    if key_classes == "relative-major" and name in _IN_C:
        key_classes = "major-minor"
    given = {"step": step, "pedal": pedal, "key_from": key_from}
    given = {option: value for option, value in given.items() if value is not None}
    path = _path(name_or_path)
    if name in _FROM_MIDI:
        return _load_piano_midi(name, key_classes, Reading(**given))
    if is_read_from_files(name):
        return _load_own(path, key_classes, Reading(**given))
    if given:
        option, value = next(iter(given.items()))
        raise ValueError(
            f"{option}: got {value!r}, is for music read from MIDI or MusicXML, not for {name!r}"
        )
    if name == "jsb":
        return make_corpus(name, _read_jsb(), key_classes)
    if name == "jsb-c":
        songs, _ = _all_to_c(_read_jsb())
        return make_corpus(name, songs, key_classes)
    if name == "jsb+piano-midi":
        chorales, pieces = _read_jsb(), read_piano_midi(Reading(step=1.0))
        both = {split: chorales[split] + pieces[split] for split in SPLITS}
        return make_corpus(name, both, key_classes)
    if name == "jsb-original":
        return make_corpus(name, _read_original(), key_classes)
    if name in ("jsb-bl", "piano-midi-bl"):
        step = 1.0 if name == "jsb-bl" else 0.5
        return make_corpus(name, _read_bl(name), key_classes, step=step)
    if path.is_file():
        return make_corpus(str(path.resolve()), _read_pickle(path), key_classes)
    raise ValueError(
        f"corpus: {name!r} is neither one of {', '.join(CORPORA)} nor the path of a folder or file "
        "of music, or of a pickle"
    )


def is_read_from_files(name_or_path: str | Path) -> bool:
    """Whether a corpus is made of files of music, so that `step` and the like can be chosen."""
    name, path = str(name_or_path), _path(name_or_path)
    own = name not in ("", *CORPORA) and (path.is_dir() or path.suffix.lower() in SUFFIXES)
    return own or name in _FROM_MIDI


def _path(name_or_path: str | Path) -> Path:
    try:
        path = Path(name_or_path).expanduser()
        path.exists()  # which a name that is too long does not survive
        return path
    except OSError as error:
        raise ValueError(f"corpus: {reason(name_or_path)}: {error.strerror}") from None
    except RuntimeError as error:
        raise ValueError(f"corpus: {name_or_path}: {error}") from None


def _load_piano_midi(name: str, key_classes: str, reading: Reading) -> Corpus:
    songs, skipped = read_piano_midi(reading), []
    if name == "piano-midi-c":
        songs, skipped = _all_to_c(songs)
    return _of_files(name, songs, key_classes, reading, skipped)


def _load_own(path: Path, key_classes: str, reading: Reading) -> Corpus:
    if not path.exists():
        raise ValueError(f"corpus: {path}: no such file")
    songs, skipped = read_folder(path, reading)
    return _of_files(str(path.resolve()), songs, key_classes, reading, skipped)


def _of_files(
    name: str,
    songs: dict[str, list[Song]],
    key_classes: str,
    reading: Reading,
    skipped: list[str],
) -> Corpus:
    """Corpus of songs read from files, which remembers how."""
    more = {"step": reading.step, "reading": asdict(reading), "skipped": tuple(skipped)}
    return make_corpus(name, songs, key_classes, **more)


def _read_jsb() -> dict[str, list[Song]]:
    """Songs of the project's own table by split, each with one of the 24 keys."""
    songs = {split: [] for split in SPLITS}
    with opened_json(data_folder() / "corpora" / "jsb.json") as table:
        for entry in table["songs"]:
            roll, key = notes_to_roll(entry["steps"]), parse_key(entry["key"]).name
            songs[entry["split"]].append(Song(roll, key, entry["title"], f"BWV {entry['bwv']}"))
    return songs


def _all_to_c(songs: dict[str, list[Song]]) -> tuple[dict[str, list[Song]], list[str]]:
    """Songs moved to C; and a line for each that is too wide for the piano there."""
    moved, skipped = {split: [] for split in SPLITS}, []
    for split in SPLITS:
        for song in songs[split]:
            in_c = _to_c(song)
            if in_c:
                moved[split].append(in_c)
            else:
                skipped.append(f"{song.source}: in C it has notes that a piano lacks")
    return moved, skipped


def _to_c(song: Song) -> Song | None:
    """Move a song to C by the smaller shift that keeps it on the piano; of equals, up."""
    key = parse_key(song.key)
    up = -key.tonic % 12
    for shift in sorted((up, up - 12), key=abs):
        try:
            moved = transpose(song.roll, shift)
        except ValueError:  # off the piano
            continue
        return replace(song, roll=moved, key=key.transpose(shift).name)
    return None


def _read_original() -> dict[str, list[Song]]:
    """Songs of the original's file by split, with the keys as labelled there."""
    path = download(f"{FILES['jsb-original']}/{_ORIGINAL}", "jsb-original")[0]
    bwvs = read_json(data_folder() / "corpora" / "jsb-original.json")
    titles = {song.source: song.title for songs in _read_jsb().values() for song in songs}
    return {
        split: [
            replace(song, source=f"BWV {bwv}", title=titles[f"BWV {bwv}"])
            for song, bwv in zip(songs, bwvs[split], strict=True)
        ]
        for split, songs in _read_pickle(path).items()
    }


def _read_bl(name: str) -> dict[str, list[Song]]:
    """Songs of a file of Boulanger-Lewandowski's by split, each in C major or C minor."""
    from scipy.io import loadmat  # half of the time that cvae.music would take to import

    path = download(FILES[name], name)[0]
    cells = loadmat(path)
    songs = {}
    for split in SPLITS:
        rolls = [cell.astype(bool) for cell in cells[f"{split}data"][0]]
        keys = [profile_key(roll, "aarden-essen", ("C major", "C minor")) for roll in rolls]
        songs[split] = [
            Song(roll, key, f"{path.stem}, {split} {i}", f"{split} {i}")
            for i, (roll, key) in enumerate(zip(rolls, keys, strict=True))
        ]
    return songs


def _read_pickle(path: Path) -> dict[str, list[Song]]:
    """Songs by split of a pickle laid out as the original's; the keys are as labelled there."""
    try:
        data = load_plain_pickle(path)
    except ValueError as error:
        raise ValueError(f"{error} (a file of music ends in {', '.join(SUFFIXES)})") from None
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
        if not isinstance(steps, list | tuple):
            raise ValueError(f"{path}: {source}: not a list of steps")
        try:
            song = Song(notes_to_roll(steps), parse_key(label).name, path.stem, source)
        except (TypeError, ValueError) as error:
            raise ValueError(f"{path}: {source}: {error}") from error
        if not len(song.roll):
            raise ValueError(f"{path}: {source}: has no steps")
        read.append(song)
    return read
