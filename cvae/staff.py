"""Music on a treble and a bass staff, drawn with matplotlib: no engraving program is needed.

Conventions: lengths in quarter notes. A *position* counts the lines and spaces of the staff
upwards: 28 is the C in the middle of the piano, 29 the D above it. Noteheads, stems, flags, dots,
accidentals and the key signature are drawn; rests, ties, beams and a time signature are not.
"""

import math
from typing import NamedTuple

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.patches import Ellipse, PathPatch
from matplotlib.path import Path
from matplotlib.textpath import TextPath

from cvae.music.keys import parse_key
from cvae.music.pianoroll import roll_to_notes

__all__ = ["plot_staff"]

# The unit of drawing is half a staff space: the distance of neighbouring positions.
QUARTER, BAR, HEAD, STEM = 6, 2.5, 2.4, 5.5  # widths of a quarter note, bar line, head; stem length
LIFT = 10  # the treble staff stands that much higher than its positions, to clear the tenor
SHARPS, FLATS = (38, 35, 39, 36, 33, 37, 34), (34, 37, 33, 36, 32, 35, 31)  # F# ..., Bb ...
SIGNS = {-2: "♭♭", -1: "♭", 0: "♮", 1: "♯", 2: "♯♯"}
# Clefs as cubic curves about the line they name.
TREBLE = [(0.3, -0.9), (-0.9, -0.9), (-0.9, 1), (0.4, 1), (2, 1), (2, -1.9), (0.2, -1.9)]
TREBLE += [(-2.4, -1.9), (-2.4, 1.2), (-0.4, 3), (1.6, 4.8), (1.4, 7.6), (0.7, 7.6), (-0.4, 7.6)]
TREBLE += [(-0.2, 4), (0, 2.6), (0.4, -0.5), (0.7, -2.2), (0.8, -3.2)]
TREBLE += [(0.9, -4.8), (-0.9, -4.8), (-0.9, -3.4)]
BASS = [(-1.2, 0.2), (-1.2, 1.6), (0, 2), (0.4, 2), (2.6, 2), (2.2, -3), (-1.6, -5)]


class _Note(NamedTuple):
    onset: float
    quarters: float
    position: int
    alter: int  # semitones from the natural note of that position
    treble: bool
    stem: int  # 1 up, -1 down


def plot_staff(music, key="C major", start=0, stop=16, ax=None, title=None):
    """Draw music on two staves.

    Parameters
    ----------
    music : array (T, 88) or music21.stream.Score
        A roll is written in quarter notes, from the middle C up on the treble staff. Of a score the
        upper half of the parts stands on the treble staff, the stems of every other part down.
    key : str
        Its signature is drawn (a minor key has that of its relative major), and spells a roll.
    start, stop : float
        The stretch to draw, in quarter notes.
    ax : matplotlib Axes, optional
    title : str, optional

    Returns
    -------
    Axes

    Raises
    ------
    ValueError
        For an unknown key, a roll of another shape, or a `stop` not above `start`.
    """
    if not stop > start:
        raise ValueError(f"stop: {stop} must be above start ({start})")
    sharps = (7 * parse_key(key).relative_major.tonic + 5) % 12 - 5  # below 0: flats
    is_score, bars = hasattr(music, "parts"), []
    if is_score:
        bars = [float(bar.offset) for bar in music.parts[0].getElementsByClass("Measure")]
    ax = plt.gca() if ax is None else ax

    def place(onset):
        return (onset - start) * QUARTER + BAR * sum(start < bar <= onset for bar in bars)

    left, right = -(11 + 1.8 * abs(sharps)), place(stop) + 3
    for line in (*range(30 + LIFT, 40 + LIFT, 2), *range(18, 28, 2)):
        ax.hlines(line, left, right, color="0.6", lw=0.8, zorder=0)
    for x in [place(bar) for bar in bars if start < bar < stop] + [right]:
        ax.vlines([x, x], [18, 30 + LIFT], [26, 38 + LIFT], color="0.4", lw=1)
    _draw_clefs_and_signature(ax, left, sharps)
    heads = set()
    notes = _score_notes(music) if is_score else _roll_notes(music, sharps)
    for note in sorted(notes, key=lambda note: (note.onset, -note.position)):
        if start <= note.onset < stop:
            x, y, shift = place(note.onset) + 3, note.position + LIFT * note.treble, 0
            near = {(d, alter) for d in (-1, 0, 1) for alter in SIGNS} - {(0, note.alter)}
            while any((x + shift, y + d, alter) in heads for d, alter in near):
                shift += HEAD  # the two heads would overlap
            heads.add((x + shift, y, note.alter))
            _draw_note(ax, note, x + shift, y)
            if note.alter != _signature_alter(note.position, sharps):
                _draw_sign(ax, x - 2.4 - 0.8 * shift, y, note.alter)
    ax.set(xlim=(left - 1, right + 1), ylim=(8, 46 + LIFT), aspect="equal", title=title)
    ax.axis("off")
    return ax


