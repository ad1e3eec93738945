"""Where human analysts hear the key change: Roman-numeral analyses of Bach's chorales.

music21 carries analyses of the first chorales of Riemenschneider's edition. Laid beside its scores
they say in which key each quarter note is; the table ``data/corpora/jsb-local-keys.json`` keeps
that, and `cvae corpus build jsb-local-keys` makes it anew. Repeats are not played, as the analyses
do not. music21 is imported when the table is built, not before.

The analyses are by Andrew Jones and others, edited by Dmitri Tymoczko (in music21,
``corpus/bach/choraleAnalyses``, RomanText format: Tymoczko, Gotham, Cuthbert & Ariza, The RomanText
Format, ISMIR 2019).
"""

import json
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

import numpy as np

from cvae.music.jsb import Chorale
from cvae.music.keys import parse_key
from cvae.music.musicxml import notes_of
from cvae.music.pianoroll import notes_to_roll
from cvae.paths import data_folder, write_atomically
from cvae.stored import opened_json

__all__ = ["AnalysedChorale", "analysed_chorales", "build_local_keys"]

TABLE = "jsb-local-keys.json"
FITS = 0.9
"""Share of the notes at the analysis's chords that must be theirs, on average, for it to fit."""

# BWV numbers as music21's scores have them, where the analysis writes another.
_BWV = {"248(2).12": "248.12-2"}


class AnalysedChorale(NamedTuple):
    """A chorale with the key of each quarter note.

    Attributes
    ----------
    source, title : str
        The former as `Song.source`, such as ``"BWV 269"``.
    roll : ndarray of bool, shape (T, 88)
        Steps of a quarter note, repeats not played.
    keys : tuple of T str
        One of the 24 keys for each step: the one in which the analysis reads its beginning.
    """

    source: str
    title: str
    roll: np.ndarray
    keys: tuple[str, ...]


def analysed_chorales() -> tuple[AnalysedChorale, ...]:
    """The chorales of the table, in the order of Riemenschneider's edition."""
    with opened_json(data_folder() / "corpora" / TABLE) as table:
        return tuple(
            AnalysedChorale(
                f"BWV {entry['bwv']}",
                entry["title"],
                notes_to_roll(entry["steps"]),
                tuple(key for key, steps in entry["keys"] for _ in range(steps)),
            )
            for entry in table["chorales"]
        )


def build_local_keys() -> Path:
    """Write the table from music21's analyses and scores; analyses that fit no score are left out.

    Returns
    -------
    Path
        Of the table, which also names the analyses that were left out, and why.
    """
    import music21

    folder = Path(music21.__file__).parent / "corpus" / "bach" / "choraleAnalyses"
    chorales, left_out = [], []
    for path in sorted(folder.glob("*.rntxt")):
        analysis = music21.converter.parse(path)
        bwv = _header(path, "BWV")
        bwv = _BWV.get(bwv, bwv)
        numerals = list(analysis.flatten().getElementsByClass("RomanNumeral"))
        scores = list(_scores(bwv))
        shares = [_share_of_chord_notes(score, numerals) for score in scores]
        if max(shares, default=0) < FITS:
            reason = "no score"
            if shares:
                reason = f"{max(shares):.2f} of the notes are of the analysis's chords"
            left_out.append({"file": path.stem, "bwv": bwv, "reason": reason})
            continue
        score = scores[int(np.argmax(shares))]
        title, notes = _header(path, "Title"), tuple(notes_of(score))
        steps = Chorale(bwv, title, "", notes, notes).steps()
        keys = [(key, len(list(run))) for key, run in groupby(_keys(numerals, len(steps)))]
        chorales.append({"bwv": bwv, "title": title, "keys": keys, "steps": steps})
    table = {"source": f"music21 {music21.__version__}, bach/choraleAnalyses", "left_out": left_out}
    target = data_folder() / "corpora" / TABLE
    lines = ",\n".join(json.dumps(entry, ensure_ascii=False) for entry in chorales)
    head = json.dumps(table, ensure_ascii=False, indent=1)[:-2]
    write_atomically(target, f'{head},\n "chorales": [\n{lines}\n]\n}}\n'.encode())
    return target


def _scores(bwv):
    """Those of a chorale in music21: in MusicXML and in Humdrum format, which may differ."""
    import music21

    for suffix in ("mxl", "krn"):
        try:
            yield music21.corpus.parse(f"bach/bwv{bwv}.{suffix}")
        except music21.exceptions21.Music21Exception:
            pass  # not there


def _header(path, name):
    """What a line at the head of a RomanText file says."""
    lines = path.read_text("utf-8").splitlines()
    return next(line.partition(":")[2].strip() for line in lines if line.startswith(f"{name}:"))


def _share_of_chord_notes(score, numerals):
    """Share of the pitch classes sounding at each numeral that it names: mean over the chords."""
    sounding = [
        (chord.offset, chord.offset + chord.quarterLength, set(chord.pitchClasses))
        for chord in score.chordify().flatten().getElementsByClass("Chord")
    ]
    shares = []
    for numeral in numerals:
        for start, end, classes in sounding:
            if start <= numeral.offset < end:
                shares.append(len(classes & set(numeral.pitchClasses)) / len(classes))
    return float(np.mean(shares)) if shares else 0.0


def _keys(numerals, steps):
    """Key in which each of so many quarter notes begins."""
    offsets = np.array([float(numeral.offset) for numeral in numerals])
    names = [parse_key(numeral.key.tonicPitchNameWithCase).name for numeral in numerals]
    index = np.searchsorted(offsets, np.arange(steps), side="right") - 1
    return [names[max(i, 0)] for i in index]
