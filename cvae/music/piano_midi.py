"""The corpora ``piano-midi`` and ``piano-midi-c``: piano music from Bach to Ravel.

337 pieces that Bernd Krueger has played in for piano-midi.de, as collected in the Classical Piano
MIDI dataset. ``data/corpora/piano-midi-split.json`` lists their works, each in one split with all
its movements.
"""

import csv
from dataclasses import replace
from pathlib import Path

from cvae.music.downloads import download
from cvae.music.files import Reading, read_songs
from cvae.music.song import SPLITS, Song
from cvae.paths import data_folder
from cvae.stored import read_json

__all__ = ["FOLDER", "read_piano_midi", "read_works"]

FOLDER = "piano-midi"
"""Of the downloads."""


def read_works() -> list[dict]:
    """Works of the corpus: composer, work, split, and the list of their files."""
    return read_json(data_folder() / "corpora" / "piano-midi-split.json")


def read_piano_midi(reading: Reading) -> dict[str, list[Song]]:
    """Songs by split, each with one of the 24 keys.

    Parameters
    ----------
    reading : Reading

    Raises
    ------
    ValueError
        If a file is missing and cannot be downloaded, is altered, or cannot be read.
    """
    files = download(FOLDER, "piano-midi")
    metadata = next(path for path in files if path.name == "metadata.csv")
    with metadata.open(encoding="utf-8", newline="") as file:
        # In small letters, since the table writes four names otherwise than the files have them.
        about = {row["midi"].removeprefix("midis/").lower(): row for row in csv.DictReader(file)}
    midis = metadata.parent / "midis"
    listed = [(midis / name, work["split"]) for work in read_works() for name in work["files"]]
    read, skipped = read_songs([path for path, _ in listed], reading, _name)
    if skipped:
        raise ValueError(f"piano-midi: {skipped[0]}")
    songs = {split: [] for split in SPLITS}
    for path, split in listed:
        row = about[_name(path).lower()]
        title = row["title"].replace("_", " ")
        year = int(row["year"]) if row["year"] else None
        song = replace(read[path], title=title, composer=row["composer"], year=year)
        songs[split].append(song)
    return songs


def _name(path: Path) -> str:
    return f"{path.parent.name}/{path.name}"
