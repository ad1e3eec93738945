"""Transposition as augmentation, by the rolls and keys themselves."""

import numpy as np
import pytest

from cvae.examples import Batch, examples
from cvae.music.keys import MAJOR_MINOR, RELATIVE_MAJORS, parse_key
from cvae.music.pianoroll import transpose
from cvae.transposition import Transposition


def evenly(keys, semitones, **options):
    """All keys as frequent as each other."""
    return Transposition(keys, np.full(len(keys), 1 / len(keys)), semitones, **options)


@pytest.mark.parametrize("keys", [RELATIVE_MAJORS, MAJOR_MINOR, ("C major", "D major", "A minor")])
def test_key_shifts_against_the_keys_themselves(keys):
    table = evenly(keys, 4).new_keys
    assert table.shape == (len(keys), 9)
    for i, key in enumerate(keys):
        for column, semitones in enumerate(range(-4, 5)):
            moved = parse_key(key).transpose(semitones).name
            assert table[i, column] == (keys.index(moved) if moved in keys else -1)


def random_frames(size, keys, low=0, high=88):
    rng = np.random.default_rng(0)
    x, x_prev = rng.random((2, size, 88)) < 0.05
    x[:, :low] = x_prev[:, :low] = x[:, high:] = x_prev[:, high:] = False
    return Batch(x, x_prev, rng.integers(0, keys, size).astype(np.int32))


def arrays_of(batch):
    return Batch(*(None if part is None else np.array(part) for part in batch))


def shifts_between(before, after, keys, reach):
    """Semitones that each key has moved; unique for a reach of at most 5."""
    tonics = np.array([parse_key(key).tonic for key in keys])
    moved = (tonics[after] - tonics[before] + reach) % 12 - reach
    assert np.all(np.abs(moved) <= reach)
    return moved


@pytest.mark.parametrize("keys", [RELATIVE_MAJORS, MAJOR_MINOR])
def test_transposed_steps_are_transposed_rolls_and_keys(keys):
    batch = random_frames(300, len(keys), low=5, high=83)
    moved = arrays_of(evenly(keys, 5).of_batch(batch, (1, 2)))
    assert [array.dtype for array in moved[:3]] == [bool, bool, np.int32]
    semitones = shifts_between(batch.key, moved.key, keys, 5)
    assert set(semitones) == set(range(-5, 6))
    for i, s in enumerate(semitones):
        np.testing.assert_array_equal(moved.x[i], transpose(batch.x[i], s))
        np.testing.assert_array_equal(moved.x_prev[i], transpose(batch.x_prev[i], s))
        assert keys[moved.key[i]] == parse_key(keys[batch.key[i]]).transpose(s).name
    counts = np.bincount(semitones + 5)
    assert counts.min() > 300 / 11 / 2.5  # all about as often


def random_rolls(size, steps, keys):
    frames = random_frames(size * steps, keys, low=5, high=83)
    x, x_prev = (array.reshape(size, steps, 88) for array in frames[:2])
    return Batch(x, x_prev, frames.key[:size], np.ones((size, steps), np.float32))


def test_a_sequence_is_transposed_as_one():
    batch = random_rolls(200, 5, 12)
    batch.x[:100, 3, 87] = batch.x_prev[100:, 4, 0] = True  # one note of one step is enough
    moved = arrays_of(evenly(RELATIVE_MAJORS, 5).of_batch(batch, (1, 2)))
    semitones = shifts_between(batch.key, moved.key, RELATIVE_MAJORS, 5)
    assert set(semitones[:100]) == set(range(-5, 1)) and set(semitones[100:]) == set(range(6))
    for i, s in enumerate(semitones):
        np.testing.assert_array_equal(moved.x[i], transpose(batch.x[i], s))
        np.testing.assert_array_equal(moved.x_prev[i], transpose(batch.x_prev[i], s))
    np.testing.assert_array_equal(moved.mask, batch.mask)


@pytest.mark.parametrize("length", [3, "song"])
def test_songs_are_transposed_as_wholes(length, tiny_corpus):
    data = examples(tiny_corpus, "train", length, 3)
    untouched = data.steps.copy()
    data.steps[data.start[data.song == 1][-1], 87] = True  # one note keeps this song from rising
    rng = np.random.default_rng(0)
    key = RELATIVE_MAJORS.index("C major") + np.zeros_like(data.key)
    data, shifts = data._replace(key=key), []
    for _ in range(60):
        moved = evenly(RELATIVE_MAJORS, 3).of_songs(data, rng)
        by_song = [set(moved.key[moved.song == song]) for song in range(8)]
        assert all(len(keys) == 1 for keys in by_song)
        new = np.array([keys.pop() for keys in by_song])
        shifts.append(shifts_between(np.full(8, key[0]), new, RELATIVE_MAJORS, 3))
        for song, semitones in enumerate(shifts[-1]):
            roll = data.steps[rows_of(data, song)]
            np.testing.assert_array_equal(
                moved.steps[rows_of(data, song)], transpose(roll, semitones)
            )
        np.testing.assert_array_equal(moved.steps.sum(axis=1), data.steps.sum(axis=1))
        for name in ("start", "length", "song"):
            assert getattr(moved, name) is getattr(data, name)
    untouched[data.start[data.song == 1][-1], 87] = True
    np.testing.assert_array_equal(data.steps, untouched)  # the songs themselves stay as they are
    shifts = np.array(shifts)
    assert set(shifts[:, 1]) == set(range(-3, 1))
    assert set(np.delete(shifts, 1, axis=1).ravel()) == set(range(-3, 4))
    assert np.all(np.std(shifts, axis=1) > 0)  # each song by a shift of its own
    counts = np.bincount(np.delete(shifts, 1, axis=1).ravel() + 3)
    assert counts.min() > 0.7 * counts.mean()


