import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cvae.music.corpora import Song
from cvae.music.keys import RELATIVE_MAJORS
from cvae.music.pianoroll import (
    notes_to_roll,
    pitch_class_counts,
    roll_to_notes,
    transpose,
    windows,
)

STEPS = st.lists(st.sets(st.integers(21, 108)).map(sorted), max_size=20)


@given(STEPS)
def test_notes_and_roll_are_inverse(steps):
    roll = notes_to_roll(steps)
    assert roll.shape == (len(steps), 88)
    assert roll.dtype == bool
    assert [list(step) for step in roll_to_notes(roll)] == steps


def test_ends_of_the_piano():
    roll = notes_to_roll([(108, 21, 21), ()])
    assert roll[0, 0] and roll[0, 87] and roll.sum() == 2


@pytest.mark.parametrize(
    ("steps", "message"),
    [
        ([(60,), (20,)], "note 20 in step 1 is outside 21 to 108"),
        ([(109,)], "note 109 in step 0"),
        ([(60.5,)], "whole MIDI numbers"),
        ([("C",)], "whole MIDI numbers"),
        ([[[60, 64]]], "whole MIDI numbers"),
    ],
)
def test_notes_that_are_refused(steps, message):
    with pytest.raises(ValueError, match=message):
        notes_to_roll(steps)


def test_a_quarter_tone_is_no_transposition():
    with pytest.raises(ValueError, match="semitones: got 0.5, must be a whole number"):
        transpose(notes_to_roll([(60,)]), 0.5)


@given(STEPS, st.integers(-87, 87))
def test_transpose_adds_semitones_or_refuses(steps, semitones):
    moved = [[note + semitones for note in step] for step in steps]
    if all(21 <= note <= 108 for step in moved for note in step):
        np.testing.assert_array_equal(
            transpose(notes_to_roll(steps), semitones), notes_to_roll(moved)
        )
    else:
        with pytest.raises(ValueError, match=f"semitones: {semitones} would move"):
            transpose(notes_to_roll(steps), semitones)


@given(STEPS)
def test_pitch_class_counts(steps):
    expected = np.bincount([n % 12 for step in steps for n in step], minlength=12)
    np.testing.assert_array_equal(pitch_class_counts(notes_to_roll(steps)), expected)


def test_pitch_class_counts_keep_leading_axes():
    rolls = np.random.default_rng(0).random((2, 3, 5, 88)) < 0.1
    counts = pitch_class_counts(rolls)
    assert counts.shape == (2, 3, 12)
    np.testing.assert_array_equal(counts[1, 2], pitch_class_counts(rolls[1, 2]))


def make_songs(*lengths):
    rng = np.random.default_rng(1)
    keys = ("D major", "G major")
    return [Song(rng.random((n, 88)) < 0.2, keys[i % 2], "", "") for i, n in enumerate(lengths)]


@given(st.lists(st.integers(1, 9), min_size=1, max_size=4), st.integers(1, 9), st.integers(1, 4))
def test_windows_are_the_slices_of_the_songs(lengths, length, stride):
    songs = make_songs(*lengths)
    if max(lengths) < length:
        with pytest.raises(ValueError, match=f"no song has {length} steps"):
            windows(songs, RELATIVE_MAJORS, length, stride)
        return
    cut = windows(songs, RELATIVE_MAJORS, length, stride)
    slices = [(i, t) for i, n in enumerate(lengths) for t in range(0, n - length + 1, stride)]
    assert len(cut.x) == len(cut.x_prev) == len(cut.key) == len(cut.song) == len(slices)
    assert cut.key.dtype == cut.song.dtype == np.int32
    for row, (i, t) in enumerate(slices):
        np.testing.assert_array_equal(cut.x[row], songs[i].roll[t : t + length])
        before = songs[i].roll[t - 1] if t else np.zeros(88, dtype=bool)
        np.testing.assert_array_equal(cut.x_prev[row, 0], before)
        np.testing.assert_array_equal(cut.x_prev[row, 1:], cut.x[row, :-1])
        assert cut.song[row] == i
        assert RELATIVE_MAJORS[cut.key[row]] == songs[i].key


@given(st.lists(st.integers(4, 12), min_size=1, max_size=4), st.integers(1, 4))
def test_windows_of_stride_1_cover_every_step(lengths, length):
    songs = make_songs(*lengths)
    cut = windows(songs, RELATIVE_MAJORS, length)
    for i, song in enumerate(songs):
        own = cut.x[cut.song == i]
        covered = np.concatenate([own[:, 0], own[-1, 1:]])
        np.testing.assert_array_equal(covered, song.roll)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"length": 0}, "length: 0 must be at least 1"),
        ({"stride": 0}, "stride: 0 must be at least 1"),
        ({"classes": ("C major",)}, "classes: no 'D major', the key of song 0"),
        ({"songs": []}, "length: no song has 1 steps"),
        ({"songs": [Song(np.zeros((5, 87)), "D major", "", "")]}, "roll: shape"),
    ],
)
def test_windows_that_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        windows(**{"songs": make_songs(5), "classes": RELATIVE_MAJORS} | options)
