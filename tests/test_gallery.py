"""The gallery: what is stored is what the commands say."""

import shlex
from collections import defaultdict

import numpy as np
import pytest
import soundfile

from cvae.arguments import parse
from cvae.gallery import CORPORA, ROWS, command, gallery, show
from cvae.music import note_repetition, pitch_in_scale_rate, polyphony, scale_consistency
from cvae.music.midi import read_midi
from cvae.paths import data_folder

FOLDER = data_folder() / "samples"


@pytest.mark.parametrize("name", ROWS)
def test_a_row(name):
    row = gallery()[name]
    assert (row["title"], row["command"]) == (ROWS[name][0], command(name))
    roll = read_midi(FOLDER / f"{name}.mid", row["step"])
    corpus = CORPORA["jsb" if name.startswith("jsb") else "piano-midi"]
    assert len(roll) == row["steps"] == corpus.steps
    assert row["polyphony"] == pytest.approx(polyphony(roll))
    assert row["pitch_in_scale_rate"] == pytest.approx(pitch_in_scale_rate(roll, row["key"]))
    assert row["scale_consistency"] == pytest.approx(scale_consistency(roll))
    assert row["note_repetition"] == pytest.approx(note_repetition(roll))
    samples, rate = soundfile.read(FOLDER / f"{name}.mp3")
    assert len(samples) / rate == pytest.approx(row["seconds"], abs=0.2)
    assert 0.05 < np.abs(samples).max() < 1
    assert (FOLDER / f"{name}.mp3").stat().st_size < 130_000


def test_nothing_else_is_there():
    files = {f"{name}.{suffix}" for name in ROWS for suffix in ("mid", "mp3")} | {"gallery.json"}
    assert {path.name for path in FOLDER.iterdir()} == files
    assert list(gallery()) == list(ROWS)


@pytest.mark.parametrize("name", ROWS)
def test_commands_parse(name):
    program, *words = shlex.split(command(name))
    parsed = parse(words, defaultdict(lambda: show), "")
    assert program == "cvae" and parsed.command is show
    assert (parsed.seed, parsed.overwrite, parsed.sample_dir) == (0, True, "data/samples")


def test_the_music_itself_is_of_the_corpus():
    from cvae.music import load_corpus

    roll = read_midi(FOLDER / "jsb-data.mid")
    songs = [song for song in load_corpus("jsb").test if song.key == CORPORA["jsb"].key]
    assert any(np.array_equal(song.roll[16:48], roll) for song in songs)