def rows_of(data, song):
    mine = data.song == song
    return slice(data.start[mine].min(), (data.start + data.length)[mine].max())


def test_any_key_lets_examples_move_to_keys_that_the_corpus_lacks():
    keys = ("C major", "E major", "A- major")
    batch = random_frames(2000, 3, low=5, high=83)
    shares = []
    for any_key in (False, True):
        moved = arrays_of(evenly(keys, 5, any_key=any_key).of_batch(batch, (1, 2)))
        semitones = [np.argmax(m) - np.argmax(x) for m, x in zip(moved.x, batch.x, strict=True)]
        shares.append(np.bincount(np.add(semitones, 5), minlength=11) / 2000)
    only_keys, all_keys = shares
    assert set(np.flatnonzero(only_keys) - 5) == {-4, 0, 4}
    np.testing.assert_allclose(all_keys, np.full(11, 1 / 11), atol=0.03)


def test_with_all_keys_any_key_moves_the_labels_too():
    """Where no song is in the key, and where the labels of fewer classes stay."""
    batch = random_frames(2000, 1, low=6, high=82)  # all in C major
    batch.x[:, 6] = True
    frequency = np.eye(24)[MAJOR_MINOR.index("C major")]
    transposition = Transposition(MAJOR_MINOR, frequency, 5, any_key=True)
    assert transposition.has_all
    moved = arrays_of(transposition.of_batch(batch, (1, 2)))
    semitones = [np.argmax(m) - np.argmax(x) for m, x in zip(moved.x, batch.x, strict=True)]
    names = [parse_key("C major").transpose(s).name for s in semitones]
    assert [MAJOR_MINOR[key] for key in moved.key] == names and len(set(names)) == 11
    few = evenly(("C major", "C minor"), 5, any_key=True)
    assert not few.has_all
    assert not np.any(arrays_of(few.of_batch(batch, (1, 2))).key)


@pytest.mark.parametrize("which", ["x", "x_prev"])
def test_a_step_whose_notes_would_leave_the_piano_stays(which):
    batch = random_frames(300, 12, low=5, high=83)
    getattr(batch, which)[:150, 0] = True
    getattr(batch, which)[150:, 87] = True
    moved = arrays_of(evenly(RELATIVE_MAJORS, 5).of_batch(batch, (1, 2)))
    semitones = shifts_between(batch.key, moved.key, RELATIVE_MAJORS, 5)
    assert set(semitones[:150]) == set(range(6)) and set(semitones[150:]) == set(range(-5, 1))
    for i, s in enumerate(semitones):
        np.testing.assert_array_equal(moved.x[i], transpose(batch.x[i], s))
        np.testing.assert_array_equal(moved.x_prev[i], transpose(batch.x_prev[i], s))


def test_new_keys_are_drawn_from_the_classes_and_common_ones_more_often():
    keys = ("C major", "D major", "E- major", "B major")
    batch = random_frames(4000, 1, low=5, high=83)  # all in C

    def shares(frequency, reach):
        moved = Transposition(keys, np.array(frequency), reach).of_batch(batch, (1, 2))
        return np.bincount(moved.key, minlength=4) / 4000

    even = shares([0.25, 0.25, 0.25, 0.25], 2)  # E flat is out of reach
    np.testing.assert_allclose(even, [1 / 3, 1 / 3, 0, 1 / 3], atol=0.03)
    uneven = shares([0.5, 0.2, 0.3, 0.0], 5)
    assert uneven[0] > uneven[2] > uneven[1] > 0.1 and uneven[3] == 0


def test_silence_is_transposed_too():
    silent = np.zeros((50, 88), bool)
    batch = Batch(silent, silent, np.zeros(50, np.int32))
    moved = evenly(RELATIVE_MAJORS, 3).of_batch(batch, np.int32([1, 2]))
    assert not np.any(moved.x) and len(set(np.array(moved.key))) == 7


@pytest.mark.parametrize("any_key", [False, True])
def test_classes_that_are_no_keys_stay_in_every_transposition(any_key, composers):
    frequency = np.array([0.6, 0.3, 0.1])
    transposition = Transposition(composers.keys, frequency, 5, any_key)
    batch = random_frames(2000, 3, low=6, high=82)
    batch.x[:, 6] = True
    moved = arrays_of(transposition.of_batch(batch, (1, 2)))
    np.testing.assert_array_equal(moved.key, batch.key)
    semitones = [np.argmax(m) - np.argmax(x) for m, x in zip(moved.x, batch.x, strict=True)]
    used = np.bincount(np.add(semitones, 5)) / 2000
    np.testing.assert_allclose(used, np.full(11, 1 / 11), atol=0.03)
    songs = examples(composers, "train", "song")
    moved = transposition.of_songs(songs, np.random.default_rng(0))
    np.testing.assert_array_equal(moved.key, songs.key)
    assert np.any(moved.steps != songs.steps)
