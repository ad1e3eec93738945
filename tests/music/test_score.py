import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cvae.music.jsb import read_chorales, read_split
from cvae.music.keys import parse_key
from cvae.music.score import MAX_STEPS, Score, longest_signature


def score(*notes, length=None, signature=None):
    """Score of (pitch, start, end)."""
    pitch, start, end = (np.array(column) for column in zip(*notes, strict=True))
    length = float(end.max()) if length is None else length
    return Score(pitch.astype(int), start.astype(float), end.astype(float), length, signature)


def test_steps_of_a_quarter_and_of_an_eighth():
    music = score((60, 0, 1), (62, 1, 1.5))
    assert music.roll().shape == (2, 88)
    roll = music.roll(0.5)
    assert [np.flatnonzero(roll[:, n - 21]).tolist() for n in (60, 62)] == [[0, 1], [2]]


@given(st.lists(st.tuples(st.integers(21, 108), st.integers(0, 40), st.integers(1, 9)), min_size=1))
def test_notes_on_the_grid(notes):
    """Notes of whole eighths: the roll is what a pianist would hold down."""
    roll = score(*[(pitch, i / 2, (i + n) / 2) for pitch, i, n in notes]).roll(0.5)
    expected = np.zeros_like(roll)
    for pitch, i, n in notes:
        expected[i : i + n, pitch - 21] = True
    np.testing.assert_array_equal(roll, expected)


def test_a_rest_at_the_end_belongs_to_the_piece():
    assert len(score((60, 0, 1), length=4.0).roll()) == 4


@pytest.mark.parametrize(
    ("music", "step", "message"),
    [
        (score((60, 0, 1), (10, 0, 1)), 1, "1 of 2 notes outside 21 to 108, the first is 10"),
        (score((60, 0, MAX_STEPS)), 0.5, f"{2 * MAX_STEPS} steps are more than the limit"),
        (score((60, 0, 1)), 0.01, "step: got 0.01, must be from 0.0625 to 4"),
        (score((60, 0, 1)), float("nan"), "step: got nan"),
        (score((60, 0, 1)), "0.5", "step: got .0.5., must be from 0.0625 to 4"),
        (Score(*np.zeros((3, 0), int), 0.0, None), 1, "no notes"),
        (score((60, -1, 2)), 1, "before the beginning"),
        (score((60, 3, 2), (60, 0, 9)), 1, "end before they begin"),
        (score((60, float("nan"), 2)), 1, "before the beginning"),
    ],
)
def test_what_no_roll_is_made_of(music, step, message):
    with pytest.raises(ValueError, match=message):
        music.roll(step)


def test_the_analysis_is_music21s():
    """Two chorales are left out: their keys are named by hand, see `cvae.music.jsb`."""
    bwvs = {bwv for names in read_split().values() for bwv in names} - {"8.6", "426"}
    for chorale in read_chorales(sorted(bwvs)[::20], progress=False):
        music = score(*[(note.pitch, note.start, note.end) for note in chorale.notes])
        assert music.analysis() == chorale.key


@pytest.mark.parametrize("third", [63, 64])
def test_the_mode_of_a_signature_is_told_by_the_notes(third):
    """C, E flat or E, G: with three flats that is C minor, with none C major."""
    signature = "E- major" if third == 63 else "C major"
    music = score((60, 0, 4), (third, 0, 4), (67, 0, 4), signature=signature)
    key = parse_key(music.signature_key())
    assert key.relative_major.name == signature
    assert (key.tonic, key.mode) == (0, "minor" if third == 63 else "major")


def test_the_longest_signature():
    assert longest_signature([], 4.0) is None
    assert longest_signature([(0.0, "C major"), (1.0, "G major")], 4.0) == "G major"
    assert (
        longest_signature([(0.0, "C major"), (3.0, "G major"), (4.0, "C major")], 5.0) == "C major"
    )
