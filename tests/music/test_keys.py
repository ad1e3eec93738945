import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from music21 import key as music21_key
from music21.analysis import discrete

from cvae.music.corpora import load_corpus
from cvae.music.keys import (
    CIRCLE_OF_FIFTHS,
    MAJOR_MINOR,
    PROFILES,
    RELATIVE_MAJORS,
    Key,
    are_keys,
    fifths_apart,
    modulation_probabilities,
    parse_key,
    profile_key,
    profile_scores,
    scale_mask,
)
from cvae.music.pianoroll import pitch_class_counts, transpose, windows

# Accuracy on the test split of the original's file, 10 relative majors, measured before this code
# was written; windows of so many steps.
BASELINES = {
    "krumhansl-kessler": {1: 0.375, 4: 0.539, 8: 0.604, 16: 0.664, 32: 0.746, "song": 0.857},
    "aarden-essen": {1: 0.401, 4: 0.654, 8: 0.744, 16: 0.834, 32: 0.942, "song": 0.986},
    "temperley": {1: 0.418, 4: 0.667, 8: 0.754, 16: 0.823, 32: 0.935, "song": 1.000},
}


@pytest.mark.parametrize("name", MAJOR_MINOR)
def test_keys_agree_with_music21(name):
    key = parse_key(name)
    tonic, mode = name.split()
    oracle = music21_key.Key(tonic, mode)
    assert key == (oracle.tonic.pitchClass, mode)
    assert key.name == name
    assert key.scale == tuple(p.pitchClass for p in oracle.getScale(mode).pitches[:7])
    assert (
        key.relative_major.name == parse_key(oracle.relative.name if mode == "minor" else name).name
    )
    assert set(key.scale) == set(key.relative_major.scale)
    assert set(np.flatnonzero(scale_mask(name))) == set(key.scale)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("E- major", "E- major"),
        ("Eb major", "E- major"),
        ("E♭ major", "E- major"),
        ("Eb", "E- major"),
        ("e-", "E- minor"),
        ("bb", "B- minor"),
        ("b", "B minor"),
        ("c minor", "C minor"),
        ("C minor", "C minor"),
        ("Cm", "C minor"),
        ("F#m", "F# minor"),
        ("f♯ minor", "F# minor"),
        ("A- minor", "G# minor"),
        ("C- major", "B major"),
        ("D# major", "E- major"),
        ("B# major", "C major"),
        (" G  major ", "G major"),
    ],
)
def test_spellings(text, name):
    assert parse_key(text).name == name


@pytest.mark.parametrize("text", ["", "H major", "E dorian", "major", "C#b", "E - major", None, 3])
def test_not_a_key(text):
    with pytest.raises(ValueError, match="is not a key"):
        parse_key(text)


def test_circle_of_fifths():
    tonics = [parse_key(name).tonic for name in CIRCLE_OF_FIFTHS]
    assert set(CIRCLE_OF_FIFTHS) == set(RELATIVE_MAJORS)
    assert {(b - a) % 12 for a, b in zip(tonics, tonics[1:] + tonics[:1], strict=True)} == {7}


@given(st.sampled_from(MAJOR_MINOR), st.integers(-30, 30))
def test_transposed_key_has_the_transposed_scale(name, semitones):
    key = parse_key(name)
    moved = key.transpose(semitones)
    assert moved.scale == tuple((pitch + semitones) % 12 for pitch in key.scale)
    assert moved.relative_major == key.relative_major.transpose(semitones)
    assert moved.transpose(-semitones) == key


@pytest.mark.parametrize(
    ("name", "oracle"),
    [
        ("krumhansl-kessler", discrete.KrumhanslKessler),
        ("aarden-essen", discrete.AardenEssen),
        ("temperley", discrete.TemperleyKostkaPayne),
    ],
)
def test_profiles_agree_with_music21(name, oracle):
    np.testing.assert_allclose(PROFILES[name][0], oracle().getWeights("major"))
    np.testing.assert_allclose(PROFILES[name][1], oracle().getWeights("minor"))


@pytest.mark.parametrize("profile", PROFILES)
def test_scores_are_correlations(profile):
    counts = np.random.default_rng(0).integers(0, 9, (5, 12))
    scores = profile_scores(counts, profile, MAJOR_MINOR)
    for row, key in [(0, Key(0, "major")), (3, Key(5, "minor")), (4, Key(11, "major"))]:
        weights = np.roll(PROFILES[profile][int(key.mode == "minor")], key.tonic)
        expected = np.corrcoef(counts[row], weights)[0, 1]
        assert scores[row, MAJOR_MINOR.index(key.name)] == pytest.approx(expected)
    relative = profile_scores(counts, profile, ["E- major"])[:, 0]
    pair = [MAJOR_MINOR.index("E- major"), MAJOR_MINOR.index("C minor")]
    np.testing.assert_allclose(relative, scores[:, pair].max(axis=1))


def test_scores_of_silence_and_of_all_pitches_are_zero():
    assert not profile_scores(np.zeros((3, 4, 88))).any()
    np.testing.assert_allclose(profile_scores(np.full(12, 7)), 0, atol=1e-12)


