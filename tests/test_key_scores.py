"""Scores of key inference, against answers that are known."""

from types import SimpleNamespace

import numpy as np
import pytest

from cvae.key_scores import (
    accuracy_interval,
    answers,
    local_key_rows,
    profile_answers,
    weighted_score,
    window_rows,
)
from cvae.music import MAJOR_MINOR
from cvae.music.local_keys import AnalysedChorale


@pytest.mark.parametrize("length", [1, 4, "song"])
def test_a_trained_model_answers_for_each_window(trained, tiny_corpus, length):
    given = answers(trained.model, tiny_corpus, "test", length)
    songs = tiny_corpus.test
    counts = [1 if length == "song" else len(song.roll) - length + 1 for song in songs]
    np.testing.assert_array_equal(given.song, np.repeat(np.arange(3), counts))
    np.testing.assert_array_equal(
        given.key, np.repeat([tiny_corpus.keys.index(song.key) for song in songs], counts)
    )
    np.testing.assert_allclose(given.scores.sum(axis=1), np.ones(len(given.key)), rtol=1e-4)
    assert given.right.mean() > 0.9


def test_profiles_answer_for_the_same_windows(tiny_corpus):
    given = profile_answers(tiny_corpus, "test", 4, "temperley")
    assert given.scores.shape == (len(given.key), 3)
    assert given.right.mean() > 0.5


def test_interval_of_songs_that_agree_within_themselves():
    """Windows of a song tell nothing new: the interval is that of the songs."""
    right = np.repeat([1.0, 0.0] * 50, 10)
    low, high = accuracy_interval(right, np.repeat(np.arange(100), 10))
    spread = 1.96 * 0.5 / np.sqrt(100)
    assert low == pytest.approx(0.5 - spread, abs=0.02)
    assert high == pytest.approx(0.5 + spread, abs=0.02)
    assert accuracy_interval(np.ones(20), np.arange(20) // 4) == [1.0, 1.0]


@pytest.mark.parametrize(
    ("guess", "score"),
    [
        ("E- major", 1), ("B- major", 0.5), ("A- major", 0), ("C minor", 0.3), ("E- minor", 0.2),
        ("D major", 0),
    ],
)  # fmt: skip
def test_weighted_score(guess, score):
    assert weighted_score(["E- major"], [guess]) == score
    assert weighted_score(["E- major", "C# minor"], [guess, "C# minor"]) == (score + 1) / 2


def test_window_rows(trained, tiny_corpus):
    rows = window_rows(tiny_corpus, [trained.model, trained.model])
    assert {row["split"] for row in rows} == {"valid", "test"}
    song = next(row for row in rows if row["split"] == "test" and row["length"] == "song")
    assert song["accuracy"] == [1.0, 1.0] and song["interval"] == [1.0, 1.0]
    assert song["gain"] == 1 - max(song["profiles"].values())


class Oracle:
    """Knows the key of each step of a chorale at one width of the window, else none."""

    def __init__(self, chorales, windows):
        self.windows = {
            id(c.roll): (c, window) for c, window in zip(chorales, windows, strict=True)
        }

    def infer_key(self, roll, window):
        chorale, right = self.windows[id(roll)]
        keys = chorale.keys if window == right else ["F# major"] * len(roll)
        probs = np.full((len(roll), 24), 0.01)
        probs[np.arange(len(roll)), [MAJOR_MINOR.index(key) for key in keys]] = 1
        return SimpleNamespace(steps=probs / probs.sum(axis=1, keepdims=True))


@pytest.fixture(scope="module")
def chorales():
    rng = np.random.default_rng(0)
    keys = ("C major",) * 6 + ("A minor",) * 6
    return [AnalysedChorale(f"BWV {i}", "", rng.random((12, 88)) < 0.1, keys) for i in range(3)]


def test_settings_are_chosen_on_the_other_chorales(chorales):
    """The first is right with windows of 1 alone, the others with windows of 5."""
    rows = local_key_rows(Oracle(chorales, (1, 5, 5)), MAJOR_MINOR, chorales)
    row = next(row for row in rows if row["method"] == "classifier")
    assert row["setting"] == (5,)
    # To the second and third one window of 1 and one of 5 speak: of equals the first is taken.
    assert row["by_chorale"] == {"BWV 0": 0.0, "BWV 1": 0.0, "BWV 2": 0.0}


def test_an_oracle_agrees_and_a_profile_of_noise_does_not(chorales):
    rows = {
        row["method"]: row
        for row in local_key_rows(Oracle(chorales, (5, 5, 5)), MAJOR_MINOR, chorales)
    }
    assert len(rows) == 8
    for name in ("classifier", "classifier + HMM"):
        assert rows[name]["agreement"] == 1.0 and rows[name]["setting"][0] == 5
    assert rows["classifier"]["quarter_notes"] == 36
    assert rows["temperley"]["agreement"] < 0.5
    for row in rows.values():
        assert row["relative_major"] >= row["agreement"]
