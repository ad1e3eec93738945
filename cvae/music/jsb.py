"""Build the table of Bach's chorales, ``data/corpora/jsb.json``, from music21's scores.

A step is a quarter note and holds the pitches of all parts that sound in it, repeats played. A song
ends with its last note. Two rules say what happens to held notes:

``"held"``
    They sound. This is the corpus ``jsb``.
``"original"``
    A step in which no note begins is left empty (a note tied to the one before begins nothing).
    This is how the file of the paper's own code was made, found by comparing the two; that file
    also has the few chorales that music21 holds in Humdrum format without their repeats.

music21 is imported when a score is read, not before.
"""

import json
import math
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from cvae.music.keys import parse_key
from cvae.music.musicxml import Note, notes_of
from cvae.paths import data_folder, write_atomically
from cvae.progress import progress_bar
from cvae.stored import read_json

__all__ = ["RULES", "Chorale", "build_jsb", "read_chorales", "read_split", "write_table"]

RULES = ("held", "original")
"""What happens to held notes, see above."""

# BWV numbers as music21 writes them, where the name of the score's file is not just the number.
_FILES = {"18.5-l": "18.5-lz", "112.5": "112.5-sc", "190.7": "190.7-inst"}
# Held in MusicXML and in Humdrum format; the original read the latter.
_HUMDRUM = ("277", "281", "366")
# Here the analysis of today's scores gives the dominant (B and G major); the original's labels and
# the key signatures give these.
_KEYS = {"8.6": "E major", "426": "C major"}
_TITLES = {"2.6": "Ach Gott, vom Himmel sieh’ darein"}  # misspelt in music21


class Chorale(NamedTuple):
    """A chorale as music21 holds it.

    Attributes
    ----------
    bwv : str
        Number in the Bach-Werke-Verzeichnis, as music21 writes it.
    title : str
    key : str
        Canonical name of the key that music21's analysis of the whole piece, repeats played, gives.
    notes, original_notes : tuple of Note
        All parts, repeats played; and as the original read it.
    """

    bwv: str
    title: str
    key: str
    notes: tuple[Note, ...]
    original_notes: tuple[Note, ...]

    def steps(self, rule: str = "held") -> list[list[int]]:
        """MIDI numbers that sound in each quarter note, from low to high.

        Parameters
        ----------
        rule : {"held", "original"}
            See the module.
        """
        if rule not in RULES:
            raise ValueError(f"rule: {rule!r} is unknown; choose from {', '.join(RULES)}")
        notes = self.notes if rule == "held" else self.original_notes
        steps = [set() for _ in range(math.ceil(max(note.end for note in notes)))]
        for note in notes:
            for step in range(math.floor(note.start), math.ceil(note.end)):
                steps[step].add(note.pitch)
        if rule == "original":
            begun = {math.floor(note.start) for note in notes if note.begins}
            steps = [step if i in begun else () for i, step in enumerate(steps)]
        return [sorted(step) for step in steps]


def read_chorales(bwvs: Sequence[str], progress: bool | None = None) -> Iterator[Chorale]:
    """Read chorales from music21's corpus, about five a second.

    Parameters
    ----------
    bwvs : sequence of str
        BWV numbers as music21 writes them.
    progress : bool, optional
        Show a progress bar (by default: to people only).

    Yields
    ------
    Chorale
    """
    from music21 import corpus

    titles = {}
    for _, entry in sorted(corpus.chorales.ChoraleListRKBWV().byRiemenschneider.items()):
        titles.setdefault(entry["bwv"], entry["title"])
    for bwv in progress_bar(bwvs, progress, desc="chorales"):
        score = corpus.parse(f"bach/bwv{_FILES.get(bwv, bwv)}.mxl").expandRepeats()
        key = _KEYS.get(bwv) or parse_key(score.analyze("key").tonicPitchNameWithCase).name
        notes = tuple(notes_of(score))
        original = tuple(notes_of(corpus.parse(f"bach/bwv{bwv}.krn"))) if bwv in _HUMDRUM else notes
        yield Chorale(bwv, _TITLES.get(bwv, titles[bwv]), key, notes, original)


def read_split() -> dict[str, list[str]]:
    """BWV numbers of the songs in ``train``, ``valid`` and ``test``."""
    return read_json(data_folder() / "corpora" / "jsb-split.json")


def write_table(chorales: Iterable[Chorale], split: dict[str, list[str]], path: Path) -> None:
    """Write the corpus to a JSON file, one line for each song.

    Parameters
    ----------
    chorales : iterable of Chorale
        Those of `split`, in its order.
    split : dict of lists of str
        As `read_split` gives it.
    path : Path
        Replaced only when the new file is complete.
    """
    import music21

    split_of = {bwv: name for name, bwvs in split.items() for bwv in bwvs}
    songs = [
        {
            "bwv": chorale.bwv,
            "title": chorale.title,
            "split": split_of[chorale.bwv],
            "key": chorale.key,
            "steps": chorale.steps(),
        }
        for chorale in chorales
    ]
    lines = [json.dumps(song, ensure_ascii=False, separators=(",", ":")) for song in songs]
    head = f'{{\n"music21": "{music21.__version__}",\n"songs": [\n'
    write_atomically(path, (head + ",\n".join(lines) + "\n]\n}\n").encode())


def build_jsb(path: str | Path | None = None, progress: bool | None = None) -> Path:
    """Build the table of the corpus ``jsb`` from music21's scores; takes a minute or two.

    With the version of music21 that the table names, the result is identical to the byte. An
    interrupted build leaves the old table as it was.

    Parameters
    ----------
    path : str or Path, optional
        The file to write; by default the table that comes with the project.
    progress : bool, optional
        Show a progress bar (by default: to people only).

    Returns
    -------
    Path
        The file written.

    Raises
    ------
    ValueError
        If the file's folder cannot be written to.
    """
    path = data_folder() / "corpora" / "jsb.json" if path is None else Path(path)
    if not os.access(path.parent, os.W_OK):
        raise ValueError(f"path: cannot write to the folder {path.parent}")
    split = read_split()
    bwvs = [bwv for name in split for bwv in split[name]]
    write_table(read_chorales(bwvs, progress), split, path)
    return path
