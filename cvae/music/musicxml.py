"""Read MusicXML, plain or compressed, by music21.

There are many numbers in a score that make music21 work for hours or fill the memory, so each file
is read in a process of its own, which is ended when it takes too long or too much.
"""

import json
import subprocess
import sys
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

MAX_SECONDS, MAX_MEMORY = 90, 3 * 2**30
"""Most time, and bytes of memory (on Linux), that the reading of a file may take."""


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
    """Notes and signatures of a MusicXML file, repeats played.

    Parameters
    ----------
    path : path
        ``.musicxml`` or ``.xml``, or compressed, ``.mxl``.

    Returns
    -------
    Score
        At sounding pitch, quarter tones rounded; without grace notes, as they take no time, and
        without unpitched percussion.

    Raises
    ------
    ValueError
        One line that names the file: if it is missing, empty, larger than `MAX_BYTES` (unpacked),
        no MusicXML by parts, or declares entities; if music21 cannot read it or its repeats; or if
        that takes more than `MAX_SECONDS` or `MAX_MEMORY`.
    """
    check_file(Path(path), MAX_BYTES)
    # -P: else Python would import what lies in the folder where one happens to be.
    command = [sys.executable, "-P", "-W", "ignore", "-m", __name__, str(path)]
    try:
        reader = subprocess.run(command, capture_output=True, timeout=MAX_SECONDS, check=False)
        answer = json.loads(reader.stdout)
    except subprocess.TimeoutExpired:
        raise ValueError(f"{path}: could not be read within {MAX_SECONDS} s") from None
    except json.JSONDecodeError:
        last = reader.stderr.decode(errors="replace").strip().splitlines()[-1:]
        why = last[0][:200] if last else "perhaps for want of memory"
        raise ValueError(f"{path}: could not be read ({why})") from None
    if "error" in answer:
        raise ValueError(f"{path}: not MusicXML that can be read ({answer['error']})")
    pitch, start, end = np.array(answer["notes"], float).reshape(-1, 3).T
    return Score(
        pitch.astype(int), start, end, *(answer[n] for n in ("length", "signature", "bar"))
    )


def _read(path: Path) -> dict:
    """What a `Score` is made of, as JSON can say it."""
    import defusedxml.ElementTree

    root = defusedxml.ElementTree.fromstring(_text(path))
    if root.tag != "score-partwise":
        raise ValueError(f"its root is <{root.tag}>, not <score-partwise>")
    from music21.musicxml.xmlToM21 import MusicXMLImporter  # which takes a second

    importer = MusicXMLImporter()
    importer.xmlRootToScore(root, importer.stream)
    score = importer.stream.toSoundingPitch().expandRepeats()
    notes = [(note.pitch, float(note.start), float(note.end)) for note in notes_of(score)]
    length = max((end for _, _, end in notes), default=0.0)
    result = {"notes": notes, "length": length, "signature": None, "bar": 4.0}
    if notes:
        first = score.parts[0].flatten()
        keys = [
            (float(each.offset), Key(7 * each.sharps % 12, "major").name)
            for each in first.getElementsByClass("KeySignature")
            if each.sharps is not None  # of accidentals that no key has
        ]
        meters = [
            (float(each.offset), float(each.barDuration.quarterLength))
            for each in first.getElementsByClass("TimeSignature")
        ]
        result["signature"] = longest_signature(keys, length)
        result["bar"] = longest_signature(meters, length) or 4.0
    return result


def _text(path: Path) -> bytes:
    """The XML of a file; of a compressed one, what its container names, unless it is too large."""
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


def _main(path: str) -> None:
    """Print what was read, or why it could not be, as JSON."""
    try:
        import resource

        hard = resource.getrlimit(resource.RLIMIT_AS)[1]
        resource.setrlimit(resource.RLIMIT_AS, (MAX_MEMORY, hard))
    except (ImportError, ValueError, OSError):
        pass  # not on this system, or there is a lower limit already
    try:
        answer = _read(Path(path))
    except Exception as error:  # music21 raises nearly anything on a broken file
        entities = type(error).__name__ == "EntitiesForbidden"
        answer = {"error": "it declares entities" if entities else reason(error)}
    print(json.dumps(answer))


if __name__ == "__main__":
    _main(sys.argv[1])