def test_transposing_a_song_transposes_its_key():
    for song in load_corpus("jsb", "major-minor").test[:8]:
        scores = profile_scores(song.roll, "aarden-essen", MAJOR_MINOR)
        for semitones in (-5, -1, 3, 6):
            moved = profile_scores(transpose(song.roll, semitones), "aarden-essen", MAJOR_MINOR)
            np.testing.assert_allclose(moved, np.roll(scores, 2 * semitones))
            counts = pitch_class_counts(transpose(song.roll, semitones))
            found = parse_key(profile_key(counts, "aarden-essen", MAJOR_MINOR))
            first = parse_key(profile_key(song.roll, "aarden-essen", MAJOR_MINOR))
            assert found == first.transpose(semitones)


@pytest.mark.parametrize(
    ("notes", "profile", "message"),
    [
        (np.zeros((3, 88)), "krumhansl", "profile: 'krumhansl' is unknown"),
        (np.zeros(88), "temperley", "notes: shape"),
        (np.zeros((3, 87)), "temperley", "notes: shape"),
        (np.float64(3), "temperley", "notes: shape"),
    ],
)
def test_bad_arguments(notes, profile, message):
    with pytest.raises(ValueError, match=message):
        profile_scores(notes, profile)


@pytest.mark.parametrize("profile", PROFILES)
def test_baselines_on_the_original(original, profile):
    classes = load_corpus("jsb-original").keys
    songs = load_corpus("jsb-original").test
    assert len(classes) == 10
    for length, expected in BASELINES[profile].items():
        if length == "song":
            hits = [profile_key(song.roll, profile, classes) == song.key for song in songs]
        else:
            cut = windows(songs, classes, length)
            hits = profile_scores(cut.x, profile, classes).argmax(axis=-1) == cut.key
        assert np.mean(hits) == pytest.approx(expected, abs=0.005)


# Modulation


@pytest.mark.parametrize(
    ("one", "other", "apart"),
    [
        ("C major", "a minor", 0),
        ("C major", "G major", 1),
        ("C major", "F major", 1),
        ("C major", "e minor", 1),
        ("C major", "F# major", 6),
        ("D- major", "B major", 2),
    ],
)
def test_fifths_apart(one, other, apart):
    assert fifths_apart(one, other) == fifths_apart(other, one) == apart


@pytest.mark.parametrize("one", MAJOR_MINOR)
@pytest.mark.parametrize("other", ["C major", "E- minor"])
def test_fifths_apart_are_the_notes_that_differ(one, other):
    differ = np.sum(scale_mask(one) & ~scale_mask(other))
    assert min(fifths_apart(one, other), 5) == differ


def test_modulation_probabilities():
    probs = modulation_probabilities(MAJOR_MINOR, 0.9)
    np.testing.assert_allclose(probs.sum(axis=1), np.ones(24))
    np.testing.assert_allclose(np.diag(probs), np.full(24, 0.9))
    np.testing.assert_allclose(probs, probs.T)
    c = dict(zip(MAJOR_MINOR, probs[MAJOR_MINOR.index("C major")], strict=True))
    assert c["G major"] == pytest.approx(c["A minor"]) == pytest.approx(c["F major"])
    assert c["G major"] / c["D major"] == pytest.approx(np.e)
    assert min(c.values()) == pytest.approx(c["E- minor"])
    # Transposing all keys changes nothing.
    g = dict(zip(MAJOR_MINOR, probs[MAJOR_MINOR.index("G major")], strict=True))
    assert g["D major"] == pytest.approx(c["G major"])


@pytest.mark.parametrize("stay", [0, 1, -0.5, float("nan")])
def test_modulation_probabilities_name_a_bad_share(stay):
    with pytest.raises(ValueError, match=r"\Astay: [^\n]+\Z"):
        modulation_probabilities(MAJOR_MINOR, stay)


def test_one_class_cannot_modulate():
    with pytest.raises(ValueError, match=r"\Aclasses: [^\n]+\Z"):
        modulation_probabilities(["C major"], 0.5)


@pytest.mark.parametrize("keys", [MAJOR_MINOR, RELATIVE_MAJORS, ("F# minor",), ()])
def test_classes_that_are_keys(keys):
    assert are_keys(keys)


def test_classes_that_are_no_keys():
    assert not are_keys(("Ravel", "Bach")) and not are_keys(["H major"])


@pytest.mark.parametrize(
    ("classes", "named"),
    [
        (("C major", "H major"), "'H major' is not a key"),
        (("Bach", "C major"), "'Bach' is not a key"),
        (("C major", "E flat major"), "must be written 'E- major'"),
        (("A", "B"), "must be written 'A major'"),
        (("Bach", "Bach"), "stand once"),
        (("Bach", " "), "must be a name"),
        ((1, 2), "must be a name"),
        ((["C major"], "G major"), "must be a name"),
    ],
)
def test_classes_with_bad_names_are_refused_in_one_line(classes, named):
    with pytest.raises(ValueError, match=rf"\Akeys: [^\n]*{named}[^\n]*\Z"):
        are_keys(classes)
