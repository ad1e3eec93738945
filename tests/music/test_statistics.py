import math
from dataclasses import replace

import music21
import numpy as np
import pytest

from cvae.music import statistics
from cvae.music.corpora import Corpus, load_corpus
from cvae.music.pianoroll import notes_to_roll
from cvae.music.song import key_class

# C major triad, its two upper notes again, silence, C sharp.
ROLL = notes_to_roll([(60, 64, 67), (64, 67), (), (61,)])
SILENCE = np.zeros((4, 88), dtype=bool)


def test_by_hand():
    assert statistics.pitch_in_scale_rate(ROLL, "C major") == pytest.approx(5 / 6)
    assert statistics.pitch_in_scale_rate(ROLL, "a minor") == pytest.approx(5 / 6)
    assert statistics.pitch_in_scale_rate(ROLL, "D- major") == pytest.approx(2 / 6)
    assert statistics.scale_consistency(ROLL) == pytest.approx(5 / 6)
    assert statistics.polyphony(ROLL) == pytest.approx(6 / 4)
    assert statistics.pitch_range(ROLL) == (60, 67)
    assert statistics.note_repetition(ROLL) == pytest.approx(2 / 3)
    shares = np.array([1, 2, 2, 1]) / 6
    assert statistics.pitch_class_entropy(ROLL) == pytest.approx(-(shares * np.log2(shares)).sum())


def test_extremes():
    chromatic = np.ones((3, 88), dtype=bool)
    chromatic[:, 84:] = False  # seven whole octaves
    assert statistics.pitch_class_entropy(chromatic) == pytest.approx(math.log2(12))
    assert statistics.scale_consistency(chromatic) == pytest.approx(7 / 12)
    assert statistics.note_repetition(chromatic) == 1
    assert statistics.pitch_class_entropy(notes_to_roll([(48, 60)])) == 0


def test_notes_in_common_by_hand():
    other = notes_to_roll([(60, 64, 69), (64,), (72,), (61,)])
    assert statistics.notes_in_common(ROLL, other) == pytest.approx(4 / 8)
    assert statistics.notes_in_common(ROLL, ROLL) == 1
    assert math.isnan(statistics.notes_in_common(SILENCE, SILENCE))
    with pytest.raises(ValueError, match=r"\Aother: [^\n]+\Z"):
        statistics.notes_in_common(ROLL, ROLL[:3])


def test_step_change_by_hand():
    assert statistics.step_change(ROLL) == pytest.approx((1 + 2 + 1) / 3)
    assert statistics.step_change(SILENCE) == 0
    assert math.isnan(statistics.step_change(ROLL[:1]))


def chord(*numbers):
    """A roll of one step with these MIDI numbers."""
    return (np.arange(88)[:, None] + 21 == numbers).any(axis=1)[None]


@pytest.mark.parametrize(
    ("numbers", "clashes"),
    [
        ((60, 64, 67, 72), 0),
        ((60, 61), 1),
        ((60, 71), 1),  # a major seventh
        ((60, 73), 1),  # a minor ninth
        ((48, 95, 67), 1),  # with octaves between
        ((60, 66), 0),  # a tritone is not one
        ((59, 72, 64), 1),  # B and C: over the end of the octave
    ],
)
def test_a_semitone_clash_by_hand(numbers, clashes):
    assert statistics.semitone_clash_rate(chord(*numbers)) == clashes


def test_semitone_clash_rate_is_a_share_of_the_steps_with_notes():
    roll = np.concatenate([chord(60, 61), chord(60, 64), chord(), chord(65, 69)])
    assert statistics.semitone_clash_rate(roll) == pytest.approx(1 / 3)
    assert math.isnan(statistics.semitone_clash_rate(SILENCE))


def test_semitone_clashes_are_those_that_music21_hears():
    """An interval of 1 or 11 semitones, whatever the octaves, between two notes of a chord."""
    rng = np.random.default_rng(0)
    for _ in range(50):
        numbers = rng.choice(np.arange(30, 100), size=4, replace=False)
        vector = music21.chord.Chord(numbers.tolist()).intervalVector
        assert statistics.semitone_clash_rate(chord(*numbers)) == (vector[0] > 0)


def steps(*numbers):
    """A roll with one pitch in each step: the same number, the same step."""
    return np.eye(88, dtype=bool)[list(numbers)]


