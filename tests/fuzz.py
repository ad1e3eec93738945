"""Mutated files of music against the readers: ``python tests/fuzz.py [CASES] [SEED]``.

Each case takes a real file, spoils it, and reads it. It must give a piano roll, or songs, or one
line that begins with the file's name; within `SECONDS`; and nothing may run.
"""

import collections
import io
import json
import os
import pickle
import re
import sys
import tempfile
import time
import zipfile
from pathlib import Path

import numpy as np
from music21 import corpus as music21_corpus

from cvae.music import load_corpus, musicxml, roll_to_notes
from cvae.music.corpora import SPLITS
from cvae.music.files import read_score
from cvae.music.midi import write_midi
from cvae.music.piano_midi import FOLDER
from cvae.paths import cache_folder

SECONDS = 20
KINDS = {".mid": 0.64, ".pickle": 0.3, ".musicxml": 0.04, ".mxl": 0.02}
# A wrong byte, some left out, some repeated, cut short, some put in, a wrong number; the second
# for XML, which nearly each wrong byte breaks at once.
FAULTS = ([0.66, 0.04, 0.04, 0.02, 0.04, 0.2], [0.1, 0.02, 0.02, 0.02, 0.02, 0.82])
NUMBERS = (0, 1, 127, 128, 255, 2**15, 2**31 - 1, 2**32 - 1)


class Attack:
    """A pickle of it calls a function when it is read by Python's own reader."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


def sources(folder):
    """Real files by kind: a list of bytes for each suffix."""
    found = {kind: [] for kind in KINDS}
    chorales = load_corpus("jsb").test[:4]
    for i, song in enumerate(chorales):
        write_midi(song.roll, folder / f"{i}.mid", restrike=bool(i % 2))
        found[".mid"].append((folder / f"{i}.mid").read_bytes())
    played = sorted((cache_folder() / FOLDER).glob("midis/*/*.mid"))
    found[".mid"] += [path.read_bytes() for path in played if path.stat().st_size < 6000]
    songs = [[list(step) for step in roll_to_notes(song.roll)] for song in chorales]
    data = {split: songs for split in SPLITS} | {f"{split}_key": ["C"] * 4 for split in SPLITS}
    found[".pickle"] = [pickle.dumps(data, protocol) for protocol in range(5)]
    attack = data | {"more": Attack(os.mkdir, str(folder / "made"))}
    found[".pickle"] += [pickle.dumps(attack, protocol) for protocol in range(5)]
    for name in ("bach/bwv269.mxl", "bach/bwv347.mxl"):
        with zipfile.ZipFile(music21_corpus.getWork(name)) as archive:
            (member,) = [n for n in archive.namelist() if not n.startswith("META-INF")]
            text = archive.read(member).decode()
        # Three bars of each part: the whole takes music21 a second.
        text = re.sub(r'<measure (?=[^>]*number="([4-9]|\d\d)").*?</measure>', "", text, flags=re.S)
        found[".musicxml"].append(text.encode())
        found[".mxl"].append(packed(text))
    return found


def packed(text):
    """Compressed MusicXML."""
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as archive:
        place = "<container><rootfiles><rootfile full-path='a.xml'/></rootfiles></container>"
        archive.writestr("META-INF/container.xml", place)
        archive.writestr("a.xml", text)
    return data.getvalue()


def mutated(content, kind, rng):
    """A file with one to three faults, most often a wrong byte or number."""
    content = bytearray(content)
    for _ in range(rng.integers(1, 4)):
        at = int(rng.integers(len(content) or 1))
        span = int(rng.integers(1, 40))
        fault = rng.choice(6, p=FAULTS[kind == ".musicxml"])
        if fault == 0:
            content[at : at + 1] = bytes([rng.integers(rng.choice([128, 256]))])
        elif fault == 1:
            del content[at : at + span]
        elif fault == 2:
            content[at:at] = content[at : at + span] * int(rng.integers(1, 20))
        elif fault == 3:
            del content[at + 1 :]
        elif fault == 4:
            content[at:at] = rng.bytes(span)
        elif kind == ".musicxml":
            numbers = list(re.finditer(rb"(?<=>)-?\d+(?=<)", content))
            if numbers:
                start, end = numbers[rng.integers(len(numbers))].span()
                content[start:end] = str(rng.choice(NUMBERS)).encode()
        else:
            number = int(rng.choice(NUMBERS))
            width = int(rng.choice([1, 2, 4]))
            content[at : at + width] = (number % 256**width).to_bytes(width)
    return bytes(content)


def read(path):
    """Read a file as the package would; True, or False if it was refused as it should be."""
    try:
        if path.suffix == ".pickle":
            load_corpus(path)
        else:
            score = read_score(path)
            try:
                score.roll(0.5)
                score.signature_key(), score.analysis()
            except ValueError as error:
                raise ValueError(f"{path}: {error}") from None
    except ValueError as error:
        message = str(error)
        assert message.startswith(str(path)), message
        assert "\n" not in message and len(message) < len(str(path)) + 400, message
        return False
    return True


def fuzz(cases, seed, folder):
    """Counts by kind of file of what was read and refused, and the longest time in seconds."""
    rng = np.random.default_rng(seed)
    originals = sources(folder)
    for kind, contents in originals.items():
        for content in contents:
            path = folder / f"whole{kind}"
            path.write_bytes(content)
            assert read(path) == (b"mkdir" not in content)
    counts, longest = collections.Counter(), 0.0
    for kind, share in KINDS.items():
        for _ in range(round(cases * share)):
            contents = originals[kind]
            path = folder / f"case{kind}"
            content = mutated(contents[rng.integers(len(contents))], kind, rng)
            if kind == ".mxl" and rng.random() < 0.5:  # else a spoilt archive is all that is tried
                inside = originals[".musicxml"]
                content = packed(mutated(inside[rng.integers(len(inside))], ".musicxml", rng))
            path.write_bytes(content)
            start = time.perf_counter()
            outcome = "read" if read(path) else "refused"
            longest = max(longest, time.perf_counter() - start)
            counts[f"{kind} {outcome}"] += 1
            assert longest < SECONDS, f"{path} took {longest:.0f} s"
            assert not (folder / "made").exists(), f"{path} ran"
    return {"cases": counts.total(), "seed": seed, "longest_s": round(longest, 2), **counts}


def main(cases=20_000, seed=0):
    """Print the counts."""
    musicxml.MAX_SECONDS = SECONDS / 2
    with tempfile.TemporaryDirectory() as folder:
        print(json.dumps(fuzz(int(cases), int(seed), Path(folder)), indent=1))


if __name__ == "__main__":
    main(*sys.argv[1:])