def _score_notes(score):
    """Yield the notes of a music21 Score, with its own spelling."""
    for i, part in enumerate(score.parts):
        treble, stem = 2 * i < len(score.parts), -1 if i % 2 else 1
        for element in part.flatten().notes:
            onset, quarters = float(element.offset), float(element.quarterLength)
            if quarters == 0:  # a grace note
                continue
            for pitch in element.pitches:
                position, alter = pitch.diatonicNoteNum - 1, int(pitch.alter)
                yield _Note(onset, quarters, position, alter, treble, stem)


def _roll_notes(roll, sharps):
    """Yield a roll as quarter notes; in C major with Bb, Eb, F#, C# and G#."""
    for step, numbers in enumerate(roll_to_notes(roll)):
        for number in numbers:
            fifths = (7 * number - sharps + 3) % 12 + sharps - 3  # upwards from C: G = 1, F = -1
            alter = math.floor((fifths + 1) / 7)
            position = (number - alter) // 12 * 7 - 7 + fifths * 4 % 7
            treble = number >= 60
            staff = [other for other in numbers if (other >= 60) == treble]
            up = number > staff[0] or (len(staff) == 1 and not treble)
            yield _Note(step, 1, position, alter, treble, 1 if up else -1)


def _signature_alter(position, sharps):
    """Return what a signature does to a position: 1 sharp, 0 nothing, -1 flat."""
    fifths = (2 * position + 1) % 7 - 1  # of the natural note: F = -1, C = 0, ..., B = 5
    return (sharps - fifths + 5) // 7


def _draw_clefs_and_signature(ax, left, sharps):
    for curve, line in ((TREBLE, 32 + LIFT), (BASS, 24)):
        points = np.add(curve, [left + 4, line])
        path = Path(points, [Path.MOVETO] + [Path.CURVE4] * (len(points) - 1))
        ax.add_patch(PathPatch(path, facecolor="none", lw=1.8, capstyle="round"))
    for y in (23, 25):
        ax.add_patch(Ellipse((left + 6.8, y), 0.7, 0.7, color="black"))
    for i, position in enumerate((SHARPS if sharps > 0 else FLATS)[: abs(sharps)]):
        for y in (position + LIFT, position - 14):
            _draw_sign(ax, left + 9 + 1.8 * i, y, 1 if sharps > 0 else -1)


def _draw_note(ax, note, x, y):
    stem_x, tip, lowest = x + 1.1 * note.stem, STEM * note.stem, 30 + LIFT if note.treble else 18
    for line in (*range(lowest - 2, y - 1, -2), *range(lowest + 10, y + 1, 2)):
        ax.hlines(line, x - 1.8, x + 1.8, color="0.4", lw=0.8, zorder=0)
    fill = "black" if note.quarters < 2 else "white"
    ax.add_patch(Ellipse((x, y), HEAD, 1.6, angle=20, facecolor=fill, edgecolor="black", lw=1.2))
    if note.quarters < 4:
        ax.vlines(stem_x, y, y + tip, color="black", lw=1)
    for flag in range(-math.floor(math.log2(note.quarters))):  # one for an eighth
        flag_y = y + tip - 1.6 * flag * note.stem
        ax.plot([stem_x, stem_x + 1.4], [flag_y, flag_y - 1.8 * note.stem], "k", lw=1.5)
    if math.log2(note.quarters) % 1:  # half as long again; the dot stands in a space
        ax.add_patch(Ellipse((x + 2.1, y + 1 - y % 2), 0.7, 0.7, color="black"))


def _draw_sign(ax, x, y, alter):
    glyph = TextPath((0, 0), SIGNS[alter], size=5)
    centre = glyph.get_extents().get_points().mean(axis=0) - [0, 0.8 * (alter < 0)]
    ax.add_patch(PathPatch(Path(glyph.vertices + [x, y] - centre, glyph.codes), fc="k", lw=0))
