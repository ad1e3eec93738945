"""Local keys of the chorales, from the human analyses that music21 carries."""

import json

import music21
import numpy as np
import pytest

from cvae.music import MAJOR_MINOR, load_corpus, pitch_in_scale_rate
from cvae.music.local_keys import TABLE, analysed_chorales, build_local_keys
from cvae.paths import data_folder

CHORALES = analysed_chorales()


@pytest.mark.parametrize("chorale", CHORALES, ids=lambda chorale: chorale.source)
def test_each_step_has_a_key_and_its_notes_fit(chorale):
    assert len(chorale.keys) == len(chorale.roll)
    assert set(chorale.keys) <= set(MAJOR_MINOR)
    of_key = [np.array(chorale.keys) == key for key in set(chorale.keys)]
    fits = [
        pitch_in_scale_rate(chorale.roll[steps], chorale.keys[np.argmax(steps)]) for steps in of_key
    ]
    share = np.average(fits, weights=[steps.sum() for steps in of_key])
    assert share > 0.8  # harmonic minor keys leave their natural scale


def test_those_without_repeats_are_the_songs_of_the_corpus():
    corpus = load_corpus("jsb")
    songs = {
        song.source: song for split in (corpus.train, corpus.valid, corpus.test) for song in split
    }
    same = [
        np.array_equal(songs[c.source].roll, c.roll)
        for c in CHORALES
        if c.source in songs and len(songs[c.source].roll) == len(c.roll)
    ]
    assert len(same) >= 5 and all(same)
    assert {c.source for c in CHORALES} <= songs.keys()


def test_the_first_chorale_stays_in_one_key_and_the_second_modulates():
    assert set(CHORALES[0].keys) == {"G major"}
    keys = CHORALES[1].keys
    runs = [key for i, key in enumerate(keys) if i == 0 or keys[i - 1] != key]
    assert runs == ["A major", "E major", "A major", "B minor", "A major"]


def test_rebuilt_identical_to_the_byte(tmp_path, monkeypatch):
    table = data_folder() / "corpora" / TABLE
    made_with = json.loads(table.read_text("utf-8"))["source"]
    if music21.__version__ not in made_with:
        pytest.skip(f"the table was built with {made_with}, here is {music21.__version__}")
    (tmp_path / "corpora").mkdir()
    monkeypatch.setattr("cvae.music.local_keys.data_folder", lambda: tmp_path)
    assert build_local_keys().read_bytes() == table.read_bytes()
