import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.colors import to_rgba
from matplotlib.patches import Ellipse

from cvae import staff
from cvae.music import MAJOR_MINOR, notes_to_roll, parse_key, scale_mask

NATURALS = np.array([0, 2, 4, 5, 7, 9, 11])


@pytest.fixture
def ax():
    return plt.subplots()[1]


def dots_and_heads(ax):
    """Count the black dots (of clef and notes), the black heads and the hollow heads."""
    ellipses = [patch for patch in ax.patches if isinstance(patch, Ellipse)]
    heads = [patch for patch in ellipses if patch.width == staff.HEAD]
    black = sum(head.get_facecolor() == to_rgba("black") for head in heads)
    return len(ellipses) - len(heads), black, len(heads) - black


def spelled(key, numbers):
    sharps = (7 * parse_key(key).relative_major.tonic + 5) % 12 - 5
    return sharps, list(staff._roll_notes(notes_to_roll([numbers]), sharps))


@pytest.mark.parametrize("key", MAJOR_MINOR)
def test_spelling_names_the_right_pitch_and_spares_the_scale_accidentals(key):
    numbers = range(21, 109)
    sharps, notes = spelled(key, numbers)
    for number, note in zip(numbers, notes, strict=True):
        octave, letter = divmod(note.position, 7)
        assert 12 * octave + 12 + NATURALS[letter] + note.alter == number
        needs_sign = note.alter != staff._signature_alter(note.position, sharps)
        assert needs_sign == (not scale_mask(key)[number % 12])


@pytest.mark.parametrize("sharps", range(-5, 7))
def test_signature_is_music21s(sharps):
    from music21.key import KeySignature

    altered = {p.diatonicNoteNum % 7: p.alter for p in KeySignature(sharps).alteredPitches}
    for position in range(20, 40):
        assert staff._signature_alter(position, sharps) == altered.get((position + 1) % 7, 0)


def test_roll_is_drawn_note_by_note(ax):
    roll = notes_to_roll([[48, 64, 65], [], [50, 65, 66, 72], [60]])
    staff.plot_staff(roll, stop=3, ax=ax, title="three steps")
    assert dots_and_heads(ax) == (2, 7, 0)
    assert ax.get_title() == "three steps"
    centres = [patch.center for patch in ax.patches if isinstance(patch, Ellipse)][2:]
    apart = np.abs(np.subtract.outer(centres, centres))[:, [0, 1], :, [0, 1]]
    overlap = (apart[0] < staff.HEAD - 0.01) & (apart[1] < 1.5)
    assert np.array_equal(overlap, np.eye(len(centres), dtype=bool))


def test_score_has_its_own_lengths(ax):
    from music21.converter import parse
    from music21.stream import Score

    score = Score([parse("tinyNotation: 4/4 c4 c8. c16 c2 c1")])  # one part, two bars
    staff.plot_staff(score, stop=8, ax=ax)
    assert dots_and_heads(ax) == (2 + 1, 3, 2)
    assert len(ax.lines) == 1 + 2  # flags: one for the dotted eighth, two for the sixteenth


def test_grace_notes_are_left_out(ax):
    from music21.note import Note
    from music21.stream import Part, Score

    part = Part([Note("C5"), Note("D5").getGrace(), Note("E5")])
    staff.plot_staff(Score([part]), stop=2, ax=ax)
    assert dots_and_heads(ax)[1] == 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"key": "H major"}, "key"),
        ({"start": 4, "stop": 4}, "stop: 4 must be above start"),
        ({"music": np.zeros((3, 12))}, r"shape \(3, 12\)"),
    ],
)
def test_bad_input_is_named(ax, arguments, message):
    with pytest.raises(ValueError, match=message):
        staff.plot_staff(**{"music": np.zeros((4, 88), dtype=bool), **arguments}, ax=ax)
