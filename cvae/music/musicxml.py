"""Read MusicXML, plain or compressed, by music21, and nothing that would harm."""

import zipfile
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

import numpy as np

from cvae.music.keys import Key
from cvae.music.score import MAX_BYTES, Score, longest_signature
from cvae.paths import check_file, reason

__all__ = ["Note", "notes_of", "read_musicxml"]

MAX_REPEATS = 8
"""Most times that a passage may be played; a score that goes on for ever would be one line."""


class Note(NamedTuple):
    """A note of a score; times are in quarter notes from the start."""

    start: Fraction | float
    end: Fraction | float
    pitch: int
    begins: bool
    """False where a tie continues the note before."""


def notes_of(stream) -> Iterator[Note]:
    """Notes of all parts of a music21 score, without grace notes: they take no time."""
    for part in stream.parts:
        for item in part.flatten().notes:
            if item.quarterLength > 0:
                begins = item.tie is None or item.tie.type == "start"
                for pitch in item.pitches:
                    yield Note(item.offset, item.offset + item.quarterLength, pitch.midi, begins)


def read_musicxml(path: str | Path) -> Score:
    """Notes and key signature of a MusicXML file, repeats played.

    Parameters
    ----------
    path : path
        ``.musicxml`` or ``.xml``, or compressed, ``.mxl``.

    Returns
    -------
    Score
        Without grace notes, as they take no time, and without unpitched percussion.

    Raises
    ------
    ValueError
        One line that names the file: if it is missing, empty, larger than `MAX_BYTES` (unpacked),
        no MusicXML by parts, or declares entities; or if music21 cannot read it or its repeats.
    """
    import defusedxml.ElementTree
    from music21.musicxml.xmlToM21 import MusicXMLImporter

    path = Path(path)
    try:
        root = defusedxml.ElementTree.fromstring(_text(path))
        if root.tag != "score-partwise":
            raise ValueError(f"its root is <{root.tag}>, not <score-partwise>")
        _check_repeats(root)
        score = MusicXMLImporter().xmlRootToScore(root).expandRepeats()
        notes = list(notes_of(score))
        signatures = score.parts[0].flatten().getElementsByClass("KeySignature") if notes else ()
        spans = [
            (float(each.offset), Key(7 * each.sharps % 12, "major").name)
            for each in signatures
            if each.sharps is not None  # of accidentals that no key has
        ]
        length = float(max((note.end for note in notes), default=0))
    except Exception as error:  # music21 raises nearly anything on a broken file
        what = reason(error).removeprefix(f"{path}: ")
        raise ValueError(f"{path}: not MusicXML that can be read ({what})") from None
    return Score(
        np.array([note.pitch for note in notes], int),
        np.array([note.start for note in notes], float),
        np.array([note.end for note in notes], float),
        length,
        longest_signature(spans, length),
    )


def _text(path: Path) -> bytes:
    """The XML of a file; of a compressed one, what its container names, unless it is too large."""
    check_file(path, MAX_BYTES)
    if path.suffix.lower() != ".mxl":
        return path.read_bytes()
    import defusedxml.ElementTree

    with zipfile.ZipFile(path) as archive:
        container = defusedxml.ElementTree.fromstring(_member(archive, "META-INF/container.xml"))
        files = [each for each in container.iter() if each.tag.rpartition("}")[2] == "rootfile"]
        if not files:
            raise ValueError("its container names no score")
        return _member(archive, files[0].get("full-path", ""))


def _member(archive: zipfile.ZipFile, name: str) -> bytes:
    with archive.open(name) as file:
        data = file.read(MAX_BYTES + 1)
    if len(data) > MAX_BYTES:
        raise ValueError(f"unpacked it has more than the limit of {MAX_BYTES} bytes")
    return data


def _check_repeats(root) -> None:
    """Raise ValueError for repeats that would make a short file endless."""
    for part in root.iter("part"):
        is_open = False
        for repeat in part.iter("repeat"):
            times = repeat.get("times", "2")
            if not times.isdigit() or int(times) > MAX_REPEATS:
                raise ValueError(f"a passage to be played {times} times, more than {MAX_REPEATS}")
            forward = repeat.get("direction") == "forward"
            if forward and is_open:
                raise ValueError("a repeat within a repeat")
            is_open = forward