def test_copied_share_is_the_longest_run_in_any_one_song():
    songs = [steps(1, 2, 3, 4, 5), steps(6, 7, 8), steps(9)]
    rolls = {
        (2, 3, 4, 0): 3 / 4,
        (0, 1, 0, 2): 1 / 4,  # in order, but not in a row
        (5, 6, 7): 2 / 3,  # a run does not go on from one song into the next
        (8, 9): 1 / 2,
        (0, 0): 0,
        (1, 2, 3, 4, 5): 1,
        (4, 5, 0, 1, 2, 3): 1 / 2,
    }
    shares = statistics.copied_share([steps(*roll) for roll in rolls], songs)
    np.testing.assert_allclose(shares, list(rolls.values()))


def test_copied_share_agrees_with_a_search_by_hand():
    rng = np.random.default_rng(0)
    songs = [rng.integers(0, 3, size) for size in (9, 14, 5)]
    rolls = [rng.integers(0, 3, 7) for _ in range(30)]

    def longest(roll):
        texts = ["".join(map(str, song)) for song in songs]
        runs = ["".join(map(str, roll[i:j])) for i in range(7) for j in range(i + 1, 8)]
        return max(len(run) for run in runs if any(run in text for text in texts))

    expected = [longest(roll) / 7 for roll in rolls]
    assert len(set(expected)) > 2
    shares = statistics.copied_share([steps(*roll) for roll in rolls], [steps(*s) for s in songs])
    np.testing.assert_allclose(shares, expected)


def test_silence():
    assert math.isnan(statistics.pitch_in_scale_rate(SILENCE, "C major"))
    assert math.isnan(statistics.scale_consistency(SILENCE))
    assert math.isnan(statistics.pitch_class_entropy(SILENCE))
    assert math.isnan(statistics.note_repetition(SILENCE))
    assert all(math.isnan(end) for end in statistics.pitch_range(SILENCE))
    assert statistics.polyphony(SILENCE) == 0


@pytest.mark.parametrize("function", [statistics.polyphony, statistics.scale_consistency])
def test_shape(function):
    with pytest.raises(ValueError, match="roll: shape"):
        function(np.zeros((2, 4, 88)))


def test_corpus_statistics():
    corpus = load_corpus("jsb")
    report = statistics.corpus_statistics(corpus)
    assert report["name"] == "jsb"
    assert report["keys"] == 10
    assert list(report["by_key"]) == list(corpus.keys) and sum(report["by_key"].values()) == 330
    for split in ("train", "valid", "test"):
        songs = corpus.split(split)
        part = report[split]
        assert part["songs"] == len(songs)
        assert part["steps"] == sum(len(song.roll) for song in songs)
        assert part["notes_per_step"] * part["steps"] == pytest.approx(
            sum(song.roll.sum() for song in songs)
        )
        notes = [song.roll.sum() for song in songs]
        rates = [statistics.pitch_in_scale_rate(song.roll, song.key) for song in songs]
        assert part["in_scale"] == pytest.approx(np.average(rates, weights=notes))


def test_agreement_of_key_and_analysis():
    songs = load_corpus("jsb").test[:4]
    named = [replace(song, analysis=key) for song, key in zip(songs, "CFGa", strict=True)]
    corpus = Corpus("few", load_corpus("jsb").keys, tuple(named), songs, songs)
    report = statistics.corpus_statistics(corpus)
    right = [song.key == key_class(song.analysis) for song in named]
    assert report["train"]["analysis_agrees"] == np.mean(right)
    assert "analysis_agrees" not in report["valid"]


def test_classes_that_are_no_keys_have_no_scale(composers):
    report = statistics.corpus_statistics(composers)
    assert report["by_key"] == {"Ravel": 5, "Bach": 5, "Grieg": 4} and report["keys"] == 3
    assert "notes_per_step" in report["train"] and "in_scale" not in report["train"]


def test_share_in_scale_of_the_original(original):
    # Measured before this code was written.
    report = statistics.corpus_statistics(original)
    shares = [round(report[split]["in_scale"], 3) for split in ("train", "valid", "test")]
    assert shares == [0.935, 0.929, 0.933]
    assert sum(report[split]["silent_steps"] for split in ("train", "valid", "test")) == 2003
    assert sum(report[split]["steps"] for split in ("train", "valid", "test")) == 22534
